"""The eleven operators, each compiled to a function of the value found at a path.

A missing path makes every operator false, except `exists` with false. Explicit null is a value
for all but `exists`. `regex` is RE2, unanchored, on text only.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from pktui.policy.arguments import MISSING, number, same

Test = Callable[[Any], bool]
Same = Callable[[Any, Any], bool]

OPERATORS = (
    "eq", "neq", "in", "not_in", "lt", "lte", "gt", "gte", "regex", "contains", "exists",
)  # fmt: skip
MAX_PATTERN = 1000
"""Characters of a regex."""

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}


class Undecidable(Exception):
    """A value that no test can be sure about in time; the call must not happen."""


class BadOperand(ValueError):
    """The value does not suit the operator; the message says what it wants, `cure` how."""

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(what)
        self.cure = cure


def compile_test(op: str, value: Any, equal: Same = same) -> Test:
    """Return the test of a value for an operator; `equal` is the dialect's equality.

    Raises `BadOperand` where the value does not suit the operator.
    """
    if op == "exists":
        return _exists(value)
    if op in _ORDER:
        return _ordered(op, value)
    if op == "regex":
        return _regex(value)
    if op == "contains":
        return _contains(value, equal)
    if op in ("in", "not_in"):
        return _member(op, value, equal)
    if op == "eq":
        return lambda found: found is not MISSING and equal(found, value)
    return lambda found: found is not MISSING and not equal(found, value)


def _exists(value: Any) -> Test:
    if not isinstance(value, bool):
        raise BadOperand('operator "exists" wants a boolean value', "Write true or false")
    return lambda found: (found is not MISSING and found is not None) is value


def _ordered(op: str, value: Any) -> Test:
    bound = number(value)
    if bound is None:
        raise BadOperand(f'operator "{op}" wants a numeric value', "Write a number without quotes")
    compare = _ORDER[op]

    def test(found: Any) -> bool:
        kind = type(found)
        if kind is int or kind is Decimal:
            return _finite(found) and compare(found, bound)
        exact = number(found)
        return exact is not None and compare(exact, bound)

    return test


def _finite(found: int | Decimal) -> bool:
    return type(found) is int or Decimal.is_finite(found)  # type: ignore[arg-type]


def _contains(value: Any, equal: Same) -> Test:
    def test(found: Any) -> bool:
        if isinstance(found, str):
            return isinstance(value, str) and value in found
        return isinstance(found, list) and any(equal(item, value) for item in found)

    return test


def _member(op: str, value: Any, equal: Same) -> Test:
    if not isinstance(value, list):
        raise BadOperand(f'operator "{op}" wants a list value', "Write a list, like [1, 2]")
    wanted = op == "in"
    words = frozenset(item for item in value if isinstance(item, str))
    others = [item for item in value if not isinstance(item, str)]
    loose = value if equal is not same else others

    def test(found: Any) -> bool:
        if found is MISSING:
            return False
        if isinstance(found, str) and found in words:
            return wanted
        return any(equal(found, item) for item in loose) is wanted

    return test


def _regex(value: Any) -> Test:
    if not isinstance(value, str):
        raise BadOperand("regex wants a string value", "Write the pattern in double quotes")
    if len(value) > MAX_PATTERN:
        raise BadOperand(
            f"this regex has {len(value)} characters", f"Use at most {MAX_PATTERN} characters"
        )
    from pktui.policy.patterns import compile_pattern

    search = compile_pattern(value)
    return lambda found: isinstance(found, str) and search(found)
