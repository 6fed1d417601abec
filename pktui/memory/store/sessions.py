"""Starting, ending, reopening, deleting and listing sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pktui.memory.records import (
    SESSION_KEYS,
    Facets,
    Identity,
    Page,
    Session,
    SessionChange,
    SessionStatus,
)
from pktui.memory.search.filters import compile_filters, session_filter
from pktui.memory.search.forms import folded
from pktui.memory.store.requests import deletion_mark
from pktui.memory.store.session_catalogue import Listed, Wanted
from pktui.query import parse_query
from pktui.text import storable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from pktui.memory.records import SessionSort
    from pktui.memory.store.state import State


class Sessions:
    """The verbs on sessions; what one changes is kept when it returns, all or nothing."""

    def __init__(self, state: State, timeout: timedelta) -> None:
        self._state = state
        self._timeout = timeout

    def start(
        self,
        name: str,
        identity: Identity,
        source: str,
        source_id: str,
        started_at: datetime | None,
        current: bool,
        request: str,
    ) -> Session:
        """Start a session; where `current`, the identity's earlier one stays active, unowned.

        A request that was carried out already returns the session it started.
        """
        state = self._state
        now = state.clock()
        with state.writing:
            made = self.made_by(request)
            if made is not None:
                return made
            session = Session(
                id=state.next_id("session"),
                name=storable(name),
                status="active",
                started_at=started_at or now,
                agent=storable(identity.agent),
                project=storable(identity.project),
                source=source,
                source_id=source_id,
                last_activity=started_at or now,
                title=storable(name),
            )
            owner = storable(identity.owner) if current else ""
            listed = Listed(session, owner, session.started_at, request)
            self._commit([*self._disowned(owner), listed])
        return session

    def add(self, new: Sequence[Session]) -> tuple[Session, ...]:
        """Commit sessions as they are in one go, nobody's current ones; each gets a new id."""
        state = self._state
        with state.writing:
            added = [_storable(session, state.next_id("session")) for session in new]
            if added:
                self._commit([Listed(session, "", session.started_at) for session in added])
        return tuple(added)

    def _disowned(self, owner: str) -> list[Listed]:
        with self._state.lock:
            return [
                msgspec.structs.replace(one, owner="") for one in self._state.catalogue.held(owner)
            ]

    def end(
        self, session_id: int, summary: str | None, ended_at: datetime | None, request: str
    ) -> SessionChange:
        """End a session; one that has ended is left as it is, unless by this very request."""
        state = self._state
        with state.writing:
            listed = self._get(session_id)
            if listed.session.status == "ended":
                return SessionChange(listed.session, changed=_again(listed, request))
            ended = _ended(listed, ended_at or state.clock(), summary, request)
            self._commit([ended])
        return SessionChange(ended.session, changed=True)

    def grow(self, session_id: int, name: str, ended_at: datetime) -> None:
        """Give an ended session the name and the end that its source tells of it by now."""
        state = self._state
        with state.writing:
            listed = self._get(session_id)
            known = listed.session
            grown = msgspec.structs.replace(
                known,
                name=storable(name) or known.name,
                title=storable(name) or known.title,
                ended_at=max(ended_at, known.ended_at or ended_at),
            )
            if known.status == "ended" and grown != known:
                self._commit([msgspec.structs.replace(listed, session=grown)])

    def end_inactive(self, now: datetime) -> tuple[Session, ...]:
        """End every active session that had no message for as long as the time-out."""
        state = self._state
        with state.writing:
            with state.lock:
                idle = [one for one in state.catalogue.active if self._is_idle(one, now)]
            ended = [_ended(one, _last_sign(one), None, "") for one in idle]
            if ended:
                self._commit(ended)
        return tuple(one.session for one in ended)

    def _is_idle(self, listed: Listed, now: datetime) -> bool:
        return now - _last_sign(listed) >= self._timeout

    def reopen(self, session_id: int, request: str) -> SessionChange:
        """Make an ended session active again, and its owner's current one unless there is one."""
        state = self._state
        with state.writing:
            listed = self._get(session_id)
            if listed.session.status == "active":
                return SessionChange(listed.session, changed=_again(listed, request))
            session = msgspec.structs.replace(listed.session, status="active", ended_at=None)
            with state.lock:
                taken = listed.owner and state.catalogue.own(listed.owner)
            reopened = Listed(session, "" if taken else listed.owner, state.clock(), request)
            self._commit([reopened])
        return SessionChange(session, changed=True)

    def delete(self, session_id: int, request: str) -> None:
        """Remove a session, its messages and their vectors, for good.

        The session's row goes first: should the process die after that, the next start removes
        the rest. A request that was carried out already changes nothing.
        """
        state = self._state
        with state.writing:
            if self._deleted_by(request) == session_id:
                return
            self._get(session_id)
            state.forget_index()
            state.rows.flush()
            mark = deletion_mark("deleted session", request, session_id) if request else ""
            state.keep_marks(mark)
            state.sessions_table.delete(f"id = {session_id}")
            with state.lock:
                state.catalogue.remove(session_id)
                state.messages.remove_group(session_id)
                state.calls.remove_group(session_id)
                state.requests.remember("deleted session", request, session_id)
            state.messages_table.delete(f"session_id = {session_id}")
            state.calls_table.delete(f"session_id = {session_id}")
            state.vectors.delete(f"kind = 'message' AND session_id = {session_id}")

    def _deleted_by(self, request: str) -> int | None:
        """Return the session that the request removed; one that is there still it did not."""
        with self._state.lock:
            session_id = self._state.requests.find("deleted session", request)
            known = session_id is not None and self._state.catalogue.has(session_id)
        return None if known else session_id

    def get(self, session_id: int) -> Session:
        """Return a session; raises `NotFound`."""
        return self._get(session_id).session

    def current(self, identity: Identity) -> Session | None:
        """Return the identity's current session; see `Catalogue.current`."""
        with self._state.lock:
            return self._state.catalogue.current(storable(identity.owner))

    def made_by(self, request: str) -> Session | None:
        """Return the session that the request started, ended or reopened."""
        with self._state.lock:
            session_id = self._state.requests.find("session", request)
            if session_id is None or not self._state.catalogue.has(session_id):
                return None
            return self._state.catalogue.get(session_id).session

    def by_source(self, source: str, source_id: str) -> Session | None:
        """Return the session that was imported from there."""
        with self._state.lock:
            return self._state.catalogue.by_source(source, source_id)

    def page(
        self,
        query: str,
        status: SessionStatus | None,
        project: str | None,
        cursor: str,
        limit: int,
        sort: SessionSort | None,
    ) -> Page[Session]:
        """Return sessions that hold all words and filters, the latest activity first."""
        wanted = self._wanted(query, status, project)
        with self._state.lock:
            return self._state.catalogue.page(wanted, cursor, limit, sort)

    def facets(self, query: str, project: str | None, edges_us: Sequence[int]) -> Facets:
        """Count those that a page is of."""
        wanted = self._wanted(query, None, project)
        with self._state.lock:
            return self._state.catalogue.facets(wanted, edges_us)

    def _wanted(self, query: str, status: SessionStatus | None, project: str | None) -> Wanted:
        parsed = parse_query(query, SESSION_KEYS)
        filters = compile_filters(parsed, self._state.clock())
        filtered = parsed.filters or project is not None
        return Wanted(
            status,
            session_filter(filters, project) if filtered else None,
            tuple((folded(term.text), term.negated) for term in parsed.terms),
        )

    def _get(self, session_id: int) -> Listed:
        with self._state.lock:
            return self._state.catalogue.get(session_id)

    def _commit(self, changed: Sequence[Listed]) -> None:
        """Keep the sessions and take them in; the caller holds `writing`."""
        state = self._state
        known = any(state.catalogue.has(one.session.id) for one in changed)
        state.rows.add("session", changed, new=not known)
        with state.lock:
            for one in changed:
                state.catalogue.put(one)
                state.requests.remember("session", one.request, one.session.id)


def _storable(session: Session, session_id: int) -> Session:
    name = storable(session.name)
    return msgspec.structs.replace(
        session,
        id=session_id,
        name=name,
        title=name,
        summary=storable(session.summary),
        agent=storable(session.agent),
        project=storable(session.project),
        message_count=0,
        last_activity=session.started_at,
    )


def _again(listed: Listed, request: str) -> bool:
    """Tell whether this request made the session what it is, and only comes again."""
    return bool(request) and listed.request == request


def _ended(listed: Listed, when: datetime, summary: str | None, request: str) -> Listed:
    session = msgspec.structs.replace(
        listed.session,
        status="ended",
        ended_at=when,
        summary=listed.session.summary if summary is None else storable(summary),
    )
    return Listed(session, listed.owner, listed.touched_at, request)


def _last_sign(listed: Listed) -> datetime:
    """Return when the session last showed life: its last message, start or reopening."""
    return max(listed.touched_at, listed.session.last_activity or listed.touched_at)
