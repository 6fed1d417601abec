"""What every importer is: records to take in, and what it could not read, counted and named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from pktui.memory.exchange import ImportReport, Record, Reject
from pktui.text import one_line

NAMED = 100
"""How many of the refused pieces are named; the others are counted."""


class Rejects:
    """What an importer could not read."""

    def __init__(self) -> None:
        self._count = 0
        self._named: list[Reject] = []

    def add(self, at: str, why: str) -> None:
        """Count a piece that cannot be taken in; `at` says where it is."""
        self._count += 1
        if len(self._named) < NAMED:
            self._named.append(Reject(one_line(at, 100), one_line(why, 200)))

    def report(self) -> ImportReport:
        """Return what was counted so far as part of an import's report."""
        return ImportReport(rejected=self._count, rejects=tuple(self._named))


class Source(Protocol):
    """A place to import from. Iterating it reads it once, from its start to its end."""

    @property
    def rejects(self) -> Rejects:
        """What could not be read so far."""

    @property
    def progress(self) -> tuple[int, int]:
        """How much of it was read so far, and the whole, in one unit; the whole may be 0."""

    def __iter__(self) -> Iterator[Record]:
        """Yield the records; raises `StoreError` where the place as a whole cannot be read."""
