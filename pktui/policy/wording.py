"""The sentences a person or an agent reads about rules."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pktui.policy.limits import plain, window_words
from pktui.policy.text.problems import quote

if TYPE_CHECKING:
    from pktui.policy.rules import Condition, LimitRule

_SHOWN = 60
_PHRASES = {
    "eq": "is",
    "neq": "is not",
    "in": "is one of",
    "not_in": "is none of",
    "lt": "is under",
    "lte": "is at most",
    "gt": "is over",
    "gte": "is at least",
    "regex": "matches",
    "contains": "contains",
    "within": "is within",
    "command": "is one command like",
}


def describe(conditions: Sequence[Condition]) -> str:
    """Say what the conditions ask, like `args.amount is over 100 and args.to is given`."""
    return " and ".join(_one(condition) for condition in conditions)


def _one(condition: Condition) -> str:
    if condition.op == "exists":
        return f"{condition.path} is {'given' if condition.value else 'not given'}"
    return f"{condition.path} {_PHRASES[condition.op]} {show_value(condition.value)}"


def show_value(value: Any) -> str:
    """Write a value as short JSON."""
    text = json.dumps(value, ensure_ascii=True, default=_decimal)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _decimal(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(type(value).__name__)


def describe_limit(limit: LimitRule) -> str:
    """Say what a limit allows, like `30 calls a minute for each client`."""
    unit = f"units of {limit.increment_from}" if limit.increment_from else "calls"
    if unit == "calls" and limit.max == 1:
        unit = "call"
    words = window_words(limit.window_us)
    per = f"in any {words}" if words.endswith("seconds") else _article(words)
    whose = {"grant": "for each client", "session": "for each connection", "server": "in all"}
    return f"{plain(limit.max)} {unit} {per} {whose[limit.scope]}"


def _article(window: str) -> str:
    return f"an {window}" if window == "hour" else f"a {window}"


def say_time(at_us: int) -> str:
    """Write a moment to the second, UTC, rounded up so that waiting for it is enough."""
    moment = datetime.fromtimestamp(-(-at_us // 1_000_000), UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def sentence(text: str) -> str:
    """End the text with a full stop unless it ends a sentence already."""
    stripped = text.rstrip()
    return stripped if stripped.endswith((".", "!", "?", "…")) else f"{stripped}."


__all__ = ["describe", "describe_limit", "quote", "say_time", "sentence", "show_value"]
