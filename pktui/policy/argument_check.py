"""What the arguments must look like before any rule is asked.

Where a rule looks, a value must be of a kind that the tool's pinned schema declares, and no name
may equal the rule's in all but case: a server that takes `Amount` for `amount` would get what the
rule never saw. Nor may a name that the schema does not declare come where one is missing that it
does and a rule looks at: servers know members by second names (aliases) that no schema tells. The
schema is compiled once for each definition, for the paths that rules use.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, Protocol
from unicodedata import normalize

import msgspec

from pktui.policy.declared import ANY, NUMBER, Schema, Unreadable, classes, kind, say_kinds
from pktui.policy.paths import EACH, Each, Path, split_path
from pktui.policy.text.problems import quote
from pktui.policy.values import MISSING, kind_of

# Definitions one rule keeps compiled: a glob may stand for many tools.
_MOST_KEPT: Final = 512
# A name that a server which wants numbers for keys reads as one.
_NUMBER: Final = re.compile(r"\s*[+-]?[0-9][0-9_]*(?:\.[0-9]*)?(?:e[+-]?[0-9]{1,9})?\s*")
# Digits of a number that indexes a list.
_LONGEST_INDEX: Final = 9


class Definition(msgspec.Struct, frozen=True):
    """A tool as its server pinned it: JSON text, and the hash it is known by."""

    hash: str = ""
    text: str = ""


UNKNOWN: Final = Definition()


class Pinned(Protocol):
    """A tool as the catalogue has it."""

    @property
    def pinned_hash(self) -> str:
        """The SHA-256 of the definition that was accepted, in hex."""

    @property
    def pinned_definition(self) -> str:
        """That definition, JSON text."""


def pinned(tool: Pinned | None) -> Definition:
    """Return the definition a tool is pinned at, `UNKNOWN` where it was never seen."""
    return UNKNOWN if tool is None else Definition(tool.pinned_hash, tool.pinned_definition)


class Misfit(msgspec.Struct, frozen=True):
    """Why arguments don't fit: `(type)` or `(name)`, and a sentence."""

    rule: str
    reason: str


class Used(msgspec.Struct):
    """A place that rules look at, and those inside it."""

    members: dict[str, Used] = {}
    each: Used | None = None


class _Node(msgspec.Struct):
    """A place with what the schema declares there; `members` are those that ask anything.

    `names` are all that rules look at, `folded` the same by what they have in common with names
    that differ in case alone.
    """

    kinds: int
    # Those whose values are all of these kinds, which is quick to ask.
    classes: frozenset[type]
    names: frozenset[str]
    folded: dict[str, str]
    members: tuple[tuple[str, _Node], ...]
    elements: tuple[tuple[int, _Node], ...]
    each: _Node | None
    # All names that the schema declares; empty where it leaves them open.
    declared: frozenset[str]
    # Nothing is asked of what is inside.
    leaf: bool

    @property
    def asks(self) -> bool:
        """Return whether anything can fail to fit here."""
        return self.kinds != ANY or not self.leaf


class Shape:
    """The places that one tool's rules look at. Safe from several threads."""

    def __init__(self, paths: Iterable[str]) -> None:
        """`paths` are as rules write them."""
        self.root = Used()
        for path in paths:
            _add(self.root, split_path(path))
        self._plain = _compile(self.root, Schema(True), True)
        self._compiled: dict[str, _Node] = {}

    def misfit(self, arguments: Mapping[str, Any], definition: Definition) -> Misfit | None:
        """Return the first thing that does not fit, None where all does."""
        node = self._compiled.get(definition.hash)
        return _walk_members(node or self._node(definition), arguments, "")

    def _node(self, definition: Definition) -> _Node:
        node = self._with_schema(definition) if definition.hash else self._plain
        if len(self._compiled) >= _MOST_KEPT:
            self._compiled.clear()
        self._compiled[definition.hash] = node
        return node

    def _with_schema(self, definition: Definition) -> _Node:
        schema = input_schema(definition)
        try:
            return _compile(self.root, Schema(schema), schema)
        except (Unreadable, RecursionError):
            return self._plain


def input_schema(definition: Definition) -> Any:
    """Return a definition's input schema; True, which declares nothing, where it has none."""
    try:
        found = json.loads(definition.text)
    except (ValueError, RecursionError):
        return True
    schema = found.get("inputSchema", True) if isinstance(found, dict) else True
    return schema if isinstance(schema, dict) else True


