"""Anchoring: the heads of the journal, published every now and then to each store that is set.

A chain alone does not show that its end was cut off or that all of it was written anew by someone
who can write the whole ledger. An anchor does, as far as that person cannot write the anchors too.
Before one is published, all that it names has reached the disk, so that a loss of power never
leaves an anchor of rows that are gone. An anchor covers all rows before it: what could not be
published is in the next one.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.errors import LedgerError, PktuiError
from pktui.ledger.chain.anchors.anchor import Anchor, AnchorStore, Found, Head, Read
from pktui.ledger.chain.anchors.anchor_file import AnchorFile
from pktui.ledger.chain.anchors.receipts import Receipts
from pktui.ledger.chain.anchors.trouble import Trouble
from pktui.ledger.journal.joints import Joints
from pktui.ledger.journal.segment import file_of, tail_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pktui.ledger.database import Database
    from pktui.settings import AuditSettings

_WRITTEN: Final = """INSERT INTO anchored VALUES (?, 1, ?)
    ON CONFLICT (file) DO UPDATE SET lines = lines + 1, joint = max(joint, excluded.joint)"""
# Between two anchors in a store that is reached by a network, however much happens.
_LEAST_US: Final = 60_000_000
# For another process that publishes just now.
_WAIT_SECONDS: Final = 20.0
# An anchor is late after so many times `audit.anchor_minutes`.
_LATE_TIMES: Final = 3


class Published(msgspec.Struct, frozen=True):
    """What became of an anchor in one store.

    `anchor` is None where it was there already, or only what is due was wanted and another process
    is at it.
    """

    store: str
    anchor: Anchor | None = None
    error: PktuiError | None = None


class Standing(msgspec.Struct, frozen=True):
    """How a store stands: its newest anchor's time (0: none), the rows since, what is wrong."""

    store: str
    last_us: int
    behind: int
    late: bool
    problem: str = ""


