"""What went wrong with a store of anchors, known to every process, so that none tries too often."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.files import make_private_directory, write_whole

if TYPE_CHECKING:
    from pathlib import Path

_FIRST_US: Final = 30_000_000
_LONGEST_US: Final = 1_800_000_000


class Failing(msgspec.Struct, frozen=True):
    """Why the last try failed, since when they do, and when the next one may be made."""

    why: str
    since_us: int
    tries: int
    again_us: int

    def waits(self, now_us: int) -> bool:
        """Tell whether it is too soon for the next try; one noted by a clock ahead is over."""
        return 0 < self.again_us - now_us <= _LONGEST_US


class Trouble:
    """The trouble with one store, in a file beside its receipts."""

    def __init__(self, directory: Path, store: str) -> None:
        """`directory` is the ledger's."""
        slug = hashlib.sha256(store.encode()).hexdigest()[:16]
        self._path = directory / "anchors" / f"{slug}.failing"

    def read(self) -> Failing | None:
        """Return it; None where the last try went well."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Failing)
        except (OSError, msgspec.DecodeError):
            return None

    def note(self, why: str, now_us: int) -> None:
        """Keep what went wrong; the time until the next try doubles."""
        before = self.read()
        tries = before.tries + 1 if before else 1
        again_us = now_us + min(_LONGEST_US, _FIRST_US << min(tries - 1, 10))
        failing = Failing(why, before.since_us if before else now_us, tries, again_us)
        with suppress(OSError):  # it is said all the same, and tried again sooner
            make_private_directory(self._path.parent)
            write_whole(self._path, msgspec.json.encode(failing), sync=False)

    def clear(self) -> None:
        """Forget it."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
