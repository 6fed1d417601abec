"""Arguments of a call as a person changes them: each value typed as text, read as the schema wants.

A path is a rule's, with or without its `args.`: `amount`, `args.items.0.qty`. What the tool's
schema declares says how a text is read: `5` is a number where it wants one, and text where it
wants text; lists and objects are JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pktui.errors import UsageError
from pktui.policy.argument_check import Definition, input_schema
from pktui.policy.declared import (
    ANY,
    NONE,
    NULL,
    NUMBER,
    TEXT,
    Schema,
    Unreadable,
    kind,
    say_kinds,
)
from pktui.policy.paths import Each, Path, show_path, split_path
from pktui.policy.text.jsontext import MAX_DEPTH
from pktui.policy.text.problems import QUOTED, quote
from pktui.policy.values import MISSING, kind_of
from pktui.strict_json import Reader
from pktui.suggest import did_you_mean

_READER: Final = Reader(depth=MAX_DEPTH)
# Values of an enum that a message names.
_MOST_NAMED: Final = 20


class Field(msgspec.Struct, frozen=True):
    """One argument as a form shows it. `kinds` is a sum of those of `declared`.

    `value` is `MISSING` where the call does not give it; `choices` are all it may be, if few.
    """

    name: str
    kinds: int
    required: bool
    description: str
    value: Any
    choices: tuple[Any, ...] = ()

    @property
    def wants(self) -> str:
        """What may stand there, in words."""
        if self.choices:
            return "one of " + ", ".join(written(one) for one in self.choices[:_MOST_NAMED])
        return "anything" if self.kinds == ANY else say_kinds(self.kinds)

    @property
    def path(self) -> str:
        """The argument as `set_value` takes it."""
        return "args." + show_path((self.name,)).replace("[", "\\[").replace("]", "\\]")


def fields_of(arguments: Mapping[str, Any], definition: Definition) -> tuple[Field, ...]:
    """Return the arguments that the schema declares, in its order, then others of the call."""
    root = input_schema(definition)
    names = dict.fromkeys((*_properties(root), *arguments))
    return tuple(_field(name, arguments, root) for name in names)


def written(value: Any) -> str:
    """Return a value as a person types it; text stands for itself."""
    if value is MISSING:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def set_value(
    arguments: Mapping[str, Any], path: str, text: str, definition: Definition
) -> dict[str, Any]:
    """Return the arguments with another value at a path. Raises `UsageError`."""
    steps = _steps(path)
    root = input_schema(definition)
    _check_name(steps, arguments, root)
    before = _at(arguments, steps)
    value = _read(show_path(steps), text, _kinds_at(root, steps), before)
    _check_choice(steps, value, root)
    changed: dict[str, Any] = _put(arguments, steps, value, show_path(steps))
    return changed


def drop_value(arguments: Mapping[str, Any], path: str, definition: Definition) -> dict[str, Any]:
    """Return the arguments without what is at a path. Raises `UsageError`."""
    steps = _steps(path)
    if _at(arguments, steps) is MISSING:
        raise UsageError(f"the call has no {show_path(steps)} to leave out")
    root = input_schema(definition)
    if len(steps) == 1 and steps[0] in _required(root):
        raise UsageError(f"{show_path(steps)} is required: the tool's schema says so")
    changed: dict[str, Any] = _put(arguments, steps, MISSING, show_path(steps))
    return changed


def _field(name: str, arguments: Mapping[str, Any], root: Any) -> Field:
    said = _said(root, name)
    description = said.get("description")
    return Field(
        name,
        _kinds_at(root, (name,)),
        name in _required(root),
        description if isinstance(description, str) else "",
        arguments.get(name, MISSING),
        _choices(said),
    )


def _properties(root: Any) -> Mapping[str, Any]:
    found = root.get("properties") if isinstance(root, dict) else None
    return found if isinstance(found, dict) else {}


def _said(root: Any, name: str) -> Mapping[str, Any]:
    """Return what is declared of an argument, nothing where that is no schema."""
    found = _properties(root).get(name)
    return found if isinstance(found, dict) else {}


def _choices(said: Mapping[str, Any]) -> tuple[Any, ...]:
    listed = said.get("enum")
    return tuple(listed) if isinstance(listed, list) and len(listed) <= _MOST_NAMED else ()


def _required(root: Any) -> tuple[str, ...]:
    named = root.get("required") if isinstance(root, dict) else None
    return tuple(named) if isinstance(named, list) else ()


def _steps(path: str) -> Path:
    try:
        steps = split_path(path if path.startswith("args.") else f"args.{path}")
    except ValueError as error:
        raise UsageError(f"{quote(path)} is not a path to an argument", str(error)) from error
    if any(isinstance(step, Each) for step in steps):
        raise UsageError(f"{quote(path)} names several values", "Name one, like args.items.0.qty")
    return steps


def _check_name(steps: Path, arguments: Mapping[str, Any], root: Any) -> None:
    name = str(steps[0])
    try:
        names = Schema(root).names(root)
    except (Unreadable, RecursionError):
        return
    if names and name not in names and name not in arguments:
        raise UsageError(f"the tool has no argument {quote(name)}",
                         did_you_mean(name, sorted(names), QUOTED))  # fmt: skip


def _kinds_at(root: Any, steps: Path) -> int:
    """Return the kinds declared at a path; a number names a member or an element."""
    schema, here = Schema(root), root
    try:
        for step in steps:
            number = str(step)
            element = number.isascii() and number.isdigit() and len(number) < 6
            inside = schema.inside(here, step)
            nothing = element and schema.kinds(inside) == NONE
            here = schema.inside(here, int(number)) if nothing else inside
        return schema.kinds(here)
    except (Unreadable, RecursionError):
        return ANY


def _read(path: str, text: str, kinds: int, before: Any) -> Any:
    """Return the value that a text stands for where values of these kinds may stand."""
    if kinds & ~NULL == TEXT:
        return None if kinds & NULL and text == "null" else text
    if kinds & TEXT and isinstance(before, str):
        return text
    try:
        value = _READER.read(text)
    except ValueError as error:
        if kinds & TEXT:
            return text
        raise UsageError(
            f"{path} must be {say_kinds(kinds)}", f"Write it as JSON: {error}"
        ) from error
    if kind(value) & kinds:
        return value
    if kinds & TEXT:
        return text
    told = "a fraction" if kind_of(value) == "a number" and kinds & NUMBER else kind_of(value)
    raise UsageError(f"{path} must be {say_kinds(kinds)}, not {told}")


def _check_choice(steps: Path, value: Any, root: Any) -> None:
    if len(steps) > 1:
        return
    choices = _choices(_said(root, str(steps[0])))
    if choices and value not in choices:
        named = ", ".join(map(written, choices))
        raise UsageError(f"{show_path(steps)} is {quote(written(value))}", f"Write one of {named}")


def _at(value: Any, steps: Path) -> Any:
    for step in steps:
        if isinstance(value, Mapping):
            value = value.get(step, MISSING)
        elif isinstance(value, list) and _is_index(step) and int(str(step)) < len(value):
            value = value[int(str(step))]
        else:
            return MISSING
    return value


def _is_index(step: Any) -> bool:
    return isinstance(step, str) and step.isascii() and step.isdigit() and len(step) < 10


def _put(here: Any, steps: Path, value: Any, path: str) -> Any:
    """Return a copy of what is here with a value at a place in it, or without it."""
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if here is MISSING and _is_index(step):
        raise UsageError(
            f"{path} names element {step} of what the call does not give",
            "Write the whole of it, as JSON",
        )
    if here is MISSING:
        here = {}
    if isinstance(here, Mapping):
        changed = dict(here)
        inner = _put(here.get(step, MISSING), rest, value, path)
        if inner is MISSING:
            changed.pop(step, None)
        else:
            changed[step] = inner
        return changed
    if not isinstance(here, list):
        raise UsageError(f"{path} leads into {kind_of(here)}, which holds nothing")
    index = int(str(step)) if _is_index(step) else -1
    if not 0 <= index <= len(here):
        raise UsageError(
            f"{path} names element {step} of a list of {len(here)}",
            f"Write a number from 0 to {len(here)}, which is the end",
        )
    inner = _put(here[index] if index < len(here) else MISSING, rest, value, path)
    return [*here[:index], *([] if inner is MISSING else [inner]), *here[index + 1 :]]
