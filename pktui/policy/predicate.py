"""A predicate outside a policy: what a person's standing answer is limited to.

It is written as a policy's `allow_if` writes its conditions, and judged alike: it holds only where
every condition certainly does, and where the arguments are what the tool's pinned schema declares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui.errors import PolicyError
from pktui.policy.argument_check import Shape
from pktui.policy.conditions import CONDITION_OPERATORS
from pktui.policy.document.native import read_conditions
from pktui.policy.rules import Condition
from pktui.policy.text.jsontext import decode
from pktui.policy.text.problems import Faults, dotted
from pktui.policy.wording import describe

if TYPE_CHECKING:
    from pktui.policy.argument_check import Definition
    from pktui.policy.call_place import Place

_EXAMPLE: Final = """'args.command command "pytest *"'"""


class Predicate(msgspec.Struct, frozen=True):
    """Conditions that must all hold, and what their arguments must be."""

    conditions: tuple[Condition, ...]
    shape: Shape

    def holds(self, arguments: Mapping[str, Any], definition: Definition, place: Place) -> bool:
        """Return whether a call certainly fulfils it."""
        if self.shape.misfit(arguments, definition):
            return False
        return all(condition.test(arguments, place) is True for condition in self.conditions)

    def __str__(self) -> str:
        return describe(self.conditions)


@lru_cache(maxsize=256)
def read_predicate(text: str) -> Predicate:
    """Read conditions from JSON text, a list of `{"path", "op", "value"}`.

    Raises `PolicyError` with every mistake.
    """
    faults = Faults()
    try:
        value = decode(text)
    except ValueError as error:
        raise PolicyError(f"the conditions are not JSON: {error}") from error
    conditions = read_conditions(value, faults)
    if faults.found:
        told = "; ".join(f"{dotted(one.steps)}: {one.what}. {one.cure}" for one in faults.found)
        raise PolicyError(f"the conditions can't be used: {told}")
    if not conditions:
        raise PolicyError("there is no condition", f"Write one like {_EXAMPLE}")
    return Predicate(conditions, Shape(condition.path for condition in conditions))


def say_conditions(text: str) -> str:
    """Say in words what conditions ask, also where they can't be read."""
    try:
        return f"where {read_predicate(text)}"
    except PolicyError:
        return "where conditions hold that can't be read, so never"


def write_conditions(texts: Sequence[str]) -> str:
    """Return the JSON text of conditions that were typed as `PATH OP VALUE`.

    A value that is JSON is that value, any other is text. Raises `PolicyError`.
    """
    conditions = json_text([_condition(text) for text in texts])
    read_predicate(conditions)
    return conditions


def json_text(conditions: Sequence[Mapping[str, Any]]) -> str:
    """Return conditions as they are kept."""
    return msgspec.json.encode(list(conditions)).decode()


def _condition(text: str) -> dict[str, Any]:
    path, _, rest = text.strip().partition(" ")
    op, _, value = rest.strip().partition(" ")
    if op not in CONDITION_OPERATORS or not value.strip():
        known = ", ".join(CONDITION_OPERATORS)
        raise PolicyError(
            f"{text!r} is no condition",
            f"Write PATH OP VALUE, like {_EXAMPLE}; OP is one of {known}",
        )
    return {"path": path, "op": op, "value": _value(value.strip())}


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
