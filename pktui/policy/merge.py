"""What a page shows of a policy, added to the one there is: everything else stays as it is.

Taken are a whole policy, its `tools` alone, the entries of tools by themselves, with or without the
braces around them, in a page's fence or not, and an Intercept policy, which is converted first.

Tools that are not there are added. Of one that is, lists (`require`, `deny_if`, `limits` …) get the
items they lack, and other members are replaced. The default stays: it decides about tools that the
page says nothing of.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from pktui.errors import PolicyError
from pktui.policy.document.policy import parse_policy, read_text
from pktui.policy.editor import Edit, check_name
from pktui.policy.globs import is_pattern
from pktui.policy.text import json_edit
from pktui.policy.text.json import Node, scan
from pktui.policy.text.problems import PolicyInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pktui.policy.editor import PolicyEditor

MOST_TEXT: Final = 1_000_000
_TOP: Final = frozenset(
    {
        *("version", "description", "default", "hide", "list", "on_outage", "all_tools", "tools"),
        "$schema",
    }
)
_FENCE: Final = re.compile(r"```[a-zA-Z]*")
_LEFT: Final = ("version", "$schema", "description", "default")
_EXAMPLE: Final = (
    'Give a policy, or the entries of tools like { "search": { "action": "approve" } }'
)


def merge_edit(editor: PolicyEditor, text: str) -> tuple[Edit, tuple[str, ...]]:
    """Return the edit that adds what the text holds, and notes on what was not taken.

    Raises `PolicyError` where it cannot be read, `PolicyInvalid` where the result is no policy.
    """
    if editor.policy.dialect != "native":
        raise PolicyError(
            f"{editor.path} is an Intercept policy, which is only read",
            f"Write it in pktui's own form first: pktui policy convert {editor.path}",
        )
    wanted, notes = _read(text)
    for name in wanted.get("tools", {}):
        if not is_pattern(name):
            check_name(name, editor.path)
    default = wanted.get("default")
    if default is not None and default != editor.policy.default.value:
        kept = editor.policy.default.value
        notes = (*notes, f"its default, {default}, was left out: this policy's stays {kept}")
    merged = editor.raw.decode()
    for key, value in wanted.items():
        if key not in _LEFT:
            merged = _put(merged, (), key, value)
    parse_policy(merged.encode(), editor.path)
    tools = wanted.get("tools", {})
    few = ", ".join(tools) if 0 < len(tools) <= 3 else f"{len(tools)} tools"
    return Edit(editor.path, f"merged: {few}", editor.raw, merged.encode()), notes


def _read(text: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the text as a document in pktui's own form, and what conversion left out."""
    if len(text) > MOST_TEXT:
        raise PolicyError(f"the text is longer than {MOST_TEXT:,} characters", _EXAMPLE)
    value = _value(_unfenced(text.strip()))
    if not isinstance(value, dict) or not value:
        raise PolicyError("the text holds no policy", _EXAMPLE)
    if any(isinstance(entry, dict) and "rules" in entry for entry in _tools_in(value)):
        from pktui.policy.document.convert import convert

        whole = value if "version" in value else {"version": "1", **value}
        converted = convert(parse_policy(json.dumps(whole).encode(), dialect="intercept"))
        return json.loads(converted.document), converted.notes
    if not _TOP & value.keys():
        value = {"tools": value}
    return value, ()


def _unfenced(text: str) -> str:
    """Return what stands in a page's fence, or the text itself where there is none around it."""
    first, _, rest = text.partition("\n")
    inside, _, last = rest.rpartition("\n")
    fenced = last.strip() == "```" and _FENCE.fullmatch(first.strip())
    return inside.strip() if fenced else text


def _tools_in(value: Mapping[str, Any]) -> Iterator[Any]:
    tools = value.get("tools")
    yield from (tools if isinstance(tools, dict) else value).values()


def _value(text: str) -> Any:
    """Return the JSON or YAML; entries without the braces around them are taken as well."""
    braced = f"{{{text.rstrip(',')}}}" if text.startswith('"') else text
    root, slips = scan(braced, comments=True)
    if root is not None and not slips:
        return root.plain()
    try:
        return read_text(text)[0]
    except PolicyInvalid as error:
        raise PolicyError(f"the text cannot be read: {error.what}", _EXAMPLE) from error


def _put(text: str, at: tuple[str, ...], key: str, value: Any) -> str:
    """Return a document's text with one member merged into the object at a path."""
    node = _node(text, at)
    member = node.member(key)
    if member is None:
        return json_edit.add_member(text, node, key, json_edit.write(value), lines=len(at) < 2)
    if isinstance(value, dict) and member.value.kind == "object" and not _is_look(at, key):
        for below, inner in value.items():
            text = _put(text, (*at, key), below, inner)
        return text
    if isinstance(value, list) and member.value.kind == "array":
        for item in value:
            text = _add(text, (*at, key), item)
        return text
    if member.value.plain() == value:
        return text
    return json_edit.replace_value(text, member.value, json_edit.write(value))


def _is_look(at: tuple[str, ...], key: str) -> bool:
    """Tell whether a member is a tool's look: arguments of two tools are not to be mixed."""
    return key == "look" and len(at) == 2


def _add(text: str, at: tuple[str, ...], item: Any) -> str:
    """Return the text with an item in a list; a limit takes the place of its counter's."""
    node = _node(text, at)
    for there in node.items:
        known = there.plain()
        if known == item:
            return text
        if _is_limit_of(known, item):
            return json_edit.replace_value(text, there, json_edit.write(item))
    return json_edit.add_item(text, node, json_edit.write(item))


def _is_limit_of(known: Any, item: Any) -> bool:
    if not (isinstance(known, dict) and isinstance(item, dict) and "counter" in item):
        return False
    return all(known.get(key) == item.get(key) for key in ("counter", "window", "scope"))


def _node(text: str, at: tuple[str, ...]) -> Node:
    root, _ = scan(text)
    assert root is not None
    for step in at:
        member = root.member(step)
        assert member is not None
        root = member.value
    return root
