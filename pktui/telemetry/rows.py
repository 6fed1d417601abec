"""Rows of the record that were not sent yet, in the order of each segment."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.ledger.journal.segment import split_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pktui.ledger.database import Database

_DECISION: Final = "SELECT at_us, detail FROM events WHERE segment = ? AND number = ?"
# W3C Trace Context, version 00; ids of nothing but zeros are none.
_PARENT: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")


class Parent(msgspec.Struct, frozen=True):
    """The span that a call was made in, as the agent told it in `_meta.traceparent`."""

    trace_id: int
    span_id: int
    flags: int


class SentRow(msgspec.Struct, frozen=True):
    """One row, its members as in `pktui.ledger.journal.segment.CONTENT`; `hash` is its own.

    `began_us` and `parent` are its decision's, where it is on record still; all else is a column.
    """

    segment: int
    number: int
    at_us: int
    kind: str
    call_id: str
    ref_seq: int
    server: str
    tool: str
    agent: str
    grant_name: str
    session: str
    project: str
    effect: str
    rule: str
    reason: str
    args_hash: str
    arguments: str
    outcome: str
    duration_us: int
    approval_id: str
    detail: str
    hash: bytes
    began_us: int = 0
    parent: Parent | None = None


_COLUMNS: Final = SentRow.__struct_fields__[: -len(SentRow.__struct_defaults__)]
_SELECT: Final = f"""SELECT {", ".join(_COLUMNS)} FROM events
    WHERE segment = ? AND number > ? ORDER BY number LIMIT ?"""  # noqa: S608


def unsent(index: Database, reached: Mapping[int, int], most: int) -> list[SentRow]:
    """Return up to `most` rows behind those, of every segment in its order, by their times."""
    found: list[SentRow] = []
    for (segment,) in index.rows("SELECT n FROM segments ORDER BY n"):
        room = most - len(found)
        if room <= 0:
            break
        rows = index.rows(_SELECT, (segment, reached.get(segment, 0), room))
        found += [_placed(index, SentRow(*row)) for row in rows]
    return sorted(found, key=lambda row: (row.at_us, row.segment, row.number))


def _placed(index: Database, row: SentRow) -> SentRow:
    """Return a row with when its call was decided, and in which span it was made."""
    if row.kind == "decision":
        return msgspec.structs.replace(row, began_us=row.at_us, parent=_parent(row.detail))
    decision = index.row(_DECISION, split_key(row.ref_seq)) if row.ref_seq else None
    if decision is None:
        return msgspec.structs.replace(row, began_us=row.at_us - row.duration_us)
    return msgspec.structs.replace(row, began_us=decision[0], parent=_parent(decision[1]))


def _parent(detail: str) -> Parent | None:
    if "traceparent" not in detail:
        return None
    try:
        meta = json.loads(detail).get("_meta")
        found = _PARENT.fullmatch(meta.get("traceparent", ""))
    except (ValueError, AttributeError, TypeError, RecursionError):
        return None
    return Parent(int(found[1], 16), int(found[2], 16), int(found[3], 16)) if found else None
