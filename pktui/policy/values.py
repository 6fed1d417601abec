"""JSON values: what kind they are, and how two of them compare.

Numbers compare by their decimal value: ints are never rounded through floats, and a float
stands for the shortest decimal that names it (0.1 is 0.1). A boolean is no number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

_EXACT: Final = 2**53
# Pairs of elements that are compared to tell whether two lists could be one set.
_MOST_PAIRS: Final = 10_000


class Missing:
    """What a path that leads nowhere gives; explicit null is a value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


class Undecidable(Exception):
    """A value that no test can be sure about in time; the call must not happen."""


Arguments = Mapping[str, Any]
# A truth value that may be unknown: None where the value is of a kind that can't be judged.
Truth = bool | None


def number(value: Any) -> int | Decimal | None:
    """Return the exact number, or None where the value is no finite number."""
    kind = type(value)
    if kind is int:
        return int(value)
    if kind is float:
        exact = Decimal(repr(value))
        return exact if exact.is_finite() else None
    if kind is Decimal:
        exact = Decimal(value)
        return exact if exact.is_finite() else None
    return None


def as_double(value: int | Decimal) -> int | Decimal | None:
    """Return what a reader that keeps numbers as doubles makes of a large one, else None.

    JavaScript reads every number so, and Python where a float is wanted.
    """
    if -_EXACT <= value <= _EXACT:
        return None
    try:
        return number(float(value))
    except OverflowError:
        return None


def kind_of(value: Any) -> str:
    """Name the kind of a JSON value, like `a number`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float, Decimal)):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "an object"


def same(left: Any, right: Any) -> bool:
    """Return whether two JSON values are equal; text never equals a number, nor true 1."""
    if isinstance(left, str) or isinstance(right, str):
        return type(left) is type(right) and left == right
    if isinstance(left, bool) or isinstance(right, bool) or left is None or right is None:
        return left is right
    if isinstance(left, list):
        return (
            isinstance(right, list)
            and len(left) == len(right)
            and all(same(a, b) for a, b in zip(left, right, strict=True))
        )
    if isinstance(left, Mapping):
        return (
            isinstance(right, Mapping)
            and left.keys() == right.keys()
            and all(same(value, right[key]) for key, value in left.items())
        )
    first, second = number(left), number(right)
    return first is not None and second is not None and first == second


def equal(found: Any, wanted: Any) -> Truth:
    """Compare a value from a call with a rule's; None where a server may still make them equal.

    Servers turn `"5"`, `5` and `true` into what a tool's signature wants, and drop members that
    they don't know. Null stays null.
    """
    if isinstance(found, str) and isinstance(wanted, str):
        return found == wanted
    if found is None:
        return wanted is None
    if wanted is None:
        return _unknown_if(reads_as_null(found))
    kind = kind_of(found)
    if kind != kind_of(wanted):
        return None
    if kind == "a list":
        return _equal_lists(found, wanted)
    if kind == "an object":
        return _equal_objects(found, wanted)
    return True if same(found, wanted) else _unknown_if(_equal_as_doubles(found, wanted))


def every(truths: list[Truth]) -> Truth:
    """Join truths by `and`: one false decides, else one unknown leaves all unknown."""
    if False in truths:
        return False
    return None if None in truths else True


def read_json(text: str) -> Any:
    """Return the list, object or text that a text is as JSON, else `MISSING`."""
    if not text.lstrip().startswith(("[", "{", '"')):
        return MISSING
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return MISSING


def reads_as_null(value: Any) -> bool:
    """Return whether it is text that a server that reads JSON in texts takes for null."""
    return isinstance(value, str) and "null" in value and value.strip() == "null"


def _unknown_if(doubt: bool) -> Truth:
    return None if doubt else False


def _equal_lists(found: list[Any], wanted: list[Any]) -> Truth:
    """Compare elements in their order; a server that keeps a set knows no order and no doubles."""
    if len(found) == len(wanted):
        alike = every([equal(a, b) for a, b in zip(found, wanted, strict=True)])
        if alike is not False:
            return alike
    if len(found) * len(wanted) > _MOST_PAIRS:
        return None
    return _unknown_if(
        all(any(equal(a, b) is not False for b in wanted) for a in found)
        and all(any(equal(a, b) is not False for a in found) for b in wanted)
    )


def _equal_objects(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Truth:
    """Compare members; those that only the call has may be dropped."""
    if wanted.keys() - found.keys():
        return False
    alike = every([equal(found[key], value) for key, value in wanted.items()])
    return None if alike and len(found) > len(wanted) else alike


def _equal_as_doubles(found: Any, wanted: Any) -> bool:
    exact = number(found)
    if exact is None:
        return not isinstance(found, bool)
    rounded = as_double(exact)
    return rounded is not None and rounded == number(wanted)


__all__ = [
    "MISSING", "Missing", "Truth", "as_double", "equal", "every", "kind_of", "number",
    "read_json", "reads_as_null", "same",
]  # fmt: skip
