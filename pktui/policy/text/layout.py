"""Writes a whole policy document the way people write them: short things on one line."""

from __future__ import annotations

from typing import Any

from pktui.policy.text.json_edit import write

_WIDTH = 120
_INDENT = "  "


def write_document(document: dict[str, Any]) -> bytes:
    """Return the document as text: every member and every tool on lines of their own."""
    members = [
        f"{_INDENT}{write(key)}: {_lay_out(value, 1, spread=key in ('tools', 'all_tools'))}"
        for key, value in document.items()
    ]
    return ("{\n" + ",\n".join(members) + "\n}\n").encode()


def _lay_out(value: Any, depth: int, *, spread: bool = False) -> str:
    """Return the value on one line where it fits, else with a line for each entry."""
    line = write(value)
    fits = len(line) + len(_INDENT) * depth + 20 <= _WIDTH
    if not isinstance(value, (dict, list)) or not value or (fits and not spread):
        return line
    inner, outer = _INDENT * (depth + 1), _INDENT * depth
    if isinstance(value, dict):
        lines = [f"{inner}{write(k)}: {_lay_out(v, depth + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{outer}}}"
    if len(value) == 1:
        return f"[{_lay_out(value[0], depth)}]"
    lines = [f"{inner}{_lay_out(item, depth + 1)}" for item in value]
    return "[\n" + ",\n".join(lines) + f"\n{outer}]"
