"""What the Sessions view asks before it changes something."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pktui.text import has_hidden
from pktui.tui.screens.ask import AskScreen
from pktui.tui.views.sessions.changes import FORMATS, check_target
from pktui.tui.views.sessions.draw import session_title

if TYPE_CHECKING:
    from textual.app import App

    from pktui.memory.records import Session

# A person types at most this much of a title to delete its session.
TITLE_CHARACTERS = 24


def ask_summary(app: App[object], session: Session, then: Callable[[str], None]) -> None:
    """Ask for the summary that a session ends with; it may stay empty."""
    screen = AskScreen(
        f"End “{session_title(session)}”",
        "A summary is optional. It is kept with the session and can be searched.",
        placeholder="summary",
        enter="end",
    )
    app.push_screen(screen, _unless_left(then))


def ask_title(app: App[object], session: Session, then: Callable[[], None]) -> None:
    """Ask for the title before a session is deleted for good."""
    needed = words_to_type(session)
    count = session.message_count
    screen = AskScreen(
        f"Delete “{session_title(session)}” for good",
        f"Its {count:,} messages cannot be brought back. Type: {needed}",
        enter="delete",
        check=lambda text: "" if text.strip() == needed else f"type {needed} to delete",
    )
    app.push_screen(screen, _unless_left(lambda _: then()))


def ask_file(app: App[object], session: Session, then: Callable[[str], None]) -> None:
    """Ask for the file that a session is written to."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", session_title(session))[:40].strip("-").lower()
    screen = AskScreen(
        f"Export “{session_title(session)}”",
        f"The ending chooses the form: {', '.join(FORMATS)}.",
        value=str(Path.cwd() / f"{name or 'session'}.md"),
        enter="write",
        check=check_target,
    )
    app.push_screen(screen, _unless_left(then))


def ask_name(app: App[object], query: str, then: Callable[[str], None]) -> None:
    """Ask for the name that a search is kept by."""
    screen = AskScreen(
        "Keep this search",
        f"It searches for “{query}” again. A name that is there already is given to this one.",
        value=query,
        enter="keep",
        check=lambda text: "" if text.strip() else "a name is needed",
    )
    app.push_screen(screen, _unless_left(lambda text: then(text.strip())))


def _unless_left(then: Callable[[str], None]) -> Callable[[str | None], None]:
    def finish(text: str | None) -> None:
        if text is not None:
            then(text)

    return finish


def words_to_type(session: Session) -> str:
    """Return what must be typed: the title's beginning, or "delete" where no keyboard has it."""
    title = session_title(session)
    if has_hidden(session.title or session.name) or not title.isprintable():
        return "delete"
    return title[:TITLE_CHARACTERS].strip()
