"""The operators as Intercept decides them: true or false, whatever the value's kind.

Values are equal by number, else by text, so that "42" equals 42.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from pktui.policy.operators import (
    ORDER,
    check_bound,
    check_choice,
    check_list,
    compile_regex,
)  # fmt: skip
from pktui.policy.text.problems import BadOperand
from pktui.policy.values import MISSING, number, same

Test = Callable[[Any], bool]

# Whole numbers between the two are none to Intercept, whose reader takes them for unsigned.
_SIGNED: Final = 2**63
_UNSIGNED: Final = 2**64
# Numbers from here on are not worth writing out.
_TOO_LONG: Final = Decimal("1e400")


def compile_test(op: str, value: Any) -> Test:
    """Return the test of a value, which may be `MISSING`.

    Raises `BadOperand` where the value does not suit the operator.
    """
    if op == "exists":
        wanted = check_choice(value)
        return lambda found: (found is not MISSING and found is not None) is wanted
    if op in ORDER:
        return _ordered(op, value)
    if op == "regex":
        search = compile_regex(value)
        return lambda found: isinstance(found, str) and search(found)
    if op == "contains":
        return lambda found: _contains(found, value)
    if op in ("in", "not_in"):
        items, wanted = check_list(op, value), op == "in"
        return lambda found: (
            found is not MISSING and any(loosely_same(found, item) for item in items) is wanted
        )
    if op == "eq":
        return lambda found: found is not MISSING and loosely_same(found, value)
    return lambda found: found is not MISSING and not loosely_same(found, value)


def loosely_same(left: Any, right: Any) -> bool:
    """Compare the way Intercept does: by number, else by text, so that "42" equals 42."""
    if isinstance(left, (dict, list)) or isinstance(right, (dict, list)):
        if isinstance(left, list) and isinstance(right, list):
            pairs = zip(left, right, strict=False)
            return len(left) == len(right) and all(loosely_same(a, b) for a, b in pairs)
        return same(left, right)
    first, second = number(left), number(right)
    if first is not None and second is not None:
        return first == second
    if left is None or right is None:
        return left is right
    return _scalar_text(left) == _scalar_text(right)


def _ordered(op: str, value: Any) -> Test:
    bound, compare = check_bound(op, value), ORDER[op]
    if type(bound) is int and _SIGNED <= bound < _UNSIGNED:
        raise BadOperand(
            f'operator "{op}" wants a numeric value under 2**63', "Write a smaller number"
        )

    def test(found: Any) -> bool:
        exact = number(found)
        return exact is not None and compare(exact, bound)

    return test


def _contains(found: Any, value: Any) -> bool:
    if isinstance(found, str):
        return isinstance(value, str) and value in found
    return isinstance(found, list) and any(loosely_same(item, value) for item in found)


def _scalar_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    exact = number(value)
    if exact is None or abs(Decimal(exact)) >= _TOO_LONG:
        return None
    return f"{Decimal(exact).normalize():f}" if isinstance(exact, Decimal) else str(exact)
