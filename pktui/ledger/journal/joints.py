"""Where segments begin and end: a hash-chained list of its own beside them.

A joint is written when a segment is opened, when it is sealed, and when it was pruned; so one that
is missing is named, whether it had ended or not. The list is never part of what is made of the
journal: making that anew changes no joint, and anchors, which name the last one, go on to hold.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from pktui.errors import LedgerUnavailable
from pktui.files import lock, open_private
from pktui.ledger.journal.segment import (
    NO_HASH,
    bind,
    follows,
    hash_of,
    set_aside,
    tail_of,
)

# What happened; what was refused or asked for; and what tools answered. Each is pruned by itself.
Shelf = Literal["calls", "beside", "results"]
What = Literal["open", "seal", "prune"]
SHARED: Final = "shared"
CARRIED: Final = "first edition"
_WAIT_SECONDS: Final = 5.0
_decode = msgspec.json.Decoder(list[Any]).decode


class Joint(msgspec.Struct, frozen=True, array_like=True):
    """A line of the list. `number` and `hash` are those of the row before the first one of a
    segment that is opened, and of the last one of a segment that is sealed or was pruned.
    """

    n: int
    at_us: int
    what: What
    segment: int
    shelf: Shelf
    writer: str
    number: int
    hash: str
    size: int = 0
    last_us: int = 0
    torn: int = 0
    """Bytes behind the last row that were set aside."""


class Segment(msgspec.Struct, frozen=True):
    """What the joints say of a segment; `sealed` and `pruned` are None until it was."""

    opened: Joint
    sealed: Joint | None = None
    pruned: Joint | None = None

    @property
    def n(self) -> int:
        """Its number in the journal."""
        return self.opened.segment


class Joints:
    """The list of one journal."""

    def __init__(self, directory: Path, clock: Callable[[], int]) -> None:
        self.path = directory / "joints.jsonl"
        self.segments: dict[int, Segment] = {}
        self.n = 0
        self.hash = NO_HASH
        self._clock = clock
        self._size = 0
        self._identity: tuple[int, int] | None = None

    def refresh(self) -> None:
        """Read what was added since; a list that is another one is read whole. Raises `OSError`."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            self._forget(None)
            return
        identity = found.st_dev, found.st_ino
        if identity != self._identity or found.st_size < self._size:
            self._forget(identity)
        if found.st_size > self._size:
            with self.path.open("rb") as file:
                file.seek(self._size)
                data = file.read()
            for line in data[: data.rfind(b"\n") + 1].splitlines(keepends=True):
                self._take(line)

    def was_pruned(self, segment: int) -> bool:
        """Tell whether a segment was pruned, if need be since the last look. Raises `OSError`."""
        self.refresh()
        known = self.segments.get(segment)
        return known is not None and known.pruned is not None

    @contextmanager
    def locked(self) -> Iterator[Adding]:
        """Let nobody else add a joint meanwhile. Raises `OSError`, `LedgerUnavailable`."""
        descriptor = open_private(self.path, os.O_RDWR | os.O_APPEND)
        try:
            if not lock(descriptor, seconds=_WAIT_SECONDS):
                raise LedgerUnavailable(
                    f"{self.path} is locked by another process",
                    "End the process that holds it, then try again",
                )
            self.refresh()
            yield Adding(self, descriptor, self._clock)
        finally:
            os.close(descriptor)

    def _forget(self, identity: tuple[int, int] | None) -> None:
        self.segments.clear()
        self.n, self.hash, self._size = 0, NO_HASH, 0
        self._identity = identity

    def _take(self, line: bytes) -> None:
        self._size += len(line)
        joint = read_joint(line[:-1])
        if joint is None:
            return  # `audit verify` names it
        self.n, self.hash = joint.n, hash_of(line[:-1])
        known = self.segments.get(joint.segment)
        if joint.what == "open":
            self.segments[joint.segment] = Segment(joint)
        elif known is not None:
            change = {"sealed" if joint.what == "seal" else "pruned": joint}
            self.segments[joint.segment] = msgspec.structs.replace(known, **change)


class Adding:
    """Adds joints while the list is locked."""

    def __init__(self, joints: Joints, descriptor: int, clock: Callable[[], int]) -> None:
        self._joints = joints
        self._descriptor = descriptor
        self._clock = clock

    def add(self, what: What, segment: int, shelf: Shelf, writer: str, *rest: Any) -> None:
        """Add a joint; `rest` is what else a `Joint` has. Raises `OSError`."""
        joints = self._joints
        tail = tail_of(self._descriptor, 0, NO_HASH)
        if tail.torn:
            set_aside(joints.path, self._descriptor, tail)
        content = [joints.n + 1, self._clock(), what, segment, shelf, writer, *rest]
        line, _ = bind(content, joints.hash)
        done = os.write(self._descriptor, line)
        if done != len(line):
            os.ftruncate(self._descriptor, tail.size)
            raise OSError(28, os.strerror(28))
        joints.refresh()


def read_joint(line: bytes) -> Joint | None:
    """Return the joint of a line, None where it is none."""
    try:
        return msgspec.convert(_decode(line)[:-1], Joint)
    except ValueError:
        return None


def joints_fault(lines: Iterator[bytes]) -> tuple[list[tuple[Joint, bytes]], str]:
    """Follow the list; return its joints with their hashes, and what is wrong, empty: nothing."""
    found: list[tuple[Joint, bytes]] = []
    previous = NO_HASH
    for n, line in enumerate(lines, 1):
        digest = follows(line, previous)
        joint = read_joint(line)
        if digest is None or joint is None or joint.n != n:
            return found, f"joint {n} of the journal was edited, or one before it was removed"
        found.append((joint, digest))
        previous = digest
    return found, ""
