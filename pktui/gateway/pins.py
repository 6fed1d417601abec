"""The pin step: a tool is trusted as it was first seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
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
        self.times_seen = 0
        """How often the server has listed tools."""

    def saw(self, definitions: Sequence[Mapping[str, Any]]) -> None:
        """Record what the server lists."""
        self._catalogue.saw(self._server, definitions)
        self.times_seen += 1
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

    def is_grave(self, tool: str) -> bool:
        """Tell whether its definition says that the tool destroys or moves money."""
        seen = self._tool(tool)
        return seen is not None and _is_grave(seen.definition)

    def _tool(self, name: str) -> ToolSeen | None:
        if name not in self._known:
            self._known[name] = self._catalogue.tool(self._server, name)
        return self._known[name]


@lru_cache(maxsize=256)
def _is_grave(definition: str) -> bool:
    """Judge a definition; where a name was listed more than once, all of them count."""
    import json

    from pktui.policy.risk import classify

    found = json.loads(definition)
    several = found if isinstance(found, list) else [found]
    return any(classify(one).severity == "critical" for one in several)
