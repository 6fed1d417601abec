"""What the Enforcer is asked and what it answers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from pktui.ledger.arguments.canonical import call_hash
from pktui.ledger.records import Approval, Caller, Looked
from pktui.policy.look import Look

# How a forwarded call ended: with a result, a result that says the tool failed, a JSON-RPC error of
# the server, without an answer that can be read, or given up by its client.
Outcome = Literal["ok", "tool_error", "error", "lost", "cancelled"]


NOTHING: Mapping[str, Any] = MappingProxyType({})


class Ruling(StrEnum):
    """What is to be done with a call now."""

    FORWARD = "forward"
    HOLD = "hold"
    """Keep the call and ask again: a person is looking at the console."""
    LOOK = "look"
    """Look first at what the call would change, then ask again with what that showed."""
    UNKNOWN = "unknown"
    """Answer as an unknown tool is answered: the server has none of the name, or it is hidden."""
    DENIED_BY_RULE = "rule"
    DENIED_BY_PERSON = "person"
    CHANGED = "changed"
    """Allowed with other arguments, which this caller cannot put into the call: the agent has to
    call with them."""
    STOPPED = "stopped"
    """A person has stopped everything."""
    OVER_QUOTA = "quota"
    WAITING = "waiting"
    """The approval stays open; the same call meets its answer later."""
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    AWAY = "away"
    """The database that a team shares cannot be asked, so it does not happen."""
    BROKEN = "broken"
    """The call could not be put on record, so it does not happen."""


def call_ids(token: str) -> Iterator[str]:
    """Return the ids of the calls of one gateway, for any thread to take the next.

    They begin with the token it announced itself with, so that they are neighbours in every index,
    and are found should it die.
    """
    return map(f"{token}{{:010x}}".format, itertools.count())


class ToolCall(msgspec.Struct, frozen=True):
    """One tool call on its way, arguments decoded.

    `beside` is what goes out beside the arguments, `meta` the call's `_meta`. `continues` is the
    id of an earlier call that this one goes on with (`requestState`); such a call is judged again,
    but not charged again.
    """

    call_id: str
    tool: str
    arguments: Mapping[str, Any]
    caller: Caller
    continues: str = ""
    bound_hash: str = ""
    """What an approval of it is bound to; empty: it is worked out when it is needed.

    Large arguments take a while, in which nobody should have to wait for the ledger.
    """
    beside: Mapping[str, Any] = NOTHING
    meta: Mapping[str, Any] = NOTHING
    missing: bool = False
    """The server's list, just read, does not hold the tool."""
    unlisted: str = ""
    """Why that list could not be had, where the tool is not known otherwise."""
    shown: bool = False
    """The tool was on a list that this connection was shown; only words depend on it."""
    changed: bool = False
    """The arguments are a person's, who changed the agent's own on allowing the call."""
    agent_session: str = ""
    """The agent's own session that made the call, empty where it is not known for certain."""
    looked: Looked | None = None
    """What a look showed just now that it would change."""
    looks_for: str = ""
    """The id of the call that it is a look for, which the gateway makes itself; else empty."""

    @property
    def digest(self) -> str:
        """Return the hash of what goes out: the arguments, and what stands beside them."""
        return self.bound_hash or call_hash(self.arguments, self.beside)


class Decision(msgspec.Struct, frozen=True):
    """The Enforcer's answer.

    `retry_at_us`: when to try again, microseconds UTC, 0 where that is not known. `seq`: its row in
    the ledger, which the outcome refers to.
    """

    call_id: str
    tool: str
    ruling: Ruling
    rule: str = ""
    reason: str = ""
    approval: Approval | None = None
    retry_at_us: int = 0
    seq: int = 0
    look: Look | None = None
    """What is to be looked at first."""
    changed: Mapping[str, Any] | None = None
    """The arguments that the call goes out with instead of its own, where a person changed them."""


class Looking(msgspec.Struct, frozen=True):
    """A look that is to be made; `seq` is its decision's row. `why` it is not made, a sentence."""

    call: ToolCall
    seq: int = 0
    why: str = ""


class Ended(msgspec.Struct, frozen=True):
    """How a forwarded call ended; `seq` is its decision's row, 0 where none is known.

    `sent`: it may have reached the server; false only where it provably was never written.
    `result` is what the agent got of its result or error, JSON text; empty where it got none.
    """

    call: ToolCall
    outcome: Outcome
    duration_us: int
    seq: int = 0
    sent: bool = True
    result: bytes | msgspec.Raw = b""
