"""The pin step: a tool is trusted as it was first seen."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import ToolSeen


class Pins:
    """The catalogued definitions of one server's tools, read again when the ledger changed."""

    def __init__(self, ledger: Ledger, server: str) -> None:
        self._ledger = ledger
        self._server = server
        self._lock = threading.Lock()
        self._version = -1
        self._known: dict[str, ToolSeen | None] = {}

    def saw(self, definitions: Sequence[Mapping[str, Any]]) -> None:
        """Record what the server lists."""
        self._ledger.catalogue.saw(self._server, definitions)
        with self._lock:
            self._version = -1

    def changed(self, tool: str) -> bool:
        """Tell whether the server now defines the tool otherwise than it was accepted."""
        seen = self._tool(tool)
        return seen is not None and seen.changed

    def definition_hash(self, tool: str) -> str:
        """Return the hash of the definition as last listed, empty where it never was."""
        seen = self._tool(tool)
        return seen.hash if seen is not None else ""

    def _tool(self, name: str) -> ToolSeen | None:
        version = self._ledger.data_version()
        with self._lock:
            if version != self._version:
                self._known.clear()
                self._version = version
            elif name in self._known:
                return self._known[name]
        seen = self._ledger.catalogue.tool(self._server, name)
        with self._lock:
            if self._version == version:
                self._known[name] = seen
        return seen