class Anchors:
    """Publishes and reads the anchors of one ledger."""

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
        self._audit = audit
        self.stores = _stores(audit, database.path.parent, clock)
        # What is written at once, by whoever serves calls: nothing has to be loaded for it.
        self._near = [one for one in self.stores if isinstance(one, AnchorFile) and not audit.key]
        self.far = len(self._near) < len(self.stores)
        """Whether there are stores that a process of their own has to publish to."""

    def read(self) -> Read:
        """Return every anchor in the order published, store by store, and what is wrong there."""
        found: list[Found] = []
        findings: list[str] = []
        for store in self.stores:
            try:
                there = store.read()
            except PktuiError as error:
                findings.append(str(error))
                continue
            found += there.found
            findings += there.findings
            missing = self._missing(store, there.found)
            findings += [missing] if missing else []
        return Read(tuple(found), tuple(findings))

    def checked(self, keys: Sequence[str] = ()) -> Read:
        """Return the anchors whose signatures hold, and what is wrong with the others.

        `keys` are the public keys that may sign, by default those of `audit.key`.
        """
        there = self.read()
        own = self._audit.key
        if not (keys or own or any(one.anchor.signature for one in there.found)):
            return there
        from pktui.ledger.chain.anchors.signing import checked, public_halves

        known = keys or (public_halves(Path(own).expanduser()) if own else ())
        found = checked(there, known)
        if own and not known:
            missing = f"the public half of audit.key, {own}.pub, is missing: give it by --key"
            return msgspec.structs.replace(found, findings=(*found.findings, missing))
        return found

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

    def due(self, *, far: bool = False) -> bool:
        """Tell whether so many rows or minutes have passed since the newest anchor, as set.

        Of the stores that are written at once; with `far`, of the others. Raises `LedgerError`
        where stores or journal cannot be read.
        """
        stores = [one for one in self.stores if (one not in self._near) is far]
        return bool(stores) and bool(self._due(stores, self.head()))

    def write(self) -> Anchor | None:
        """Publish the heads to what is written at once; see `publish`.

        Returns what was written. Raises `LedgerError`, `LedgerUnavailable`.
        """
        for done in self.publish(self._near):
            if done.error is not None:
                raise done.error
            if done.anchor is not None:
                return done.anchor
        return None

    def publish(
        self, stores: Sequence[AnchorStore] | None = None, *, due: bool = False
    ) -> tuple[Published, ...]:
        """Publish the heads to these stores, to all by default; with `due` to those that are due.

        A store whose newest anchor names the very same gets none. Raises `LedgerError` where the
        journal cannot be read.
        """
        head = self.head()
        wanted = self.stores if stores is None else stores
        wanted = self._due(wanted, head) if due else wanted
        if not wanted or not head.rows:
            return ()
        try:
            line = self._signed(head)
            for one in head.heads:
                _settle(file_of(self._directory, one.segment))
            _settle(self._joints.path)
        except PktuiError as error:
            return tuple(self._failed(store, error, head) for store in wanted)
        except OSError as error:
            raise LedgerError(f"the journal {self._directory} cannot be read: {error}") from error
        wait = 0.0 if due else _WAIT_SECONDS
        return tuple(self._publish(store, line, head, wait) for store in wanted)

    def standings(self) -> tuple[Standing, ...]:
        """Return how each store stands."""
        head = self.head()
        return tuple(self._standing(store, head) for store in self.stores)

    def _standing(self, store: AnchorStore, head: Anchor) -> Standing:
        trouble = self._trouble(store).read()
        try:
            last = store.last()
        except LedgerError as error:
            return Standing(store.name, 0, head.rows, late=True, problem=str(error))
        last = last or Anchor(0, "")
        behind = max(0, head.rows - last.rows)
        late = behind > 0 and _between_us(head, last) > _LATE_TIMES * self._span_us
        return Standing(store.name, last.at_us, behind, late, trouble.why if trouble else "")

    def _due(self, stores: Sequence[AnchorStore], head: Anchor) -> list[AnchorStore]:
        return [one for one in stores if self._is_due(one, head)]

    def _is_due(self, store: AnchorStore, head: Anchor) -> bool:
        trouble = self._trouble(store).read() if store not in self._near else None
        if trouble is not None and trouble.waits(head.at_us):
            return False
        last = store.last()
        if last is None or last.seq or last.joint > head.joint:
            return head.rows > 0
        since = _between_us(head, last)
        if store not in self._near and since < _LEAST_US:
            return False
        late = since >= self._span_us
        return head.rows - last.rows >= self._rows or (late and head.rows > last.rows)

    def _publish(self, store: AnchorStore, line: bytes, head: Anchor, wait: float) -> Published:
        try:
            with ExitStack() as stack:
                if not isinstance(store, AnchorFile) and not stack.enter_context(
                    Receipts.beside(self._database.path.parent, store.name).locked(wait)
                ):
                    return Published(store.name, error=_taken(store) if wait else None)
                last = store.last()
                if last is not None and (last.hash, last.heads) == (head.hash, head.heads):
                    return Published(store.name)
                store.publish(line, head)
        except PktuiError as error:
            return self._failed(store, error, head)
        self._trouble(store).clear()
        with self._database.transaction():
            self._database.run(_WRITTEN, (_key(store), head.joint))
        return Published(store.name, head)

    def _failed(self, store: AnchorStore, error: PktuiError, head: Anchor) -> Published:
        self._trouble(store).note(str(error), head.at_us)
        return Published(store.name, error=error)

    def _signed(self, head: Anchor) -> bytes:
        if not self._audit.key:
            return msgspec.json.encode(head)
        from pktui.ledger.chain.anchors.signing import SigningKey

        return SigningKey.load(Path(self._audit.key).expanduser()).sign(head)

    def _trouble(self, store: AnchorStore) -> Trouble:
        return Trouble(self._database.path.parent, store.name)

    def _missing(self, store: AnchorStore, found: Sequence[Found]) -> str:
        """Return which anchors should be in the store and are not; empty: none."""
        row = self._database.row("SELECT lines, joint FROM anchored WHERE file = ?", (_key(store),))
        lines, last = row or (0, 0)
        is_file = isinstance(store, AnchorFile)
        if not found and (lines or (is_file and self.head().rows >= self._rows)):
            what = "the file of anchors" if is_file else "what is kept of"
            return f"{what} {_key(store)} was emptied"
        if store.name.startswith("s3-lock:"):
            return ""  # objects go when they are no longer locked; the store names those that are
        if len(found) < lines or max((one.anchor.joint for one in found), default=0) < last:
            had = f"{lines:,} anchors were written to {_key(store)}, the last of joint {last}"
            return f"{had}, and {len(found):,} are left"
        return ""


def _stores(
    audit: AuditSettings, directory: Path, clock: Callable[[], int]
) -> tuple[AnchorStore, ...]:
    """Return the stores that are set, each once; relative files lie beside the ledger."""
    named = ([f"file:{audit.anchor}"] if audit.anchor else []) + list(audit.anchors)
    return tuple(_store(name, audit, directory, clock) for name in dict.fromkeys(named))


def _store(
    name: str, audit: AuditSettings, directory: Path, clock: Callable[[], int]
) -> AnchorStore:
    kind, _, place = name.partition(":")
    if kind == "file":
        return AnchorFile(directory / Path(place).expanduser())
    receipts = Receipts.beside(directory, name)
    if kind == "rfc3161":
        from pktui.ledger.chain.anchors.rfc3161 import TimeStamps

        roots = Path(audit.anchor_roots).expanduser() if audit.anchor_roots else None
        return TimeStamps(name, place, roots, receipts)
    from pktui.ledger.chain.anchors.s3_lock import LockedObjects

    return LockedObjects(name, place, audit.anchor_retain_days, receipts, clock)


def _between_us(head: Anchor, last: Anchor) -> int:
    """Return how far apart they are; by a clock that went back the last one may be ahead."""
    return abs(head.at_us - last.at_us)


def _taken(store: AnchorStore) -> LedgerError:
    return LedgerError(
        f"another process has been publishing to {store.name} for {_WAIT_SECONDS:.0f} seconds",
        "Try again, or see pktui audit status",
    )


def _key(store: AnchorStore) -> str:
    """Return by what the ledger counts a store's anchors."""
    return str(store.path) if isinstance(store, AnchorFile) else store.name


def _settle(log: Path) -> None:
    """Wait until what was committed is on the disk; what left the log before is there already."""
    with suppress(FileNotFoundError):
        descriptor = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
