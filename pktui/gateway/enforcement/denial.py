"""What the agent reads when a call does not go through: why, by which rule, and what to do next.

A refusal is a plain tool result with `isError`, because that is what reaches the model in every
client. A hidden tool gets the very answer of one that the server does not have: the words in which
the servers of the SDKs say so, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pktui.gateway.enforcement.decision import Decision, Ruling
from pktui.gateway.protocol import jsonrpc
from pktui.ledger.arguments.canonical import json_text

# The rule of what is switched off in the settings.
METHODS_RULE: Final = "(methods)"
_SECOND: Final = 1_000_000
_EFFECTS: Final = {Ruling.WAITING: "approve", Ruling.HOLD: "approve"}


def refusal_line(decision: Decision, request_id: bytes, *, modern: bool, now_us: int) -> bytes:
    """Return the answer to a call that is not forwarded, one line without newline."""
    unknown = decision.ruling is Ruling.UNKNOWN
    said = f"Unknown tool: {decision.tool}" if unknown else words(decision, now_us)
    result: dict[str, Any] = {"content": [{"type": "text", "text": said}], "isError": True}
    if modern:
        result["resultType"] = "complete"
    if unknown:
        return jsonrpc.result_line(result, request_id)
    result["_meta"] = {"pktui/decision": _described(decision, now_us)}
    return jsonrpc.result_line(result, request_id)


def changed_note(arguments: Mapping[str, Any]) -> str:
    """Return what the agent reads of a call that ran with a person's arguments, not its own."""
    return (
        "[CHANGED by pktui] A person changed the arguments of this call before allowing it. It ran"
        f" with: {json_text(arguments)} Go on from what it did, not from what was asked."
    )


def withheld_line(why: str, request_id: bytes, *, modern: bool) -> bytes:
    """Return the result of a call whose own result the client may not see."""
    text = f"[DENIED by pktui] {_sentence(why)} Do without it, or ask the person to allow it."
    result: dict[str, Any] = {"content": [{"type": "text", "text": text}], "isError": True}
    if modern:
        result["resultType"] = "complete"
    result["_meta"] = {"pktui/decision": {"effect": "deny", "rule": METHODS_RULE, "reason": why}}
    return jsonrpc.result_line(result, request_id)


def words(decision: Decision, now_us: int) -> str:
    """Return the text for the agent."""
    rule = f" Rule: {decision.rule}." if decision.rule else ""
    if decision.ruling is Ruling.WAITING:
        return f"[WAITING for approval in pktui] {_waiting(decision, now_us)}{rule}"
    why, then = _WORDS[decision.ruling](decision, now_us)
    return f"[DENIED by pktui] {why}{rule} {then}"


def _described(decision: Decision, now_us: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "effect": _EFFECTS.get(decision.ruling, "deny"),
        "rule": decision.rule,
        "reason": decision.reason,
    }
    if decision.approval is not None:
        described["approval"] = decision.approval.id
    if decision.retry_at_us:
        described["retryAfterSeconds"] = _seconds_until(decision.retry_at_us, now_us)
    return described


def _waiting(decision: Decision, now_us: int) -> str:
    approval = decision.approval
    assert approval is not None
    left = max(1, round((approval.expires_us - now_us) / _SECOND / 60))
    return (
        f"A person must allow this call first; it has not run. {_sentence(decision.reason)}"
        f" Approval {approval.id} stays open for about {left} min. Go on with other work and call"
        " again with the same arguments once it is approved; that call meets the answer."
    ).replace("  ", " ")


def _by_rule(decision: Decision, _now_us: int) -> tuple[str, str]:
    return (
        _sentence(decision.reason) or "The policy does not allow this call.",
        "Calling again the same way gives the same answer; find another way or ask the person.",
    )


def _by_person(decision: Decision, _now_us: int) -> tuple[str, str]:
    said = decision.approval.words if decision.approval is not None else ""
    return (
        f"A person denied this call: {_sentence(said)}" if said else "A person denied this call.",
        "Do not try to reach the same by other means; ask the person what to do instead.",
    )


def _changed(decision: Decision, _now_us: int) -> tuple[str, str]:
    arguments = json_text(decision.changed or {})
    return (
        f"A person allowed this call with other arguments only: {arguments}",
        "Call again with exactly these arguments; that call runs, once.",
    )


def _stopped(decision: Decision, _now_us: int) -> tuple[str, str]:
    every = "A person has stopped the tool calls of every agent, this one's too."
    return (
        _sentence(decision.reason) if "this agent" in decision.reason else every,
        "No other tool or way will do; stop working and wait until the person says to go on.",
    )


def _over_quota(decision: Decision, now_us: int) -> tuple[str, str]:
    why = _sentence(decision.reason) or "The quota of this tool is used up."
    if not decision.retry_at_us:
        return why, "Waiting does not help: this call never fits the quota. Ask for less."
    seconds = _seconds_until(decision.retry_at_us, now_us)
    return why, f"It is open again in {seconds} s; do something else until then."


def _expired(decision: Decision, _now_us: int) -> tuple[str, str]:
    return (
        f"Nobody answered in time{_named(decision)}, so the call did not run.",
        "Call again to ask anew, or go on without it.",
    )


def _withdrawn(decision: Decision, _now_us: int) -> tuple[str, str]:
    return (
        f"The request for approval was withdrawn{_named(decision)}, so the call did not run.",
        "Call again to ask anew.",
    )


def _broken(decision: Decision, _now_us: int) -> tuple[str, str]:
    return (
        f"The call could not be put on record, so it did not run: {_sentence(decision.reason)}",
        "Tell the person; pktui doctor says what to do.",
    )


def _away(decision: Decision, _now_us: int) -> tuple[str, str]:
    return (
        f"The team cannot be asked, so the call did not run: {_sentence(decision.reason)}",
        "Call again in a minute; tell the person if that does not help.",
    )


_WORDS: Final = {
    Ruling.DENIED_BY_RULE: _by_rule,
    Ruling.DENIED_BY_PERSON: _by_person,
    Ruling.CHANGED: _changed,
    Ruling.STOPPED: _stopped,
    Ruling.OVER_QUOTA: _over_quota,
    Ruling.EXPIRED: _expired,
    Ruling.WITHDRAWN: _withdrawn,
    Ruling.AWAY: _away,
    Ruling.BROKEN: _broken,
}


def _named(decision: Decision) -> str:
    return f" (approval {decision.approval.id})" if decision.approval is not None else ""


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text[-1] in ".!?…" else f"{text}."


def _seconds_until(at_us: int, now_us: int) -> int:
    return max(1, -(-(at_us - now_us) // _SECOND))
