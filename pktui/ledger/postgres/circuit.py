"""Whether the team's database was away just now, known to every process of this machine.

A hook is a process for each call: alone it would learn that by waiting for a connection, each time.
Who fails to connect says so in a file; for `AGAIN_SECONDS` from then all others go by it, and then
one of them tries again. The time is that since the machine was started, which nobody sets; what
says another start, or a time to come, is not believed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from pktui.errors import TeamUnavailable
from pktui.files import lock, open_private, write_whole
from pktui.times import boot_id, boot_ns

FILE: Final = "team.away"
AGAIN_SECONDS: Final = 5
_AGAIN_NS: Final = AGAIN_SECONDS * 1_000_000_000


class _Away(msgspec.Struct, frozen=True):
    """Why which database was away, and when: nanoseconds since that start of the machine."""

    address: str
    what: str
    cure: str
    boot: str
    at_ns: int


_decode = msgspec.json.Decoder(_Away).decode


class Circuit:
    """What the file in the data directory says of one database; it is a help, and may be gone."""

    def __init__(
        self, directory: Path, address: str, ticks_ns: Callable[[], int] = boot_ns
    ) -> None:
        self._file = directory / FILE
        self._address = address
        self._ticks_ns = ticks_ns

    def check(self) -> None:
        """Raise `TeamUnavailable` where another process found the database away just now.

        Where that is some time ago, for all but the one that is to try again.
        """
        away = self._read()
        if away is None or self._is_over(away):
            return
        if self._ticks_ns() - away.at_ns < _AGAIN_NS or not self._claims():
            raise TeamUnavailable(away.what, away.cure)

    def opened(self, why: TeamUnavailable) -> None:
        """Let others know that the database is away."""
        self._write(_Away(self._address, why.what, why.cure, boot_id(), self._ticks_ns()))

    def closed(self) -> None:
        """Let others know that it answers."""
        with suppress(OSError):
            self._file.unlink()

    def _is_over(self, away: _Away) -> bool:
        return (away.address, away.boot) != (self._address, boot_id()) or (
            away.at_ns > self._ticks_ns()
        )

    def _claims(self) -> bool:
        """Tell whether this process is the one to try: the others go on by what was said."""
        with suppress(OSError):
            descriptor = open_private(self._file, os.O_RDWR)
            try:
                if lock(descriptor):
                    away = self._read()
                    if away is None or self._ticks_ns() - away.at_ns >= _AGAIN_NS:
                        if away is not None:
                            self._write(msgspec.structs.replace(away, at_ns=self._ticks_ns()))
                        return True
            finally:
                os.close(descriptor)
        return False

    def _read(self) -> _Away | None:
        with suppress(OSError, msgspec.DecodeError):
            return _decode(self._file.read_bytes())
        return None

    def _write(self, away: _Away) -> None:
        with suppress(OSError):
            write_whole(self._file, msgspec.json.encode(away), sync=False)
