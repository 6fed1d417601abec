"""Policies tried out: one call explained, a list of calls replayed, last week decided anew."""

from __future__ import annotations

import json as json_text
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pktui.cli import output, reach
from pktui.cli.commands import Argument, Option
from pktui.cli.moments import typed_us
from pktui.cli.policy import places
from pktui.cli.policy.answers import answer_record, answer_words
from pktui.cli.policy.pinned import pinned_tools
from pktui.cli.policy.show import warn_unknown
from pktui.cli.risk import ToolRisk, tool_risk, tool_risk_in
from pktui.errors import PolicyError, UsageError
from pktui.settings import Paths, load_settings

if TYPE_CHECKING:
    from pktui.cli.policy.answers import Answer
    from pktui.gateway.enforcement.decision import ToolCall
    from pktui.ledger.records import CallRow
    from pktui.policy.document.policy import Policy
    from pktui.policy.evaluate import Verdict
    from pktui.policy.replay import PastCall, Surroundings
    from pktui.policy.trial import Tried

_PAGE = 500
_ARGUMENTS_CURE = """Write them like '{"name": "value"}'"""


def explain(
    server: places.ServerName,
    tool: Annotated[str, Argument(metavar="TOOL", help="The tool's name.")],
    arguments: Annotated[
        str, Argument(metavar="ARGS", help="The call's arguments, a JSON object.")
    ] = "{}",
    policy: Annotated[
        Path | None, Option(help="Go by this file instead of the server's policy.")
    ] = None,
    agent: Annotated[str, Option(help="Count as this client.")] = "",
    grant: Annotated[str, Option(help="Count as this grant.")] = "",
    project: Annotated[
        Path | None, Option(help="Count as a client in this directory, else in this one.")
    ] = None,
    session: Annotated[str, Option(help="Count as this connection.")] = "",
    json: output.JsonFlag = False,
) -> None:
    """Tell what the gateway would do with a call, every step that leads to it, and the quota."""
    from pktui.gateway.enforcement.decision import ToolCall
    from pktui.ledger.records import Caller

    caller = Caller(agent, grant, session, str((project or Path.cwd()).absolute()))
    if grant and reach.used_before():
        with reach.ledger() as ledger:
            caller = ledger.grants.identified(caller)
    call = ToolCall("", tool, _read_arguments(arguments), caller)
    path = policy or places.file_in_force(server)
    needed = policy is not None or server == places.MEMORY
    verdict, answer = _preview(server, path, call, needed=needed)
    risk = _risk(server, tool)
    warn_unknown(places.server_of(server), tool, ": the gateway answers it as an unknown tool")
    if json:
        record = _as_record(tool, caller.identity, verdict)
        output.json(record | {"answer": answer_record(answer), "risk": risk})
        return
    output.facts(
        (
            ("effect", verdict.effect.value),
            ("rule", verdict.rule),
            ("reason", verdict.reason),
            ("answer", answer_words(answer) if verdict.effect == "approve" else ""),
            ("retry at", output.moment(verdict.retry_at_us) if verdict.retry_at_us else ""),
            ("counted as", caller.identity),
            ("policy", str(path)),
            *risk.facts,
        )
    )
    if not path.exists():
        output.note(
            "That file is not there yet: a gateway writes it, with rules for the tools that the "
            f"server lists. To write it now: pktui policy init {server}"
        )
    output.line()
    output.table(("step", "result"), [(step.name, step.detail) for step in verdict.steps])
    if verdict.usages:
        output.line()
        output.table(("quota", "left before this call"), _quota_rows(verdict))


