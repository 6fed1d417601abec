"""`pktui sessions`: list, show, search, end, reopen, resume, delete and export sessions."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

from pktui.cli import backends, output
from pktui.cli.commands import Argument, Exit, Option, group
from pktui.errors import PktuiError
from pktui.text import one_line

if TYPE_CHECKING:
    from pktui.agents.resuming import Resumption
    from pktui.memory.records import EntryHits, Hit, Message, Mode, Parts, Session, SessionHits

_HIT = ("session", "number", "score", "why", "role", "text")
# A smaller share of a score is not told.
_TELLING = 0.15

sessions_app = group()
sessions_app.otherwise = ("open", r"\d+")

Words = Annotated[
    list[str] | None,
    Argument(metavar="QUERY", help='Words, "phrases", -"not this", and filters such as since:7d.'),
]
SessionId = Annotated[int, Argument(metavar="SESSION", min=1, help="The session's number.")]
Limit = Annotated[int, Option(min=1, max=1000, help="How many at most.")]
Project = Annotated[str | None, Option(help="Only those of this directory.")]
ModeOption = Annotated[
    Literal["hybrid", "meaning", "words", "exact"], Option(help="How to search.")
]


@sessions_app.verb("list")
def list_(
    query: Words = None,
    status: Annotated[
        Literal["active", "ended"] | None, Option(help="Only active or ended ones.")
    ] = None,
    project: Project = None,
    cursor: Annotated[str | None, Option(help="Where the list before this one ended.")] = None,
    limit: Limit = 50,
    json: output.JsonFlag = False,
) -> None:
    """List sessions, the latest activity first."""
    with backends.memory() as memory:
        page = memory.sessions(
            " ".join(query or ()), status=status, project=project, cursor=cursor, limit=limit
        )
    if json:
        output.json(page)
        return
    rows = [
        (
            str(s.id),
            s.status,
            output.moment(s.last_activity),
            str(s.message_count),
            s.agent,
            s.title,
        )
        for s in page.items
    ]
    headers = ("id", "status", "last activity", "messages", "agent", "title")
    output.table(headers, rows, empty="No sessions.")
    if page.cursor:
        output.note(f"{len(rows)} of {page.total}; the next ones: --cursor {page.cursor}")


@sessions_app.verb()
def show(
    session: SessionId,
    limit: Limit = 50,
    before: Annotated[
        int | None, Option(min=1, help="Only messages before this message's number.")
    ] = None,
    json: output.JsonFlag = False,
) -> None:
    """Show a session with its last messages, or those before a message."""
    with backends.memory() as memory:
        found = memory.session(session)
        page = memory.messages(session, before=before or 2**62, limit=limit)
    if json:
        output.json({"session": found, "messages": page})
        return
    output.facts(_facts(found))
    if len(page.items) < page.total:
        output.note(f"{len(page.items)} of {page.total} messages")
    for message in page.items:
        output.line()
        output.line(_message(message))
    if page.cursor:
        output.note(f"Earlier ones: --before {page.cursor}")


@sessions_app.verb("open")
def open_(session: SessionId) -> None:
    """Open the console at a session; where there is no terminal, show it."""
    from pktui.cli.console import can_open, open_console

    if not can_open():
        show(session)
        return
    raise Exit(open_console(read_only=False, view="sessions", at=str(session)))


@sessions_app.verb()
def search(
    query: Words = None,
    mode: ModeOption = "hybrid",
    project: Project = None,
    by_session: Annotated[
        bool, Option("--by-session", help="Sessions, each with its best hits, and knowledge.")
    ] = False,
    cursor: Annotated[
        str, Option(help="With --by-session: where the list before this one ended.")
    ] = "",
    limit: Limit = 20,
    json: output.JsonFlag = False,
) -> None:
    """Find messages and calls by meaning, words, both (hybrid), or exactly as they stand.

    Filters for calls: in:calls, tool:Bash, file:app.py, cmd:npm. With --by-session the knowledge
    is found, too (in:knowledge finds it alone), as in the console.
    """
    words = " ".join(query or ())
    if by_session:
        _by_session(words, mode, project, limit, cursor, json=json)
        return
    with backends.memory() as memory:
        answer = memory.search(words, mode, project=project, limit=limit)
    if json:
        output.json(answer)
        return
    output.table(_HIT, [_hit(hit) for hit in answer.hits], empty="Nothing found.")
    output.note(f"{len(answer.hits)} of {answer.total}, by {answer.mode}")
    if answer.note:
        output.note(answer.note)


def _by_session(
    words: str, mode: Mode, project: str | None, limit: int, cursor: str, *, json: bool
) -> None:
    with backends.memory() as memory:
        answer = memory.search_sessions(
            words, mode, project=project, limit=limit, cursor=cursor, bands=True
        )
    if json:
        output.json(answer)
        return
    rows = [row for one in answer.in_order() for row in _group(one)]
    output.table(_HIT, rows, empty="Nothing found.")
    output.note(
        f"{len(answer.sessions)} of {answer.total} sessions with {answer.total_hits} hits, "
        f"{len(answer.entries)} of {answer.total_entries} knowledge entries, by {answer.mode}"
    )
    if answer.cursor:
        output.note(f"The next ones: --cursor {answer.cursor}")
    if answer.note:
        output.note(answer.note)


@sessions_app.verb()
def end(
    session: SessionId,
    summary: Annotated[str | None, Option(help="What was accomplished.")] = None,
    json: output.JsonFlag = False,
) -> None:
    """End a session; everything in it is kept."""
    with backends.memory() as memory:
        change = memory.end_session(session, summary)
    if json:
        output.json(change)
        return
    done = "has ended" if change.changed else "had ended before; nothing was changed"
    output.note(f"Session {session} {done}.")


@sessions_app.verb()
def reopen(session: SessionId, json: output.JsonFlag = False) -> None:
    """Make an ended session active again."""
    with backends.memory() as memory:
        change = memory.reopen_session(session)
    if json:
        output.json(change)
        return
    done = "is active again" if change.changed else "was active; nothing was changed"
    output.note(f"Session {session} {done}.")


@sessions_app.verb()
def resume(
    session: SessionId,
    execute: Annotated[
        bool, Option("--exec", help="Run the command instead of printing it.")
    ] = False,
    json: output.JsonFlag = False,
) -> None:
    """Print, or run, the command with which the session's own agent goes on with it."""
    from pktui.agents.resuming import resumption

    with backends.memory() as memory:
        found = memory.session(session)
    way = resumption(found.source, found.source_id, found.project)
    if execute:
        _become(way)
    elif json:
        output.json(way)
    else:
        output.line(way.shell_line())


