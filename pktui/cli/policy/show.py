"""What a policy comes to: all tools in a table, or one tool with its risk in full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pktui.cli import backends, output
from pktui.cli.commands import Argument
from pktui.cli.policy import places
from pktui.cli.risk import ToolRisk, tool_risk
from pktui.suggest import nearest
from pktui.text import one_line

if TYPE_CHECKING:
    from pktui.insight.overview import ToolState
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import ToolSeen
    from pktui.policy.document.policy import Policy
    from pktui.policy.effective import EffectiveRule

# In the place of a server: all of them.
EVERY = "*"


def show(
    place: places.Place,
    tool: Annotated[
        str, Argument(metavar="TOOL", help="Only this tool, with its risk in full.")
    ] = "",
    json: output.JsonFlag = False,
) -> None:
    """Show what a policy comes to for each tool, those the server was seen to list included.

    With '*' in the place of a server: every tool of every server.
    """
    if place == EVERY:
        _show_all(tool, json=json)
        return
    from pktui.policy.effective import effective

    path, server = places.existing_file(place), places.server_of(place)
    policy = _in_force(path, "" if places.is_file(place) else server)
    seen = _seen(server)
    names = [tool] if tool else sorted({*policy.names, *policy.selection.without, *seen})
    found = {
        name: effective(policy, name, changed=name in seen and seen[name].changed) for name in names
    }
    risks = {name: tool_risk(server, name, seen.get(name)) for name in names if "*" not in name}
    if json:
        tools = [_record(name, rule, risks.get(name)) for name, rule in found.items()]
        _tell_json(path, policy, tools)
        return
    heads = (
        *(("file", str(path)), ("for", policy.description), ("default", policy.default.value)),
        ("managed by", ", ".join(str(one.source) for one in policy.over)),
    )
    if tool:
        rule, risk = found[tool], risks.get(tool)
        told = (
            *(("tool", tool), ("action", rule.action), ("because", rule.because)),
            ("layer", _layer(rule) if policy.over else ""),
        )
        holds = (("limits and conditions", _bounds(rule)),)
        output.facts((*heads, *told, *holds, *(risk.facts if risk else ())))
        return
    output.facts(heads)
    output.line()
    _tell_table(found, risks, layered=bool(policy.over))


def _in_force(path: Path, server: str) -> Policy:
    """Return the policy of a file, for a server (empty: none) under what is managed for it."""
    from pktui.policy.document.policy import load_policy
    from pktui.policy.managed import in_force

    policy = load_policy(path)
    if not server:
        return policy
    ceiling = places.managed(server).current()
    if ceiling.problem:
        output.note(f"note: {ceiling.problem}")
    return in_force(policy, places.selection_of(server), ceiling)


def _tell_table(
    found: Mapping[str, EffectiveRule], risks: Mapping[str, ToolRisk], *, layered: bool
) -> None:
    rows: list[tuple[str, ...]] = [
        ("tool", "action", "layer", "risk", "limits and conditions", "because")
    ]
    for name, rule in found.items():
        risk, bounds = _short(risks.get(name)), _bounds(rule)
        rows.append((name, rule.action, _layer(rule), risk, bounds, rule.because))
    if not layered:
        rows = [(*row[:2], *row[3:]) for row in rows]
    output.table(rows[0], rows[1:], empty="No tools.")


def _layer(rule: EffectiveRule) -> str:
    return rule.layer or "own"


def _show_all(tool: str, *, json: bool) -> None:
    """Show every tool of every server: what agents can call, how often it was, what it costs."""
    from pktui.gateway.servers.naming import started_name
    from pktui.insight.overview import PolicyOverview
    from pktui.memory.tools.definitions import definitions
    from pktui.settings import Paths, load_settings
    from pktui.times import now_us

    paths = Paths.from_environment()
    settings = load_settings(paths)
    with _ledger() as ledger:
        backends.count_all(ledger)
        starts = partial(started_name, paths)
        overview = PolicyOverview(
            *(paths, settings, ledger, now_us, definitions, starts), selects=places.selection_of
        )
        page = overview.shown(EVERY).page
    tools = [one for one in page.tools if tool in ("", one.name)] if page is not None else []
    if json:
        output.json([_overview_record(one) for one in tools])
        return
    rows = [
        (
            *(f"{one.server}.{one.name}", one.action or "broken"),
            f"{one.risk.category}, {one.risk.severity}" if one.risk else "",
            "; ".join(limit.shown for limit in one.limits),
            *(f"{one.calls:,}", f"{one.tokens:,}", output.moment(one.last_us or None)),
            one.because,
        )
        for one in tools
    ]
    columns = (
        "tool",
        "action",
        "risk",
        "limits",
        "calls in 24 h",
        "tokens",
        "last call",
        "because",
    )
    output.table(columns, rows, empty="No tools.")


@contextmanager
def _ledger() -> Iterator[Ledger]:
    """Give the ledger; where there is none yet an empty one that is gone afterwards."""
    if backends.used_before():
        with backends.ledger() as ledger:
            yield ledger
        return
    from tempfile import TemporaryDirectory

    from pktui.ledger.ledger import Ledger

    with TemporaryDirectory() as directory:
        empty = Ledger.open(Path(directory, "ledger.db"))
        try:
            yield empty
        finally:
            empty.close()


def _overview_record(one: ToolState) -> dict[str, Any]:
    return {
        "server": one.server,
        "tool": one.name,
        "action": one.action,
        "because": one.because,
        "rule": one.rule,
        "layer": one.layer or "own",
        "conditions": one.conditions,
        "limits": one.limits,
        "calls_day": one.calls,
        "tokens": one.tokens,
        "last_us": one.last_us,
        "mark": one.mark,
        "risk": one.risk,
    }


def listed(server: str) -> tuple[str, ...]:
    """Return the tools that a gateway has seen the server list."""
    return tuple(_seen(server))


def warn_unknown(server: str, tool: str, then: str = "") -> None:
    """Say that the server's list, as far as it is known, has no such tool, and what follows."""
    known = listed(server)
    if not known or tool in known or "*" in tool:
        return
    near = nearest(tool, known)
    hint = f"; did you mean {near}?" if near else ""
    output.note(one_line(f"note: {server} was never seen to list a tool {tool}{then}{hint}"))


def limit_words(limit: object) -> str:
    """Say a limit in words."""
    from pktui.policy.rules import LimitRule
    from pktui.policy.wording import describe_limit

    assert isinstance(limit, LimitRule)
    return f"at most {describe_limit(limit)}"


def _seen(server: str) -> Mapping[str, ToolSeen]:
    if not backends.used_before():
        return {}
    with backends.ledger() as ledger:
        return {seen.name: seen for seen in ledger.catalogue.tools(server)}


def _bounds(rule: EffectiveRule) -> str:
    return "; ".join((*(limit_words(limit) for limit in rule.limits), *rule.conditions))


def _short(risk: ToolRisk | None) -> str:
    return f"{risk.category}, {risk.severity}" if risk is not None else ""


def _record(name: str, rule: EffectiveRule, risk: ToolRisk | None) -> dict[str, Any]:
    return {
        "tool": name,
        "action": rule.action,
        "because": rule.because,
        "rule": rule.rule,
        "layer": _layer(rule),
        "conditions": rule.conditions,
        "limits": [limit_words(limit) for limit in rule.limits],
        "risk": risk,
    }


def _tell_json(path: object, policy: Policy, tools: list[dict[str, Any]]) -> None:
    output.json(
        {
            "file": path,
            "description": policy.description,
            "default": policy.default,
            "managed": [one.source for one in policy.over],
            "tools": tools,
        }
    )