def replay(
    policy: Annotated[str, Argument(metavar="FILE|SERVER", help="The policy to try.")],
    calls: Annotated[
        str, Argument(metavar="CALLS.jsonl", help="Calls, one a line; - reads them here.")
    ] = "",
    audit: Annotated[
        bool, Option("--audit", help="Decide the recorded calls again instead.")
    ] = False,
    since: Annotated[str, Option(help="With --audit: from when on, a local time or 7d.")] = "7d",
    presets: Annotated[
        bool, Option("--presets", help="With a SERVER: what each ready-made policy would do.")
    ] = False,
    server: Annotated[
        str, Option(help="Whose tools and recorded calls; else the policy file's name.")
    ] = "",
    json: output.JsonFlag = False,
) -> None:
    """Decide calls by a policy with counters of its own; nothing is enforced or recorded.

    A list of calls gives one JSON verdict a line. With --audit the calls that would be decided
    otherwise are shown.
    """
    if presets and not (audit or calls):
        _replay_presets(server or places.server_of(policy), since, json=json)
        return
    if presets or audit is bool(calls):
        raise UsageError(
            "give either a file of calls, --audit or --presets", "See: pktui policy replay --help"
        )
    from pktui.policy.replay import load_draft

    path = places.existing_file(policy)
    loaded = load_draft(path)
    if audit:
        _replay_audit(loaded, server or places.server_of(policy), since, json=json)
    else:
        _replay_calls(loaded, calls, server or places.server_of(policy))


def _preview(
    server: str, path: Path, call: ToolCall, *, needed: bool
) -> tuple[Verdict, Answer | None]:
    """Ask the Enforcer itself; without a ledger nothing was counted, pinned or answered yet."""
    from pktui.gateway.enforcement.policy_file import ServerPolicy

    followed = ServerPolicy(
        server,
        path,
        needed=needed,
        changed=lambda _digest, _problem: None,
        selection=places.selection_of(server),
    )
    if reach.used_before():
        from pktui.gateway.enforcement.enforcer import Enforcer
        from pktui.times import now_us

        settings = load_settings(Paths.from_environment()).approvals
        with reach.ledger() as ledger:
            enforcer = Enforcer(ledger, followed, settings, server, clock=now_us, log=output.note)
            verdict = enforcer.preview(call)
            return verdict, enforcer.answer(call, verdict)
    from pktui.gateway.enforcement.places import place_of
    from pktui.policy.evaluate import Call, evaluate
    from pktui.policy.windows import MemoryQuota

    if followed.current() is None and followed.problem is not None:
        raise followed.problem
    caller = call.caller
    subject = Call(
        *(server, call.tool, call.arguments, caller.identity, caller.session),
        place=place_of(caller.project),
    )
    return evaluate(followed.current(), subject, MemoryQuota(lambda: 0), trace=True), None


def _risk(server: str, tool: str) -> ToolRisk:
    if not reach.used_before():
        return tool_risk(server, tool, None)
    with reach.ledger() as ledger:
        return tool_risk_in(ledger, server, tool)


def _read_arguments(text: str) -> dict[str, Any]:
    from pktui.policy.text.jsontext import decode

    try:
        value = decode(text)
    except ValueError as error:
        raise UsageError(
            f"the arguments are not JSON: {error}", 'Write \'{"name": "value"}\''
        ) from error
    if not isinstance(value, dict):
        raise UsageError("the arguments are not a JSON object", _ARGUMENTS_CURE)
    return value


def _as_record(tool: str, identity: str, verdict: Verdict) -> dict[str, Any]:
    from pktui.policy.limits import plain

    return {
        "tool": tool,
        "decision": verdict.effect,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "retry_at_us": verdict.retry_at_us,
        "identity": identity,
        "steps": verdict.steps,
        "quotas": [
            {
                "rule": usage.charge.rule,
                "max": plain(usage.charge.max),
                "used": plain(usage.used),
                "remaining": plain(usage.remaining),
                "retry_at_us": usage.retry_at_us,
            }
            for usage in verdict.usages
        ],
    }


def _quota_rows(verdict: Verdict) -> list[tuple[str, str]]:
    from pktui.policy.limits import plain

    return [
        (usage.charge.rule, f"{plain(usage.remaining)} of {plain(usage.charge.max)}")
        for usage in verdict.usages
    ]


