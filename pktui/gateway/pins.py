"""The pin step: a tool is trusted as it was first seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import ToolSeen


class Pins:
    """The catalogued definitions of one server's tools, kept until `forget`."""

    def __init__(self, ledger: Ledger, server: str) -> None:
        self._catalogue = ledger.catalogue
        self._server = server
        self._known: dict[str, ToolSeen | None] = {}

    def saw(self, definitions: Sequence[Mapping[str, Any]]) -> None:
        """Record what the server lists."""
        self._catalogue.saw(self._server, definitions)
        self.forget()

    def forget(self) -> None:
        """Read everything again: the ledger changed."""
        self._known.clear()

    def changed(self, tool: str) -> bool:
        """Tell whether the server now defines the tool otherwise than it was accepted."""
        seen = self._tool(tool)
        return seen is not None and seen.changed

    def definition_hash(self, tool: str) -> str:
        """Return the hash of the definition as last listed, empty where it never was."""
        seen = self._tool(tool)
        return seen.hash if seen is not None else ""

    def _tool(self, name: str) -> ToolSeen | None:
        if name not in self._known:
            self._known[name] = self._catalogue.tool(self._server, name)
        return self._known[name]
