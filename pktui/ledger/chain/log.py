"""The log of what happened: append-only, each row bound to the one before by its hash.

A row's hash is SHA-256 over the hash of the row before (32 bytes; zeros before the first) and the
JSON array of the row's fields in the order of `CONTENT`. The last hash is read inside the writing
transaction, so any number of processes append to one chain. The head is kept beside the rows,
so that rows cut off at the end are missed.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from pktui.errors import LedgerUnavailable
from pktui.ledger.arguments.canonical import json_text
from pktui.ledger.arguments.masking import mask_arguments, mask_line
from pktui.ledger.arguments.secrets import mask_text
from pktui.ledger.chain.refusals import Counted, Refusals, is_beside, is_rationed, weight_of
from pktui.ledger.records import NOBODY, Caller, Event, EventKind, Verification
from pktui.ledger.schema import BETWEEN, VERSION
from pktui.text import storable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    from pktui.ledger.database import Database, Row
    from pktui.settings import AuditSettings

CONTENT = (
    "seq",
    "at_us",
    "kind",
    "call_id",
    "ref_seq",
    "server",
    "tool",
    "agent",
    "grant_name",
    "session",
    "project",
    "effect",
    "rule",
    "reason",
    "args_hash",
    "arguments",
    "outcome",
    "duration_us",
    "approval_id",
    "detail",
)
"""The columns of `events` that a row's hash covers, in their order."""

COLUMNS = ", ".join(CONTENT)
"""The same for SQL."""
# `OR FAIL`: one row is written whole or not at all, so there is nothing for ABORT to take back.
_INSERT = (
    f"INSERT OR FAIL INTO events (schema, {COLUMNS}, hash)"  # noqa: S608
    f" VALUES ({VERSION}, {', '.join('?' * 21)})"
)
_INSERT_CALL = (
    f"INSERT OR FAIL INTO events (schema, {COLUMNS}, hash, call_us, call_tool)"  # noqa: S608
    f" VALUES ({VERSION}, {', '.join('?' * 23)})"
)
_WITH_PREV = f"""SELECT {COLUMNS},
    coalesce((SELECT hash FROM events before WHERE before.seq = events.seq - 1),
             (SELECT base_hash FROM chain)), hash
    FROM events"""  # noqa: S608
_MOVE_HEAD = """UPDATE chain SET seq = ?, hash = ?, bytes = bytes + ?,
    beside_bytes = beside_bytes + ? WHERE seq = ? AND hash = ?"""
_ASKED = 2
"""A question takes rows of its own, and of its end, beside that of its decision."""
_encode = msgspec.json.Encoder().encode
_mask_reason = lru_cache(maxsize=256)(mask_text)


