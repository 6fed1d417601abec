"""What decides besides the log: for each table, which of its columns the log vouches for.

Every change of such a row has an event in the same transaction whose detail holds the row as it
stands then (`row_detail`). `audit verify` compares the two. A column is either compared, plain or
by its SHA-256, or free for a reason that is given here: a test holds this page against the schema,
so that a new column is not forgotten.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui.ledger.records import EventKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.ledger.transaction import Deciding

Key = tuple[str, ...]
# Columns by name; blobs and digests in hex.
Facts = dict[str, str | int]


class Decided(msgspec.Struct, frozen=True, dict=True):
    """A table whose rows decide. `what` is what a person calls a row, `name` the column they know,
    `kind` that of the events that say how it stands.

    `open`: the column and its values with which a row still decides, so that it may not be missing;
    None: every row does. `since`: the column that says when a row was made.
    """

    table: str
    kind: EventKind
    what: str
    key: tuple[str, ...]
    name: str
    since: str
    open: tuple[str, tuple[str | int, ...]] | None
    plain: tuple[str, ...]
    digested: tuple[str, ...] = ()
    """Compared by their SHA-256: they are long, or a secret."""
    free: Mapping[str, str] = {}
    """Columns that no event vouches for, each with the reason."""
    added: tuple[str, ...] = ()
    """Columns that older events do not name: the row was empty there."""

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """All that is compared, the key first."""
        return (*self.key, *self.plain, *self.digested)

    @cached_property
    def where(self) -> str:
        """What a statement finds a row by; it takes the key."""
        return " AND ".join(f"{column} = ?" for column in self.key)

    @cached_property
    def _empty(self) -> Facts:
        return {name: _NO_TEXT if name in self.digested else "" for name in self.added}

    def decides(self, facts: Facts) -> bool:
        """Tell whether a row that stands so still decides."""
        return self.open is None or facts.get(self.open[0]) in self.open[1]

    def completed(self, facts: Facts) -> Facts:
        """Return what an event says of a row, with the columns that came later."""
        return self._empty | facts


_NO_TEXT: Final = hashlib.sha256(b"").hexdigest()
_CALLER: Final = ("identity", "agent", "grant_name", "grant_key", "session", "project")
_EVENT: Final = {"event": "names the event that says all this"}
_ORDER: Final = _EVENT | {"n": "the order rows were made in"}

# The tables that decide.
DECIDED: Final = (
    Decided(
        table="approvals",
        kind="approval",
        what="approval",
        key=("id",),
        name="id",
        since="created_us",
        open=("status", ("pending", "allowed")),
        plain=(
            *("status", "created_us", "expires_us", "server", "tool", "args_hash"),
            *("definition_hash", "rule", "once", *_CALLER, "call_id"),
            *("decided_by", "decided_us", "words", "changed_hash", "approvers", "agreed"),
            *("person", "machine"),
        ),
        digested=(
            *("arguments", "masked", "beside", "masked_beside", "meta", "reason"),
            *("changed", "masked_changed", "look", "masked_look"),
        ),
        free=_ORDER,
        added=(
            *("changed_hash", "changed", "masked_changed", "approvers", "agreed"),
            *("person", "machine"),
            *("look", "masked_look"),
        ),
    ),
    Decided(
        table="standing",
        kind="approval",
        what="standing approval",
        key=("id",),
        name="id",
        since="created_us",
        open=("ended", ("",)),
        plain=(
            *("created_us", "expires_us", "server", "tool", "args_hash", "definition_hash"),
            *(*_CALLER, "approval_id", "made_by", "ended", "ended_by", "ended_us"),
            "conditions",
        ),
        digested=("arguments",),
        free=_ORDER
        | dict.fromkeys(("uses", "used_us"), "counts the calls it let through; each has an event"),
    ),
    Decided(
        table="grants",
        kind="grant",
        what="grant",
        key=("digest",),
        name="name",
        since="created_us",
        open=("revoked_us", (0,)),
        plain=(
            *("key", "name", "servers", "policy", "project"),
            *("created_us", "expires_us", "revoked_us"),
        ),
        free=_ORDER,
    ),
    Decided(
        table="tools",
        kind="pin",
        what="pinned tool",
        key=("server", "name"),
        name="name",
        since="first_seen_us",
        open=None,
        plain=("hash", "pinned_hash", "is_new"),
        digested=("flags",),
        free={
            "definition": "is compared with `hash`",
            "pinned_definition": "is compared with `pinned_hash`",
            **_EVENT,
            "position": "the order of the server's list",
            "first_seen_us": "is shown",
            "last_seen_us": "is shown",
        },
    ),
    Decided(
        table="pin",
        kind="note",
        what="PIN",
        key=("one",),
        name="one",
        since="set_us",
        open=None,
        plain=("n", "r", "p", "set_us"),
        digested=("salt", "hash"),
        free=_EVENT
        | dict.fromkeys(("tries", "locked_until_us"), "counts tries; each wrong one is an event"),
    ),
    Decided(
        table="switches",
        kind="note",
        what="stop",
        key=("name",),
        name="name",
        since="at_us",
        open=None,
        plain=("by_whom", "at_us"),
        free=_EVENT,
    ),
)

# The other tables, and why no event vouches for their rows.
NOT_DECIDED: Final = {
    "presence": "which processes run; they are looked for",
    "requests": "counts that are shown",
    "clock": "the time as the processes share it; a wrong one lets rows go later, never earlier",
    "asked": "how much each client has asked a person of late; more only means that it asks less",
    "anchored": "how many anchors there are to be: compared with their file",
    "changes": "how many changes of the tables that decide there were",
    "applied": "how far each segment's events are in these tables: they are compared",
}

# Takes a segment, the number of a row of it whose change is in these tables, and its offset.
APPLIED: Final = """INSERT INTO applied VALUES (?, ?, ?) ON CONFLICT (segment) DO UPDATE SET
    number = max(number, excluded.number), offset = max(offset, excluded.offset)"""

BY_TABLE: Final = {one.table: one for one in DECIDED}


def row_facts(database: Deciding, table: str, *key: str | int | bytes) -> dict[str, object]:
    """Return what an event's detail says of a row as it stands now; `null` where it is gone."""
    known = BY_TABLE[table]
    columns = ", ".join(known.columns)
    row = database.row(f"SELECT {columns} FROM {table} WHERE {known.where}", key)  # noqa: S608
    return {"row": as_said(known, key, row)}


