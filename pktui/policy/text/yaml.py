"""YAML text with positions, for Intercept's policies: plain data, nothing that could surprise.

Values follow YAML 1.2's core schema (`yes` and `on` are text). Duplicate keys, tags, merge keys,
aliases that contain themselves or multiply, and several documents are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml
from yaml import events

from pktui.policy.text.json import Kind, Member, Node, NotJson, Slip
from pktui.policy.text.jsontext import MAX_DEPTH, read_number
from pktui.policy.text.problems import quote

MAX_CHARACTERS = 1024 * 1024
MAX_NODES = 100_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS = {"", "~", "null", "Null", "NULL"}
_TRUE = {"true", "True", "TRUE"}
_FALSE = {"false", "False", "FALSE"}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]")


def scan_yaml(text: str) -> tuple[Node | None, list[Slip]]:
    """Return the root with positions, and every slip; no root where the text breaks off."""
    if len(text) > MAX_CHARACTERS:
        return None, [Slip(0, f"more than {MAX_CHARACTERS} characters", "Make it smaller")]
    composer = _Composer()
    try:
        root = composer.compose(yaml.parse(text, Loader=_LOADER))
    except NotJson as error:
        return None, [*composer.slips, error.slip]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = f"this is not YAML: {error.problem or error.context or 'unreadable'}"
        return None, [*composer.slips, Slip(mark.index if mark else 0, what, "Mend that line")]
    except yaml.YAMLError as error:
        place = getattr(error, "position", 0)
        return None, [Slip(place, "a character that YAML does not allow", "Remove it")]
    return root, composer.slips


@dataclass(slots=True)
class _Open:
    """A mapping or sequence that is still being read."""

    mapping: bool
    start: int
    anchor: str | None
    first: int
    members: list[Member] = field(default_factory=list)
    items: list[Node] = field(default_factory=list)
    key: Node | None = None
    seen: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Anchored:
    node: Node
    size: int


class _Composer:
    """Builds nodes from events with a stack, so that depth costs no recursion."""

    def __init__(self) -> None:
        self.slips: list[Slip] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, _Anchored] = {}
        self._count = 0
        self._root: Node | None = None
        self._documents = 0

    def compose(self, stream: Iterator[Any]) -> Node:
        for event in stream:
            self._take(event)
        return self._root or Node("null", 0, 0)

    def _take(self, event: Any) -> None:
        at = event.start_mark.index
        if isinstance(event, events.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._stop(at, "a second document begins here", "Keep one document in a file")
        elif isinstance(event, (events.MappingStartEvent, events.SequenceStartEvent)):
            self._start(event, at)
        elif isinstance(event, (events.MappingEndEvent, events.SequenceEndEvent)):
            self._end(_end_of(event))
        elif isinstance(event, events.AliasEvent):
            self._alias(event, at)
        elif isinstance(event, events.ScalarEvent):
            self._count_nodes(1, at)
            node = self._scalar(event, at)
            self._anchor(event.anchor, node, 1)
            self._add(node)

    def _start(self, event: Any, at: int) -> None:
        self._refuse_tag(event, at)
        if len(self._open) >= MAX_DEPTH:
            self._stop(at, f"more than {MAX_DEPTH} levels deep", "Nest less")
        self._count_nodes(1, at)
        mapping = isinstance(event, events.MappingStartEvent)
        self._open.append(_Open(mapping, at, event.anchor, self._count))

    def _end(self, end: int) -> None:
        done = self._open.pop()
        kind: Kind = "object" if done.mapping else "array"
        node = Node(kind, done.start, end, None, done.members, done.items)
        self._anchor(done.anchor, node, self._count - done.first + 1)
        self._add(node)

    def _alias(self, event: Any, at: int) -> None:
        known = self._anchors.get(event.anchor)
        if known is None:
            what = f"the alias *{event.anchor} stands for nothing, or for what it is part of"
            self._stop(at, what, "Write the value out")
        self._count_nodes(known.size, at)
        self._add(known.node)

    def _anchor(self, anchor: str | None, node: Node, size: int) -> None:
        if anchor:
            self._anchors[anchor] = _Anchored(node, size)

    def _add(self, node: Node) -> None:
        if not self._open:
            self._root = node
            return
        parent = self._open[-1]
        if not parent.mapping:
            parent.items.append(node)
        elif parent.key is None:
            parent.key = node
        else:
            self._member(parent, parent.key, node)
            parent.key = None

    def _member(self, parent: _Open, key: Node, value: Node) -> None:
        if key.kind in ("object", "array"):
            self._stop(key.start, "a key that is no plain word", "Write a name")
        name = _key_text(key)
        if name == "<<":
            self._stop(key.start, "merge keys are not supported", "Write the entries out")
        if name in parent.seen:
            what = f"the key {quote(name)} occurs twice"
            self.slips.append(Slip(key.start, what, "Keep one of them"))
        parent.seen.add(name)
        parent.members.append(Member(name, key.start, key.end, value))

    def _scalar(self, event: Any, at: int) -> Node:
        end = _end_of(event)
        if event.tag == "tag:yaml.org,2002:str" or event.tag == "!" or event.style:
            if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
                self._refuse_tag(event, at)
            return Node("string", at, end, event.value)
        self._refuse_tag(event, at)
        kind, value = self._resolve(event.value, at)
        return Node(kind, at, end, value)

    def _resolve(self, word: str, at: int) -> tuple[Kind, Any]:
        if word in _NULLS:
            return "null", None
        if word in _TRUE or word in _FALSE:
            return ("true", True) if word in _TRUE else ("false", False)
        if _LEADING_ZERO.match(word):
            return "string", word
        try:
            if _INTEGER.fullmatch(word) or _FLOAT.fullmatch(word):
                return "number", read_number(word)
        except ValueError:
            self.slips.append(Slip(at, "this number is out of range", "Use a smaller number"))
            return "number", 0
        return "string", word

    def _count_nodes(self, more: int, at: int) -> None:
        self._count += more
        if self._count > MAX_NODES:
            self._stop(at, f"more than {MAX_NODES} values, aliases counted", "Make it smaller")

    def _refuse_tag(self, event: Any, at: int) -> None:
        if event.tag:
            self._stop(at, f"the tag {quote(event.tag)}", "Remove the tag")

    def _stop(self, at: int, what: str, cure: str) -> NoReturn:
        raise NotJson(Slip(at, what, cure))


def _end_of(event: Any) -> int:
    return int(event.end_mark.index)


def _key_text(node: Node) -> str:
    if node.kind == "string":
        return str(node.value)
    return {"null": "null", "true": "true", "false": "false"}.get(node.kind, str(node.value))
