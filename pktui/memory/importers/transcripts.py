"""A store that keeps each session in a file of its own, lines appended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pktui.memory.importers.calls import (
    Call,
    Masks,
    Outcome,
    PendingCalls,
    arguments_of,
    call_record,
)
from pktui.memory.importers.files import Found, StoreFiles
from pktui.memory.importers.source import Rejects, kept, key
from pktui.memory.interchange import MessageRecord, Record, SessionRecord, UsageRecord

if TYPE_CHECKING:
    from pktui.memory.importers.lines import Line
    from pktui.memory.records import Role

# Seconds of the epoch: what a file system tells beyond that is no time.
_LAST_S: Final = 2**33


class Transcripts(ABC):
    """An import source of such files, below a directory or a single one.

    A file that cannot be read is named, and the others are read.
    """

    def __init__(
        self,
        root: Path,
        fits: Callable[[Path], bool],
        enters: Callable[[Path], bool] = lambda _: True,
    ) -> None:
        self.rejects = Rejects()
        self._files = StoreFiles(root, self.rejects, fits, enters)
        self._done = 0
        self._at = 0

    @property
    def progress(self) -> tuple[int, int]:
        """Bytes read so far and in all."""
        return self._done + self._at, self._files.size

    def __iter__(self) -> Iterator[Record]:
        """Yield the records; raises `StoreError` where the root cannot be read."""
        for found in self._files.find():
            try:
                yield from self._records(found)
            except OSError as error:
                self.rejects.add(self._files.name(found), f"cannot be read: {error.strerror}")
            except UnicodeError as error:
                self.rejects.add(self._files.name(found), str(error))
            self._done, self._at = self._done + found.size, 0

    @abstractmethod
    def _records(self, found: Found) -> Iterator[Record]:
        """Yield a file's session with its messages."""

    def _lines(self, found: Found) -> Iterator[Line]:
        """Yield a file's lines, telling how far it is."""
        for line in self._files.lines(found):
            self._at = min(line.offset + len(line.text), found.size)
            yield line

    def _refuse(self, found: Found, line: Line, error: Exception) -> None:
        """Name a line that cannot be used; a last one that is half written is left for later."""
        if line.whole:
            self.rejects.add(f"{self._files.name(found)} line {line.number}", str(error))


class SessionReading:
    """One session being read: its time so far, and the calls whose results are still to come."""

    def __init__(self, session: SessionRecord, masks: Masks) -> None:
        self.session = session
        self.now = session.started_at
        self._masks = masks
        self._pending = PendingCalls(masks)

    def unanswered(self) -> Iterator[MessageRecord]:
        """Yield the calls that got no result."""
        return map(self.call, self._pending.give_up())

    def message(self, native_id: str, role: Role, text: str) -> Iterator[MessageRecord]:
        """Yield what was said, unless that is nothing."""
        if text.strip():
            yield MessageRecord(
                source=self.session.source,
                session=self.session.source_id,
                source_id=key(native_id),
                role=role,
                content=kept(text),
                created_at=self.now,
            )

    def begin(self, call_id: str, tool: str | None, arguments: object) -> Iterator[MessageRecord]:
        """Wait for a call's result; yields a call that is not waited for any longer."""
        call = Call(call_id, tool or "", arguments_of(arguments), self.now)
        return map(self.call, self._pending.begin(call))

    def end(self, call_id: str | None, outcome: Outcome, result: str) -> Iterator[MessageRecord]:
        """Yield a call with its result; nothing where none is waited for."""
        return map(self.call, self._pending.end(call_id, outcome, result))

    def call(self, call: Call) -> MessageRecord:
        """Return a call as a message."""
        return call_record(self.session.source, self.session.source_id, call, self._masks)

    def usage(
        self, answer_id: str, model: str, *, tokens_in: int, tokens_out: int, cached: int
    ) -> UsageRecord:
        """Return what an answer took."""
        return UsageRecord(
            source=self.session.source,
            session=self.session.source_id,
            source_id=key(answer_id),
            created_at=self.now,
            model=model,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            cached=cached,
            project=self.session.project,
        )


def headed(session: SessionRecord, records: Iterable[Record]) -> Iterator[Record]:
    """Yield a session before its records, where it has any."""
    told = False
    for record in records:
        if not told:
            yield session
            told = True
        yield record


def written_at(found: Found) -> datetime:
    """Return when a file was last written."""
    return datetime.fromtimestamp(min(max(found.written_at, 0), _LAST_S), UTC)
