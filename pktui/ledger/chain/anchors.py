"""Anchors: the head of the chain, written to a second file every now and then.

A chain alone does not show that its end was cut off or that all of it was written anew by someone
who can write the whole ledger. An anchor does, as far as that person cannot write the anchors too:
each line names a row and its hash. Before a line is written, all rows up to it have reached the
disk, so that a loss of power never leaves an anchor of rows that are gone.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.errors import LedgerError
from pktui.files import open_private, sync_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pktui.ledger.database import Database
    from pktui.settings import AuditSettings

_TAIL: Final = 4096
_WRITTEN: Final = """INSERT INTO anchored VALUES (?, 1, ?)
    ON CONFLICT (file) DO UPDATE SET lines = lines + 1, seq = max(seq, excluded.seq)"""


class Anchor(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row's hash as it was known at that time; `line` is its place in the file, from 1."""

    at_us: int
    seq: int
    hash: str
    line: int = 0


_decode = msgspec.json.Decoder(Anchor, strict=True).decode


class Anchors:
    """Writes and reads the anchors of one ledger."""

    def __init__(self, database: Database, audit: AuditSettings, clock: Callable[[], int]) -> None:
        self._database = database
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
        """Return the newest row as it would be anchored now; `seq` is 0 where there is none."""
        row = self._database.row("SELECT seq, hash FROM chain")
        seq, digest = row or (0, b"")
        return Anchor(self._clock(), seq, digest.hex())

    def due(self) -> bool:
        """Tell whether so many rows or minutes have passed since the newest anchor, as set.

        Raises `LedgerError` where file or ledger cannot be read.
        """
        if self.file is None:
            return False
        head = self.head()
        last = _last_anchor(self.file)
        if last is None or last.seq > head.seq:
            return head.seq > 0
        late = head.at_us - last.at_us >= self._span_us
        return head.seq - last.seq >= self._rows or (late and head.seq > last.seq)

    def write(self) -> Anchor | None:
        """Write the head of the chain unless the newest line names that very row already.

        Returns what was written. The file is made with mode 0600, its directory is not. Raises
        `LedgerError` where the file cannot be written, `LedgerUnavailable`.
        """
        if self.file is None:
            return None
        head = self.head()
        last = _last_anchor(self.file)
        if not head.seq or (last is not None and (last.seq, last.hash) == (head.seq, head.hash)):
            return None
        try:
            _settle(Path(f"{self._database.path}-wal"))
            _append(self.file, head)
        except OSError as error:
            raise _unusable(self.file, error) from error
        with self._database.transaction():
            self._database.run(_WRITTEN, (str(self.file), head.seq))
        return head

    def missing(self, found: Sequence[Anchor]) -> str:
        """Return which anchors should be in the file and are not; empty: none."""
        if self.file is None:
            return ""
        row = self._database.row(
            "SELECT lines, seq FROM anchored WHERE file = ?", (str(self.file),)
        )
        lines, last = row or (0, 0)
        if not found and (lines or self.head().seq >= self._rows):
            return f"the file of anchors {self.file} was emptied"
        if len(found) < lines or max((anchor.seq for anchor in found), default=0) < last:
            had = f"{lines:,} anchors were written to {self.file}, the last of row {last}"
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
