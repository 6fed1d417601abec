"""The tools each server was seen to define, pinned as they were first seen.

A definition's hash is the SHA-256 of its canonical JSON, all members included. Definitions that
share a name count as one, so that none can hide behind another.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pktui.errors import LedgerError
from pktui.ledger.canonical import canonical_json, json_text, storable
from pktui.ledger.records import ToolSeen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pktui.ledger.database import Database, Row
    from pktui.ledger.events import Events

_COLUMNS = (
    "server, name, definition, hash, pinned_hash, pinned_definition, first_seen_us, last_seen_us,"
    " is_new"
)
_SELECT = f"SELECT {_COLUMNS} FROM tools"  # noqa: S608
_FRESH_US = 60_000_000
"""A list that holds nothing new is written again only after this long."""


class Catalogue:
    """What servers offer, and what of it is as it was accepted."""

    def __init__(
        self,
        database: Database,
        events: Events,
        clock: Callable[[], int],
        check_pin: Callable[[str, str], None] = lambda _pin, _by: None,
    ) -> None:
        """`check_pin` takes the PIN given and who gave it; raises `PinError` where it is wrong."""
        self._check_pin = check_pin
        self._database = database
        self._events = events
        self._clock = clock

    def saw(self, server: str, definitions: Sequence[Mapping[str, object]]) -> tuple[ToolSeen, ...]:
        """Compare a server's tools with the catalogue and return them in the order seen.

        All tools of a server never seen before are pinned; a later tool is pinned and marked
        `new`; a changed one keeps its pin. Definitions without a name in text are left out.
        """
        seen = _by_name(definitions)
        if not self._as_known(server, seen):
            with self._database.transaction():
                self._write(server, seen)
        known = {tool.name: tool for tool in self.tools(server)}
        return tuple(known[name] for name in seen if name in known)

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

    def accept(
        self, server: str, tool: str, *, by: str = "", shown_hash: str = "", pin: str = ""
    ) -> ToolSeen:
        """Pin the definition as it is now.

        `shown_hash` is that of the definition the person was shown; another is refused. Raises
        `LedgerError` where the tool is unknown or has changed again; `PinError` where a PIN is
        set and `pin` is not it; `LedgerUnavailable`.
        """
        self._check_pin(pin, by)
        with self._database.transaction():
            current = self.tool(server, tool)
            if current is None:
                raise LedgerError(
                    f"server {server} has no tool {tool} on record", "List the tools first"
                )
            if shown_hash and shown_hash != current.hash:
                raise LedgerError(
                    f"the definition of {tool} has changed again", "Look at it, then accept it"
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
                detail={"by": by, "old": current.pinned_hash, "new": current.hash},
            )
            accepted = self.tool(server, tool)
            assert accepted is not None
        return accepted

    def _as_known(self, server: str, seen: Mapping[str, tuple[str, str]]) -> bool:
        """Tell whether the newest list is this one, and was so not long ago."""
        stale = self._clock() - _FRESH_US
        known = {tool.name: tool for tool in self.tools(server)}
        listed = [known.get(name) for name in seen]
        return all(
            tool is not None and tool.hash == digest and tool.last_seen_us > stale
            for tool, (_, digest) in zip(listed, seen.values(), strict=True)
        )

    def _write(self, server: str, seen: Mapping[str, tuple[str, str]]) -> None:
        now = self._clock()
        known = {tool.name: tool for tool in self.tools(server)}
        for position, (name, (definition, digest)) in enumerate(seen.items()):
            old = known.get(name)
            if old is None:
                self._database.run(
                    f"INSERT INTO tools ({_COLUMNS}, position)"  # noqa: S608
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(server, name, definition, digest, digest, definition, now, now),
                        *(bool(known), position),
                    ),
                )
                self._note(server, name, "new" if known else "pinned", digest)
                continue
            self._database.run(
                "UPDATE tools SET definition = ?, hash = ?, last_seen_us = ?, position = ?"
                " WHERE server = ? AND name = ?",
                (definition, digest, now, position, server, name),
            )
            if old.hash != digest:
                self._note(
                    server, name, "changed" if digest != old.pinned_hash else "restored", digest
                )

    def _note(self, server: str, tool: str, effect: str, digest: str) -> None:
        self._events.append("pin", server=server, tool=tool, effect=effect, detail={"hash": digest})


def _by_name(definitions: Sequence[Mapping[str, object]]) -> dict[str, tuple[str, str]]:
    """Return definition text and hash by name; several of one name become a list."""
    grouped: dict[str, list[Mapping[str, object]]] = {}
    for definition in definitions:
        name = definition.get("name")
        if isinstance(name, str):
            grouped.setdefault(storable(name), []).append(definition)
    return {name: _text_and_hash(found) for name, found in grouped.items()}


def _text_and_hash(found: list[Mapping[str, object]]) -> tuple[str, str]:
    value: object = found[0] if len(found) == 1 else found
    return json_text(value), hashlib.sha256(canonical_json(value)).hexdigest()


def _tool(row: Row) -> ToolSeen:
    values = [*row[:-1], ("new",) if row[-1] else ()]
    return ToolSeen(*values)
