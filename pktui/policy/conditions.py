"""One condition of pktui's own grammar, compiled: a path, an operator and what it compares with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pktui.policy.operators import OPERATORS, ORDER, compile_test
from pktui.policy.paths import Path, first_unknown, judge, show_path
from pktui.policy.rules import Condition
from pktui.policy.values import MISSING, kind_of

if TYPE_CHECKING:
    from pktui.policy.call_place import Place
    from pktui.policy.operators import Test
    from pktui.policy.values import Arguments, Truth

CONDITION_OPERATORS: Final = (*OPERATORS, "within", "command")

# Compiled for a place: which paths lie inside which depends on where the call is made.
_PlacedTest = Callable[[Any, "Place"], "Truth"]


def compile_condition(path: str, steps: Path, op: str, value: Any, *, every: bool) -> Condition:
    """Compile a condition; `every` is what `[*]` asks: all elements (`require`, `allow_if`) or any.

    Raises `BadOperand` where the value does not suit the operator.
    """
    if op == "within":
        from pktui.policy.within import compile_within

        return _placed(path, steps, op, value, compile_within(value), every=every)
    if op == "command":
        from pktui.policy.command import compile_command

        test = compile_command(value)
    else:
        test = compile_test(op, value)
    return _plain(path, steps, op, value, test, every=every)


def _plain(path: str, steps: Path, op: str, value: Any, test: Test, *, every: bool) -> Condition:
    missing = op == "exists" and value is False

    def judged(arguments: Arguments, _place: Place) -> Truth:
        return judge(arguments, steps, test, missing=missing, every=every)

    def doubt(arguments: Arguments, _place: Place) -> str:
        return _say_doubt(op, value, first_unknown(arguments, steps, test), path)

    if len(steps) > 1:
        return Condition(path, op, value, judged, doubt)
    only = str(steps[0])

    def direct(arguments: Arguments, _place: Place) -> Truth:
        found = arguments.get(only, MISSING)
        return missing if found is MISSING else test(found)

    return Condition(path, op, value, direct, doubt)


def _placed(
    path: str, steps: Path, op: str, value: Any, test: _PlacedTest, *, every: bool
) -> Condition:
    def judged(arguments: Arguments, place: Place) -> Truth:
        return judge(arguments, steps, lambda found: test(found, place), missing=False, every=every)

    def doubt(arguments: Arguments, place: Place) -> str:
        found = first_unknown(arguments, steps, lambda found: test(found, place))
        return _say_doubt(op, value, found, path)

    return Condition(path, op, value, judged, doubt)


def _say_doubt(op: str, value: Any, found: tuple[Path, Any] | None, path: str) -> str:
    """Say why a condition can't be judged: what stands there, and what the rule is about."""
    if found is None:
        return f"{path} can't be judged."
    steps, there = found
    told = _UNREADABLE.get(op) if isinstance(there, str) else None
    if told is None:
        told = f"it is {kind_of(there)}, and the rule is about {_wanted(op, value)}"
    return f"args.{show_path(steps)} can't be judged: {told}."


# What a text is that these can't judge.
_UNREADABLE: Final = {
    "command": "it is not one simple command",
    "within": "it is not a path that can be followed from here",
}


def _wanted(op: str, value: Any) -> str:
    if op in ("in", "not_in"):
        return " or ".join(dict.fromkeys(map(kind_of, value))) or "nothing"
    return _ABOUT.get(op) or kind_of(value)


_ABOUT: Final = {
    **dict.fromkeys(ORDER, "a number"),
    "regex": "text",
    "contains": "what text or a list contains",
    "exists": "whether there is a value",
    "within": "a path",
    "command": "a command",
}
