"""All sessions in memory, in the order of their last activity, and whose current one each is."""

from __future__ import annotations

from bisect import bisect_left, insort
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from pktui.errors import InvalidRequest, NotFound
from pktui.memory.records import Message, Page, Session, key_of_owner
from pktui.memory.search.forms import folded
from pktui.memory.times import microseconds
from pktui.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

TITLE_CHARACTERS = 80


class Listed(msgspec.Struct, frozen=True, array_like=True):
    """A session with what only the store needs to know of it.

    `owner` is the `Identity.owner` whose current session it is while active ("" for nobody's),
    `touched_at` the time it was started or reopened, and `request` the key of the request that
    started, ended or reopened it last.
    """

    session: Session
    owner: str
    touched_at: datetime
    request: str = ""


class Catalogue:
    """Sessions by id, by activity, by owner and by source. Who uses it holds its lock."""

    def __init__(self) -> None:
        self._listed: dict[int, Listed] = {}
        self._order: list[tuple[int, int]] = []
        self._active_of: dict[str, set[int]] = {}
        """Active sessions by owner, and by the owner's key."""
        self._started: set[str] = set()
        """Owners with a connection that ever had a session."""
        self._resumed: dict[str, int] = {}
        self._by_source: dict[tuple[str, str], int] = {}
        self._haystacks: dict[int, str] = {}
        self._active: set[int] = set()

    def __len__(self) -> int:
        return len(self._listed)

    @property
    def active(self) -> list[Listed]:
        """The active sessions."""
        return [self._listed[session_id] for session_id in self._active]

    def fill(self, listed: Iterable[Listed]) -> None:
        """Take in all sessions of a store that was just opened."""
        for one in listed:
            self._place(one)
        self._order = sorted(_key(one.session) for one in self._listed.values())

    def put(self, listed: Listed) -> None:
        """Take in a session, new or in place of what was known of it."""
        known = self._listed.get(listed.session.id)
        if known is not None:
            self._leave(known)
        self._place(listed)
        insort(self._order, _key(listed.session))

    def remove(self, session_id: int) -> None:
        """Forget a session."""
        known = self._listed.pop(session_id)
        self._leave(known)
        self._active.discard(session_id)

    def get(self, session_id: int) -> Listed:
        """Return a session; raises `NotFound`."""
        try:
            return self._listed[session_id]
        except KeyError:
            raise NotFound(
                f"no session has the id {session_id}", "List the sessions to see their ids"
            ) from None

    def has(self, session_id: int) -> bool:
        """Tell whether there is such a session."""
        return session_id in self._listed

    def current(self, owner: str) -> Session | None:
        """Return the session that the owner logs to.

        A connection that started a session has its own or none. Another one has the newest of its
        key, which earlier connections left or one beside it has, and stays with it.
        """
        own = self.own(owner)
        if own is not None or owner in self._started:
            return own
        known = self._listed.get(self._resumed.get(owner, 0))
        if known is not None and known.session.status == "active":
            return known.session
        stored = self.own(key_of_owner(owner))
        if stored is not None:
            self._resumed[owner] = stored.id
        return stored

    def own(self, owner: str) -> Session | None:
        """Return the newest active session of just this owner or key."""
        active = self._active_of.get(owner)
        return self._listed[max(active)].session if active else None

    def held(self, owner: str) -> list[Listed]:
        """Return the active sessions of just this owner, not those of its connections."""
        active = (self._listed[session_id] for session_id in self._active_of.get(owner, ()))
        return [listed for listed in active if listed.owner == owner]

    def by_source(self, source: str, source_id: str) -> Session | None:
        """Return the session that was imported from there."""
        session_id = self._by_source.get((source, source_id))
        return None if session_id is None else self._listed[session_id].session

    def haystack(self, session: Session) -> str:
        """Return the words a session is listed by, in the form that is searched."""
        text = self._haystacks.get(session.id)
        if text is None:
            parts = (session.title, session.name, session.summary, session.agent, session.project)
            text = folded("\n".join(parts))
            self._haystacks[session.id] = text
        return text

    def sessions(self) -> list[Session]:
        """Return all sessions, the one with the latest activity first."""
        return [self._listed[session_id].session for _, session_id in reversed(self._order)]

    def page(self, wanted: Callable[[Session], bool], cursor: str, limit: int) -> Page[Session]:
        """Return the part of the list behind the cursor, and how many sessions are wanted."""
        end = self._end(cursor)
        found: list[Session] = []
        total = 0
        for at in range(len(self._order) - 1, -1, -1):
            session = self._listed[self._order[at][1]].session
            if wanted(session):
                total += 1
                if at < end and len(found) <= limit:
                    found.append(session)
        more = len(found) > limit
        found = found[:limit]
        return Page(tuple(found), total, _cursor(found[-1]) if more and found else "")

    def _end(self, cursor: str) -> int:
        if not cursor:
            return len(self._order)
        try:
            activity, session_id = (int(part) for part in cursor.split("."))
        except ValueError:
            raise InvalidRequest(
                f"cursor {one_line(cursor, 40)!r} is not one of this list", "Leave it out"
            ) from None
        return bisect_left(self._order, (activity, session_id))

    def _place(self, listed: Listed) -> None:
        session = listed.session
        self._listed[session.id] = listed
        self._haystacks.pop(session.id, None)
        if session.source_id:
            self._by_source[session.source, session.source_id] = session.id
        if session.status == "active":
            self._active.add(session.id)
            for owner in _owners(listed):
                self._active_of.setdefault(owner, set()).add(session.id)
        else:
            self._active.discard(session.id)
        if listed.owner != key_of_owner(listed.owner):
            self._started.add(listed.owner)

    def _leave(self, listed: Listed) -> None:
        session = listed.session
        del self._order[bisect_left(self._order, _key(session))]
        for owner in _owners(listed):
            active = self._active_of.get(owner, set())
            active.discard(session.id)
            if not active:
                self._active_of.pop(owner, None)
        if self._by_source.get((session.source, session.source_id)) == session.id:
            del self._by_source[session.source, session.source_id]
        self._haystacks.pop(session.id, None)


def grown(listed: Listed, messages: Iterable[Message]) -> Listed:
    """Return the session with the messages counted in."""
    session = listed.session
    count, last, title = session.message_count, session.last_activity, session.title
    for message in messages:
        count += 1
        last = message.created_at if last is None else max(last, message.created_at)
        if not title and message.role == "user":
            title = first_line(message.content)
    session = msgspec.structs.replace(session, message_count=count, last_activity=last, title=title)
    return Listed(session, listed.owner, listed.touched_at, listed.request)


def with_messages(listed: Listed, count: int, last: datetime, titles: Mapping[int, str]) -> Listed:
    """Return the session with so many messages, the last of that time, and its known title."""
    known = listed.session
    session = msgspec.structs.replace(
        known,
        message_count=count,
        last_activity=last if known.last_activity is None else max(last, known.last_activity),
        title=known.title or titles.get(known.id, ""),
    )
    return Listed(session, listed.owner, listed.touched_at, listed.request)


def first_line(text: str) -> str:
    """Return the first line that says something, short enough for a title."""
    lines = (line.strip() for line in text[:2000].splitlines())
    return one_line(next((line for line in lines if line), ""), TITLE_CHARACTERS)


def _key(session: Session) -> tuple[int, int]:
    return microseconds(session.last_activity or session.started_at), session.id


def _cursor(session: Session) -> str:
    activity, session_id = _key(session)
    return f"{activity}.{session_id}"


def _owners(listed: Listed) -> set[str]:
    return {listed.owner, key_of_owner(listed.owner)} - {""}
