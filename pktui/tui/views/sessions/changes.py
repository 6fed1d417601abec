"""What can be done to a session. Everything here blocks and is called from thread workers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pktui.errors import InvalidRequest, StoreError
from pktui.files import new_file
from pktui.tui.progress import Progress
from pktui.tui.views.sessions.draw import session_title
from pktui.tui.views.sessions.reader import AT_ONCE

if TYPE_CHECKING:
    from pktui.memory.records import Message, Session
    from pktui.tui.services import Memory

FORMATS = (".md", ".json", ".jsonl")


@dataclass(frozen=True, slots=True)
class Done:
    """What was done, in a sentence, and how it is taken back where that is possible."""

    sentence: str
    undo: Callable[[], str] | None = None


def end(memory: Memory, session: Session, summary: str) -> Done:
    """End a session; undone by reopening it."""
    title = session_title(session)
    change = memory.end_session(session.id, summary.strip() or None)
    if not change.changed:
        return Done(f"“{title}” had ended already")

    def undo() -> str:
        memory.reopen_session(session.id)
        return f"“{title}” is active again"

    return Done(f"ended “{title}” · u undoes", undo)


def reopen(memory: Memory, session: Session) -> Done:
    """Reopen a session; undone by ending it."""
    title = session_title(session)
    change = memory.reopen_session(session.id)
    if not change.changed:
        return Done(f"“{title}” is active already")

    def undo() -> str:
        memory.end_session(session.id, session.summary or None)
        return f"“{title}” has ended again"

    return Done(f"reopened “{title}” · u undoes", undo)


def delete(memory: Memory, session: Session) -> Done:
    """Delete a session for good."""
    memory.delete_session(session.id)
    return Done(f"deleted “{session_title(session)}” for good")


def export(memory: Memory, session: Session, target: str, progress: Progress | None = None) -> Done:
    """Write a session to a new file, in the format its ending names.

    Raises `Cancelled` where a person ends it; nothing is left of the file then.
    """
    path = Path(target).expanduser()
    writers = {".md": _markdown, ".json": _json, ".jsonl": _jsonl}
    write = writers.get(path.suffix.lower())
    if write is None:
        raise InvalidRequest(f"{path.name} has no known ending", f"Use {', '.join(FORMATS)}")
    try:
        with new_file(path) as file:
            messages = _messages(memory, session, progress or Progress())
            file.writelines(text.encode() for text in write(session, messages))
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror or error}", "Choose another place"
        ) from error
    return Done(f"wrote {path}")


def check_target(target: str) -> str:
    """Return why a file's name cannot be used, "" where it can."""
    suffix = Path(target).suffix.lower()
    return "" if suffix in FORMATS else f"the name must end in {', '.join(FORMATS)}"


def _messages(memory: Memory, session: Session, progress: Progress) -> Iterator[Message]:
    seq = read = 0
    while True:
        page = memory.messages(session.id, after=seq, limit=AT_ONCE)
        yield from page.items
        if not page.items:
            return
        seq = page.items[-1].seq
        read += len(page.items)
        progress.tell(read, max(read, session.message_count))


def _markdown(session: Session, messages: Iterator[Message]) -> Iterator[str]:
    yield f"# {session_title(session)}\n\n"
    yield f"- agent: {session.agent}\n- project: {session.project}\n- state: {session.status}\n"
    yield f"- started: {session.started_at.isoformat()}\n"
    if session.summary:
        yield f"\n> {session.summary}\n"
    for message in messages:
        yield f"\n## {message.role}, {message.created_at.isoformat()}\n\n{message.content}\n"


def _json(session: Session, messages: Iterator[Message]) -> Iterator[str]:
    whole = {
        "session": msgspec.to_builtins(session),
        "messages": [msgspec.to_builtins(message) for message in messages],
    }
    yield json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def _jsonl(session: Session, messages: Iterator[Message]) -> Iterator[str]:
    yield json.dumps({"session": msgspec.to_builtins(session)}, ensure_ascii=False) + "\n"
    for message in messages:
        yield json.dumps({"message": msgspec.to_builtins(message)}, ensure_ascii=False) + "\n"
