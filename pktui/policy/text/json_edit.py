"""Edits of JSON text in place: what is not edited keeps every byte.

Each function takes the whole text and the node it is about, and returns the new whole text.
New entries follow the layout around them: a new line where the neighbours have one, the same
indentation, the same line ending.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.policy.text.json import Node

_INDENT = re.compile(r"[ \t]*")
_COMMENT = re.compile(r"//[^\r\n]*|/\*(?s:.*?)\*/")
_COMMA = re.compile(rf"(?:\s|{_COMMENT.pattern})*,")


def write(value: Any) -> str:
    """Write a value on one line, the way people write policies: `{ "max": 3 }`."""
    if isinstance(value, dict):
        inner = ", ".join(f"{write(key)}: {write(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        inner = ", ".join(map(write, value))
        return f"[{inner}]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


def replace_value(text: str, node: Node, value: str) -> str:
    """Put other text in the place of a value."""
    return text[: node.start] + value + text[node.end :]


def add_member(text: str, node: Node, key: str, value: str, *, lines: bool = False) -> str:
    """Append `"key": value` to an object; `lines` gives an empty one a line for each entry."""
    spans = [(member.start, member.value.end) for member in node.members]
    return _append(text, node, spans, f"{write(key)}: {value}", lines=lines)


def add_item(text: str, node: Node, value: str) -> str:
    """Append a value to a list."""
    return _append(text, node, [(item.start, item.end) for item in node.items], value)


def remove_member(text: str, node: Node, key: str) -> str:
    """Take a member out of an object, with its comma."""
    spans = [(member.start, member.value.end) for member in node.members]
    index = next(i for i, member in enumerate(node.members) if member.key == key)
    return _remove(text, node, spans, index)


def remove_item(text: str, node: Node, index: int) -> str:
    """Take a value out of a list, with its comma."""
    return _remove(text, node, [(item.start, item.end) for item in node.items], index)


def _append(
    text: str, node: Node, spans: Sequence[tuple[int, int]], entry: str, *, lines: bool = False
) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    if spans:
        last_start, last_end = spans[-1]
        before = text[node.start + 1 if len(spans) == 1 else spans[-2][1] : last_start]
        gap = f"{newline}{_indent_at(text, last_start)}" if "\n" in before else " "
        own, comma = _rest_of_line(text[last_end : node.end - 1])
        if own:
            rest = text[last_end + len(own) :]
            return f"{text[:last_end]}{comma}{own}{gap}{entry}{'' if comma else ','}{rest}"
        return f"{text[:last_end]},{gap}{entry}{text[last_end:]}"
    if not lines:
        brace = text[node.start]
        inner = f" {entry} " if brace == "{" else entry
        return f"{text[: node.start + 1]}{inner}{text[node.end - 1 :]}"
    outer = _indent_at(text, node.start)
    inner = f"{newline}{outer}{_unit(text)}{entry}{newline}{outer}"
    return f"{text[: node.start + 1]}{inner}{text[node.end - 1 :]}"


def _remove(text: str, node: Node, spans: Sequence[tuple[int, int]], index: int) -> str:
    start, end = spans[index]
    opened, closed = node.start + 1, node.end - 1
    around = text[spans[index - 1][1] if index else opened : start]
    around += text[end : spans[index + 1][0] if index + 1 < len(spans) else closed]
    if "/" in around:  # a comment, which may be about a neighbour
        comma = _COMMA.match(text, end, closed)
        return text[:start] + text[comma.end() if comma else end :]
    if len(spans) == 1:
        start, end = node.start + 1, node.end - 1
    elif index == len(spans) - 1:
        start = spans[index - 1][1]
    else:
        end = spans[index + 1][0]
    return text[:start] + text[end:]


def _rest_of_line(tail: str) -> tuple[str, str]:
    """Return the comment behind the last entry on its line, and the comma that it wants.

    Empty where there is none, or a comma follows on another line.
    """
    end = len(tail.split("\n", 1)[0].rstrip("\r")) if "\n" in tail else 0
    own, rest = tail[:end].rstrip(), tail[end:]
    if "/" not in own or "," in _COMMENT.sub("", rest):
        return "", ","
    return own, "" if "," in _COMMENT.sub("", own) else ","


def _indent_at(text: str, offset: int) -> str:
    """Return the white space that opens the line of an offset."""
    match = _INDENT.match(text, text.rfind("\n", 0, offset) + 1)
    assert match is not None
    return match.group()


def _unit(text: str) -> str:
    """Return one step of the document's indentation."""
    match = re.search(r"\n([ \t]+)", text)
    return match.group(1) if match else "  "
