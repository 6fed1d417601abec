"""What the log says of approvals, standing approvals and grants, against what their rows say.

Those rows are not in the chain, but every change of them is: a row that was edited or added by
other means does not stand as the log says.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui.ledger.canonical import args_hash
from pktui.ledger.events import CONTENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.ledger.database import Database, Row

_FACTS: Final = (
    *("state", "server", "tool", "arguments' hash", "agent", "grant", "session", "directory"),
    *("decider", "scope"),
)
"""What is compared, as a person calls it."""

_KEPT: Final = """
    SELECT 'approval', id, id, created_us, status, server, tool, args_hash, agent, grant_name,
        session, project, decided_by, '',
        CASE WHEN status IN ('pending', 'allowed') THEN arguments END FROM approvals
    UNION ALL
    SELECT 'standing approval', id, id, created_us,
        CASE ended WHEN '' THEN 'standing' ELSE ended END, server, tool, args_hash, agent,
        grant_name, session, project, '', '' || expires_us, NULL FROM standing
    UNION ALL
    SELECT 'grant', lower(hex(digest)), name, created_us,
        CASE revoked_us WHEN 0 THEN 'created' ELSE 'revoked' END, '', '', '', '', name,
        '', '', '', servers || ' ' || policy || ' ' || expires_us, NULL FROM grants
    UNION ALL
    SELECT 'stop', name, name, at_us, 'stopped', '', '', '', '', '', '', '', by_whom, '', NULL
        FROM switches
"""
_KIND, _TIME = CONTENT.index("kind"), CONTENT.index("at_us")
_APPROVAL, _DETAIL = CONTENT.index("approval_id"), CONTENT.index("detail")
_EFFECT, _GRANT = CONTENT.index("effect"), CONTENT.index("grant_name")
_NAMED = tuple(
    CONTENT.index(name)
    for name in ("server", "tool", "args_hash", "agent", "grant_name", "session", "project")
)
_STOP: Final = ("stop", "stopped")
_OPEN: Final = frozenset({"pending", "allowed", "standing", "created", "stopped"})
_WATCHED: Final = frozenset({"approval", "grant", "prune", "note"})


class _Detail(msgspec.Struct, frozen=True):
    """What the details of watched rows may say."""

    status: str = ""
    standing: str = ""
    by: str | None = None
    sha256: str = ""
    servers: tuple[str, ...] = ()
    policy: str = ""
    expires_us: int = 0
    base_seq: int = 0
    base_hash: str = ""
    stopped: bool | None = None


_decode = msgspec.json.Decoder(_Detail).decode


def read_kept(database: Database) -> list[Row]:
    """Return the rows that are compared, all of one time; raises `LedgerUnavailable`."""
    return database.rows(_KEPT)


class Recorded:
    """What the log has said so far; hand it every row in turn."""

    def __init__(self) -> None:
        self._facts: dict[tuple[str, str], tuple[Any, ...]] = {}
        self._announced: tuple[int, str] = (0, "")
        self._first_us = 0

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
        if kind == "approval":
            self._saw_approval(content, detail)
        elif kind == "grant":
            scope = f"{_compact(detail.servers)} {detail.policy} {detail.expires_us}"
            fact = (content[_EFFECT], "", "", "", "", content[_GRANT], "", "", "", scope)
            self._facts["grant", detail.sha256] = fact
        elif kind == "prune":
            self._announced = max(self._announced, (detail.base_seq, detail.base_hash))
        elif detail.stopped is not None:
            self._saw_stop(detail)

    def unannounced(self, base: int, base_hash: bytes) -> str:
        """Return what is wrong with a chain that begins behind that row; empty: nothing is."""
        seq, digest = self._announced
        if base > seq:
            return f"rows up to {base} were removed, and no prune is on record that removed them"
        if base == seq and base and base_hash.hex() != digest:
            return f"row {base}, the last that was pruned, was another one"
        return ""

    def differs(self, kept: Sequence[Row], *, whole: bool) -> str:
        """Return which row does not stand as the log says; empty: all do.

        `whole`: nothing of the log was pruned. What is older than the log cannot be compared.
        """
        for what, key, name, created_us, *values, arguments in kept:
            said = self._facts.pop((what, key), None)
            if said is None:
                if whole or created_us > self._first_us:
                    return f"{what} {name} is not in the log"
                continue
            for fact, there, here in zip(_FACTS, said, values, strict=True):
                if there != here:
                    return f"{what} {name}: its {fact} is {here!r}, and {there!r} in the log"
            if arguments is not None and _hash_of(arguments) != values[3]:
                return f"{what} {name}: its arguments are not those that were asked about"
        return self._missing(whole=whole)

    def _missing(self, *, whole: bool) -> str:
        """Return what the log says is there and is not."""
        for (what, key), said in self._facts.items():
            if whole or said[0] in _OPEN:
                return f"{what} {said[5] if what == 'grant' else key} was removed"
        return ""

    def _saw_approval(self, content: Sequence[Any], detail: _Detail) -> None:
        effect = content[_EFFECT]
        named = tuple(content[index] for index in _NAMED)
        if detail.standing:
            key = ("standing approval", detail.standing)
            self._facts[key] = (effect, *named, "", str(detail.expires_us))
        elif detail.status:
            key = ("approval", content[_APPROVAL])
            before = self._facts.get(key)
            by = detail.by if detail.by is not None else before[8] if before else ""
            self._facts[key] = (effect, *named, by, "")

    def _saw_stop(self, detail: _Detail) -> None:
        if detail.stopped:
            self._facts[_STOP] = ("stopped", "", "", "", "", "", "", "", detail.by, "")
        else:
            self._facts.pop(_STOP, None)


def _compact(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _hash_of(arguments: str) -> str:
    try:
        return args_hash(json.loads(arguments))
    except (ValueError, RecursionError):
        return ""
