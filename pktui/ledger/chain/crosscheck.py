"""What the journal says of the rows that decide, against what those rows say.

The rows are not in the journal, but every change of one is, with the row as it stood then
(`pktui.ledger.integrity.vouched_columns`): one that was edited, added or removed by other means
does not stand as the journal says. A prune says again how the rows stand whose events it removes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui.ledger.arguments.canonical import args_hash, is_hash_of
from pktui.ledger.integrity.vouched_columns import BY_TABLE, Facts, Kept, Key, kept_rows
from pktui.ledger.journal.segment import CONTENT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pktui.ledger.database import Database

# Columns as a person calls them, where that is not their name.
_LABELS: Final = {
    "status": "state",
    "ended": "state",
    "is_new": "state",
    "args_hash": "arguments' hash",
    "definition_hash": "definition's hash",
    "grant_name": "grant",
    "project": "directory",
    "decided_by": "decider",
    "made_by": "maker",
    "servers": "scope",
    "policy": "scope",
    "expires_us": "scope",
    "revoked_us": "state",
    "created_us": "time",
    "at_us": "time",
    "pinned_hash": "pinned hash",
}

_NUMBER, _KIND = CONTENT.index("number"), CONTENT.index("kind")
_APPROVAL, _DETAIL = CONTENT.index("approval_id"), CONTENT.index("detail")
_EFFECT, _GRANT = CONTENT.index("effect"), CONTENT.index("grant_name")
_SERVER, _TOOL = CONTENT.index("server"), CONTENT.index("tool")
_NAMES: Final = ("server", "tool", "args_hash", "agent", "grant_name", "session", "project")
_NAMED: Final = tuple((name, CONTENT.index(name)) for name in _NAMES)
WATCHED: Final = frozenset({"approval", "grant", "pin", "prune", "note"})
# Stands for a time that an older event does not tell.
_REVOKED: Final = -1

# A table, the key of a row of it, and how that stands; None: it is gone.
Row = tuple[str, Key, Facts | None]


class _Detail(msgspec.Struct, frozen=True):
    """What the details of watched rows may say; events of the first edition have no `row`."""

    row: Row | None = None
    status: str = ""
    standing: str = ""
    by: str | None = None
    sha256: str = ""
    servers: tuple[str, ...] = ()
    policy: str = ""
    expires_us: int = 0
    hash: str = ""
    new: str = ""
    carried: tuple[Row, ...] = ()
    change: int = 0
    stopped: bool | None = None
    pin: str = ""
    team: str = ""


_decode = msgspec.json.Decoder(_Detail).decode


class Recorded:
    """What the journal has said so far; hand it the rows of every segment."""

    def __init__(self, until: int = 2**63) -> None:
        """`until`: what was changed after so many changes does not count yet."""
        self._until = until
        self._facts: dict[tuple[str, Key], Facts | None] = {}
        self._said: dict[tuple[str, Key], tuple[int, int, int]] = {}
        """The change that said it, and its key."""

    def saw(self, segment: int, content: Sequence[Any]) -> None:
        """Take note of a row, its members in the order of `CONTENT`."""
        kind = content[_KIND]
        if kind not in WATCHED or not content[_DETAIL]:
            return
        try:
            detail = _decode(content[_DETAIL])
        except (msgspec.DecodeError, RecursionError):
            return
        self._order = (detail.change, segment, content[_NUMBER])
        if detail.change > self._until or detail.team:
            return
        if detail.row is not None:
            self._say(detail.row)
        elif kind == "prune":
            for row in detail.carried:
                if row[:2] not in self._facts:
                    self._say(row)
        else:
            self._saw_older(kind, content, detail)

    def facts(self) -> dict[tuple[str, Key], Facts | None]:
        """Return how each row stands that anything was said of; None: it is gone."""
        return dict(self._facts)

    def differs(self, standing: Standing, pruned: Callable[[int], bool]) -> str:
        """Return which row does not stand as the journal says; empty: all do.

        `pruned` tells whether a segment was pruned: of what does not decide any more nothing is
        said after that.
        """
        left = dict(self._facts)
        for row in standing.kept:
            said = left.pop((row.known.table, row.key), None)
            if said is None:
                if not row.known.decides(row.facts) and pruned(row.segment):
                    continue
                return f"{name_of(row)} is not in the log"
            asked = standing.arguments.get(row.key[-1]) if row.known.table == "approvals" else None
            if problem := difference(row, said, asked):
                return f"{name_of(row)}: {problem}"
        for (table, key), said in left.items():
            known = BY_TABLE[table]
            if said is not None and (table != "approvals" or known.decides(said)):
                name = ".".join(key) if table == "tools" else said.get(known.name, key[-1])
                return f"{known.what} {name} was removed"
        return standing.fault

    def _say(self, row: Row) -> None:
        table, key, facts = row
        if table in BY_TABLE and self._order >= self._said.get((table, key), (0, 0, 0)):
            self._facts[table, key] = facts
            self._said[table, key] = self._order

    def _saw_older(self, kind: str, content: Sequence[Any], detail: _Detail) -> None:
        """Take what an event of the first edition says: fewer columns, or only that it is."""
        named = {name: content[index] for name, index in _NAMED}
        effect = content[_EFFECT]
        if kind == "approval" and detail.standing:
            ended = "" if effect == "standing" else effect
            facts = named | {"ended": ended, "expires_us": detail.expires_us}
            self._say(("standing", (detail.standing,), facts))
        elif kind == "approval" and detail.status:
            key = ("approvals", (content[_APPROVAL],))
            before = self._facts.get(key) or {}
            by = detail.by if detail.by is not None else before.get("decided_by", "")
            self._say((*key, named | {"status": effect, "decided_by": by}))
        elif kind == "grant":
            facts = {"name": content[_GRANT], "servers": _compact(detail.servers)}
            facts |= {"policy": detail.policy, "expires_us": detail.expires_us}
            facts["revoked_us"] = 0 if effect == "created" else _REVOKED
            self._say(("grants", (detail.sha256,), facts))
        elif kind == "pin":
            self._saw_older_pin(content, detail)
        elif detail.stopped is not None:
            stopped: Facts | None = {"by_whom": detail.by or ""} if detail.stopped else None
            self._say(("switches", ("stopped",), stopped))
        elif detail.pin in ("set", "cleared"):
            self._say(("pin", ("1",), {} if detail.pin == "set" else None))

    def _saw_older_pin(self, content: Sequence[Any], detail: _Detail) -> None:
        place = ("tools", (content[_SERVER], content[_TOOL]))
        facts = dict(self._facts.get(place) or {})
        effect = content[_EFFECT]
        if effect == "accepted":
            facts |= {"pinned_hash": detail.new, "is_new": 0}
        else:
            facts["hash"] = detail.hash
        if effect in ("new", "pinned"):
            facts |= {"pinned_hash": detail.hash, "is_new": int(effect == "new")}
        self._say((*place, facts))


class Standing(msgspec.Struct, frozen=True):
    """The rows that decide, all of one time."""

    kept: list[Kept]
    arguments: dict[str, tuple[str, str]]
    """Of approvals that may still run, by id: the arguments and their hash."""
    changes: int
    """How many changes there were."""
    fault: str
    """What is wrong with a row whatever the journal says; empty: nothing."""


def read_standing(database: Database) -> Standing:
    """Read what is compared; raises `LedgerUnavailable`."""
    arguments = database.rows(
        "SELECT id, arguments, args_hash FROM approvals WHERE status IN ('pending', 'allowed')"
    )
    return Standing(
        kept_rows(database),
        {approval: (text, digest) for approval, text, digest in arguments},
        (database.row("SELECT n FROM changes") or (0,))[0],
        _definition_fault(database),
    )


def _definition_fault(database: Database) -> str:
    """Return which definition in the catalogue is not the one that its hash is of."""
    rows = database.rows(
        "SELECT server, name, definition, hash, pinned_definition, pinned_hash FROM tools"
    )
    for server, name, definition, digest, pinned, pinned_digest in rows:
        if not is_hash_of(digest, definition):
            return f"pinned tool {server}.{name}: its definition is not the one its hash is of"
        if (pinned, pinned_digest) != (definition, digest) and not is_hash_of(
            pinned_digest, pinned
        ):
            return f"pinned tool {server}.{name}: the definition it is pinned at is another one"
    return ""


def name_of(row: Kept) -> str:
    """Return a row as a person calls it."""
    if row.known.table == "pin":
        return "the PIN"
    name = ".".join(row.key) if row.known.table == "tools" else row.name
    return f"{row.known.what} {name}"


def difference(row: Kept, said: Facts, arguments: tuple[str, str] | None) -> str:
    """Return in what a row differs from what the log says of it; empty: in nothing."""
    for column, there in said.items():
        here = row.facts.get(column)
        if here == there or (there == _REVOKED and here):
            continue
        if column in row.known.digested:
            what = " that were asked about" if column == "arguments" else " on record"
            return f"its {column} are not those{what}"
        label = _LABELS.get(column, column)
        return f"its {label} is {_shown(column, here)}, and {_shown(column, there)} in the log"
    if "arguments" not in said and arguments is not None and not _are_hash_of(*arguments):
        return "its arguments are not those that were asked about"
    return ""


def _shown(column: str, value: str | int | None) -> str:
    if column == "revoked_us":
        return "'revoked'" if value else "'created'"
    return repr(value)


def _compact(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _are_hash_of(arguments: str, digest: str) -> bool:
    try:
        return args_hash(json.loads(arguments)) == digest
    except (ValueError, RecursionError):
        return False
