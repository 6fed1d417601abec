"""The conditions in a query: which sessions and which messages may be found at all.

    session:12  role:user  agent:claude  project:shop  source:mcp  status:active
    after:2026-01-01  before:2026-02-01T08:00  since:7d        each with "-" before it for not
    in:calls  in:messages  in:knowledge
    tool:Bash  file:app.py  cmd:npm                             find calls alone

Several values of one key mean any of them, several keys all of them. `agent:`, `project:`,
`source:`, `tool:`, `file:` and `cmd:` hold where the text occurs in it, in any case; `agent:=codex`
and `project:=/home/me/shop` where it is just that. Times are compared with the message's time, or
the session's last activity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pktui.errors import InvalidRequest
from pktui.memory.records import CALL_KEYS, QUERY_KEYS, ROLES, Session
from pktui.query import Filter, Query, parse_when
from pktui.text import one_line
from pktui.times import microseconds

if TYPE_CHECKING:
    from datetime import datetime

MESSAGE_KEYS = QUERY_KEYS
ENTRY_KEYS = ("tag", "source", "after", "before", "since")

Searched = Literal["message", "call", "entry"]
_PLACES: dict[str, Searched] = {"messages": "message", "calls": "call", "knowledge": "entry"}
_OF_SESSIONS = ("session", "role", "agent", "project", "status")

Fits = Callable[[Session], bool]


@dataclass(frozen=True, slots=True)
class Filters:
    """What a query demands. Times are microseconds since the epoch, `None` for no bound."""

    sessions: frozenset[int] | None = None
    not_sessions: frozenset[int] = frozenset()
    roles: frozenset[int] | None = None
    after_us: int | None = None
    before_us: int | None = None
    texts: tuple[Filter, ...] = ()
    """Filters on the session's own fields, and on an entry's tags and source."""
    calls: tuple[Filter, ...] = ()
    """Filters on a call's tool, files and commands."""
    kinds: frozenset[Searched] = frozenset(_PLACES.values())

    @property
    def by_session(self) -> bool:
        """Tell whether a session's fields must be looked at."""
        return bool(self.texts) or self.sessions is not None or bool(self.not_sessions)


def compile_filters(query: Query, now: datetime) -> Filters:
    """Read the query's filters; raises `InvalidRequest` with the one whose value does not fit."""
    after, before = _times(query, now)
    ids = frozenset(_session_id(f) for f in query.filters if f.key == "session" and not f.negated)
    not_ids = frozenset(_session_id(f) for f in query.filters if f.key == "session" and f.negated)
    texts = tuple(
        f for f in query.filters if f.key in ("agent", "project", "source", "status", "tag")
    )
    for one in texts:
        if one.key == "status":
            _choice(one, ("active", "ended"))
    return Filters(
        sessions=ids or None,
        not_sessions=not_ids,
        roles=_roles(query),
        after_us=after,
        before_us=before,
        texts=texts,
        calls=tuple(f for f in query.filters if f.key in CALL_KEYS),
        kinds=_kinds(query),
    )


def session_filter(filters: Filters, project: str | None = None, *, times: bool = True) -> Fits:
    """Return a function that tells whether a session is wanted.

    `project` is the exact directory; without `times` the bounds on time are left to the caller.
    """

    def fits(session: Session) -> bool:
        if project is not None and session.project != project:
            return False
        if filters.sessions is not None and session.id not in filters.sessions:
            return False
        if session.id in filters.not_sessions or not _texts_hold(filters.texts, session):
            return False
        if not times or (filters.after_us is None and filters.before_us is None):
            return True
        return in_time(filters, microseconds(session.last_activity or session.started_at))

    return fits


def in_time(filters: Filters, time_us: int) -> bool:
    """Tell whether the time lies within the bounds: the first included, the last not."""
    if filters.after_us is not None and time_us < filters.after_us:
        return False
    return filters.before_us is None or time_us < filters.before_us


def texts_hold(texts: tuple[Filter, ...], values: Callable[[str, str], bool]) -> bool:
    """Tell whether the filters hold; `values(key, value)` says whether one of them does."""
    for key in {one.key for one in texts}:
        wanted = [values(key, f.value) for f in texts if f.key == key and not f.negated]
        unwanted = [values(key, f.value) for f in texts if f.key == key and f.negated]
        if any(unwanted) or (wanted and not any(wanted)):
            return False
    return True


def _texts_hold(texts: tuple[Filter, ...], session: Session) -> bool:
    def holds(key: str, value: str) -> bool:
        if key == "status":
            return session.status == value.lower()
        text = str(getattr(session, key))
        return text == value[1:] if value.startswith("=") else value.lower() in text.lower()

    return not texts or texts_hold(texts, holds)


def _times(query: Query, now: datetime) -> tuple[int | None, int | None]:
    lowest: list[int] = []
    highest: list[int] = []
    for one in query.filters:
        if one.key not in ("after", "before", "since"):
            continue
        try:
            time_us = microseconds(parse_when(one.value, now))
        except ValueError as error:
            raise _unfit(one, f": {error}") from error
        is_upper = (one.key == "before") is not one.negated
        (highest if is_upper else lowest).append(time_us)
    return max(lowest, default=None), min(highest, default=None)


def _session_id(one: Filter) -> int:
    if not (one.value.isascii() and one.value.isdigit() and len(one.value) < 18):
        raise _unfit(one, " is no session's number", "session:12")
    return int(one.value)


def _roles(query: Query) -> frozenset[int] | None:
    found = [one for one in query.filters if one.key == "role"]
    if not found:
        return None
    wanted = {_choice(one, ROLES) for one in found if not one.negated} or set(range(len(ROLES)))
    return frozenset(wanted - {_choice(one, ROLES) for one in found if one.negated})


def _kinds(query: Query) -> frozenset[Searched]:
    """Return what is searched: a message has no tool, a call no role, an entry no session."""
    kinds = set(_PLACES.values())
    wanted = [_PLACES[_named(one)] for one in query.filters if one.key == "in" and not one.negated]
    kinds &= set(wanted or kinds)
    kinds -= {_PLACES[_named(one)] for one in query.filters if one.key == "in" and one.negated}
    if any(one.key in CALL_KEYS for one in query.filters):
        kinds.discard("message")
    if any(one.key == "role" for one in query.filters):
        kinds.discard("call")
    if any(one.key in (*_OF_SESSIONS, *CALL_KEYS) and not one.negated for one in query.filters):
        kinds.discard("entry")
    return frozenset(kinds)


def _named(one: Filter) -> str:
    places = tuple(_PLACES)
    return places[_choice(one, places)]


def _choice(one: Filter, choices: tuple[str, ...]) -> int:
    value = one.value.lower()
    if value not in choices:
        raise _unfit(one, " is not known", *(f"{one.key}:{choice}" for choice in choices))
    return choices.index(value)


def _unfit(one: Filter, why: str, *uses: str) -> InvalidRequest:
    """Return the error about a filter whose value does not fit, with what to use instead."""
    typed = f"{one.key}:{one_line(one.value, 40)}"
    as_text = f'put it in quotes to find the text "{typed}"'
    cure = f"Use {', '.join(uses)}; or {as_text}" if uses else as_text.capitalize()
    return InvalidRequest(f"{typed}{why}", cure)
