"""Which kinds of JSON value a tool's input schema declares at a place.

The schema is its server's word, so it is read as hostile: a bounded number of steps, no remote
references, and where it can't be read it declares nothing. Every kind that some branch of a union
admits counts as declared; whether a value is the right one of its kind is the server's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from urllib.parse import unquote

from pktui.policy.paths import Each, Step

# Kinds of value; several make a union.
NULL: Final = 1
BOOLEAN: Final = 2
INTEGER: Final = 4
FRACTION: Final = 8
TEXT: Final = 16
LIST: Final = 32
OBJECT: Final = 64
NUMBER: Final = INTEGER | FRACTION
ANY: Final = 127
NONE: Final = 0

# Subschemas that are looked at for one tool.
MOST_STEPS: Final = 2_000
# Members of an enum that are looked at; a longer one declares nothing.
MOST_VALUES: Final = 1_000

_TYPES: Final = {
    "null": NULL,
    "boolean": BOOLEAN,
    "integer": INTEGER,
    "number": NUMBER,
    "string": TEXT,
    "array": LIST,
    "object": OBJECT,
}
_OF_CLASS: Final[dict[type, int]] = {
    type(None): NULL,
    bool: BOOLEAN,
    int: INTEGER,
    str: TEXT,
    list: LIST,
    dict: OBJECT,
}


def classes(kinds: int) -> frozenset[type]:
    """Return the classes all of whose values are of these kinds."""
    whole = [one for one, kind_of_it in _OF_CLASS.items() if kinds & kind_of_it]
    return frozenset([*whole, float] if kinds & NUMBER == NUMBER else whole)


class Unreadable(Exception):
    """A schema that takes too many steps to read."""


def kind(value: Any) -> int:
    """Return the kind of a value; 5.0 is an integer."""
    known = _OF_CLASS.get(type(value))
    if known is not None:
        return known
    if isinstance(value, float):
        return INTEGER if value.is_integer() else FRACTION
    if isinstance(value, Decimal):
        whole = value.is_finite() and value == value.to_integral_value()
        return INTEGER if whole else FRACTION
    return OBJECT if isinstance(value, Mapping) else ANY


def say_kinds(kinds: int) -> str:
    """Name kinds, like `a number or null`."""
    words = []
    if kinds & NUMBER == NUMBER:
        words.append("a number")
    elif kinds & INTEGER:
        words.append("a whole number")
    elif kinds & FRACTION:
        words.append("a fraction")
    named = ((TEXT, "text"), (BOOLEAN, "a boolean"), (LIST, "a list"),
             (OBJECT, "an object"), (NULL, "null"))  # fmt: skip
    words += [word for one, word in named if kinds & one]
    return " or ".join(words)


class Schema:
    """One input schema, asked for kinds; each question draws on the same number of steps."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self._left = MOST_STEPS

    def kinds(self, schema: Any) -> int:
        """Return the kinds a subschema admits; raises `Unreadable`."""
        if schema is False:
            return NONE
        if not isinstance(schema, dict) or self._is_foreign(schema):
            return ANY
        self._step()
        admitted = _of_type(schema) & _of_values(schema)
        for part in self._joined(schema):
            admitted &= self.kinds(part)
        for branches in _unions(schema):
            union = NONE
            for branch in branches:
                union |= self.kinds(branch)
            admitted &= union
        return admitted

    def inside(self, schema: Any, step: Step | int) -> Any:
        """Return the subschema of a member (text), an element (number) or each element.

        It is made of what every part of the schema says of it. Raises `Unreadable`.
        """
        if isinstance(schema, bool) or not isinstance(schema, dict) or self._is_foreign(schema):
            return schema is not False
        self._step()
        holder = OBJECT if isinstance(step, str) else LIST
        if not _of_type(schema) & holder:
            return False
        parts = [_own(schema, step)]
        parts += [self.inside(part, step) for part in self._joined(schema)]
        for branches in _unions(schema):
            parts.append({"anyOf": [self.inside(branch, step) for branch in branches]})
        parts = [part for part in parts if part is not True]
        return {"allOf": parts} if parts else True

    def names(self, schema: Any) -> frozenset[str] | None:
        """Return the names of members that a subschema declares, None where it leaves them open.

        One that says nothing of further members counts as closed where it declares some. Raises
        `Unreadable`.
        """
        if schema is False:
            return frozenset()
        if not isinstance(schema, dict) or self._is_foreign(schema):
            return None
        self._step()
        if not _of_type(schema) & OBJECT:
            return frozenset()
        members = schema.get("properties")
        others = schema.get("additionalProperties", False)
        if others is not False or "patternProperties" in schema:
            return None
        parts = [frozenset(members) if isinstance(members, dict) else None]
        parts += [self.names(part) for part in self._joined(schema)]
        for branches in _unions(schema):
            each = [self.names(branch) for branch in branches]
            closed = [names for names in each if names is not None]
            parts.append(frozenset().union(*closed) if len(closed) == len(each) else None)
        declared = [names for names in parts if names is not None]
        return frozenset().union(*declared) if declared else None

    def _joined(self, schema: dict[str, Any]) -> list[Any]:
        """Return the schemas that hold besides this one's own words."""
        parts = schema.get("allOf")
        joined = list(parts) if isinstance(parts, list) else []
        if "$ref" in schema:
            joined.append(self._referred(schema["$ref"]))
        return joined

    def _referred(self, reference: Any) -> Any:
        """Follow a reference into this document; any other declares nothing."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            return True
        found = self.root
        for step in reference[1:].split("/")[1:] if reference != "#" else ():
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and name.isascii() and name.isdigit() and len(name) < 6:
                found = found[int(name)] if int(name) < len(found) else True
            elif isinstance(found, dict):
                found = found.get(name, True)
            else:
                return True
        return found if reference == "#" or reference.startswith("#/") else True

    def _is_foreign(self, schema: dict[str, Any]) -> bool:
        """Return whether references in it count from elsewhere."""
        return "$id" in schema and schema is not self.root

    def _step(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Unreadable


def _of_type(schema: dict[str, Any]) -> int:
    named = schema.get("type")
    names = named if isinstance(named, list) else [named]
    kinds = NONE
    for name in names:
        kinds |= _TYPES.get(name, ANY) if isinstance(name, str) else ANY
    kinds = kinds or ANY
    return kinds | NULL if schema.get("nullable") is True else kinds


def _of_values(schema: dict[str, Any]) -> int:
    """Return the kinds of the values a schema lists; a listed number stands for its kind."""
    admitted = ANY
    listed = schema.get("enum")
    if isinstance(listed, list) and 0 < len(listed) <= MOST_VALUES:
        admitted = _kinds_of(listed)
    if "const" in schema:
        admitted &= _kinds_of([schema["const"]])
    return admitted | NULL if schema.get("nullable") is True else admitted


def _kinds_of(values: list[Any]) -> int:
    kinds = NONE
    for value in values:
        one = kind(value)
        kinds |= NUMBER if one & NUMBER else one
    return kinds


def _unions(schema: dict[str, Any]) -> list[list[Any]]:
    found = [schema.get("anyOf"), schema.get("oneOf")]
    return [branches for branches in found if isinstance(branches, list) and branches]


def _own(schema: dict[str, Any], step: Step | int) -> Any:
    """Return what a schema itself says of a member or of elements; True where nothing."""
    if isinstance(step, str):
        members = schema.get("properties")
        if isinstance(members, dict) and step in members:
            return members[step]
        others = schema.get("additionalProperties")
        return others if isinstance(others, dict) and "patternProperties" not in schema else True
    first, rest = _elements(schema)
    if isinstance(step, Each):
        return {"anyOf": [*first, rest]} if first else rest
    return first[step] if step < len(first) else rest


def _elements(schema: dict[str, Any]) -> tuple[list[Any], Any]:
    """Return the schemas of the first elements and of all further ones, in either draft's words."""
    items = schema.get("items", True)
    first = schema.get("prefixItems")
    if isinstance(items, list):
        first, items = items, schema.get("additionalItems", True)
    rest = items if isinstance(items, (dict, bool)) else True
    return (first if isinstance(first, list) else []), rest
