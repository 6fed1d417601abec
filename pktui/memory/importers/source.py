"""What every importer is: records to take in, and what it could not read, counted and named."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol

from pktui.memory.interchange import LONGEST_KEY, ImportReport, Record, Reject, Unknown
from pktui.text import one_line, storable

# How many of the refused pieces are named; the others are counted.
NAMED = 100
# How many kinds of unknown records are told apart.
_KINDS = 50
LONGEST_TITLE = 200
LONGEST_PATH = 4096
# So that a record fits into one request to the service, whatever its characters are as JSON.
LONGEST_TEXT = 1_000_000
_YEARS = range(2, 9999)


class Rejects:
    """What an importer could not read, and what it passed over because nobody knows what it is."""

    def __init__(self) -> None:
        self._count = 0
        self._named: list[Reject] = []
        self._unknown: Counter[str] = Counter()

    def add(self, at: str, why: str) -> None:
        """Count a piece that cannot be taken in; `at` says where it is."""
        self._count += 1
        if len(self._named) < NAMED:
            self._named.append(Reject(one_line(at, 200), one_line(why, 200)))

    def pass_over(self, kind: str, records: int = 1) -> None:
        """Count whole records of a kind that is not known, as newer versions write them."""
        if not records:
            return
        name = one_line(kind, 60) or "no type"
        room = name in self._unknown or len(self._unknown) < _KINDS
        self._unknown[name if room else "others"] += records

    def report(self) -> ImportReport:
        """Return what was counted so far as part of an import's report."""
        unknown = tuple(Unknown(kind, number) for kind, number in self._unknown.most_common())
        return ImportReport(rejected=self._count, rejects=tuple(self._named), unknown=unknown)


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


def key(native_id: str) -> str:
    """Return an agent's own id as a record bears it: UTF-8, and a hash where it is too long."""
    text = storable(native_id)
    if len(text) <= LONGEST_KEY:
        return text
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def kept(text: str, longest: int = LONGEST_TEXT) -> str:
    """Return a text as UTF-8 can carry it, at most so many characters and a word on the rest."""
    if len(text) <= longest:
        return storable(text)
    return f"{storable(text[:longest])}… [{len(text) - longest} more characters were left out]"


def instant(text: object) -> datetime | None:
    """Return the time that an ISO 8601 text names, UTC where it says no zone; None for no time."""
    if not isinstance(text, str):
        return None
    try:
        when = datetime.fromisoformat(text)
        when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return when if when.year in _YEARS else None
