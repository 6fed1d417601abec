"""Decides a list of calls against a policy, with a clock and counters of its own.

A call that needs approval counts as approved. A call whose outcome is `error` (the server refused
it, or never got it) gives its quota back; every other keeps it, a failed tool's too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, cast

from pktui.errors import PolicyError
from pktui.policy.argument_check import UNKNOWN, Definition
from pktui.policy.call_place import NOWHERE, Place
from pktui.policy.document.policy import Policy, parse_policy, read_bytes, read_text
from pktui.policy.evaluate import Call, Effect, Verdict, evaluate
from pktui.policy.memory_quota import MemoryQuota
from pktui.policy.text.jsontext import decode
from pktui.policy.text.problems import quote
from pktui.query import read_time

Outcome = Literal["ok", "error", "tool_error"]
OUTCOMES = ("ok", "error", "tool_error")
CALL_KEYS = ("tool", "args", "at", "grant", "session", "outcome", "upstream")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PastCall:
    """A call to decide again; `at_us` None: at the same moment as the one before."""

    tool: str
    arguments: dict[str, Any]
    at_us: int | None = None
    grant: str = "replay"
    session: str = "replay"
    outcome: Outcome = "ok"
    # The client's directory, empty where none is known.
    project: str = ""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the policy says to one call.

    `rule` is None where none decided. Intercept names no rule for a call that a quota refuses;
    `limit_rule` names it.
    """

    tool: str
    decision: Effect
    rule: str | None
    reason: str | None
    limit_rule: str | None = None

    def json(self) -> str:
        """Return it as one line of JSON."""
        row = {
            "tool": self.tool,
            "decision": self.decision.value,
            "rule": self.rule,
            "reason": self.reason,
        }
        if self.limit_rule is not None:
            row["limit_rule"] = self.limit_rule
        return json.dumps(row, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a gateway knows besides the policy: each tool as it is pinned, and each place."""

    definition_of: Callable[[str], Definition] = lambda _tool: UNKNOWN
    place_of: Callable[[str], Place] = lambda _project: NOWHERE
    # Whether several people can answer one call.
    several: bool = True


class Replayer:
    """Decides calls one after the other; `start_us` is the time of those that name none."""

    def __init__(
        self,
        policy: Policy,
        *,
        start_us: int,
        server: str = "replay",
        surroundings: Surroundings = Surroundings(),
    ) -> None:
        self._surroundings = surroundings
        self._policy = policy
        self._server = server
        self._now_us = start_us
        self._quota = MemoryQuota(lambda: self._now_us)
        self._count = 0

    def decide(self, past: PastCall) -> Replayed:
        """Return what the policy says to the call, and count it."""
        if past.at_us is not None:
            self._now_us = past.at_us
        call = Call(
            self._server,
            past.tool,
            past.arguments,
            past.grant,
            past.session,
            self._surroundings.definition_of(past.tool),
            self._surroundings.place_of(past.project),
            several=self._surroundings.several,
        )
        verdict = evaluate(self._policy, call, self._quota)
        if verdict.effect in (Effect.ALLOW, Effect.APPROVE):
            self._settle(verdict, past.outcome)
        return _told(self._policy, past.tool, verdict)

    def _settle(self, verdict: Verdict, outcome: Outcome) -> None:
        self._count += 1
        call_id = str(self._count)
        self._quota.reserve(verdict.charges, call_id)
        if outcome == "error":
            self._quota.release(call_id)


def replay(
    policy: Policy,
    calls: Iterable[PastCall],
    *,
    start_us: int,
    surroundings: Surroundings = Surroundings(),
) -> Iterator[Replayed]:
    """Decide the calls in their order."""
    replayer = Replayer(policy, start_us=start_us, surroundings=surroundings)
    for past in calls:
        yield replayer.decide(past)


def load_draft(path: Path) -> Policy:
    """Load a policy to try out.

    Other than `load_policy` it takes a document without tool rules and without a default for
    one of Intercept's, which allows what is not listed; nothing is enforced by it.
    """
    raw = read_bytes(path)
    try:
        value, _ = read_text(raw.decode(), path)
    except UnicodeDecodeError:
        return parse_policy(raw, path)
    from pktui.policy.document.intercept import could_be_intercept

    return parse_policy(raw, path, dialect="intercept" if could_be_intercept(value) else None)


def read_calls(lines: Iterable[str], name: str) -> Iterator[PastCall]:
    """Read calls, one JSON object a line; blank lines are skipped.

    Raises `PolicyError` with `name`, the line and what is wrong in it.
    """
    for index, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield read_call(decode(line))
            except ValueError as error:
                raise PolicyError(
                    f"{name}, line {index}: {error}",
                    'Write one call a line, like {"tool": "search", "args": {"q": "x"}}',
                ) from error


def read_call(value: Any) -> PastCall:
    """Read one call; raises `ValueError` with what is wrong."""
    if not isinstance(value, dict):
        raise ValueError("this is not a JSON object")  # noqa: TRY004  one kind for the caller
    for key in value:
        if key not in CALL_KEYS:
            raise ValueError(f"unknown key {quote(key)}; known here: {', '.join(CALL_KEYS)}")
    arguments = value.get("args")
    if arguments is not None and not isinstance(arguments, dict):
        raise ValueError("args is not an object")
    outcome = _word(value, "upstream" if "upstream" in value else "outcome", "ok")
    if outcome not in OUTCOMES:
        raise ValueError(f"outcome {quote(outcome)} is none of {', '.join(OUTCOMES)}")
    return PastCall(
        tool=_word(value, "tool", None),
        arguments=arguments or {},
        at_us=_moment(_word(value, "at", "")),
        grant=_word(value, "grant", "replay"),
        session=_word(value, "session", "replay"),
        outcome=cast("Outcome", outcome),
    )


def _word(value: dict[str, Any], key: str, default: str | None) -> str:
    found = value.get(key, default)
    if found is None and default is not None:
        return default
    if not isinstance(found, str):
        raise ValueError(f"{key} is {'missing' if key not in value else 'not text'}")  # noqa: TRY004
    return found


def _moment(text: str) -> int | None:
    if not text:
        return None
    try:
        moment = read_time(text)
    except (ValueError, OverflowError):
        raise ValueError(f"at {quote(text)} is no time like 2026-01-31T08:00:00Z") from None
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _told(policy: Policy, tool: str, verdict: Verdict) -> Replayed:
    rule: str | None = verdict.rule or None
    limit_rule = None
    if verdict.over_limit and policy.dialect == "intercept":
        rule, limit_rule = None, rule
    return Replayed(tool, verdict.effect, rule, verdict.reason or None, limit_rule)
