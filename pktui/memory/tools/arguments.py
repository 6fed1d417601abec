"""The arguments of a tool call, checked against the tool's definition.

Numbers are whole and from 1 (`offset` from 0): 5 and 5.0 are, 1.5, 0, -1, "5" and true are not.
An argument that is null counts as not given. Unknown ones are ignored, as the reference server
does, except where one is a slip away from a known name and so would change what is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from pktui.errors import InvalidRequest
from pktui.suggest import nearest
from pktui.text import one_line

# The largest number that every JSON reader keeps exact.
LARGEST = 2**53
_FROM_ZERO = frozenset({"offset"})


class Arguments:
    """What was given, by name and kind; a default of the definition stands in for what was not."""

    def __init__(
        self,
        definition: Mapping[str, Any],
        given: Mapping[str, Any],
        request: str = "",
        waited: float = 0.0,
    ) -> None:
        """`request` is the key by which the same call is known when it comes again.

        `waited` is for how many seconds it was held back for the model.
        """
        self.request = request
        self.waited = waited
        schema = definition["inputSchema"]
        self._tool = definition["name"]
        self._properties: Mapping[str, Mapping[str, Any]] = schema["properties"]
        self._given = dict(given)
        for name, value in given.items():
            if value is None:
                del self._given[name]
            elif name not in self._properties:
                near = nearest(name, self._properties, cutoff=0.8)
                if near:
                    self._refuse(f"there is no {_shown(name)}", f"Did you mean {near}?")
        for name in schema.get("required", ()):
            if name not in self._given:
                self._refuse(f"{name} is missing", f"Give {name}: {self._about(name)}")

    def text(self, name: str) -> str:
        """Return a text that is given or has a default."""
        value = self._value(name)
        choices = self._properties[name].get("enum")
        if not isinstance(value, str):
            self._refuse(f"{name} must be text, not {_shown(value)}", self._about(name))
        if choices and value not in choices:
            self._refuse(f"{name} cannot be {_shown(value)}", f"Use one of: {', '.join(choices)}")
        return value

    def number(self, name: str) -> int:
        """Return a whole number that is given or has a default."""
        value = self._value(name)
        least = 0 if name in _FROM_ZERO else 1
        whole = isinstance(value, int | float) and not isinstance(value, bool)
        if not whole or value != value // 1 or not least <= value <= LARGEST:
            self._refuse(
                f"{name} must be a whole number from {least}, not {_shown(value)}",
                self._about(name),
            )
        return int(value)

    def flag(self, name: str) -> bool:
        """Return true or false."""
        value = self._value(name)
        if not isinstance(value, bool):
            self._refuse(f"{name} must be true or false, not {_shown(value)}", self._about(name))
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        value = self._value(name)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            self._refuse(f"{name} must be a list of texts, not {_shown(value)}", self._about(name))
        return tuple(value)

    def has(self, name: str) -> bool:
        """Tell whether the argument was given."""
        return name in self._given

    def optional_text(self, name: str) -> str | None:
        """Return a text, or None where it was not given."""
        return self.text(name) if name in self._given else None

    def optional_number(self, name: str) -> int | None:
        """Return a whole number, or None where it was not given."""
        return self.number(name) if name in self._given else None

    def optional_texts(self, name: str) -> tuple[str, ...] | None:
        """Return a list of texts, or None where it was not given."""
        return self.texts(name) if name in self._given else None

    def _value(self, name: str) -> Any:
        return self._given.get(name, self._properties[name].get("default"))

    def _about(self, name: str) -> str:
        return str(self._properties[name].get("description", ""))

    def _refuse(self, why: str, cure: str) -> NoReturn:
        raise InvalidRequest(f"{self._tool}: {why}", cure)


def _shown(value: object) -> str:
    return one_line(repr(value), 60)
