"""What `?` tells beside the keys: what can be typed to filter and search, and what signs mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pktui.tui.screens.action_list import Entry

if TYPE_CHECKING:
    from pktui.tui.glyphs import Glyphs

_GRAMMAR = (
    ("words", "all of them, in any order"),
    ('"a phrase"', "as it stands"),
    ('-"a phrase"  -tool:x', "a minus before a phrase or a filter excludes"),
    ("since:2h  before:2026-01-31", "an age (30m 2h 7d 4w), a date or a time"),
    ("a:x a:y b:z", "values of one key are alternatives, all else must hold together"),
)
_FEED = (
    ("agent: grant: session: project:", "part of the name, or a pattern with * and ?"),
    ("server: tool:", "the whole name, or a pattern; tool: also takes server.tool"),
    ("effect: outcome:", "what became of it: allowed, asked, denied, failed …"),
    ("kind:request", "what else than tool calls was asked for"),
)
_SESSIONS = (
    ("agent: project: source: status:", "whose session, where, from where, active or ended"),
    ("role: tool:", "who said it, or the tool that was called"),
    ("session:12", "inside one session"),
    ("in:messages in:calls in:knowledge", "only what was said, done, or is kept as knowledge"),
)


def reference(glyphs: Glyphs) -> Iterator[Entry]:
    """Yield what is looked up and not run."""
    parts = (("What can be typed after /", _GRAMMAR), ("Filters of the Feed", _FEED),
             ("Filters of sessions", _SESSIONS))  # fmt: skip
    for group, rows in parts:
        for typed, meaning in rows:
            yield Entry(group, f"{typed}   {meaning}")
    for sign, meaning in (
        (glyphs.waiting, "needs you: a call waits for a person"),
        (glyphs.allowed, "allowed"),
        (glyphs.denied, "denied or refused"),
        (glyphs.failed, "failed: the tool answered with an error, or not at all"),
        (glyphs.hidden, "hidden: agents do not see the tool"),
        (glyphs.live, "live: it runs now; an active session"),
        (glyphs.ended, "over: an ended session, an agent that is gone"),
        (glyphs.entry, "an entry of the knowledge; in the rail of a session a hit"),
        (glyphs.changed, "new or changed: look at it"),
        (glyphs.draft, "drafted, not written"),
        (glyphs.cursor, "the row under the cursor"),
    ):
        yield Entry("Signs", meaning, sign)
