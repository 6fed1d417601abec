"""The operators of conditions, each compiled to a test of the value found at a path.

A test answers true, false, or None where it can't tell: the value is of another kind than the
rule is about, and a server may convert it (`"50000"`, `1`, `"yes"`, a JSON text). False is
certain: whatever a server makes of the value, the test does not hold for it. Null is a value, and
no other: it is not converted.

`regex` is RE2 and unanchored. What a path that leads nowhere gives is not asked here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

from pktui.policy.text.problems import BadOperand
from pktui.policy.values import Truth, as_double, equal, number, read_json, reads_as_null

Test = Callable[[Any], Truth]

OPERATORS: Final = (
    "eq", "neq", "in", "not_in", "lt", "lte", "gt", "gte", "regex", "contains", "exists",
)  # fmt: skip
# Characters of a regex.
MAX_PATTERN: Final = 1000

ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}


def compile_test(op: str, value: Any) -> Test:
    """Return the test of a value for an operator.

    Raises `BadOperand` where the value does not suit the operator.
    """
    if op in ORDER:
        return _ordered(op, value)
    if op in ("in", "not_in"):
        return _member(value, wanted=op == "in")
    if op == "exists":
        return _exists(value)
    if op == "regex":
        return _regex(value)
    if op == "contains":
        return _contains(value)
    if op == "eq":
        return lambda found: equal(found, value)
    return lambda found: negated(equal(found, value))


def negated(truth: Truth) -> Truth:
    """Return the opposite; what is unknown stays so."""
    return None if truth is None else not truth


def check_bound(op: str, value: Any) -> int | Decimal:
    """Return the number an order compares with; raises `BadOperand`."""
    bound = number(value)
    if bound is None:
        raise BadOperand(f'operator "{op}" wants a numeric value', "Write a number without quotes")
    return bound


def check_choice(value: Any) -> bool:
    """Return the operand of `exists`; raises `BadOperand`."""
    if not isinstance(value, bool):
        raise BadOperand('operator "exists" wants a boolean value', "Write true or false")
    return value


def check_list(op: str, value: Any) -> list[Any]:
    """Return the operand of `in` and `not_in`; raises `BadOperand`."""
    if not isinstance(value, list):
        raise BadOperand(f'operator "{op}" wants a list value', "Write a list, like [1, 2]")
    return value


def compile_regex(value: Any) -> Callable[[str], bool]:
    """Return the search for a pattern; raises `BadOperand`."""
    if not isinstance(value, str):
        raise BadOperand("regex wants a string value", "Write the pattern in double quotes")
    if len(value) > MAX_PATTERN:
        raise BadOperand(
            f"this regex has {len(value)} characters", f"Use at most {MAX_PATTERN} characters"
        )
    from pktui.policy.regex import compile_pattern

    return compile_pattern(value)


def _exists(value: Any) -> Test:
    wanted = check_choice(value)

    def test(found: Any) -> Truth:
        if reads_as_null(found):
            return None
        return (found is not None) is wanted

    return test


def _ordered(op: str, value: Any) -> Test:
    bound = check_bound(op, value)
    compare = ORDER[op]

    def test(found: Any) -> Truth:
        exact = found if type(found) is int else number(found)
        if exact is None:
            return False if found is None else None
        if compare(exact, bound):
            return True
        rounded = as_double(exact)
        return None if rounded is not None and compare(rounded, bound) else False

    return test


def _member(value: Any, *, wanted: bool) -> Test:
    items = check_list("in" if wanted else "not_in", value)
    words = frozenset(item for item in items if isinstance(item, str))
    others = [item for item in items if not isinstance(item, str)]
    some_word = next(iter(words), None)

    def test(found: Any) -> Truth:
        if isinstance(found, str):
            if found in words:
                return wanted
            if not others:
                return not wanted
            compared = others
        else:
            compared = items if found is None or some_word is None else [*others, some_word]
        truth = _any_equal(compared, lambda item: equal(found, item))
        return truth if wanted else negated(truth)

    return test


def _any_equal(items: list[Any], compare: Callable[[Any], Truth]) -> Truth:
    unknown = False
    for item in items:
        truth = compare(item)
        if truth:
            return True
        unknown = unknown or truth is None
    return None if unknown else False


def _contains(value: Any) -> Test:
    def test(found: Any) -> Truth:
        if isinstance(found, list):
            return _any_equal(found, lambda item: equal(item, value))
        if isinstance(found, str) and isinstance(value, str):
            return value in found or (None if _lists(found, value) else False)
        return False if found is None else None

    return test


def _lists(text: str, word: str) -> bool:
    """Return whether the text, read as JSON, is a list that holds the word."""
    read = read_json(text)
    return isinstance(read, list) and word in read


def _regex(value: Any) -> Test:
    search = compile_regex(value)

    def test(found: Any) -> Truth:
        if isinstance(found, str):
            return search(found) or (None if any(map(search, _texts(found))) else False)
        return False if found is None else None

    return test


def _texts(text: str) -> Iterator[str]:
    """Yield the texts in what a text is as JSON, where escapes no longer hide them."""
    todo = [read_json(text)] if "\\" in text else []
    while todo:
        value = todo.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            todo += [*value, *value.values()]
        elif isinstance(value, list):
            todo += value