def _add(place: Used, path: Path) -> None:
    for step in path:
        if isinstance(step, Each):
            if place.each is None:
                place.each = Used()
            place = place.each
        else:
            place = place.members.setdefault(step, Used())


def _compile(place: Used, schema: Schema, here: Any) -> _Node:
    inside = [
        (name, _compile(inner, schema, schema.inside(here, name)))
        for name, inner in place.members.items()
    ]
    items = [
        (int(name), _compile(inner, schema, schema.inside(here, int(name))))
        for name, inner in place.members.items()
        if name.isascii() and name.isdigit() and len(name) <= _LONGEST_INDEX
    ]
    each = _compile(place.each, schema, schema.inside(here, EACH)) if place.each else None
    kinds = schema.kinds(here)
    each = each if each is not None and each.asks else None
    members = tuple(pair for pair in inside if pair[1].asks)
    elements = tuple(pair for pair in items if pair[1].asks)
    return _Node(
        kinds=kinds,
        classes=classes(kinds),
        names=frozenset(place.members),
        folded={fold(name): name for name in place.members},
        members=members,
        elements=elements,
        each=each,
        declared=schema.names(here) or frozenset() if place.members else frozenset(),
        leaf=not (place.members or members or elements or each),
    )


def _walk(node: _Node, value: Any, path: str) -> Misfit | None:
    if not kind(value) & node.kinds:
        return Misfit("(type)", _say_type(node.kinds, value, path))
    if isinstance(value, dict):
        return _walk_members(node, value, path)
    return _walk_elements(node, value, path) if isinstance(value, list) else None


def _walk_members(node: _Node, value: Mapping[str, Any], path: str) -> Misfit | None:
    names = node.names
    if names and not names.issuperset(value):
        for name in value:
            if name not in names and (meant := node.folded.get(fold(name))) is not None:
                return Misfit("(name)", _say_name(name, meant, path))
        if (declared := node.declared) and not declared.issuperset(value):
            missing = min((name for name in names & declared if name not in value), default="")
            if missing:
                other = next(name for name in value if name not in declared)
                return Misfit("(name)", _say_undeclared(other, missing, path))
    for name, inner in node.members:
        found = value.get(name, MISSING)
        if found is MISSING or (inner.leaf and type(found) in inner.classes):
            continue
        if misfit := _walk(inner, found, f"{path}.{name}" if path else name):
            return misfit
    return None


def _walk_elements(node: _Node, value: list[Any], path: str) -> Misfit | None:
    for index, inner in node.elements:
        if index < len(value) and (found := _walk(inner, value[index], f"{path}.{index}")):
            return found
    if node.each is not None:
        for index, item in enumerate(value):
            if found := _walk(node.each, item, f"{path}.{index}"):
                return found
    return None


def fold(name: str) -> str:
    """Return what names have in common that differ in case or in form alone, `00` and `0` too."""
    if name.isascii():
        folded = name.lower()
    else:
        folded = normalize("NFKC", normalize("NFKC", name).casefold())
    return _whole(folded) if _NUMBER.fullmatch(folded) else folded


def _whole(text: str) -> str:
    """Return the whole number that a name is read as where keys are numbers, else the name."""
    value = Decimal(text.strip().replace("_", ""))
    return str(int(value)) if value.adjusted() < 32 and value == int(value) else text


def _say_type(kinds: int, value: Any, path: str) -> str:
    if not kinds:
        return f"{path} must be left out: the tool's schema takes no value there."
    told = "a fraction" if kind_of(value) == "a number" and kinds & NUMBER else kind_of(value)
    return f"{path} must be {say_kinds(kinds)}, not {told}."


def _say_undeclared(other: str, missing: str, path: str) -> str:
    inside = f" in {path}" if path else ""
    return (
        f"{quote(other)}{inside} is no name that the tool's schema declares, and {quote(missing)},"
        f" which a rule looks at, is missing. Write {quote(missing)}, or leave {quote(other)} out."
    )


def _say_name(name: str, meant: str, path: str) -> str:
    inside = f" in {path}" if path else ""
    return (
        f"{quote(name)}{inside} and {quote(meant)}, which a rule looks at, differ in case or form"
        f" alone. Write {quote(meant)}."
    )
