"""What the log says of the rows that decide, against what those rows say.

The rows are not in the chain, but every change of one is, with the row as it stood then
(`pktui.ledger.approvals.decided`): one that was edited, added or removed by other means does not
stand as the log says. What a prune takes from the log it carries on, in its own event.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui.ledger.approvals.decided import BY_TABLE, Facts, Kept, Key, kept_rows
from pktui.ledger.arguments.canonical import args_hash
from pktui.ledger.catalogue import is_hash_of
from pktui.ledger.chain.log import COLUMNS, CONTENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.ledger.database import Database

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
"""Columns as a person calls them, where that is not their name."""

_SEQ, _KIND, _TIME = CONTENT.index("seq"), CONTENT.index("kind"), CONTENT.index("at_us")
_APPROVAL, _DETAIL = CONTENT.index("approval_id"), CONTENT.index("detail")
_EFFECT, _GRANT = CONTENT.index("effect"), CONTENT.index("grant_name")
_SERVER, _TOOL = CONTENT.index("server"), CONTENT.index("tool")
_NAMES: Final = ("server", "tool", "args_hash", "agent", "grant_name", "session", "project")
_NAMED: Final = tuple((name, CONTENT.index(name)) for name in _NAMES)
_WATCHED: Final = frozenset({"approval", "grant", "pin", "prune", "note"})
_REVOKED: Final = -1
"""Stands for a time that an older event does not tell."""
_ROWS: Final = f"""SELECT {COLUMNS} FROM events
    WHERE kind NOT IN ('decision', 'outcome')
        AND kind IN ('approval', 'grant', 'pin', 'prune', 'note') AND seq > ? AND seq <= ?
    ORDER BY seq"""  # noqa: S608

Row = tuple[str, Key, Facts | None]
"""A table, the key of a row of it, and how that stands; None: it is gone."""


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
    base_seq: int = 0
    base_hash: str = ""
    carried: tuple[Row, ...] = ()
    complete: bool = False
    stopped: bool | None = None
    pin: str = ""


class Carried(msgspec.Struct, frozen=True):
    """What a prune says of rows whose events it removes; `complete`: of every one there is."""

    carried: list[Row]
    complete: bool


_decode = msgspec.json.Decoder(_Detail).decode


class Recorded:
    """What the log has said so far; hand it every row in turn, beginning behind `base`."""

    def __init__(self, base: int = 0) -> None:
        self._facts: dict[tuple[str, Key], Facts | None] = {}
        self._said: dict[tuple[str, Key], int] = {}
        """The row of the log that said it."""
        self._announced: tuple[int, str] = (0, "")
        self._first_us = 0
        self._complete = base == 0
        """Whether all that decides has an event: nothing was pruned, or it was carried on."""

    def saw(self, content: Sequence[Any]) -> None:
        """Take note of a row of the log, its columns in the order of `CONTENT`."""
        if not self._first_us:
            self._first_us = content[_TIME]
        kind = content[_KIND]
        if kind not in _WATCHED or not content[_DETAIL]:
            return
        try:
            detail = _decode(content[_DETAIL])
        except msgspec.DecodeError:
            return
        if kind == "prune":
            self._saw_prune(detail, content[_SEQ])
        elif detail.row is not None:
            self._say(detail.row, content[_SEQ])
        else:
            self._saw_older(kind, content, detail)

    def unannounced(self, base: int, base_hash: bytes) -> str:
        """Return what is wrong with a chain that begins behind that row; empty: nothing is."""
        seq, digest = self._announced
        if base > seq:
            return f"rows up to {base} were removed, and no prune is on record that removed them"
        if base == seq and base and base_hash.hex() != digest:
            return f"row {base}, the last that was pruned, was another one"
        return ""

    def carried(self, last: int) -> Carried:
        """Return what the log will no longer say by itself once the rows up to `last` are gone."""
        rows: list[Row] = [
            (*key, facts)
            for key, facts in self._facts.items()
            if self._said[key] <= last and facts is not None and BY_TABLE[key[0]].decides(facts)
        ]
        return Carried(rows, self._complete)

    def differs(self, standing: Standing, *, whole: bool) -> str:
        """Return which row does not stand as the log says; empty: all do.

        `whole`: nothing of the log was pruned. What is older than the log cannot be compared,
        unless the prunes have carried it on.
        """
        left = dict(self._facts)
        for row in standing.kept:
            place = (row.known.table, row.key)
            told = place in left
            said = left.pop(place, None)
            if said is None:
                due = self._complete and row.known.decides(row.facts)
                if whole or told or due or row.since_us > self._first_us:
                    return f"{_name_of(row)} is not in the log"
                continue
            asked = standing.arguments.get(row.key[-1]) if row.known.table == "approvals" else None
            if problem := _difference(row, said, asked):
                return f"{_name_of(row)}: {problem}"
        for (table, key), said in left.items():
            known = BY_TABLE[table]
            if said is not None and (whole or known.decides(said)):
                name = ".".join(key) if table == "tools" else said.get(known.name, key[-1])
                return f"{known.what} {name} was removed"
        return standing.fault

    def _say(self, row: Row, seq: int) -> None:
        table, key, facts = row
        if table in BY_TABLE:
            self._facts[table, key] = facts
            self._said[table, key] = seq

    def _saw_prune(self, detail: _Detail, seq: int) -> None:
        self._announced = max(self._announced, (detail.base_seq, detail.base_hash))
        self._complete = detail.complete
        for row in detail.carried:
            if row[:2] not in self._facts:
                self._say(row, seq)

    def _saw_older(self, kind: str, content: Sequence[Any], detail: _Detail) -> None:
        """Take what an event of the first edition says: fewer columns, or only that it is."""
        named = {name: content[index] for name, index in _NAMED}
        effect, seq = content[_EFFECT], content[_SEQ]
        if kind == "approval" and detail.standing:
            ended = "" if effect == "standing" else effect
            facts = named | {"ended": ended, "expires_us": detail.expires_us}
            self._say(("standing", (detail.standing,), facts), seq)
        elif kind == "approval" and detail.status:
            key = ("approvals", (content[_APPROVAL],))
            before = self._facts.get(key) or {}
            by = detail.by if detail.by is not None else before.get("decided_by", "")
            self._say((*key, named | {"status": effect, "decided_by": by}), seq)
        elif kind == "grant":
            facts = {"name": content[_GRANT], "servers": _compact(detail.servers)}
            facts |= {"policy": detail.policy, "expires_us": detail.expires_us}
            facts["revoked_us"] = 0 if effect == "created" else _REVOKED
            self._say(("grants", (detail.sha256,), facts), seq)
        elif kind == "pin":
            self._saw_older_pin(content, detail)
        elif detail.stopped is not None:
            stopped: Facts | None = {"by_whom": detail.by or ""} if detail.stopped else None
            self._say(("switches", ("stopped",), stopped), seq)
        elif detail.pin in ("set", "cleared"):
            self._say(("pin", ("1",), {} if detail.pin == "set" else None), seq)

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
        self._say((*place, facts), content[_SEQ])


def read_recorded(database: Database, after: int, last: int, into: Recorded) -> None:
    """Hand over the rows of the log from behind `after` to `last` that say what decides."""
    for row in database.rows(_ROWS, (after, last)):
        into.saw(row)


class Standing(msgspec.Struct, frozen=True):
    """The rows that decide, all of one time."""

    kept: list[Kept]
    arguments: dict[str, tuple[str, str]]
    """Of approvals that may still run, by id: the arguments and their hash."""
    fault: str
    """What is wrong with a row whatever the log says; empty: nothing."""


def read_standing(database: Database) -> Standing:
    """Read what is compared; raises `LedgerUnavailable`."""
    arguments = database.rows(
        "SELECT id, arguments, args_hash FROM approvals WHERE status IN ('pending', 'allowed')"
    )
    return Standing(
        kept_rows(database),
        {approval: (text, digest) for approval, text, digest in arguments},
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


def _name_of(row: Kept) -> str:
    if row.known.table == "pin":
        return "the PIN"
    name = ".".join(row.key) if row.known.table == "tools" else row.name
    return f"{row.known.what} {name}"


def _difference(row: Kept, said: Facts, arguments: tuple[str, str] | None) -> str:
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
