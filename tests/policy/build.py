"""Small ways to make policies, calls and clocks for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pktui.policy.document.policy import Policy, parse_policy
from pktui.policy.evaluate import Call, Effect, Verdict, evaluate
from pktui.policy.memory_quota import MemoryQuota

START_US = 1_800_000_000_000_000
"""2027-01-15 08:00:00 UTC, the start of an hour."""


class Clock:
    """A clock that stands still until it is moved; microseconds since the epoch."""

    def __init__(self, now_us: int = START_US) -> None:
        self.now_us = now_us

    def __call__(self) -> int:
        return self.now_us

    def forward(self, seconds: float) -> None:
        self.now_us += round(seconds * 1_000_000)


def policy(source: Path | None = None, /, **members: Any) -> Policy:
    """Parse a document; `version` and `default` (deny) are filled in."""
    document = {"version": "1", "default": "deny"} | members
    return parse_policy(json.dumps(document).encode(), source)


def tool(**members: Any) -> Policy:
    """Parse a policy with one tool, `t`."""
    return policy(tools={"t": members})


def call(name: str = "t", arguments: dict[str, Any] | None = None, grant: str = "g") -> Call:
    return Call("server", name, arguments or {}, grant, f"{grant}-session")


def decide(rules: Policy | None, name: str = "t", **arguments: Any) -> Verdict:
    """Evaluate a call with fresh counters."""
    return evaluate(rules, call(name, arguments), MemoryQuota(Clock()))


def effect(rules: Policy | None, name: str = "t", **arguments: Any) -> Effect:
    return decide(rules, name, **arguments).effect
