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
from pktui.settings import PRIVATE_FILE

if TYPE_CHECKING:
    from pktui.ledger.database import Database

_TAIL: Final = 4096


class Anchor(msgspec.Struct, frozen=True):
    """A row's hash as it was known at that time; `line` is its place in the file, from 1."""

    at_us: int
    seq: int
    hash: str
    line: int = 0


_decode = msgspec.json.Decoder(Anchor, strict=True).decode


def anchor_file(setting: str, ledger: Path) -> Path | None:
    """Return the file that `audit.anchor` names, beside the ledger where it is no whole path."""
    return ledger.parent / Path(setting).expanduser() if setting else None


def read_anchors(file: Path) -> tuple[Anchor, ...]:
    """Return every anchor in the order written; raises `LedgerError` where one is unreadable."""
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise _unusable(file, error) from error
    anchors = []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            anchors.append(msgspec.structs.replace(_decode(line), line=number))
        except msgspec.DecodeError as error:
            raise LedgerError(
                f"line {number} of the anchors {file} is none", "Someone has edited it: keep it"
            ) from error
    return tuple(anchors)


def last_anchor(file: Path) -> Anchor | None:
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


def write_anchor(database: Database, file: Path, at_us: int) -> Anchor | None:
    """Write the head of the chain to the file unless its newest line names that very row.

    Returns what was written. The file is made with mode 0600, its directory is not. Raises
    `LedgerError` where it cannot be written, `LedgerUnavailable` where the ledger cannot be read.
    """
    head = database.row("SELECT seq, hash FROM chain")
    if head is None or not head[0]:
        return None
    anchor = Anchor(at_us, head[0], head[1].hex())
    last = last_anchor(file)
    if last is not None and (last.seq, last.hash) == (anchor.seq, anchor.hash):
        return None
    try:
        _settle(Path(f"{database.path}-wal"))
        _append(file, anchor)
    except OSError as error:
        raise _unusable(file, error) from error
    return anchor


def _settle(log: Path) -> None:
    """Wait until what was committed is on the disk; what left the log before is there already."""
    with suppress(FileNotFoundError):
        descriptor = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _append(file: Path, anchor: Anchor) -> None:
    line = msgspec.json.encode({"at_us": anchor.at_us, "seq": anchor.seq, "hash": anchor.hash})
    is_new = not file.exists()
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(file, flags, PRIVATE_FILE)
    try:
        size = os.fstat(descriptor).st_size
        torn = size and os.pread(descriptor, 1, size - 1) != b"\n"
        os.write(descriptor, (b"\n" if torn else b"") + line + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if is_new:
        _sync_directory(file.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unusable(file: Path, error: OSError) -> LedgerError:
    return LedgerError(
        f"the anchors {file} cannot be used: {error.strerror or error}",
        "Check audit.anchor in settings.toml, and the mode and owner of that file",
    )
