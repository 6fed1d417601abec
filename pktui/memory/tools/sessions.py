"""The seven tools on sessions. Headings and wording are those of the reference server.

The current session belongs to who asks (a grant, else an agent in a directory) and, while it
lives, to the connection that started it: it is found again after every restart, and no other client
and no other window ends or takes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pktui.errors import NotFound, SessionEnded
from pktui.memory.records import QUERY_KEYS
from pktui.memory.tools.answer import ToolAnswer, refusal
from pktui.memory.tools.wording import (
    PREVIEW,
    closing,
    given,
    more,
    percent,
    preview,
    time,
)
from pktui.query import as_words

if TYPE_CHECKING:
    from pktui.memory.records import Hit, Identity, Message, Role, SearchAnswer, Session
    from pktui.memory.store import Store
    from pktui.memory.tools.arguments import Arguments

MOST_RESULTS = 100
MOST_LISTED = 1000
RECENT = 10
# Characters of a summary where its session is asked for.
SUMMARY = 2_000
_LAST = 2**62
_HOW_TO_LOG = (
    "**IMPORTANT:** You must now call `log_message` for each exchange:\n"
    '1. Call `log_message(role="user", content="...")` with the user\'s message\n'
    '2. Call `log_message(role="agent", content="...")` with your response\n\n'
    "Use `end_session` when finished."
)

_NAMELESS = (
    "This client does not say who it is: give `sessionId={0}` with every `log_message` and with "
    "`end_session`."
)


def start(memory: Store, who: Identity, arguments: Arguments) -> ToolAnswer:
    """`start_logging_session`."""
    name = arguments.optional_text("name") or ""
    earlier = memory.current_session(who)
    session = memory.start_session(name, who, request=arguments.request)
    heading = f"✅ Started session #{session.id}" + (f': "{preview(name)}"' if name else "")
    note = "" if who.key else _NAMELESS.format(session.id)
    if earlier is not None and earlier.id != session.id:
        note = (
            f"Session #{earlier.id} is still active; unless another window logs to it, "
            f"end it with `end_session(sessionId={earlier.id})`."
        )
    text = "\n\n".join(part for part in (heading, _HOW_TO_LOG, note) if part)
    structured = {
        "sessionId": session.id,
        "name": preview(session.name),
        "startedAt": time(session.started_at),
        "instructions": "\n\n".join(part for part in (_HOW_TO_LOG, note) if part),
    }
    return ToolAnswer(text, structured)


def log(memory: Store, who: Identity, arguments: Arguments) -> ToolAnswer:
    """`log_message`: on disk when this returns."""
    role = cast("Role", arguments.text("role"))
    content = arguments.text("content")
    number = arguments.optional_number("sessionId")
    try:
        message = memory.log(role, content, who, session_id=number, request=arguments.request)
    except NotFound:
        why = (
            "No active session. Call start_logging_session first."
            if number is None
            else f"Session {number} not found. Call list_sessions to see the ids."
        )
        return refusal(f"❌ Failed to log message: {why}")
    except SessionEnded:
        return refusal(
            f"❌ Failed to log message: Session {number} is already closed. "
            "Call start_logging_session to start a new one."
        )
    return ToolAnswer(
        f"📝 Logged [{message.role}] message (indexed for search)\n"
        f"Message #{message.id} in session #{message.session_id}",
        {
            "sessionId": message.session_id,
            "messageId": message.id,
            "role": message.role,
            "createdAt": time(message.created_at),
        },
    )


def search(memory: Store, _who: Identity, arguments: Arguments) -> ToolAnswer:
    """`search_session`."""
    number = arguments.number("sessionId")
    if _find(memory, number) is None:
        return _missing(number)
    limit = min(arguments.number("limit"), MOST_RESULTS)
    words = as_words(arguments.text("query"), QUERY_KEYS)
    answer = memory.search(
        f"session:{number} {words}", "hybrid", limit=limit, waited=arguments.waited
    )
    heading = f"## Found {len(answer.hits)} matches in session #{number}:\n\n"
    parts = [
        f"### {place}. {_kind(hit)} ({percent(hit.score)}% match)\n{_place(hit)}\n\n"
        for place, hit in enumerate(answer.hits, 1)
    ]
    return _searched(answer, heading, parts, f"No matches found in session #{number}\n\n")


def search_all(memory: Store, _who: Identity, arguments: Arguments) -> ToolAnswer:
    """`search_all_sessions`."""
    limit = min(arguments.number("limit"), MOST_RESULTS)
    query = as_words(arguments.text("query"), QUERY_KEYS)
    answer = memory.search(query, "hybrid", limit=limit, waited=arguments.waited)
    heading = f"## Found {len(answer.hits)} matches across sessions:\n\n"
    parts = [
        f"### {place}. Session #{_session_id(hit)} {_kind(hit)} ({percent(hit.score)}% match)\n"
        f"{_place(hit)}\n\n"
        for place, hit in enumerate(answer.hits, 1)
    ]
    return _searched(answer, heading, parts, "No matches found across sessions\n\n")


def list_(memory: Store, _who: Identity, arguments: Arguments) -> ToolAnswer:
    """`list_sessions`."""
    page = memory.sessions(
        status="active" if arguments.flag("activeOnly") else None,
        limit=min(arguments.number("limit"), MOST_LISTED),
    )
    left = more(len(page.items), page.total, "raise limit, or search with search_all_sessions")
    lines = [
        f"- **#{one.id}** {_name(one)} - {_status(one)} - {time(one.started_at)[:10]}"
        f" - {one.message_count} messages"
        for one in page.items
    ]
    text = "\n".join([f"## Sessions ({len(lines)}):\n", *lines]) if lines else "No sessions found"
    structured = {
        "sessions": [_session(one) for one in page.items],
        "total": page.total,
        **given(more=left),
    }
    return ToolAnswer(f"{text}\n\n{left}" if left else text, structured)


def get(memory: Store, _who: Identity, arguments: Arguments) -> ToolAnswer:
    """`get_session`: its facts and its last messages, cut short."""
    number = arguments.number("sessionId")
    session = _find(memory, number)
    if session is None:
        return _missing(number)
    recent = memory.messages(number, before=_LAST, limit=RECENT).items
    left = more(
        len(recent), session.message_count, f"find them with search_session(sessionId={number})"
    )
    name = f': "{preview(session.name)}"' if session.name else ""
    parts = [f"## Session #{number}{name}\n"]
    parts.append(f"**Status:** {_status(session)}")
    parts.append(f"**Started:** {time(session.started_at)}")
    if session.ended_at:
        parts.append(f"**Ended:** {time(session.ended_at)}")
    if session.summary:
        parts.append(f"**Summary:** {preview(session.summary, SUMMARY)}")
    parts.append(f"**Messages:** {session.message_count}\n")
    if recent:
        parts.append("### Recent Messages:\n")
    parts += [f"**[{one.role}]** {preview(one.content)}\n" for one in recent]
    if left:
        parts.append(left)
    structured = {
        **_session(session),
        "messages": [_message(one) for one in recent],
        **given(more=left),
    }
    return ToolAnswer("\n".join(parts), structured)


def end(memory: Store, who: Identity, arguments: Arguments) -> ToolAnswer:
    """`end_session`: ending twice changes nothing and says so."""
    number = arguments.optional_number("sessionId")
    summary = arguments.optional_text("summary")
    session = _to_end(memory, who, arguments.request) if number is None else _find(memory, number)
    if session is None:
        return refusal(
            "❌ No active session to end. Give the sessionId of one that list_sessions shows."
            if number is None
            else f"❌ Session #{number} not found. Call list_sessions to see the ids."
        )
    change = memory.end_session(session.id, summary, request=arguments.request)
    ended = change.session
    assert ended.ended_at is not None
    if change.changed:
        text = f"✅ Ended session with {ended.message_count} messages"
        text += f'\n📝 Summary: "{summary}"' if summary else ""
        text += f"\nSession #{ended.id} ended at {time(ended.ended_at)}"
    else:
        text = (
            f"⚪ Session #{ended.id} was ended before, at {time(ended.ended_at)}, with "
            f"{ended.message_count} messages. Nothing was changed, its summary neither."
        )
    structured = {
        "sessionId": ended.id,
        "messageCount": ended.message_count,
        "changed": change.changed,
        "endedAt": time(ended.ended_at),
        **given(summary=preview(ended.summary)),
    }
    return ToolAnswer(text, structured)


def _to_end(memory: Store, who: Identity, request: str) -> Session | None:
    return memory.session_of_request(request) or memory.current_session(who)


def _searched(answer: SearchAnswer, heading: str, parts: list[str], none: str) -> ToolAnswer:
    left = more(len(answer.hits), answer.total, "raise limit or ask more precisely")
    body = heading + "".join(parts) if parts else none
    results = [_result(hit) for hit in answer.hits]
    structured = {
        "results": results,
        "total": answer.total,
        "mode": answer.mode,
        **given(note=answer.note, more=left),
    }
    return ToolAnswer(
        body + closing(answer, left), structured, awaits_meaning=answer.awaits_meaning
    )


def _result(hit: Hit) -> dict[str, Any]:
    """Return a hit: a message, or a tool call, which has no `messageId` but a `callId`."""
    if hit.call is not None:
        own: dict[str, Any] = {
            "callId": hit.call.id,
            "role": "call",
            "tool": preview(hit.call.tool),
            "outcome": hit.call.outcome,
        }
        when = hit.call.created_at
    else:
        assert hit.message is not None
        own = {"messageId": hit.message.id, "role": hit.message.role}
        when = hit.message.created_at
    return {
        "sessionId": _session_id(hit),
        **own,
        "score": round(hit.score, 4),
        "snippet": hit.snippet,
        "createdAt": time(when),
        **given(sessionName=preview(hit.session.title) if hit.session else None),
    }


def _session_id(hit: Hit) -> int:
    found = hit.call or hit.message
    assert found is not None
    return found.session_id


def _kind(hit: Hit) -> str:
    if hit.call is not None:
        return f"[{preview(hit.call.tool)}: {hit.call.outcome}]"
    return f"[{hit.message.role}]" if hit.message is not None else ""


def _place(hit: Hit) -> str:
    found = hit.call or hit.message
    assert found is not None
    kind = "Call" if hit.call else "Message"
    return f"**{kind}:** #{found.id} - {time(found.created_at)}\n{hit.snippet}"


def _find(memory: Store, number: int) -> Session | None:
    try:
        return memory.session(number)
    except NotFound:
        return None


def _missing(number: int) -> ToolAnswer:
    return refusal(f"Session #{number} not found. Call list_sessions to see the ids.")


def _status(session: Session) -> str:
    return "🟢 Active" if session.status == "active" else "⚪ Ended"


def _name(session: Session) -> str:
    return f'"{preview(session.name)}"' if session.name else "(unnamed)"


def _session(session: Session) -> dict[str, Any]:
    return {
        "sessionId": session.id,
        "name": preview(session.name),
        "status": session.status,
        "startedAt": time(session.started_at),
        "messageCount": session.message_count,
        **given(
            endedAt=time(session.ended_at) if session.ended_at else None,
            lastActivity=time(session.last_activity) if session.last_activity else None,
            summary=preview(session.summary),
            agent=session.agent,
            project=session.project,
        ),
    }


def _message(message: Message) -> dict[str, Any]:
    return {
        "messageId": message.id,
        "role": message.role,
        "content": message.content[:PREVIEW],
        "createdAt": time(message.created_at),
        **given(cut=max(0, len(message.content) - PREVIEW) or None),
    }
