"""What a waiting call would do, where looking tells it: a file's change, a session's end.

Everything here blocks. What stands in the file may change until the call runs; the arguments are
what is decided.
"""

from __future__ import annotations

import difflib
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pktui.errors import PktuiError
from pktui.text import one_line, visible
from pktui.tui.document import Line, Tone
from pktui.tui.moments import age

if TYPE_CHECKING:
    from pktui.ledger.records import Approval
    from pktui.tui.services import Memory

MOST_BYTES = 1_000_000
MOST_LINES = 6_000
SHOWN_LINES = 400
_PATHS = ("path", "file_path", "filePath", "filepath", "file", "filename", "target_file")
_WHOLE = ("content", "contents", "new_content", "file_text", "text")
# What an edit replaces, and with what.
_EDITS = (("old_string", "new_string"), ("oldString", "newString"), ("old_str", "new_str"),
          ("oldText", "newText"))  # fmt: skip
_LABEL = 7


def preview_of(approval: Approval, memory: Memory, now_us: int) -> tuple[Line, ...]:
    """Say what the call would change; nothing where that cannot be told."""
    try:
        arguments = json.loads(approval.arguments)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(arguments, dict):
        return ()
    if approval.server == "memory":
        return tuple(_of_memory(approval.tool, arguments, memory, now_us))
    return tuple(_of_file(arguments, approval.project))


def _of_file(arguments: Mapping[str, Any], project: str) -> Iterator[Line]:
    name = _text(arguments, _PATHS)
    whole = _text(arguments, _WHOLE)
    edits = tuple(_edits(arguments))
    if name is None or "\0" in name or (whole is None and not edits):
        return
    path = Path(project or "/", name)
    before = read_file(path)
    if before is None:
        if whole is not None and not os.path.lexists(path):
            yield _head("makes", f"{one_line(name, 300)}, a new file of {_lines_of(whole)}")
            yield Line("")
        return
    after = whole if whole is not None else before
    for old, new in edits if whole is None else ():
        if old not in after:
            yield _head("edits", f"{one_line(name, 300)}: the text to replace is not in it")
            yield Line("")
            return
        after = after.replace(old, new, 1)
    yield from _difference(name, before, after)


def _difference(name: str, before: str, after: str) -> Iterator[Line]:
    old, new = before.splitlines(), after.splitlines()
    if max(len(old), len(new)) > MOST_LINES:
        yield _head("writes", f"{one_line(name, 300)}: too long to be compared")
        yield Line("")
        return
    diff = list(islice(difflib.unified_diff(old, new, n=2, lineterm=""), 2, None))
    added, removed = (sum(line.startswith(sign) for line in diff) for sign in "+-")
    words = f"+{added:,} -{removed:,}" if diff else "nothing: it holds this already"
    yield _head("changes", f"{one_line(name, 300)}  {words}")
    yield from map(_diff_line, diff[:SHOWN_LINES])
    if len(diff) > SHOWN_LINES:
        yield Line(f"and {len(diff) - SHOWN_LINES:,} more lines", "note")
    yield Line("")


def _diff_line(line: str) -> Line:
    if line.startswith("@@"):
        return Line(f"line {line.split(' ')[2].lstrip('+').split(',')[0]}", "note")
    tones: dict[str, Tone] = {"+": "added", "-": "removed"}
    tone = tones.get(line[:1], "key")
    return Line(visible(line[1:]).replace("\t", "    "), tone, f"{line[:1]} ", tone)


def read_file(path: Path) -> str | None:
    """Return what a regular file holds; None where it is none, is too large or cannot be read."""
    try:
        found = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        status = os.fstat(found)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES:
            return None
        with os.fdopen(os.dup(found), "rb") as file:
            return file.read(MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    finally:
        os.close(found)


def _of_memory(
    tool: str, arguments: Mapping[str, Any], memory: Memory, now_us: int
) -> Iterator[Line]:
    """Show the thing itself: which session would end, which entry would go or change."""
    try:
        if tool == "end_session" and isinstance(arguments.get("sessionId"), int):
            session = memory.session(arguments["sessionId"])
            title = one_line(session.title or session.name or f"session {session.id}", 200)
            seen = session.last_activity or session.started_at
            last = age(now_us - int(seen.timestamp() * 1_000_000))
            yield _head("ends", f"“{title}”, {session.message_count:,} messages, last {last} ago")
            yield Line("")
        elif tool in {"delete_knowledge", "update_knowledge"} and isinstance(
            arguments.get("id"), int
        ):
            entry = memory.get_entry(arguments["id"])
            title, content = one_line(entry.title, 200), arguments.get("content")
            if tool == "update_knowledge" and isinstance(content, str):
                yield from _difference(title, entry.content, content)
                return
            yield _head("deletes" if tool == "delete_knowledge" else "updates", f"“{title}”")
            for line in entry.content.splitlines()[:20]:
                yield Line(visible(line), "removed" if tool == "delete_knowledge" else "text", "  ")
            yield Line("")
    except PktuiError as error:
        yield _head("about", f"it cannot be looked up now: {error}")
        yield Line("")


def _text(arguments: Mapping[str, Any], names: Sequence[str]) -> str | None:
    found = (arguments.get(name) for name in names)
    return next((value for value in found if isinstance(value, str)), None)


def _edits(arguments: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    listed = arguments.get("edits")
    for one in [arguments, *(listed if isinstance(listed, list) else ())]:
        for old, new in _EDITS:
            if (
                isinstance(one, dict)
                and isinstance(one.get(old), str)
                and isinstance(one.get(new), str)
            ):
                yield one[old], one[new]


def _lines_of(text: str) -> str:
    count = len(text.splitlines())
    return f"{count:,} {'line' if count == 1 else 'lines'}"


def _head(label: str, text: str) -> Line:
    return Line(text, "strong", label.ljust(_LABEL + 1), "heading")
