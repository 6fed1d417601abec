"""What happened, put on record and read again.

Events are rows of the journal (`pktui.ledger.journal`), written when the transaction ends that they
are appended in, and read from its index. Of a row of `ledger.db` that decides, the event is written
first; it says how the row stands, and the row names its event.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui.ledger.arguments.canonical import json_text
from pktui.ledger.arguments.masking import mask_arguments, mask_line
from pktui.ledger.arguments.secrets import mask_text
from pktui.ledger.integrity.vouched_columns import BY_TABLE, row_facts
from pktui.ledger.journal.indexer import place_of
from pktui.ledger.journal.segment import CONTENT, key_of
from pktui.ledger.records import NOBODY, Caller, Charged, Event, EventKind

if TYPE_CHECKING:
    from pktui.ledger.allowance import Allowance
    from pktui.ledger.database import Database
    from pktui.ledger.integrity.vouched_columns import Kept
    from pktui.ledger.integrity.vouching import Vouchers
    from pktui.ledger.journal.joints import Shelf
    from pktui.ledger.journal.journal import Journal
    from pktui.ledger.transaction import Deciding, Row
    from pktui.settings import AuditSettings

_COLUMNS: Final = ", ".join(CONTENT[1:])
_EVENTS: Final = f"""SELECT segment, number, {_COLUMNS}, charges,
    coalesce((SELECT hash FROM events before
            WHERE before.segment = events.segment AND before.number = events.number - 1),
        (SELECT first_hash FROM segments WHERE n = events.segment)), hash
    FROM events"""  # noqa: S608
# Kinds that say nothing of what happened: what was refused, asked for, or is about a connection.
# They are kept elsewhere, so that they never make what happened go.
_BESIDE: Final = frozenset({"refused", "request", "start", "end", "gateway"})
_REFUSALS_GONE: Final = ("prune", "refusals")
# Decisions that are no refusal.
_GOING: Final = frozenset({"allow", "approve"})
# What gateways say of themselves is for `audit verify`, and would fill every list.
_TOLD: Final = "kind <> 'gateway'"
_decode_charges: Final = msgspec.json.Decoder(tuple[Charged, ...]).decode
_MOMENT_US: Final = 1_000_000
# A table and the key of a row of it.
RowKey = tuple[str, *tuple[str | int | bytes, ...]]
_mask_reason = lru_cache(maxsize=256)(mask_text)


class Events:
    """Appends events, and reads them as far as they are in the journal."""

    def __init__(
        self,
        database: Database,
        journal: Journal,
        index: Callable[[], Database],
        clock: Callable[[], int],
        audit: AuditSettings,
        allowance: Allowance,
        deciding: Deciding,
        vouchers: Vouchers,
    ) -> None:
        """`index` gives the index, up to date; `deciding` has the rows that events speak of."""
        self._database = database
        self._journal = journal
        self._index = index
        self._clock = clock
        self._audit = audit
        self._deciding = deciding
        self._vouchers = vouchers
        self.allowance = allowance
        self._last: tuple[int, Shelf] = (0, "calls")

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
        ref_seq: int = 0,
        charges: Sequence[Charged] = (),
        row: RowKey | None = None,
    ) -> int:
        """Add one event to the transaction under way, or in one of its own; return its key.

        Arguments are masked and cut here, as the audit settings say, and the reason is masked;
        `detail` is kept as it is. An outcome names its decision by `ref_seq`. `charges` is what a
        call took from limits or gave back. `row` is a table and the key of a row of it that was
        changed in this transaction: the event says how it stands now. Raises `LedgerUnavailable`.
        """
        effect = effect or ("refused" if kind == "refused" else "")
        mode, masked = self._audit.arguments, ""
        if arguments is not None:
            masked = mask_arguments(arguments, mode, self._audit.max_argument_bytes)
        if reason and mode != "full":
            reason = _mask_reason(reason)
        asked = kind == "decision" and effect == "approve"
        beside = kind in _BESIDE or (kind == "decision" and effect not in _GOING)
        shelf: Shelf = "beside" if beside or (kind, effect) == _REFUSALS_GONE else "calls"
        begin = self._database.transaction if row is None else self._deciding.transaction
        with begin(rows=asked or row is not None):
            change = 0
            if row is not None:
                change = self._vouchers.next_change()
                detail = self._with_facts(detail or {}, row, change)
            kept = json_text(detail) if detail else ""
            # Rows of one moment in two segments follow each other all the same.
            now, (last, before) = self._clock(), self._last
            if now <= last < now + _MOMENT_US:
                now = last + (shelf != before)
            self._last = now, shelf
            content: list[Any] = [
                0, now, kind, call_id, ref_seq, server, tool,
                caller.agent, caller.grant, caller.session, caller.project,
                effect, rule, reason, args_hash, masked, outcome, duration_us, approval_id, kept,
            ]  # fmt: skip
            if asked:
                self.allowance.take(caller, server, _size(content))
            if charges:
                content.append(charges)
            key, offset = self._journal.add(content, shelf)
            if row is not None:
                line = self._journal.line(shelf)
                self._name_event(row, self._vouchers.keep(key, offset, line, change))
        return key

    def _with_facts(
        self, detail: Mapping[str, object], row: RowKey, change: int
    ) -> Mapping[str, object]:
        """Return a detail that also says how a row stands now, and by which change."""
        team = {"team": self._vouchers.team} if self._vouchers.team else {}
        return {**detail, **row_facts(self._deciding, *row), "change": change, **team}

    def _name_event(self, row: RowKey, event: str) -> None:
        """Let a row name its event."""
        table, *named = row
        where = BY_TABLE[table].where
        self._deciding.run(f"UPDATE {table} SET event = ? WHERE {where}", [event, *named])  # noqa: S608

    def say_again(self, row: Kept) -> None:
        """Say how a row that decides stands, in an event that it names from now on."""
        self.append(row.known.kind, effect="stands", row=row.row)

    def masked(self, arguments: Mapping[str, object] | None) -> str:
        """Return arguments as the audit settings let them be kept: masked and cut, JSON text."""
        audit = self._audit
        return mask_arguments(arguments, audit.arguments, audit.max_argument_bytes)

    @property
    def keeps_texts(self) -> bool:
        """Whether the audit settings let more be kept of what calls carry than its shape."""
        return self._audit.arguments in ("masked", "full")

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

    def may_ask(self, caller: Caller, server: str, size: int) -> bool:
        """Tell whether another question of this client, of so many bytes, may be put."""
        return self.allowance.allows(caller, server, min(size, self._audit.max_argument_bytes))

    def tail(self, after: int = 0, limit: int = 100) -> tuple[Event, ...]:
        """Return the oldest events that came after one of that key, oldest first.

        Without what gateways say of themselves, as `newest` does.
        """
        index = self._index()
        rows = index.rows(
            f"{_EVENTS} WHERE seq > ? AND {_TOLD} ORDER BY seq LIMIT ?",
            (place_of(index, after), limit),
        )
        return tuple(map(_event, rows))

    def newest(self, limit: int = 100) -> tuple[Event, ...]:
        """Return the last events, oldest first."""
        rows = self._index().rows(f"{_EVENTS} WHERE {_TOLD} ORDER BY seq DESC LIMIT ?", (limit,))
        return tuple(map(_event, reversed(rows)))

    def of_call(self, call_id: str) -> tuple[Event, ...]:
        """Return all that is on record about a call, oldest first."""
        rows = self._index().rows(
            f"{_EVENTS} WHERE call_id = ? AND call_id <> '' ORDER BY seq", (call_id,)
        )
        return tuple(map(_event, rows))

    def charged(self, call_id: str) -> tuple[Charged, ...]:
        """Return what a call took from limits, empty where nothing is on record of that."""
        rows = self._index().rows(
            "SELECT charges FROM events WHERE call_id = ? AND call_id <> '' AND charges <> ''"
            " AND kind IN ('decision', 'approval')",
            (call_id,),
        )
        return tuple(one for row in rows for one in _decode_charges(row[0]))

    def last_seq(self) -> int:
        """Return the key of the event that came last, 0 where there is none; as `newest` does."""
        row = self._index().row(
            f"SELECT segment, number FROM events WHERE {_TOLD} ORDER BY seq DESC LIMIT 1"  # noqa: S608
        )
        return key_of(*row) if row else 0


def _size(content: Sequence[Any]) -> int:
    return sum(len(part.encode(errors="replace")) for part in content if type(part) is str)


def _event(row: Row) -> Event:
    values = [*row[:-2], (row[-2] or b"").hex(), row[-1].hex()]
    return Event(*values)
