"""Paths into a call's arguments, and how values compare.

Numbers compare by their decimal value: ints are never rounded through floats, and a float
stands for the shortest decimal that names it (0.1 is 0.1). A boolean is no number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pktui.policy.rules import Arguments


class Missing:
    """What a path that leads nowhere gives; explicit null is a value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


def split_path(path: str) -> tuple[str, ...]:
    """Return the steps of `args.a.b`; a backslash keeps a dot in its step.

    Raises `ValueError` with a cure where the path does not start with `args.` or has an
    empty step.
    """
    if not path.startswith("args."):
        raise ValueError("Start it with args., like args.amount")
    steps = [""]
    characters = iter(path[len("args.") :])
    for character in characters:
        if character == "\\":
            steps[-1] += next(characters, "\\")
        elif character == ".":
            steps.append("")
        else:
            steps[-1] += character
    if not all(steps):
        raise ValueError("Name an argument between the dots, like args.amount")
    return tuple(steps)


def lookup(steps: tuple[str, ...], *, indexes: bool = True) -> Callable[[Arguments], Any]:
    """Return a function that follows the steps; `indexes`: a number step indexes a list."""
    if len(steps) == 1:
        only = steps[0]
        return lambda arguments: arguments.get(only, MISSING)

    def follow(arguments: Arguments) -> Any:
        value: Any = arguments
        for step in steps:
            if isinstance(value, Mapping):
                value = value.get(step, MISSING)
            elif indexes and isinstance(value, list):
                value = _item(value, step)
            else:
                return MISSING
            if value is MISSING:
                return MISSING
        return value

    return follow


def _item(items: list[Any], step: str) -> Any:
    if len(step) > 9 or not (step.isascii() and step.isdigit()):
        return MISSING
    index = int(step)
    return items[index] if index < len(items) else MISSING


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


def same(left: Any, right: Any) -> bool:
    """Tell whether two JSON values are equal; text never equals a number, nor true 1."""
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