class Events:
    """Appends to the log and reads it as it stands."""

    def __init__(self, database: Database, clock: Callable[[], int], audit: AuditSettings) -> None:
        self._database = database
        self._clock = clock
        self._audit = audit
        self._head: Row | None = None
        """The chain's head as this process left it; others may have moved on since."""
        self._several = False
        """Whether the head is moved once for all events of the transaction under way."""
        self._filed: Row | None = None
        """Where that transaction has moved it to for now: nobody else can, until it ends."""
        self._bytes = self._beside = 0
        """What its events take, of those that the head was not moved for."""
        self._refusals = Refusals(database, clock, round(audit.max_megabytes * 1_000_000))

    def append(
        self,
        kind: EventKind,
        *,
        caller: Caller = NOBODY,
        call_id: str = "",
        server: str = "",
        tool: str = "",
        effect: str = "",
        rule: str = "",
        reason: str = "",
        args_hash: str = "",
        arguments: Mapping[str, object] | None = None,
        outcome: str = "",
        duration_us: int = 0,
        approval_id: str = "",
        detail: Mapping[str, object] | None = None,
        ref_seq: int | None = None,
    ) -> int:
        """Write one event and return its `seq`.

        Arguments are masked and cut here, as the audit settings say, and the reason is masked;
        `detail` is kept as it is. An outcome names its decision by `ref_seq`, or finds it by
        `call_id`, which takes longer. Refusals and requests beyond their client's allowance are
        only counted: 0 then. Joins a transaction that is under way. Raises `LedgerUnavailable`.
        """
        effect = effect or ("refused" if kind == "refused" else "")
        masked = self.masked(arguments) if arguments is not None else ""
        if reason and self._audit.arguments != "full":
            reason = _mask_reason(reason)
        extra = json_text(detail) if detail else ""
        with self._database.transaction():
            ref = ref_seq or (self._decision_of(call_id) if kind == "outcome" else 0)
            content = [
                *(0, self._clock(), kind, call_id, ref, server, tool),
                *(caller.agent, caller.grant, caller.session, caller.project),
                *(effect, rule, reason, args_hash, masked, outcome, duration_us),
                *(approval_id, extra),
            ]
            beside = is_beside(kind, effect, outcome)
            if beside and not self._rationed(caller, server, content):
                return 0
            return self._write(content, beside=beside)

    def may_ask(self, caller: Caller, server: str, size: int) -> bool:
        """Tell whether another question of this client, of so many bytes, may be kept in full."""
        kept = min(size, self._audit.max_argument_bytes)
        return self._refusals.allows(caller, server, kept * _ASKED)

    def tell_counted(self, *, all_of_them: bool = False) -> None:
        """Put on record what was only counted and not said for long, or `all_of_them`."""
        if all_of_them or self._refusals.is_due():
            with self._database.transaction():
                for counted in self._refusals.left(all_of_them=all_of_them):
                    self._tell(counted)

    def _rationed(self, caller: Caller, server: str, content: list[Any]) -> bool:
        """Take a row that is not about what happened off its client's allowance.

        False: it was only counted, for the allowance is used up.
        """
        kind, effect = content[2], content[11]
        asked = kind == "decision" and effect == "approve"
        if not asked and not is_rationed(kind, effect):
            return True
        size = sum(len(part.encode(errors="replace")) for part in content if type(part) is str)
        if asked:
            self._refusals.take(caller, server, size * _ASKED)
        elif self._refusals.allows(caller, server, size):
            self._refusals.take(caller, server, size)
        else:
            counted = self._refusals.count(caller, server, content)
            if counted is not None:
                self._tell(counted)
            return False
        return True

    def _tell(self, counted: Counted) -> None:
        detail = {"more": counted.more, "sha256": counted.sha256, "since_us": counted.since_us}
        whose = counted.identity or "several clients"
        few = "call or request was" if counted.more == 1 else "calls and requests were"
        reason = f"{counted.more:,} more {few} refused or passed on, kept as number and hash"
        self._write(
            [
                *(0, self._clock(), "refused", "", 0, counted.server, "", whose, "", "", ""),
                *("refused", "(counted)", reason, "", "", "", 0, "", json_text(detail)),
            ],
            beside=True,
        )

    def together(self) -> AbstractContextManager[object]:
        """Use as `with events.together():`, a transaction that moves the head once for all.

        Until its end the head in the file is behind what was appended: append, read no chain.
        It is not to be used inside itself.
        """
        return _Together(self._database, self)

    def begin_together(self) -> None:
        """Note that a transaction has begun that moves the head once; `together` calls it."""
        self._several = True

    def end_together(self, *, commit: bool) -> None:
        """Move the head to the last event before that transaction ends."""
        filed, self._filed, self._several = self._filed, None, False
        added = self._bytes, self._beside
        self._bytes = self._beside = 0
        if commit and filed is not None and self._head is not None and self._head[0] != filed[0]:
            self._database.run(_MOVE_HEAD, (*self._head, *added, *filed))

    def _write(self, content: list[Any], *, beside: bool) -> int:
        """Add a row after the chain's head and move the head, both or none; return its `seq`."""
        if self._filed is not None and self._head is not None:
            digest, size = _bind(content, self._head)
            if beside:
                self._beside += weight_of(size)
            else:
                self._bytes += weight_of(size)
        else:
            digest = self._move_head(content, beside=beside)
        self._head = content[0], digest
        call_us, call_tool = call_keys(content)
        if call_us is None:
            self._database.run(_INSERT, (*content, digest))
        else:
            self._database.run(_INSERT_CALL, (*content, digest, call_us, call_tool))
        return int(content[0])

    def _move_head(self, content: list[Any], *, beside: bool) -> bytearray:
        """Bind a row to the head and move that; return the row's hash.

        It is moved from where this process knows it to be; only where it is not there any more is
        it read first.
        """
        head = self._head or self._read_head()
        digest, size = _bind(content, head)
        added = (0, weight_of(size)) if beside else (weight_of(size), 0)
        if not self._database.run(_MOVE_HEAD, (content[0], digest, *added, *head)):
            head = self._read_head()
            digest, _ = _bind(content, head)
            self._database.run(_MOVE_HEAD, (content[0], digest, *added, *head))
        if self._several:
            self._filed = content[0], digest
        return digest

    def _read_head(self) -> Row:
        head = self._database.row("SELECT seq, hash FROM chain")
        if head is None:
            raise LedgerUnavailable(
                f"the ledger {self._database.path} has lost the head of its chain",
                "Someone has removed it: move the file away and keep it",
            )
        return head

    def masked(self, arguments: Mapping[str, object] | None) -> str:
        """Return arguments as the audit settings let them be kept: masked and cut, JSON text."""
        audit = self._audit
        return mask_arguments(arguments, audit.arguments, audit.max_argument_bytes)

    def refused(self, caller: Caller, server: str, code: int, why: str, line: bytes) -> int:
        """Record a message that was refused, with as much of it as the settings let be kept."""
        kept = mask_line(line, self._audit.arguments)
        detail: dict[str, object] = {"bytes": len(line)}
        if kept:
            detail["line"] = kept
        else:
            detail["sha256"] = hashlib.sha256(line).hexdigest()
        return self.append(
            "refused",
            caller=caller,
            server=server,
            effect="refused",
            rule=f"(refused {code})",
            reason=why,
            detail=detail,
        )

    def tail(self, after_seq: int = 0, limit: int = 100) -> tuple[Event, ...]:
        """Return the oldest events after a `seq`, oldest first."""
        rows = self._database.rows(
            f"{_WITH_PREV} WHERE seq > ? ORDER BY seq LIMIT ?", (after_seq, limit)
        )
        return tuple(map(_event, rows))

    def newest(self, limit: int = 100) -> tuple[Event, ...]:
        """Return the last events, oldest first."""
        rows = self._database.rows(f"{_WITH_PREV} ORDER BY seq DESC LIMIT ?", (limit,))
        return tuple(map(_event, reversed(rows)))

    def of_call(self, call_id: str) -> tuple[Event, ...]:
        """Return all that is on record about a call, oldest first."""
        rows = self._database.rows(
            f"{_WITH_PREV} WHERE call_id = ? AND call_id <> '' ORDER BY seq", (call_id,)
        )
        return tuple(map(_event, rows))

    def last_seq(self) -> int:
        """Return the `seq` of the newest event, 0 where there is none."""
        row = self._database.row("SELECT seq FROM chain")
        return int(row[0]) if row else 0

    def verify(self, progress: Callable[[int, int], None] | None = None) -> Verification:
        """Follow the chain from its base to its head and name the first thing that is wrong.

        Checked against the anchors, too, where the settings name a file of them; raises
        `LedgerError` where that cannot be read. `progress` is called with the rows done and the
        rows in all, every few thousand.
        """
        from pktui.ledger.chain.anchors import Anchors
        from pktui.ledger.chain.verify import verify

        anchors = Anchors(self._database, self._audit, self._clock)
        found = anchors.read()
        return verify(self._database, found, progress, anchors.missing(found))

    def _decision_of(self, call_id: str) -> int:
        row = self._database.row(
            "SELECT min(seq) FROM events WHERE call_id = ? AND call_id <> '' AND kind = 'decision'",
            (call_id,),
        )
        return int(row[0]) if row and row[0] else 0


