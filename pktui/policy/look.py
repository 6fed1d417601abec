"""A look: the tool of a server that shows what a call of another would change.

In a policy: `"look": {"tool": "get_knowledge", "args": {"id": "args.id"}}`. A text that begins with
`args.` stands for what the call has there; all else is given as it is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from pktui.policy.paths import EACH, lookup, split_path
from pktui.policy.values import MISSING

if TYPE_CHECKING:
    from pktui.policy.text.problems import Steps
    from pktui.policy.values import Arguments

_TAKEN = "args."


class Look(msgspec.Struct, frozen=True):
    """Which tool to ask, and with what; `arguments` as the policy writes them."""

    tool: str
    arguments: Mapping[str, Any]

    def given(self, arguments: Arguments) -> dict[str, Any]:
        """Return what the tool is asked with for a call of these arguments.

        Raises `LookupError` with the path that the call has nothing at.
        """
        return {name: _given(value, arguments) for name, value in self.arguments.items()}

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that it takes from a call."""
        return tuple(path for path, _ in _paths(self.arguments, ()))

    def __str__(self) -> str:
        inside = ", ".join(f"{name}: {_said(value)}" for name, value in self.arguments.items())
        return f"{self.tool}({inside})"


def bad_paths(arguments: Mapping[str, Any]) -> Iterator[tuple[Steps, str, str]]:
    """Yield each path in what a look is given that leads to no one value: where, it, and a cure."""
    for path, at in _paths(arguments, ()):
        try:
            if EACH in split_path(path):
                yield at, path, "Name one element, like args.items.0.id"
        except ValueError as error:
            yield at, path, str(error)


def plain(value: Any) -> Any:
    """Return a value of a policy as JSON writes it: a policy's fractions are decimals."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def _given(value: Any, arguments: Arguments) -> Any:
    if isinstance(value, str) and value.startswith(_TAKEN):
        found = lookup(split_path(value))(arguments)
        if found is MISSING:
            raise LookupError(value)
        return found
    if isinstance(value, Mapping):
        return {name: _given(one, arguments) for name, one in value.items()}
    return [_given(one, arguments) for one in value] if isinstance(value, list) else value


def _paths(value: Any, at: Steps) -> Iterator[tuple[str, Steps]]:
    if isinstance(value, str) and value.startswith(_TAKEN):
        yield value, at
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from _paths(one, (*at, name))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _paths(one, (*at, index))


def _said(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