def as_said(
    known: Decided, key: Sequence[str | int | bytes], row: Sequence[Any] | None
) -> tuple[str, Key, Facts | None]:
    """Return a table's row, of its `columns`, as an event says it; None: it is gone."""
    shown = tuple([part.hex() if isinstance(part, bytes) else str(part) for part in key])
    return known.table, shown, None if row is None else _facts(known, row)


def place_of_event(event: str) -> tuple[int, int, int, int]:
    """Return the segment, number, offset and change of the event that a row names, else zeros."""
    try:
        segment, number, offset, change = map(int, event.split(":"))
    except ValueError:
        return 0, 0, 0, 0
    place = segment, number, offset, change
    return place if min(place) >= 0 and max(place) < 1 << 62 else (0, 0, 0, 0)


class Kept(msgspec.Struct, frozen=True):
    """A row that decides, as its table has it."""

    known: Decided
    key: Key
    name: str
    since_us: int
    event: str
    """The event it names: segment, number, where its line begins, and the change; may be empty."""
    facts: Facts

    @property
    def row(self) -> tuple[str, *tuple[str | bytes, ...]]:
        """Its table and its key as that has it."""
        table = self.known.table
        key = map(bytes.fromhex, self.key) if table == "grants" else self.key
        return table, *key

    @property
    def segment(self) -> int:
        """The segment of its event, 0 where it names none."""
        return place_of_event(self.event)[0]


def kept_rows(database: Deciding, known: Sequence[Decided] = DECIDED) -> list[Kept]:
    """Return every row of the tables that decide; raises `LedgerUnavailable`."""
    return [
        Kept(one, tuple(str(facts[column]) for column in one.key), str(name), since, event, facts)
        for one in known
        for name, since, event, *values in database.rows(
            f"SELECT {one.name}, {one.since}, event, {', '.join(one.columns)} FROM {one.table}"  # noqa: S608
        )
        for facts in (_facts(one, values),)
    ]


def _facts(known: Decided, row: Sequence[Any]) -> Facts:
    compared = len(known.key) + len(known.plain)
    facts: Facts = {}
    for at, (column, value) in enumerate(zip(known.columns, row, strict=True)):
        if at >= compared:
            data = value if isinstance(value, bytes) else str(value).encode()
            facts[column] = hashlib.sha256(data).hexdigest()
        else:
            facts[column] = value.hex() if isinstance(value, bytes) else value
    return facts
