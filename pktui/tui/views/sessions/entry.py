"""A knowledge entry in the preview: what it is about, and all it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pktui.text import one_line, visible
from pktui.tui.document import Line
from pktui.tui.moments import day_time
from pktui.tui.views.sessions.reader import microseconds

if TYPE_CHECKING:
    from pktui.memory.records import Entry

_LABEL = 10
# Longer ones are read with `pktui knowledge get`.
_CHARACTERS = 400_000


def entry_lines(entry: Entry) -> Iterator[Line]:
    """Yield an entry as lines of a document."""
    facts = (
        ("title", one_line(entry.title, 2_000)),
        ("tags", one_line(", ".join(entry.tags), 2_000)),
        ("source", one_line(entry.source, 2_000)),
        ("made", day_time(microseconds(entry.created_at))),
        ("changed", day_time(microseconds(entry.updated_at))),
    )
    for label, text in facts:
        if text:
            yield Line(text, "strong" if label == "title" else "text", label.ljust(_LABEL), "key")
    yield Line("")
    for text in visible(entry.content[:_CHARACTERS]).expandtabs(4).split("\n"):
        yield Line(text)
    left = len(entry.content) - _CHARACTERS
    if left > 0:
        yield Line(f"{left:,} more characters: pktui knowledge get {entry.id}", "note")