@sessions_app.verb()
def delete(
    session: SessionId,
    yes: Annotated[bool, Option("--yes", "-y", help="Do not ask.")] = False,
    json: output.JsonFlag = False,
) -> None:
    """Remove a session with its messages, for good."""
    with backends.memory() as memory:
        found = memory.session(session)
        title = one_line(found.title, 60)
        output.confirm(
            f'Remove session {session} "{title}" with {found.message_count} messages for good?',
            yes=yes,
        )
        memory.delete_session(session)
    if json:
        output.json(found)
        return
    output.note(f"Session {session} is gone.")


@sessions_app.verb()
def export(
    session: Annotated[
        int | None, Argument(metavar="SESSION", min=1, help="One session; else everything.")
    ] = None,
    to: Annotated[Path | None, Option(help="A new file; else standard output.")] = None,
) -> None:
    """Write sessions with their messages, and all knowledge, as JSONL for `pktui import jsonl`."""
    from pktui.files import new_file
    from pktui.memory.importers.jsonl import write_record

    written = 0
    with backends.memory() as memory:
        records = memory.export(session)
        if to is None:
            for record in records:
                write_record(record, sys.stdout.buffer)
            return
        with new_file(to) as file:
            for record in records:
                write_record(record, file)
                written += 1
    output.note(f"{written} records are in {to}.")


def _become(way: Resumption) -> NoReturn:
    """Run the command in our place; raises `PktuiError` where its program cannot be run."""
    from shutil import which

    name = way.command[0]
    # Looked for before the directory is entered, which may hold a program of that name.
    program = which(name)
    if program is None:
        raise PktuiError(f"{name} is not on the PATH", "Install it, or add its directory to PATH")
    program = str(Path(program).absolute())
    try:
        os.chdir(way.directory)
        os.execve(program, way.command, {**os.environ, "PWD": way.directory})  # noqa: S606
    except OSError as error:
        raise PktuiError(
            f"{program} cannot be run in {way.directory}: {error.strerror or error}",
            "Check the modes of both",
        ) from error


def _facts(session: Session) -> list[tuple[str, str]]:
    return [
        ("session", f"{session.id}  {one_line(session.title)}"),
        ("status", session.status),
        ("agent", session.agent),
        ("project", session.project),
        ("source", session.source),
        ("started", output.moment(session.started_at)),
        ("ended", output.moment(session.ended_at)),
        ("summary", session.summary),
        ("messages", str(session.message_count)),
    ]


def _message(message: Message) -> str:
    return f"#{message.seq} {message.role}  {output.moment(message.created_at)}\n{message.content}"


def _group(found: SessionHits | EntryHits) -> list[tuple[str, ...]]:
    """Return the rows of a session's hits, or of an entry; of one found by its title that alone."""
    from pktui.memory.records import EntryHits

    if isinstance(found, EntryHits):
        title, entry = found.entry.title, f"entry {found.entry.id}"
        hits = [found.hit] if found.hit else []
        number, rows = "", [("", entry, *_hit(hit)[2:4], "knowledge", title) for hit in hits]
    else:
        title, entry = found.session.title, ""
        number, rows = str(found.session.id), [_hit(hit) for hit in found.hits]
    return rows or [(number, entry, "", "title", "knowledge" if entry else "", title)]


def _hit(hit: Hit) -> tuple[str, ...]:
    message, call = hit.message, hit.call
    return (
        str(hit.session.id) if hit.session else "",
        str(message.seq) if message else f"call {call.seq}" if call else "",
        f"{hit.score:.2f}",
        _why(hit.parts),
        message.role if message else call.tool if call else "",
        hit.snippet,
    )


def _why(parts: Parts | None) -> str:
    """Return the two parts that count most in a score."""
    if parts is None:
        return ""
    shares = {name: getattr(parts, name) for name in parts.__struct_fields__}
    most = sorted(shares, key=lambda name: -shares[name])[:2]
    return " ".join(name for name in most if shares[name] > _TELLING * sum(shares.values()))
