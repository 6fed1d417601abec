"""The tools each server was seen to define, pinned as they were first seen.

A definition's hash is the SHA-256 of its canonical JSON, all members included. Definitions that
share a name count as one, so that none can hide behind another; the same one twice is one.
What is kept is bounded: a server's tools by number, a definition by size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from pktui.errors import DefinitionChanged, LedgerError
from pktui.ledger.arguments.canonical import canonical_json, json_text
from pktui.ledger.records import NOT_KEPT, Flag, ServerSeen, ToolSeen
from pktui.text import storable

if TYPE_CHECKING:
    from pktui.ledger.events import Events
    from pktui.ledger.transaction import Deciding, Row

_COLUMNS = (
    "server, name, definition, hash, pinned_hash, pinned_definition, first_seen_us, last_seen_us,"
    " is_new, flags"
)
_SELECT = f"SELECT {_COLUMNS} FROM tools"  # noqa: S608
# A list that holds nothing new is written again only after this long.
_FRESH_US = 60_000_000
# Tools that are kept of a server; what a server lists beyond is not on record.
MOST_TOOLS = 10_000
# Characters of a definition that are kept; the hash of a longer one counts all the same.
MOST_TEXT = 256 * 1024

_read_flags = msgspec.json.Decoder(tuple[Flag, ...]).decode


class _Seen(msgspec.Struct, frozen=True):
    """All definitions listed under one name; `text` is what is kept of them."""

    definitions: tuple[Mapping[str, object], ...]
    text: str
    hash: str


# Says what a person should look at in the definitions that share a name.
Flagging = Callable[[Sequence[Mapping[str, object]]], Iterable[Flag]]


def _unflagged(_definitions: Sequence[Mapping[str, object]]) -> tuple[Flag, ...]:
    return ()


class Catalogue:
    """What servers offer, and what of it is as it was accepted."""

    def __init__(
        self,
        database: Deciding,
        events: Events,
        clock: Callable[[], int],
        check_pin: Callable[[str, str], None] = lambda _pin, _by: None,
    ) -> None:
        """`check_pin` takes the PIN given and who gave it; raises `PinError` where it is wrong."""
        self._check_pin = check_pin
        self._database = database
        self._events = events
        self._clock = clock

    def saw(
        self,
        server: str,
        definitions: Sequence[Mapping[str, object]],
        *,
        first: bool = False,
        position: int = 0,
        flag: Flagging = _unflagged,
        then: Callable[[], object] = lambda: None,
    ) -> tuple[ToolSeen, ...]:
        """Compare a server's tools with the catalogue and return them in the order seen.

        All tools of a server never seen before are pinned; a later tool is pinned and marked
        `new`, unless it is on a later page of the server's `first` list; a changed one keeps its
        pin. Definitions without a name in text are left out. `position` counts the tools on
        earlier pages. `flag` is asked about the definitions of each name that are not on record;
        `then` is called in the transaction that puts them there.
        """
        seen = _by_name(definitions)
        known = {tool.name: tool for tool in self.tools(server)}
        if not self._as_known(known, seen):
            flags = {
                name: tuple(flag(one.definitions))
                for name, one in seen.items()
                if name not in known or known[name].hash != one.hash
            }
            with self._database.transaction():
                self._write(server, seen, flags, first=first, position=position)
                then()
            known = {tool.name: tool for tool in self.tools(server)}
        return tuple(known[name] for name in seen if name in known)

    def knows(self, server: str) -> bool:
        """Tell whether any tool of the server is on record."""
        return self._database.row("SELECT 1 FROM tools WHERE server = ?", (server,)) is not None

    def is_full(self, server: str) -> bool:
        """Tell whether no further tool of the server is kept."""
        row = self._database.row("SELECT count(*) FROM tools WHERE server = ?", (server,))
        return row is not None and row[0] >= MOST_TOOLS

    def names(self, *, of: str = "", but: str = "") -> tuple[str, ...]:
        """Return the names of one server's tools, or of all `but` one's; `MOST_TOOLS` at most."""
        rows = self._database.rows(
            "SELECT DISTINCT name FROM tools WHERE (? IN ('', server)) AND server <> ? LIMIT ?",
            (of, but, MOST_TOOLS),
        )
        return tuple(row[0] for row in rows)

    def tools(self, server: str) -> tuple[ToolSeen, ...]:
        """Return all tools ever seen of a server, in the order they were last listed."""
        rows = self._database.rows(f"{_SELECT} WHERE server = ? ORDER BY position", (server,))
        return tuple(map(_tool, rows))

    def tool(self, server: str, name: str) -> ToolSeen | None:
        """Return one tool, or None where it was never seen."""
        row = self._database.row(f"{_SELECT} WHERE server = ? AND name = ?", (server, name))
        return _tool(row) if row else None

    def servers(self) -> tuple[str, ...]:
        """Return the servers whose tools were ever seen, by name."""
        return tuple(
            row[0] for row in self._database.rows("SELECT DISTINCT server FROM tools ORDER BY 1")
        )

    def summary(self) -> tuple[ServerSeen, ...]:
        """Return how many tools of each server are on record, in one statement, by name."""
        rows = self._database.rows(
            "SELECT server, count(*), count(*) FILTER (WHERE hash <> pinned_hash),"
            " count(*) FILTER (WHERE is_new = 1), max(last_seen_us)"
            " FROM tools GROUP BY server ORDER BY server"
        )
        return tuple(ServerSeen(*row) for row in rows)

    def accept(
        self, server: str, tool: str, *, by: str = "", shown_hash: str = "", pin: str = ""
    ) -> ToolSeen:
        """Pin the definition as it is now.

        `shown_hash` is that of the definition the person was shown; another is refused with
        `DefinitionChanged`. Raises `LedgerError` where the tool is unknown, or its definition is
        too long to be shown; `PinError` where a PIN is set and `pin` is not it;
        `LedgerUnavailable`.
        """
        self._check_pin(pin, by)
        with self._database.transaction():
            current = self.tool(server, tool)
            if current is None:
                raise LedgerError(
                    f"server {server} has no tool {tool} on record", "List the tools first"
                )
            if shown_hash and shown_hash != current.hash:
                raise DefinitionChanged(
                    f"the definition of {tool} has changed again", "Look at it, then accept it"
                )
            if not current.whole:
                raise LedgerError(
                    f"the definition of {tool} is too long to be shown, so nobody can accept it",
                    "Allow its calls one by one, or shorten it at the server",
                )
            self._database.run(
                "UPDATE tools SET pinned_hash = hash, pinned_definition = definition, is_new = 0"
                " WHERE server = ? AND name = ?",
                (server, tool),
            )
            self._events.append(
                "pin",
                server=server,
                tool=tool,
                effect="accepted",
                detail={
                    "by": self._database.signed(by),
                    "old": current.pinned_hash,
                    "new": current.hash,
                },
                row=("tools", server, tool),
            )
            accepted = self.tool(server, tool)
            assert accepted is not None
        return accepted

    def _as_known(self, known: Mapping[str, ToolSeen], seen: Mapping[str, _Seen]) -> bool:
        """Tell whether the newest list is this one, and was so not long ago."""
        stale = self._clock() - _FRESH_US
        return all(
            (tool := known.get(name)) is not None
            and tool.hash == one.hash
            and tool.last_seen_us > stale
            for name, one in seen.items()
        )

    def _write(
        self,
        server: str,
        seen: Mapping[str, _Seen],
        flags: Mapping[str, tuple[Flag, ...]],
        *,
        first: bool,
        position: int,
    ) -> None:
        known = {tool.name: tool for tool in self.tools(server)}
        first = first or not known
        room = MOST_TOOLS - len(known)
        for at, (name, one) in enumerate(seen.items(), position):
            old = known.get(name)
            if old is not None:
                self._update(old, one, at, flags.get(name, old.flags))
            elif room > 0:
                room -= 1
                self._insert(server, name, one, at, flags.get(name, ()), is_new=not first)

    def _insert(
        self,
        server: str,
        name: str,
        one: _Seen,
        position: int,
        flags: tuple[Flag, ...],
        *,
        is_new: bool,
    ) -> None:
        now = self._clock()
        self._database.run(
            f"INSERT INTO tools ({_COLUMNS}, position)"  # noqa: S608
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(server, name, one.text, one.hash, one.hash, one.text, now, now),
                *(is_new, _flags_text(flags), position),
            ),
        )
        self._note(server, name, "new" if is_new else "pinned", one.hash, flags)

    def _update(self, old: ToolSeen, one: _Seen, position: int, flags: tuple[Flag, ...]) -> None:
        self._database.run(
            "UPDATE tools SET definition = ?, hash = ?, last_seen_us = ?, position = ?, flags = ?"
            " WHERE server = ? AND name = ?",
            (
                *(one.text, one.hash, self._clock(), position, _flags_text(flags)),
                *(old.server, old.name),
            ),
        )
        if old.hash != one.hash or old.flags != flags:
            effect = "changed" if one.hash != old.pinned_hash else "restored"
            if old.hash == one.hash:
                effect = "flagged"
            self._note(old.server, old.name, effect, one.hash, flags)

    def _note(
        self, server: str, tool: str, effect: str, digest: str, flags: tuple[Flag, ...]
    ) -> None:
        detail: dict[str, object] = {"hash": digest}
        if flags:
            detail["flags"] = sorted({flag.kind for flag in flags})
        self._events.append(
            "pin",
            server=server,
            tool=tool,
            effect=effect,
            detail=detail,
            row=("tools", server, tool),
        )


def _by_name(definitions: Sequence[Mapping[str, object]]) -> dict[str, _Seen]:
    """Return what is seen under each name."""
    grouped: dict[str, dict[bytes, Mapping[str, object]]] = {}
    for definition in definitions:
        name = definition.get("name")
        if isinstance(name, str):
            grouped.setdefault(storable(name), {})[canonical_json(definition)] = definition
    return {name: _seen(found) for name, found in grouped.items()}


def _seen(found: Mapping[bytes, Mapping[str, object]]) -> _Seen:
    several = tuple(found.values())
    text = json_text(several[0] if len(several) == 1 else several)
    if len(text) > MOST_TEXT:
        text = json_text(
            {"name": several[0]["name"], NOT_KEPT: f"{len(text)} characters, not kept"}
        )
    whole = next(iter(found)) if len(found) == 1 else b"[" + b",".join(found) + b"]"
    return _Seen(several, text, hashlib.sha256(whole).hexdigest())


def _flags_text(flags: tuple[Flag, ...]) -> str:
    return storable(json_text(msgspec.to_builtins(flags)))


def _tool(row: Row) -> ToolSeen:
    values = [*row[:-2], bool(row[-2]), _read_flags(row[-1])]
    return ToolSeen(*values)