def _surroundings(server: str, *, here: bool) -> Surroundings:
    """Return the tools as pinned, and where calls are made: here, or where each was."""
    from pktui.gateway.enforcement.places import place_of
    from pktui.policy.replay import Surroundings
    from pktui.policy.shape import UNKNOWN

    known, this = pinned_tools(server), str(Path.cwd())
    return Surroundings(
        lambda tool: known.get(tool, UNKNOWN),
        lambda project: place_of(this if here else project),
    )


def _replay_calls(policy: Policy, source: str, server: str) -> None:
    from pktui.policy.replay import replay as replay_calls

    counts: Counter[str] = Counter()
    now_us, around = time.time_ns() // 1000, _surroundings(server, here=True)
    for told in replay_calls(policy, _read_calls(source), start_us=now_us, surroundings=around):
        counts[told.decision.value] += 1
        output.json_line(json_text.loads(told.json()))
    summary = ", ".join(f"{count} {decision}" for decision, count in sorted(counts.items()))
    output.note(f"{counts.total()} calls: {summary}" if counts else "No calls.")


def _read_calls(source: str) -> Iterator[PastCall]:
    from pktui.policy.replay import read_calls

    if source == "-":
        yield from read_calls(sys.stdin, "standard input")
        return
    try:
        with Path(source).open(encoding="utf-8-sig") as file:
            yield from read_calls(file, source)
    except OSError as error:
        raise PolicyError(
            f"{source} cannot be read: {error.strerror or error}", "Check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise PolicyError(f"{source} is not UTF-8", "Save it as UTF-8") from error


def _replay_audit(policy: Policy, server: str, since: str, *, json: bool) -> None:
    from pktui.insight.trial import try_policy

    trial = try_policy(policy, _recorded(server, since), _surroundings(server, here=False))
    changed = tuple(reversed(trial.changed))
    if json:
        for tried in changed:
            output.json_line(_changed_record(tried))
    else:
        headers = ("at", "agent", "tool", "was", "would be", "rule", "reason")
        output.table(headers, map(_changed_row, changed))
    found = trial.figures
    output.note(
        f"{found.calls} recorded calls of {server} since {since}: "
        f"{found.differ} would be decided otherwise."
        + (f" {found.words[0].upper()}{found.words[1:]}." if found.calls else "")
        + ("" if found.calls else " Say whose calls with --server.")
    )
    if found.partial:
        output.note(
            f"note: {found.partial} of them are on record with arguments masked or cut, so "
            "conditions on those may err."
        )


def _replay_presets(server: str, since: str, *, json: bool) -> None:
    from pktui.insight.trial import try_presets

    calls = _recorded(server, since)
    tried = list(try_presets(calls, _surroundings(server, here=False)))
    if json:
        output.json([{"name": one.name, "figures": one.figures} for one in tried])
        return
    rows = [
        (one.name, *(f"{n:,}" for n in (one.figures.run, one.figures.ask, one.figures.denied)),
         f"{one.figures.differ:,}", one.description)
        for one in tried
    ]  # fmt: skip
    output.table(("preset", "run", "ask", "denied", "differ", "about"), rows)
    output.note(f"{len(calls):,} recorded calls of {server} since {since}.")


def _recorded(server: str, since: str) -> tuple[CallRow, ...]:
    """Return the recorded calls of a server, oldest first."""
    from pktui.insight.trial import recorded

    since_us = typed_us("--since", since)
    if not reach.used_before():
        return ()
    with reach.ledger() as ledger:
        return recorded(ledger, server, since_us)


def _changed_record(tried: Tried) -> dict[str, Any]:
    return {
        "at_us": tried.call.at_us,
        "tool": tried.call.tool,
        "agent": tried.call.agent,
        "was": tried.was,
        "decision": tried.now.decision,
        "rule": tried.now.rule,
        "reason": tried.now.reason,
        "partial": tried.partial,
    }


def _changed_row(tried: Tried) -> tuple[str, ...]:
    return (
        output.moment(tried.call.at_us),
        tried.call.grant or tried.call.agent,
        tried.call.tool,
        tried.was,
        tried.now.decision.value,
        tried.now.rule or "",
        tried.now.reason or "",
    )
