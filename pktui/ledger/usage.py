"""The newest known sums of the tokens that agents used: a small file beside the ledger.

Gateways, hooks and whoever shows figures write it, with what the memory tells them; the last known
sums count while the memory is away.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from pktui.files import write_whole

FILE: Final = "usage.json"
# Microseconds between two questions to the memory, whoever asks; days of sums that are kept.
_EVERY_US: Final = 30_000_000
_KEPT_DAYS: Final = 30


class UsageSum(msgspec.Struct, frozen=True):
    """The tokens of one agent, project and model on one local day (`2026-11-30`).

    `tokens_in` are without the cached ones.
    """

    day: str
    agent: str
    project: str
    model: str
    tokens_in: int
    tokens_out: int
    cached: int


class _Kept(msgspec.Struct):
    at_us: int = 0
    sums: tuple[UsageSum, ...] = ()


class Usage:
    """The file beside a ledger, read again when it changes; one that can't be read holds none."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._stamp: tuple[int, int, int] | None = None
        self._kept = _Kept()

    @property
    def at_us(self) -> int:
        """When the sums were told, microseconds UTC; 0: never."""
        return self._read().at_us

    def sums(self) -> tuple[UsageSum, ...]:
        """Return the sums of all days that are kept."""
        return self._read().sums

    def day(self, day: str) -> tuple[UsageSum, ...]:
        """Return the sums of one local day."""
        return tuple(one for one in self._read().sums if one.day == day)

    def is_old(self, now_us: int) -> bool:
        """Tell whether the memory is to be asked again."""
        return abs(now_us - self.at_us) >= _EVERY_US

    def refresh(self, now_us: int, ask: Callable[[str], Iterable[Any]]) -> None:
        """Keep the sums that `ask` tells of the days from one on; raises `OSError`, and as `ask`.

        What it tells has the members of a `UsageSum`.
        """
        since = datetime.fromtimestamp(now_us / 1_000_000, UTC) - timedelta(days=_KEPT_DAYS)
        names = UsageSum.__struct_fields__
        told = ask(since.date().isoformat())
        self.write(tuple(UsageSum(*(getattr(one, name) for name in names)) for one in told), now_us)

    def write(self, sums: tuple[UsageSum, ...], at_us: int) -> None:
        """Keep newer sums in place of those that are known; raises `OSError`."""
        write_whole(self._path, msgspec.json.encode(_Kept(at_us, sums)), sync=False)

    def _read(self) -> _Kept:
        try:
            found = os.stat(self._path)  # noqa: PTH116  once a call
            stamp = found.st_mtime_ns, found.st_size, found.st_ino
            if stamp != self._stamp:
                self._kept = msgspec.json.decode(self._path.read_bytes(), type=_Kept)
                self._stamp = stamp
        except FileNotFoundError:
            self._kept, self._stamp = _Kept(), None
        except (OSError, msgspec.MsgspecError):
            self._stamp = None
        return self._kept