def row_hash(previous: bytes, content: Sequence[str | int]) -> bytes:
    """Return what binds a row, its columns in the order of `CONTENT`, to the row before."""
    return hashlib.sha256(previous + _encode(content)).digest()


def _bind(content: list[Any], head: Row) -> tuple[bytearray, int]:
    """Number a row, return its hash and size; texts that cannot be stored as they are are changed.

    A `bytearray`, which `sqlite3` takes as it is; for `bytes` and None it looks for an adapter,
    which takes longer than to write them.
    """
    seq, previous = head
    content[0] = seq + 1
    try:
        encoded = _encode(content)
    except UnicodeEncodeError:
        content[:] = [storable(part) if isinstance(part, str) else part for part in content]
        encoded = _encode(content)
    return bytearray(hashlib.sha256(previous + encoded).digest()), len(encoded)


def row_weight(content: Sequence[Any]) -> tuple[int, int]:
    """Return what a row takes of the file, as what happened and as what is beside it."""
    weight = weight_of(len(_encode(content)))
    return (0, weight) if is_beside(content[2], content[11], content[16]) else (weight, 0)


def call_keys(content: Sequence[Any]) -> tuple[int, str] | tuple[None, None]:
    """Return the columns that the feed finds calls by; both null where the row is no call."""
    if content[2] not in ("decision", "refused"):
        return None, None
    return content[1], f"{content[5]}{BETWEEN}{content[6]}"


class _Together:
    """A transaction that moves the chain's head once."""

    __slots__ = ("_database", "_events", "_transaction")

    def __init__(self, database: Database, events: Events) -> None:
        self._database = database
        self._transaction = database.transaction()
        self._events = events

    def __enter__(self) -> None:
        if self._transaction is self._database:
            self._database.begin(look=False)
        else:
            self._transaction.__enter__()
        self._events.begin_together()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._events.end_together(commit=kind is None)
        except BaseException as failure:
            self._transaction.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._transaction.__exit__(kind, error, trace)


def _event(row: Row) -> Event:
    values = [*row[:-2], row[-2].hex(), row[-1].hex()]
    return Event(*values)
