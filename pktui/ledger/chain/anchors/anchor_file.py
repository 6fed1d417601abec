"""A file of anchors, one a line: the first kind, worth as much as it is out of reach."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.errors import LedgerError
from pktui.files import open_private, sync_directory
from pktui.ledger.chain.anchors.anchor import Anchor, Found, Read, decode_anchor

if TYPE_CHECKING:
    from pathlib import Path

_TAIL: Final = 4096


class AnchorFile:
    """One file; it is made with mode 0600, its directory is not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = f"file:{path}"

    def publish(self, line: bytes, _anchor: Anchor) -> None:
        """Add the line; raises `LedgerError`."""
        try:
            append_line(self.path, line)
        except OSError as error:
            raise _unusable(self.path, error) from error

    def last(self) -> Anchor | None:
        """Return the newest that is whole; raises `LedgerError`."""
        try:
            with self.path.open("rb") as opened:
                opened.seek(max(0, opened.seek(0, os.SEEK_END) - _TAIL))
                lines = opened.read().splitlines()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unusable(self.path, error) from error
        for line in reversed(lines):
            with suppress(msgspec.DecodeError):
                return decode_anchor(line)
        return None

    def read(self) -> Read:
        """Return every anchor; raises `LedgerError` where one is none, or the file is missing."""
        return Read(read_anchors(self.path, self.name))


def read_anchors(file: Path, store: str = "") -> tuple[Found, ...]:
    """Return the anchors of a file; raises `LedgerError` as `AnchorFile.read` does."""
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise _unusable(file, error) from error
    found = []
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"}"):
            continue  # torn when the disk was full or the power went
        try:
            anchor = decode_anchor(line)
        except msgspec.DecodeError as error:
            raise LedgerError(
                f"line {number} of the anchors {file} is none", "Someone has edited it: keep it"
            ) from error
        found.append(Found(anchor, line, f"line {number}", store, anchor.at_us))
    return tuple(found)


def append_line(file: Path, line: bytes) -> None:
    """Add a line and wait for the disk; what is torn before stays apart. Raises `OSError`."""
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
        "Check audit.anchors in settings.toml; the first one is written by: pktui audit anchor",
    )
