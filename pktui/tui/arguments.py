"""The arguments of a call, for a person: every value shown, nothing hidden, edits as a diff.

Strings from agents are made visible line by line and always stand behind a lead of ours (a key,
a gutter, a sign), so that no text can pass for another argument.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any

from rich.cells import cell_len

from pktui import strict_json
from pktui.text import one_line, visible
from pktui.tui.cells import fit
from pktui.tui.document import Line, Tone, wrap

# A list of plain values up to this long stays on one line.
INLINE_CHARACTERS = 60
# A longer key gets a line of its own.
KEY_CELLS = 20
# Texts with more lines are shown one after the other: the comparison would take seconds.
DIFF_LINES = 1_500

_EDIT_KEYS = (
    ("old_string", "new_string"),
    ("old_str", "new_str"),
    ("old_text", "new_text"),
    ("oldText", "newText"),
    ("oldString", "newString"),
    ("old", "new"),
)
_TAB = "⇥   "
_BETWEEN = " │ "
_NO_SIGN = "  "


@dataclass(frozen=True, slots=True)
class _Number:
    """A number exactly as it was written."""

    text: str


_DECODER = strict_json.decoder(parse_int=_Number, parse_float=_Number, parse_constant=_Number)


def argument_lines(text: str) -> tuple[Line, ...]:
    """Lay the arguments (JSON text) out by key; text that is no JSON is shown as it stands."""
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError):
        return (Line("not readable as JSON, shown as it came", "warning"), *raw_lines(text))
    if isinstance(value, dict):
        return tuple(_members(value, "")) or (Line("no arguments", "note"),)
    return tuple(_value(value, ""))


def raw_lines(text: str) -> tuple[Line, ...]:
    """Show the JSON text as it stands, only made visible."""
    return tuple(Line(_shown(line)) for line in text.split("\n"))


def summary(text: str, limit: int = 160) -> str:
    """Return the arguments on one line, such as `query="jwt" limit=5`."""
    try:
        value = _DECODER.decode(text) if len(text) < 1 << 17 else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        return one_line(text, limit) if text not in ("", "null") else ""
    parts: list[str] = []
    room = limit
    for key, inner in value.items():
        part = f"{one_line(key, 40)}={_short(inner, room)}"
        parts.append(part)
        room -= len(part) + 1
        if room <= 0:
            break
    return one_line(" ".join(parts), limit)


def _members(members: dict[str, Any], indent: str) -> Iterator[Line]:
    edits = {old: new for old, new in _EDIT_KEYS if _is_edit(members, old, new)}
    plain = [key for key in members if key not in edits and key not in edits.values()]
    column = max((cell_len(key) for key in map(_shown, plain) if _is_short(key)), default=0)
    for key, value in members.items():
        if key in edits:
            yield Line(f"{key} → {edits[key]}", "heading", indent, "note")
            yield from diff_lines(value, members[edits[key]], indent + "  ")
        elif key not in edits.values():
            yield from _member(_shown(key), value, indent, column)


def _member(key: str, value: Any, indent: str, column: int) -> Iterator[Line]:
    inline = _inline(value)
    if inline is not None and _is_short(key):
        shown, tone = inline
        yield Line(shown, tone, f"{indent}{key}{' ' * (column - cell_len(key))}  ")
        return
    yield Line(key, "key", indent, "note")
    yield from _value(value, indent + "  ")


def _is_short(key: str) -> bool:
    return cell_len(key) <= KEY_CELLS


def _value(value: Any, indent: str) -> Iterator[Line]:
    inline = _inline(value)
    if inline is not None:
        yield Line(inline[0], inline[1], indent, "note")
    elif isinstance(value, dict):
        yield from _members(value, indent)
    elif isinstance(value, list):
        for number, item in enumerate(value, 1):
            yield from _item(item, number, indent)
    else:
        yield from _block(value, indent)


def _item(item: Any, number: int, indent: str) -> Iterator[Line]:
    inline = _inline(item)
    if inline is not None:
        yield Line(inline[0], inline[1], f"{indent}{number}. ", "note")
        return
    yield Line(f"{number}.", "note", indent, "note")
    yield from _value(item, indent + "  ")


def _block(text: str, indent: str) -> Iterator[Line]:
    gutter = f"{indent}│ "
    for line in text.split("\n"):
        yield Line(_shown(line), "string", gutter, "note", gutter)


def _inline(value: Any) -> tuple[str, Tone] | None:
    """Return the value on one line with its tone, or `None` where it needs several."""
    if isinstance(value, str):
        return None if "\n" in value else (f'"{_shown(value)}"', "string")
    if isinstance(value, _Number):
        return _shown(value.text), "number"
    if isinstance(value, dict):
        return None if value else ("{}", "number")
    if isinstance(value, list):
        return _inline_list(value)
    return json.dumps(value), "number"


def _inline_list(items: list[Any]) -> tuple[str, Tone] | None:
    if not items:
        return "[]", "number"
    if len(items) > INLINE_CHARACTERS or any(isinstance(item, dict | list) for item in items):
        return None
    shown = [_inline(item) for item in items]
    text = ", ".join(part[0] for part in shown if part is not None)
    if None in shown or len(text) > INLINE_CHARACTERS:
        return None
    return f"[{text}]", "string"


def _is_edit(members: dict[str, Any], old: str, new: str) -> bool:
    return isinstance(members.get(old), str) and isinstance(members.get(new), str)


def diff_lines(old: str, new: str, indent: str = "") -> Iterator[Line]:
    """Show both texts whole as one diff: kept lines once, `-` what goes, `+` what comes."""
    before, after = old.split("\n"), new.split("\n")
    if max(len(before), len(after)) > DIFF_LINES:
        yield from _signed(before, "- ", "removed", indent)
        yield from _signed(after, "+ ", "added", indent)
        return
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for tag, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if tag == "equal":
            yield from _signed(before[old_from:old_to], "  ", "text", indent)
            continue
        yield from _signed(before[old_from:old_to], "- ", "removed", indent)
        yield from _signed(after[new_from:new_to], "+ ", "added", indent)


def beside_lines(old: str, new: str, width: int) -> Iterator[Line]:
    """Show both texts whole beside each other in `width` cells, the old one at the left."""
    before, after = old.split("\n"), new.split("\n")
    if max(len(before), len(after)) > DIFF_LINES:
        yield from diff_lines(old, new)
        return
    half = (width - cell_len(_BETWEEN)) // 2
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for tag, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        pairs = zip_longest(before[old_from:old_to], after[new_from:new_to])
        for left, right in pairs:
            yield from _beside(left, right, half, same=tag == "equal")


def _beside(left: str | None, right: str | None, half: int, *, same: bool) -> Iterator[Line]:
    """Show a line of each, broken by us: no text of the one can pass for the other's."""
    room = half - len(_NO_SIGN)
    old, new = [() if line is None else wrap(_shown(line), room) for line in (left, right)]
    minus, plus = (_NO_SIGN, _NO_SIGN) if same else ("- ", "+ ")
    for before, after in zip_longest(old, new):
        lead = (_NO_SIGN if before is None else minus) + fit(before or "", room)
        text = f"{_BETWEEN}{_NO_SIGN if after is None else plus}{after or ''}"
        tones: tuple[Tone, Tone] = ("text", "text") if same else ("added", "removed")
        yield Line(text, tones[0], lead, tones[1], spans=((0, len(_BETWEEN), "note"),))


def _signed(lines: list[str], sign: str, tone: Tone, indent: str) -> Iterator[Line]:
    lead = f"{indent}{sign}"
    for line in lines:
        yield Line(_shown(line), tone, lead, tone, lead)


def _short(value: Any, limit: int) -> str:
    if isinstance(value, str):
        return f'"{one_line(value, max(8, limit))}"'
    if isinstance(value, _Number):
        return one_line(value.text, 40)
    if isinstance(value, dict):
        return f"{{{len(value)}}}" if value else "{}"
    if isinstance(value, list):
        inline = _inline_list(value[:INLINE_CHARACTERS])
        return one_line(inline[0], max(8, limit)) if inline else f"[{len(value)} items]"
    return json.dumps(value)


def _shown(line: str) -> str:
    """Make one line visible; carriage returns stay apart from line breaks, tabs get a sign."""
    return visible(line).replace("\n", "␊").replace("\t", _TAB)
