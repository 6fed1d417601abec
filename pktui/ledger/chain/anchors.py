"""Anchors: the heads of the journal, written to a second file every now and then.

A chain alone does not show that its end was cut off or that all of it was written anew by someone
who can write the whole ledger. An anchor does, as far as that person cannot write the anchors too:
each line names the last joint and the last row of every segment that is open. Before a line is
written, all that it names has reached the disk, so that a loss of power never leaves an anchor of
rows that are gone. Lines of the first edition name a row of its one chain, and go on to hold.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.errors import LedgerError
from pktui.files import open_private, sync_directory
from pktui.ledger.journal.joints import Joints
from pktui.ledger.journal.segment import file_of, tail_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pktui.ledger.database import Database
    from pktui.settings import AuditSettings

_TAIL: Final = 4096
_WRITTEN: Final = """INSERT INTO anchored VALUES (?, 1, ?)
    ON CONFLICT (file) DO UPDATE SET lines = lines + 1, joint = max(joint, excluded.joint)"""


class Head(msgspec.Struct, frozen=True, array_like=True):
    """The last row of a segment."""

    segment: int
    number: int
    hash: str


class Anchor(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was the last joint, and the last row of each open segment, at that time.

    `rows` is how many there were in all. One of the first edition has `seq`, a row of its chain,
    and that one's hash. `line` is its place in the file, from 1.
    """

    at_us: int
    hash: str
    joint: int = 0
    heads: tuple[Head, ...] = ()
    rows: int = 0
    seq: int = 0
    line: int = 0

    def named(
        self, carried: Callable[[int], int] = lambda _seq: 0
    ) -> Iterator[tuple[int, int, str]]:
        """Give the segment, number and hash of all it names; a joint's segment is 0.

        `carried` gives the segment that a row of the first edition is in.
        """
        if self.seq:
            yield carried(self.seq), self.seq, self.hash
        elif self.joint:
            yield 0, self.joint, self.hash
        for head in self.heads:
            yield head.segment, head.number, head.hash


_decode = msgspec.json.Decoder(Anchor, strict=True).decode


class Anchors:
    """Writes and reads the anchors of one ledger."""

    def __init__(
        self, database: Database, directory: Path, audit: AuditSettings, clock: Callable[[], int]
    ) -> None:
        """`directory` is the journal's."""
        self._database = database
        self._directory = directory
        self._joints = Joints(directory, clock)
        self._clock = clock
        self._rows = audit.anchor_events
        self._span_us = round(audit.anchor_minutes * 60_000_000)
        self.file = database.path.parent / Path(audit.anchor).expanduser() if audit.anchor else None
        """None where `audit.anchor` is not set; a relative one lies beside the ledger."""

    def read(self) -> tuple[Anchor, ...]:
        """Return every anchor in the order written, none where there is to be no file.

        Raises `LedgerError` where the file is missing, or a line of it cannot be read.
        """
        return read_anchors(self.file) if self.file is not None else ()

    def head(self) -> Anchor:
        """Return the heads as they would be anchored now; `joint` is 0 where there is none."""
        self._joints.refresh()
        heads: list[Head] = []
        rows = 0
        for segment in self._joints.segments.values():
            first, ended = segment.opened, segment.pruned or segment.sealed
            if ended is not None:
                rows += ended.number - first.number
                continue
            with (
                suppress(FileNotFoundError),
                file_of(self._directory, segment.n).open("rb") as file,
            ):
                tail = tail_of(file.fileno(), first.number, bytes.fromhex(first.hash))
                rows += tail.number - first.number
                heads.append(Head(segment.n, tail.number, tail.hash.hex()))
        joints = self._joints
        return Anchor(self._clock(), joints.hash.hex(), joints.n, tuple(heads), rows)

    def due(self) -> bool:
        """Tell whether so many rows or minutes have passed since the newest anchor, as set.

        Raises `LedgerError` where file or journal cannot be read.
        """
        if self.file is None:
            return False
        head = self.head()
        last = _last_anchor(self.file)
        if last is None or last.seq or last.joint > head.joint:
            return head.rows > 0
        late = head.at_us - last.at_us >= self._span_us
        return head.rows - last.rows >= self._rows or (late and head.rows > last.rows)

    def write(self) -> Anchor | None:
        """Write the heads unless the newest line names the very same already.

        Returns what was written. The file is made with mode 0600, its directory is not. Raises
        `LedgerError` where the file cannot be written, `LedgerUnavailable`.
        """
        if self.file is None:
            return None
        head = self.head()
        last = _last_anchor(self.file)
        same = last is not None and (last.hash, last.heads) == (head.hash, head.heads)
        if not head.rows or same:
            return None
        try:
            for one in head.heads:
                _settle(file_of(self._directory, one.segment))
            _settle(self._joints.path)
            _append(self.file, head)
        except OSError as error:
            raise _unusable(self.file, error) from error
        with self._database.transaction():
            self._database.run(_WRITTEN, (str(self.file), head.joint))
        return head

    def missing(self, found: Sequence[Anchor]) -> str:
        """Return which anchors should be in the file and are not; empty: none."""
        if self.file is None:
            return ""
        row = self._database.row(
            "SELECT lines, joint FROM anchored WHERE file = ?", (str(self.file),)
        )
        lines, last = row or (0, 0)
        if not found and (lines or self.head().rows >= self._rows):
            return f"the file of anchors {self.file} was emptied"
        if len(found) < lines or max((anchor.joint for anchor in found), default=0) < last:
            had = f"{lines:,} anchors were written to {self.file}, the last of joint {last}"
            return f"{had}, and {len(found):,} are left"
        return ""


def read_anchors(file: Path) -> tuple[Anchor, ...]:
    """Return the anchors of a file; raises `LedgerError` as `Anchors.read` does."""
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise _unusable(file, error) from error
    anchors = []
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"}"):
            continue  # torn when the disk was full or the power went
        try:
            anchors.append(msgspec.structs.replace(_decode(line), line=number))
        except msgspec.DecodeError as error:
            raise LedgerError(
                f"line {number} of the anchors {file} is none", "Someone has edited it: keep it"
            ) from error
    return tuple(anchors)


def _last_anchor(file: Path) -> Anchor | None:
    """Return the newest anchor, None where there is none; its line is not counted."""
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, opened.seek(0, os.SEEK_END) - _TAIL))
            lines = opened.read().splitlines()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(file, error) from error
    for line in reversed(lines):
        with suppress(msgspec.DecodeError):
            return _decode(line)
    return None


def _settle(log: Path) -> None:
    """Wait until what was committed is on the disk; what left the log before is there already."""
    with suppress(FileNotFoundError):
        descriptor = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _append(file: Path, anchor: Anchor) -> None:
    line = msgspec.json.encode(anchor)
    is_new = not file.exists()
    descriptor = open_private(file, os.O_RDWR | os.O_APPEND)
    try:
        size = os.fstat(descriptor).st_size
        torn = size and os.pread(descriptor, 1, size - 1) != b"\n"
        os.write(descriptor, (b"\n" if torn else b"") + line + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if is_new:
        sync_directory(file.parent)


def _unusable(file: Path, error: OSError) -> LedgerError:
    return LedgerError(
        f"the anchors {file} cannot be used: {error.strerror or error}",
        "Check audit.anchor in settings.toml; the first one is written by: pktui audit anchor",
    )
