"""A file of anchors, one a line: the first kind, worth as much as it is out of reach."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from pktui.errors import LedgerError
from pktui.files import open_private, sync_directory
from pktui.ledger.chain.anchors.anchor import Anchor, Found, Read, decode_anchor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")
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
            return newest_line(self.path, decode_anchor)
        except OSError as error:
            raise _unusable(self.path, error) from error

    def read(self) -> Read:
        """Return every anchor; raises `LedgerError` where one is none, or the file is missing."""
        return Read(read_anchors(self.path, self.name))


def read_anchors(file: Path, store: str = "") -> tuple[Found, ...]:
    """Return the anchors of a file; raises `LedgerError` as `AnchorFile.read` does."""
    try:
        found = whole_lines(file, decode_anchor, "anchors")
    except OSError as error:
        raise _unusable(file, error) from error
    return tuple(
        Found(anchor, line, f"line {number}", store, anchor.at_us) for number, line, anchor in found
    )


def whole_lines(file: Path, decode: Callable[[bytes], T], what: str) -> list[tuple[int, bytes, T]]:
    """Return the number, from 1, and text of each whole line, and what it decodes to.

    Raises `OSError`, `LedgerError` where one is none of `what`.
    """
    found = []
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        if not line.endswith(b"}"):
            continue  # torn when the disk was full or the power went
        try:
            found.append((number, line, decode(line)))
        except msgspec.DecodeError as error:
            raise LedgerError(
                f"line {number} of the {what} {file} is none", "Someone has edited it: keep it"
            ) from error
    return found


def newest_line(file: Path, decode: Callable[[bytes], T]) -> T | None:
    """Return what the last whole line decodes to, None without one or the file.

    Raises `OSError`.
    """
    try:
        opened = file.open("rb")
    except FileNotFoundError:
        return None
    with opened:
        size, length = opened.seek(0, os.SEEK_END), _TAIL
        while True:
            start = max(0, size - length)
            opened.seek(start)
            for line in reversed(opened.read().splitlines()):
                with suppress(msgspec.DecodeError):
                    return decode(line)
            if not start:
                return None
            length *= 8  # a line names every open segment, so that it may be long


def append_line(file: Path, line: bytes) -> None:
    """Add a line and wait for the disk; what is torn before stays apart. Raises `OSError`."""
    is_new = not file.exists()
    descriptor = open_private(file, os.O_RDWR | os.O_APPEND)
    try:
        size = os.fstat(descriptor).st_size
        torn = size and os.pread(descriptor, 1, size - 1) != b"\n"
        data = (b"\n" if torn else b"") + line + b"\n"
        if os.write(descriptor, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
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
