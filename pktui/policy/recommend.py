"""The policy pktui proposes for a server: reading goes through, anything else asks a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pktui.policy.evaluate import MAX_TOOL_NAME
from pktui.policy.globs import is_pattern
from pktui.policy.risk import Risk, classify
from pktui.policy.text.layout import write_document
from pktui.policy.text.problems import quote

# Calls a minute for each client.
_RATES = {"Write": 30, "Execute": 10}
_NOTHING: Mapping[str, Sequence[str]] = {}
_HARM = {
    "Read": "It may do more than it says.",
    "Write": "It may change something.",
    "Execute": "It may run something.",
    "Destructive": "It may destroy what does not come back.",
    "Financial": "It may move or commit money.",
}


def recommend(
    server: str,
    tools: Iterable[Mapping[str, Any]],
    flagged: Mapping[str, Sequence[str]] = _NOTHING,
) -> bytes:
    """Return a policy document with a rule for every tool, sorted by name.

    `flagged`: the kinds of what hides in the definitions, by the tools' names.

    Tools are judged by `classify`. A name that no rule can hold (longer than 256 characters, or
    with `*`, `?`, `[` or `]`) is left to the default, which asks.
    """
    risks = {
        name: classify(tool, flagged.get(name, ()))
        for tool in tools
        if isinstance(name := tool.get("name"), str) and _can_be_listed(name)
    }
    document = {
        "version": "1",
        "description": _describe(server, risks),
        "default": "approve",
        "tools": {name: recommended_rule(name, risks[name]) for name in sorted(risks)},
    }
    return write_document(document)


def recommended_rule(tool: str, risk: Risk) -> dict[str, Any]:
    """Return the entry for a tool of that risk."""
    if risk.category == "Read" and risk.severity == "low":
        return {}
    rule: dict[str, Any] = {
        "action": "approve",
        "reason": f"{_HARM[risk.category]} {risk.why}",
    }
    rate = _RATES.get(risk.category)
    if rate:
        limit = {"counter": f"{tool}_rate", "window": "minute", "max": rate, "scope": "grant"}
        rule["limits"] = [limit]
    return rule


def _can_be_listed(name: str) -> bool:
    return bool(name.strip()) and len(name) <= MAX_TOOL_NAME and not is_pattern(name)


def _describe(server: str, risks: Mapping[str, Risk]) -> str:
    counts = Counter(risk.category for risk in risks.values())
    found = ", ".join(f"{count} {category}" for category, count in sorted(counts.items()))
    return (
        f"Recommended for {quote(server)[1:-1]} ({found or 'no tools'}): reading goes through, "
        "anything else asks a person, and so does a tool that is not listed."
    )
