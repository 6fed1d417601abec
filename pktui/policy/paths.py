"""Paths into a call's arguments: `args.a.b`, `args.items.0`, `args.items[*].qty`.

A dot parts the steps, a number indexes a list, `[*]` stands for the elements of a list, and a
backslash takes the next character as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from pktui.policy.values import MISSING, Truth

if TYPE_CHECKING:
    from pktui.policy.values import Arguments


class Each:
    """The step `[*]`: every element of a list, or any."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "[*]"


EACH: Final = Each()
Step = str | Each
Path = tuple[Step, ...]


def split_path(path: str) -> Path:
    """Return the steps of a path.

    Raises `ValueError` with a cure where it does not start with `args.`, has an empty step, or
    names elements of a list in another way than the language has.
    """
    if not path.startswith("args."):
        raise ValueError("Start it with args., like args.amount")
    steps: list[Step] = []
    for part in _parts(path[len("args.") :]):
        name, stars = _without_stars(part)
        _check_step(name, part)
        steps += ["".join(name), *[EACH] * stars]
    return tuple(steps)


def _parts(text: str) -> Iterator[list[str]]:
    """Cut at dots; each part is a list of characters, escaped ones with their backslash."""
    part: list[str] = []
    characters = iter(text)
    for character in characters:
        if character == ".":
            yield part
            part = []
        elif character == "\\":
            part.append(character + next(characters, "\\"))
        else:
            part.append(character)
    yield part


def _without_stars(part: list[str]) -> tuple[list[str], int]:
    """Return a part's name, escapes resolved where it is plain, and how often `[*]` ends it."""
    stars = 0
    while part[-3:] == ["[", "*", "]"]:
        part, stars = part[:-3], stars + 1
    return part, stars


def _check_step(name: list[str], part: list[str]) -> None:
    """Refuse what looks like another language's way to name elements; resolve escapes."""
    if not name and part:
        raise ValueError("Name the list before [*], like args.items[*]")
    if not name:
        raise ValueError("Name an argument between the dots, like args.amount")
    if name == ["*"]:
        raise ValueError("Write [*] behind the list's name, like args.items[*].qty")
    if "[" in name or "]" in name:
        inner = "".join(name).partition("[")[2].partition("]")[0]
        if inner.isdigit():
            raise ValueError(f"Write .{inner} instead of [{inner}], like args.items.{inner}")
        raise ValueError(
            "Write [*] for the elements of a list, like args.items[*].qty, or its number, like "
            "args.items.0; \\[ is a bracket that belongs to the name"
        )
    name[:] = [character[-1] if len(character) > 1 else character for character in name]


def show_path(steps: Path) -> str:
    """Write steps as a path without its `args.`, like `items[*].qty`."""
    text = ""
    for step in steps:
        if isinstance(step, Each):
            text += "[*]"
        else:
            text += ("." if text else "") + step.replace("\\", "\\\\").replace(".", "\\.")
    return text


def lookup(path: Path) -> Callable[[Arguments], Any]:
    """Return a function that follows a path without `[*]` to one value, or `MISSING`."""
    if len(path) == 1:
        only = str(path[0])
        return lambda arguments: arguments.get(only, MISSING)

    def follow(arguments: Arguments) -> Any:
        value: Any = arguments
        for step in path:
            value = _inside(value, step) if isinstance(value, (Mapping, list)) else MISSING
            if value is MISSING:
                return MISSING
        return value

    return follow


def judge(
    value: Any,
    path: Path,
    test: Callable[[Any], Truth],
    *,
    missing: bool,
    every: bool,
) -> Truth:
    """Follow a path from a value and test what is there.

    `missing` is the answer for a path that leads nowhere. `every` asks of `[*]` that the test holds
    for all elements of a list that has some, else for any. None where it can't be told: a scalar
    stands where the path goes on, or the test can't judge an element.
    """
    for at, step in enumerate(path):
        if value is None:
            return missing
        if step is EACH:
            if not isinstance(value, list):
                return None
            rest = path[at + 1 :]
            truths = (judge(item, rest, test, missing=missing, every=every) for item in value)
            return _all(truths, empty=not value) if every else _any(truths)
        if not isinstance(value, (Mapping, list)):
            return None
        value = _inside(value, step)
        if value is MISSING:
            return missing
    return test(value)


def first_unknown(
    value: Any, path: Path, test: Callable[[Any], Truth], walked: Path = ()
) -> tuple[Path, Any] | None:
    """Return the first place that can't be judged, and the value there; None where all can."""
    if not path:
        return (walked, value) if test(value) is None else None
    if value is None or value is MISSING:
        return None
    step, rest = path[0], path[1:]
    if step is EACH and isinstance(value, list):
        for index, item in enumerate(value):
            if found := first_unknown(item, rest, test, (*walked, str(index))):
                return found
        return None
    if step is EACH or not isinstance(value, (Mapping, list)):
        return walked, value
    inner = _inside(value, step)
    return None if inner is MISSING else first_unknown(inner, rest, test, (*walked, step))


def _inside(value: Any, step: Any) -> Any:
    if isinstance(value, Mapping):
        return value.get(step, MISSING)
    if len(step) > 9 or not (step.isascii() and step.isdigit()):
        return MISSING
    index = int(step)
    return value[index] if index < len(value) else MISSING


def _any(truths: Iterator[Truth]) -> Truth:
    unknown = False
    for truth in truths:
        if truth:
            return True
        unknown = unknown or truth is None
    return None if unknown else False


def _all(truths: Iterator[Truth], *, empty: bool) -> Truth:
    if empty:
        return False
    unknown = False
    for truth in truths:
        if truth is False:
            return False
        unknown = unknown or truth is None
    return None if unknown else True
