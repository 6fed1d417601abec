"""A tool's risk as commands show it: how bad, why, what a misuse reaches, how it is abused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import ToolSeen

_MEMORY = "memory"


class ToolRisk(msgspec.Struct, frozen=True):
    """What is said of one tool, also by `--json`; all are sentences but `category, severity`."""

    category: str
    severity: str
    why: str
    reach: str
    abuse: str

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """Labels and texts, in the order they are read."""
        return (
            ("risk", f"{self.category}, {self.severity}: {self.why}"),
            ("reach", self.reach),
            ("abuse", self.abuse),
        )


def tool_risk(server: str, tool: str, seen: ToolSeen | None) -> ToolRisk:
    """Judge a tool by its definition on record, else by its name alone."""
    from pktui.policy.misuse import misuse
    from pktui.policy.risk import classify_all

    several = _definitions(server, tool, seen)
    kinds = sorted({flag.kind for flag in seen.flags}) if seen is not None else ()
    risk = classify_all(several, kinds)
    said = misuse(several[0], risk.category)
    return ToolRisk(risk.category, risk.severity, risk.why, said.reach, said.abuse)


def tool_risk_in(ledger: Ledger, server: str, tool: str) -> ToolRisk:
    """Judge a tool by what the ledger's catalogue holds of it."""
    return tool_risk(server, tool, ledger.catalogue.tool(server, tool))


def _definitions(server: str, tool: str, seen: ToolSeen | None) -> Sequence[Mapping[str, Any]]:
    from pktui.policy.risk import definitions

    if seen is not None:
        return definitions(seen.definition)
    if server == _MEMORY:
        from pktui.memory.tools.definitions import definitions as memory_tools

        return [own for own in memory_tools() if own["name"] == tool] or [{"name": tool}]
    return [{"name": tool}]
