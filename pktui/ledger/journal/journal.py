"""The journal of a ledger, as one process writes to it: where a turn's rows go, and when they do.

A gateway has segments of its own, locked for as long as it lives; hooks, commands and consoles,
which are short-lived or write little, share one, locked while rows are added to it. A segment ends
by its size, after a day, or with its writer; those of writers that died are ended by the next one
that opens the ledger, or by the indexer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pktui.errors import LedgerUnavailable, SettingsError
from pktui.files import lock, make_private_directory, open_private
from pktui.ledger.journal.joints import CARRIED, SHARED, Joints, Segment, Shelf
from pktui.ledger.journal.segment import (
    CHARGES,
    NO_HASH,
    bind,
    decode_row,
    file_of,
    has_charges,
    key_of,
    lines_of,
    set_aside,
    tail_of,
)
from pktui.ledger.records import Charged

MOST_BYTES: Final = 16_000_000
_LEAST_BYTES: Final = 64 * 1024
# A record of a given size has room for at least so many segments.
_SEGMENTS: Final = 32
_DAY_US: Final = 86_400_000_000
_WAIT_SECONDS: Final = 5.0

# Looks through a segment whose writer died, before it is sealed.
Dead = Callable[[Path, Segment], object]


class Appending:
    """A segment that is open for this process to write to, and is full after `until_us`.

    `number`, `hash` and `size` are those of its last row, written or added.
    """

    __slots__ = (
        "_identity", "_name", "_written", "descriptor", "first_key", "hash", "lines", "number",
        "path", "segment", "size", "until_us",
    )  # fmt: skip

    def __init__(self, path: Path, segment: int, descriptor: int, opened_us: int) -> None:
        self.path = path
        self.segment = segment
        self.descriptor = descriptor
        self.until_us = opened_us + _DAY_US
        self.first_key = key_of(segment, 0)
        self._name = os.fspath(path)
        found = os.fstat(descriptor)
        self._identity = found.st_dev, found.st_ino
        # Rows that were added and are not written.
        self.lines: list[bytes] = []
        self.stands(0, NO_HASH, 0)

    def stands(self, number: int, row_hash: bytes, size: int) -> None:
        """Go on behind that row."""
        self.number, self.hash, self.size = self._written = number, row_hash, size

    def write(self, *, sync: bool) -> None:
        """Append what was added, all of it or nothing.

        Raises `OSError`, and `LedgerUnavailable`, also with nothing to append, where the file at
        its path is another one.
        """
        try:
            found = os.stat(self._name)  # noqa: PTH116  a third of the time of Path.stat
        except OSError:
            raise _removed(self.path) from None
        if (found.st_dev, found.st_ino) != self._identity:
            raise _removed(self.path)
        data = b"".join(self.lines)
        done = 0
        try:
            while done < len(data):
                done += os.write(self.descriptor, data[done:] if done else data)
            if sync:
                os.fdatasync(self.descriptor)
        except OSError:
            if done:
                os.ftruncate(self.descriptor, self._written[2])
            raise
        self.lines.clear()
        self._written = self.number, self.hash, self.size

    def discard(self) -> None:
        """Forget what was added and not written."""
        self.lines.clear()
        self.number, self.hash, self.size = self._written

    def close(self) -> None:
        """Let the file and its lock go."""
        os.close(self.descriptor)


class Journal:
    """Adds rows, all of a turn at once. To be used by one thread at a time."""

    def __init__(
        self,
        directory: Path,
        clock: Callable[[], int],
        *,
        fsync: bool = False,
        own: bool = False,
        max_bytes: int = 0,
    ) -> None:
        """`own`: segments of its own; `max_bytes` is the record's size, 0: no limit."""
        self.directory = directory
        self.joints = Joints(directory, clock)
        self._clock = clock
        self._fsync = fsync
        self._own = own
        self._most = min(MOST_BYTES, max(_LEAST_BYTES, (max_bytes or 2**62) // _SEGMENTS))
        self._open: dict[Shelf, Appending] = {}
        self._said = _Said(directory)
        self.closed = False

    def another(self) -> Journal:
        """Return one that writes likewise, with segments of its own, beside this one."""
        made = Journal(self.directory, self._clock, fsync=self._fsync, own=self._own)
        made._most = self._most
        return made

    def add(self, content: list[Any], shelf: Shelf) -> tuple[int, int]:
        """Add a row to the turn, its number and time set; `flush` writes it.

        Returns its key and where its line begins. Raises `LedgerUnavailable`.
        """
        segment = self._open.get(shelf)
        if segment is None or segment.size >= self._most or content[1] >= segment.until_us:
            segment = self._ready(shelf, segment)
        number, offset = segment.number + 1, segment.size
        content[0] = number
        line, segment.hash = bind(content, segment.hash)
        segment.lines.append(line)
        segment.number, segment.size = number, offset + len(line)
        return segment.first_key | number, offset

    def line(self, shelf: Shelf) -> bytes:
        """Return the line of the row that this turn added last there."""
        return self._open[shelf].lines[-1]

    def flush(self) -> None:
        """Write the rows of the turn, one `write` a segment; raises `LedgerUnavailable`."""
        try:
            for segment in self._open.values():
                if segment.lines:
                    segment.write(sync=self._fsync)
        except OSError as error:
            raise _unusable(self.directory, error) from error

    def discard(self) -> None:
        """End the turn: forget what is not written, and let others add to shared segments."""
        for segment in self._open.values():
            if segment.lines:
                segment.discard()
            if not self._own:
                segment.close()
        if not self._own:
            self._open.clear()

    def close(self) -> None:
        """Seal this process's own segments; nothing is written any more."""
        self.closed = True
        self.discard()
        while self._open:
            shelf, segment = self._open.popitem()
            with suppress(OSError, LedgerUnavailable):
                self._seal(segment, shelf, str(os.getpid()))
            segment.close()

    def has_dead(self) -> bool:
        """Tell whether a writer died and left a segment that is not sealed."""
        with self._said:
            self.joints.refresh()
            mine = {segment.segment for segment in self._open.values()}
            return any(
                segment.sealed is None
                and segment.n not in mine
                and segment.opened.writer not in (SHARED, CARRIED)
                and _is_free(file_of(self.directory, segment.n))
                for segment in self.joints.segments.values()
            )

    def seal_dead(self, look: Dead) -> int:
        """Seal the segments of writers that died; return how many that were.

        `look` sees each before. Raises `LedgerUnavailable`.
        """
        done = 0
        with self._said:
            self.joints.refresh()
            mine = {segment.segment for segment in self._open.values()}
            for segment in list(self.joints.segments.values()):
                if segment.sealed is None and segment.n not in mine:
                    done += segment.opened.writer not in (SHARED, CARRIED) and self._end_dead(
                        segment, look
                    )
        return done

    def prune(self, segment: Segment) -> None:
        """Let a sealed segment go for good. Raises `LedgerUnavailable`."""
        sealed = segment.sealed
        assert sealed is not None
        with self._said:
            with self.joints.locked() as adding:
                adding.add(
                    *("prune", segment.n, sealed.shelf, sealed.writer, sealed.number, sealed.hash),
                    *(sealed.size, sealed.last_us),
                )
            path = file_of(self.directory, segment.n)
            path.unlink(missing_ok=True)
            path.with_suffix(".torn").unlink(missing_ok=True)

    def end_shared(self, before_us: int) -> None:
        """Seal segments that short-lived writers share where their last row is older than that."""
        with self._said:
            self.joints.refresh()
            for known in list(self.joints.segments.values()):
                shared = known.sealed is None and known.opened.writer == SHARED
                if not shared or known.opened.shelf in self._open:
                    continue
                segment = self._take_shared(known, known.opened.shelf)
                if segment is None:
                    continue
                try:
                    tail = tail_of(segment.descriptor, segment.number, segment.hash)
                    if 0 < tail.at_us < before_us:
                        self._seal(segment, known.opened.shelf, SHARED)
                finally:
                    segment.close()

    def _ready(self, shelf: Shelf, segment: Appending | None) -> Appending:
        """Return a segment for a turn's rows, locked by this process, in place of a full one.

        A turn that has begun to add to one goes on with it.
        """
        if segment is not None and segment.lines:
            return segment
        if self.closed:
            raise LedgerUnavailable(f"the journal {self.directory} was closed", "Start again")
        with self._said:
            if not self._own:
                return self._lock_shared(shelf)
            if segment is not None:
                segment.write(sync=False)
                self._seal(segment, shelf, str(os.getpid()))
                del self._open[shelf]
                segment.close()
            return self._open_own(shelf)

    def _open_own(self, shelf: Shelf) -> Appending:
        make_private_directory(self.directory)
        segment = self._open[shelf] = self._make(shelf, str(os.getpid()))
        return segment

    def _make(self, shelf: Shelf, writer: str) -> Appending:
        """Open a new segment, locked before anybody can know of it."""
        with self.joints.locked() as adding:
            n = self.joints.n + 1
            path = file_of(self.directory, n)
            descriptor = open_private(path, os.O_RDWR | os.O_APPEND)
            try:
                if os.fstat(descriptor).st_size or not lock(descriptor):
                    raise _unnamed(path)  # noqa: TRY301
                before = self.joints.hash
                adding.add("open", n, shelf, writer, 0, before.hex())
            except BaseException:
                os.close(descriptor)
                raise
        segment = Appending(path, n, descriptor, self._clock())
        segment.stands(0, before, 0)
        return segment

    def _lock_shared(self, shelf: Shelf) -> Appending:
        """Return the segment that short-lived writers share, locked until the turn ends."""
        make_private_directory(self.directory)
        while True:
            self.joints.refresh()
            current = [
                segment
                for segment in self.joints.segments.values()
                if segment.sealed is None
                and (segment.opened.writer, segment.opened.shelf) == (SHARED, shelf)
            ]
            if not current:
                segment = self._make(shelf, SHARED)
                break
            found = self._take_shared(current[-1], shelf)
            if found is not None:
                segment = found
                break
        self._open[shelf] = segment
        return segment

    def _take_shared(self, known: Segment, shelf: Shelf) -> Appending | None:
        """Lock a shared segment; None where it was sealed meanwhile, or is to be."""
        path = file_of(self.directory, known.n)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            raise _removed(path) from None
        segment = Appending(path, known.n, descriptor, known.opened.at_us)
        try:
            if not lock(descriptor, seconds=_WAIT_SECONDS):
                raise _locked(path)  # noqa: TRY301
            self.joints.refresh()
            if self.joints.segments[known.n].sealed is not None:
                segment.close()
                return None
            self._stand(segment, known)
            if segment.size >= self._most or self._clock() >= segment.until_us:
                self._seal(segment, shelf, SHARED)
                segment.close()
                return None
        except BaseException:
            with suppress(OSError):
                segment.close()
            raise
        return segment

    def _stand(self, segment: Appending, known: Segment) -> int:
        """Read where a segment stands, set aside what is torn behind; return how much that is."""
        first = bytes.fromhex(known.opened.hash)
        tail = tail_of(segment.descriptor, known.opened.number, first)
        if tail.torn:
            set_aside(segment.path, segment.descriptor, tail)
        segment.stands(tail.number, tail.hash, tail.size)
        return tail.torn

    def _seal(self, segment: Appending, shelf: Shelf, writer: str, torn: int = 0) -> None:
        last_us = tail_of(segment.descriptor, segment.number, segment.hash).at_us
        with self.joints.locked() as adding:
            adding.add(
                *("seal", segment.segment, shelf, writer, segment.number, segment.hash.hex()),
                *(segment.size, last_us, torn),
            )

    def _end_dead(self, known: Segment, look: Dead) -> bool:
        path = file_of(self.directory, known.n)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            return False  # `audit verify` names it
        segment = Appending(path, known.n, descriptor, known.opened.at_us)
        try:
            if not lock(descriptor):
                return False  # its writer lives
            self.joints.refresh()
            if self.joints.segments[known.n].sealed is not None:
                return False
            torn = self._stand(segment, known)
            look(path, known)
            self._seal(segment, known.opened.shelf, known.opened.writer, torn)
        finally:
            segment.close()
        return True


class _Said:
    """Turns what the system says into the error of the ledger."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise _unusable(self._directory, error) from error
        if isinstance(error, SettingsError):
            raise LedgerUnavailable(error.what, error.cure) from error


def _unusable(directory: Path, error: OSError) -> LedgerUnavailable:
    why, cure = _CAUSES.get(error.errno or 0, (error.strerror or str(error), _CHECK))
    return LedgerUnavailable(f"the journal {directory} cannot be used: {why}", cure)


_CHECK: Final = "Check its owner and mode, and those of its directory"
_FREE: Final = "Free some space; nothing was half-written"
_CAUSES: Final = {
    28: ("the disk is full", _FREE),
    122: ("the disk quota is used up", _FREE),
    27: ("the file may not grow any more", _FREE),
}


def charges_of(directory: Path, clock: Callable[[], int], since_us: int = 0) -> Iterator[Charged]:
    """Give what all rows from that time on took from limits and gave back to them."""
    joints = Joints(directory, clock)
    with _Said(directory):
        joints.refresh()
        for segment in list(joints.segments.values()):
            sealed = segment.sealed
            gone = segment.pruned is not None or segment.opened.shelf != "calls"
            if gone or (sealed is not None and sealed.last_us < since_us):
                continue
            with suppress(FileNotFoundError):
                for _, line in lines_of(file_of(directory, segment.n)):
                    if has_charges(line):
                        yield from _charged(line, since_us)


def _charged(line: bytes, since_us: int) -> Iterator[Charged]:
    with suppress(ValueError):  # what is no row is for `audit verify`
        for one in decode_row(line)[CHARGES]:
            charged = Charged(*one)
            if charged.at_us >= since_us:
                yield charged


def _removed(path: Path) -> LedgerUnavailable:
    return LedgerUnavailable(
        f"{path}, part of the ledger, was removed or replaced while in use",
        "Put it back, or start pktui and the agents again; see pktui audit verify",
    )


def _locked(path: Path) -> LedgerUnavailable:
    return LedgerUnavailable(
        f"{path} is locked by another process", "End the process that holds it, then try again"
    )


def _unnamed(path: Path) -> LedgerUnavailable:
    return LedgerUnavailable(
        f"{path} is there, and no joint of the journal names it",
        "Move it away and keep it, then run pktui audit verify",
    )


def _is_free(path: Path) -> bool:
    """Tell whether nobody holds a segment's lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return lock(descriptor, shared=True)
    finally:
        os.close(descriptor)
