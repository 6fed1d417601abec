"""What a tool call is found by: its tool, the values of its arguments, the error it ended with.

A call's paths and commands are what `file:` and `cmd:` look at. Long values, as the content of a
file that was written, are not searched: they are in the files.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pktui.memory.records import Call

_LONGEST_VALUE, _LONGEST_COMMAND, _LONGEST = 300, 2_000, 4_000
_MOST_VALUES = 100
_COMMAND_KEYS = frozenset({"command", "cmd", "script", "shell_command"})
_FILE_KEYS = re.compile(r"path|file|dir|cwd|folder|uri|notebook", re.IGNORECASE)
# One expression for both would look through a long word once for each of its characters.
_WORD = re.compile(r"[^\s\"'`;|&<>(){}\[\],=]+")
_PATH_LIKE = re.compile(r"[/\\]|\.[A-Za-z][A-Za-z0-9]{0,5}\b")


def call_text(call: Call) -> str:
    """Return what is searched of the call."""
    parts = [call.tool]
    for key, value in _values(call.arguments):
        if key in _COMMAND_KEYS:
            parts.append(value[:_LONGEST_COMMAND])
        elif _FILE_KEYS.search(key) or (len(value) <= _LONGEST_VALUE and "\n" not in value):
            parts.append(value[:_LONGEST_VALUE])
    if call.outcome not in ("ok", "no result"):
        parts.append(call.result.strip().partition("\n")[0][:_LONGEST_VALUE])
    return "\n".join(dict.fromkeys(part for part in parts if part))[:_LONGEST]


def files_of(call: Call) -> Iterator[str]:
    """Yield the paths among the call's arguments, those within its commands too."""
    for key, value in _values(call.arguments):
        if _FILE_KEYS.search(key):
            yield value[:_LONGEST_VALUE]
        elif key in _COMMAND_KEYS or len(value) <= _LONGEST_VALUE:
            found = _WORD.findall(value[:_LONGEST_COMMAND])
            yield from (word for word in found if _PATH_LIKE.search(word))


def commands_of(call: Call) -> Iterator[str]:
    """Yield the commands that the call ran."""
    return (value for key, value in _values(call.arguments) if key in _COMMAND_KEYS)


def _values(arguments: str) -> list[tuple[str, str]]:
    """Return the texts and numbers in the arguments, each with the key it stands under.

    What is no JSON, as arguments that were cut short, is one text.
    """
    try:
        read = msgspec.json.decode(arguments) if arguments else {}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _cut_short(arguments)
    found: list[tuple[str, str]] = []
    todo: list[tuple[str, Any]] = [("", read)]
    while todo and len(found) < _MOST_VALUES:
        key, value = todo.pop()
        if isinstance(value, dict):
            todo += [(str(name).lower(), one) for name, one in reversed(value.items())]
        elif isinstance(value, list):
            joined = key in _COMMAND_KEYS and all(isinstance(one, str) for one in value)
            todo += [(key, " ".join(value))] if joined else [(key, one) for one in reversed(value)]
        elif isinstance(value, str) and value:
            found.append((key, value))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((key, str(value)))
    return found


_CUT_VALUE = re.compile(r'"([^"\\]{1,100})"\s*:\s*"((?:[^"\\]|\\.)*)')


def _cut_short(arguments: str) -> list[tuple[str, str]]:
    """Return the texts of an object whose end is missing."""
    pairs = _CUT_VALUE.findall(arguments)[:_MOST_VALUES]
    return [(key.lower(), value) for key, value in pairs] or [("", arguments)]
