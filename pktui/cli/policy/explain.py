"""`pktui policy explain`: what the gateway would do with one call, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pktui.cli import backends, output
from pktui.cli.commands import Argument, Option
from pktui.cli.policy import places
from pktui.cli.policy.show import warn_unknown
from pktui.cli.risk import ToolRisk, tool_risk, tool_risk_in
from pktui.errors import UsageError
from pktui.settings import Paths, load_settings

if TYPE_CHECKING:
    from pktui.gateway.enforcement.decision import ToolCall
    from pktui.ledger.approvals.standing import StandingApproval
    from pktui.ledger.records import Approval
    from pktui.policy.evaluate import Verdict

    Answer = Approval | StandingApproval

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
    if grant and backends.used_before():
        with backends.ledger() as ledger:
            caller = ledger.grants.identified(caller)
    call = ToolCall("", tool, _read_arguments(arguments), caller)
    path = policy or places.file_in_force(server)
    needed = policy is not None or places.shipped(server) is not None
    ceiling = places.managed(server).current()
    verdict, answer = _preview(server, path, call, needed=needed)
    risk = _risk(server, tool)
    warn_unknown(places.server_of(server), tool, ": the gateway answers it as an unknown tool")
    if json:
        record = _as_record(tool, caller.identity, verdict)
        output.json(record | {"answer": _answer_record(answer), "risk": risk})
        return
    output.facts(
        (
            ("effect", verdict.effect.value),
            ("rule", verdict.rule),
            ("reason", verdict.reason),
            ("answer", _answer_words(answer) if verdict.effect == "approve" else ""),
            ("retry at", output.moment(verdict.retry_at_us) if verdict.retry_at_us else ""),
            ("counted as", caller.identity),
            ("policy", str(path)),
            ("managed by", ", ".join(str(one.source) for one in ceiling.policies)),
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
        managed=places.managed(server),
    )
    if backends.used_before():
        from pktui.gateway.enforcement.enforcer import Enforcer
        from pktui.times import now_us

        settings = load_settings(Paths.from_environment()).approvals
        with backends.ledger() as ledger:
            enforcer = Enforcer(ledger, followed, settings, server, clock=now_us, log=output.note)
            verdict = enforcer.preview(call)
            return verdict, enforcer.answer(call, verdict)
    from pktui.gateway.enforcement.places import place_of
    from pktui.policy.evaluate import Call, evaluate
    from pktui.policy.memory_quota import MemoryQuota

    if followed.current() is None and followed.problem is not None:
        raise followed.problem
    caller = call.caller
    subject = Call(
        *(server, call.tool, call.arguments, caller.identity, caller.session),
        place=place_of(caller.project),
        several=bool(load_settings(Paths.from_environment()).ledger.uri),
    )
    return evaluate(followed.current(), subject, MemoryQuota(lambda: 0), trace=True), None


def _risk(server: str, tool: str) -> ToolRisk:
    if not backends.used_before():
        return tool_risk(server, tool, None)
    with backends.ledger() as ledger:
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


def _answer_words(answer: Answer | None) -> str:
    """Say what answers a call that a person decides."""
    from pktui.ledger.approvals.standing import StandingApproval

    if answer is None:
        return "none yet: a person is asked"
    until = output.moment(answer.expires_us)
    if isinstance(answer, StandingApproval):
        return f"standing approval {answer.id} allows it, until {until}"
    said = {
        "allowed": "allows it, once",
        "denied": "denied it, and such a call is denied",
        "pending": "waits for a person",
    }[answer.status]
    return f"approval {answer.id} {said}, until {until}"


def _answer_record(answer: Answer | None) -> dict[str, Any] | None:
    """Return the answer as `--json` prints it."""
    from pktui.ledger.approvals.standing import StandingApproval

    if answer is None:
        return None
    standing = isinstance(answer, StandingApproval)
    return {
        "id": answer.id,
        "standing": standing,
        "status": "allowed" if isinstance(answer, StandingApproval) else answer.status,
        "expires_us": answer.expires_us,
    }
