"""Tries a policy on calls that were decided before: what would it have said instead?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pktui.policy.evaluate import Effect
from pktui.policy.replay import Outcome, PastCall, Replayed, Replayer, Surroundings
from pktui.policy.text.jsontext import decode

if TYPE_CHECKING:
    from pktui.policy.document.policy import Policy

# What the record puts in the place of a secret and of what was too long to keep.
_MARKS = ("[masked", "… [cut]")


class RecordedCall(Protocol):
    """A call as the ledger tells it; `arguments` is JSON text, masked and cut."""

    @property
    def at_us(self) -> int:
        """When it was decided, microseconds since the epoch."""

    @property
    def tool(self) -> str:
        """The tool's name."""

    @property
    def arguments(self) -> str:
        """What it was called with, as far as that is kept."""

    @property
    def agent(self) -> str:
        """The client's name."""

    @property
    def grant(self) -> str:
        """The grant's label, empty without one."""

    @property
    def session(self) -> str:
        """The client's connection."""

    @property
    def project(self) -> str:
        """The client's directory."""

    @property
    def effect(self) -> str:
        """What was decided."""

    @property
    def approval_id(self) -> str:
        """The approval it needed, empty where it needed none."""

    @property
    def outcome(self) -> str:
        """How it ended."""

    @property
    def outcome_detail(self) -> str:
        """JSON text of what else is on record of its end, empty where nothing is."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A recorded call with what was decided then and what the policy says now.

    `partial`: not all of the arguments are on record, so that conditions on them may err.
    """

    call: RecordedCall
    was: str
    now: Replayed
    partial: bool

    @property
    def changed(self) -> bool:
        """Whether the policy decides otherwise than was decided."""
        return self.was != self.now.decision


def try_on(
    policy: Policy,
    calls: Iterable[RecordedCall],
    surroundings: Surroundings = Surroundings(),  # noqa: B008  frozen
) -> Iterator[Tried]:
    """Decide recorded calls again, oldest first; messages that were refused unread are left out.

    Calls are counted as the policy admits them, with counters that start empty.
    """
    replayer = Replayer(policy, start_us=0, surroundings=surroundings)
    for call in calls:
        if call.effect not in tuple(Effect):
            continue
        arguments, partial = arguments_of(call.arguments)
        now = replayer.decide(
            PastCall(
                call.tool,
                arguments,
                call.at_us,
                call.grant or f"{call.agent}@{call.project}",
                call.session,
                _outcome(call),
                call.project,
            )
        )
        was = Effect.APPROVE.value if call.approval_id else call.effect
        yield Tried(call, was, now, partial)


def arguments_of(text: str) -> tuple[dict[str, Any], bool]:
    """Return arguments as they are on record, and whether something of them is not."""
    try:
        value = decode(text)
    except ValueError:
        return {}, True
    if not isinstance(value, dict):
        return {}, True
    return value, any(mark in text for mark in _MARKS)


def _outcome(call: RecordedCall) -> Outcome:
    """Return `error` where the call gave its quota back: refused by the server, or never sent."""
    if call.outcome == "error":
        return "error"
    detail = decode(call.outcome_detail) if call.outcome_detail else None
    return "error" if isinstance(detail, dict) and detail.get("sent") is False else "ok"
