"""A memory that lives in the process: the console's `Memory` for tests, with failures on demand."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from pktui.errors import MemoryUnavailable, NotFound
from pktui.memory.records import (
    BANDS,
    QUERY_KEYS,
    SESSION_KEYS,
    Band,
    Call,
    CallBrief,
    Entry,
    EntryHits,
    Facets,
    GroupedAnswer,
    Hit,
    Mark,
    Message,
    Mode,
    Outline,
    Page,
    Role,
    SearchAnswer,
    Session,
    SessionChange,
    SessionHits,
    SessionSort,
    SessionStatus,
    Status,
    UsageSum,
)
from pktui.memory.search.filters import compile_filters, session_filter
from pktui.memory.store.orders import sort_key
from pktui.memory.store.session_catalogue import facets_of
from pktui.query import TIME_KEYS, parse_query, with_zones

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


class MemoryInProcess:
    """Sessions and messages in lists. `down` makes every call fail as a lost service does."""

    def __init__(self) -> None:
        self.kept: dict[int, Session] = {}
        self.written: dict[int, list[Message]] = {}
        self.made: dict[int, list[Call]] = {}
        self.known: dict[int, Entry] = {}
        self.used: list[UsageSum] = []
        self.down = False
        self.asked: list[str] = []
        self.loading = False
        self.blind: set[Mode] = set()
        """Ways of searching that find nothing."""

    def add(
        self,
        title: str,
        *messages: tuple[Role, str],
        agent: str = "claude-code",
        project: str = "/home/ada/shop",
        status: SessionStatus = "active",
    ) -> Session:
        """Add a session with messages a minute apart."""
        number = len(self.kept) + 1
        began = START + timedelta(hours=number)
        rows = [
            Message(number * 100_000 + seq, number, seq, role, text, began + timedelta(minutes=seq))
            for seq, (role, text) in enumerate(messages, 1)
        ]
        self.written[number] = rows
        self.kept[number] = Session(
            id=number,
            name=title,
            status=status,
            started_at=began,
            agent=agent,
            project=project,
            message_count=len(rows),
            last_activity=rows[-1].created_at if rows else began,
            title=title,
        )
        return self.kept[number]

    def add_entry(self, title: str, content: str, *, tags: tuple[str, ...] = ()) -> Entry:
        """Add an entry of the knowledge."""
        number = len(self.known) + 1
        self.known[number] = Entry(number, title, content, "a wiki", tags, START, START)
        return self.known[number]

    def ensure(self) -> None:
        self._answer("ensure")

    def close(self) -> None:
        self.asked.append("close")

    def status(self) -> Status:
        self._answer("status")
        active = sum(session.status == "active" for session in self.kept.values())
        count = sum(map(len, self.written.values()))
        return Status("memory", len(self.kept), active, count, 0, count, 0, "test", "ready")

    def wait_until_gone(self, seconds: float) -> None:
        """It never ends."""

    def sessions(
        self,
        query: str = "",
        *,
        status: SessionStatus | None = None,
        project: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
        sort: SessionSort | None = None,
    ) -> Page[Session]:
        self._answer(f"sessions {query!r} {cursor!r}")
        found = [one for one in self._listed(query, project) if status in (None, one.status)]
        if sort is not None:
            found.sort(key=lambda one: sort_key(sort, one))
        first = int(cursor or 0)
        last = first + limit
        return Page(tuple(found[first:last]), len(found), str(last) if last < len(found) else "")

    def _listed(self, query: str, project: str | None) -> list[Session]:
        """Return the sessions that filters, understood as the store does, leave."""
        parsed = parse_query(query, SESSION_KEYS)
        fits = session_filter(compile_filters(parsed, START), project)
        newest = sorted(self.kept.values(), key=lambda one: one.id, reverse=True)
        return [one for one in newest if fits(one)]

    def usage(self, since: str = "") -> tuple[UsageSum, ...]:
        self._answer("usage")
        return tuple(one for one in self.used if one.day >= since)

    def facets(
        self,
        query: str = "",
        mode: Mode | Literal[""] = "",
        *,
        project: str | None = None,
        edges_us: Sequence[int] = (),
        wait: bool = True,
    ) -> Facets:
        assert not wait, "the console does not hold an answer back"
        self._answer(f"facets {query!r} {mode}")
        found = self._listed(with_zones(query, TIME_KEYS), project)
        if mode:
            words = [term.text for term in parse_query(query, QUERY_KEYS).terms]
            found = [
                one
                for one in found
                if any(" ".join(words) in row.content for row in self.written[one.id])
            ]
        weeks = Counter(bisect_right(edges_us, _us(one.last_activity or START)) for one in found)
        return facets_of(
            Counter((one.agent, one.project) for one in found),
            [weeks[at] for at in range(len(edges_us) + 1)],
        )

    def session(self, session_id: int) -> Session:
        self._answer(f"session {session_id}")
        if session_id not in self.kept:
            raise NotFound(f"no session {session_id}", "It may have been deleted")
        return self.kept[session_id]

    def messages(
        self,
        session_id: int,
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int = 200,
    ) -> Page[Message]:
        self._answer(f"messages {session_id} {before} {after}")
        rows = self.written.get(session_id, [])
        if before is not None:
            part = [row for row in rows if row.seq < before][-limit:]
        else:
            part = [row for row in rows if row.seq > (after or 0)][:limit]
        return Page(tuple(part), len(rows))

    def outline(
        self,
        session_id: int,
        *,
        after: int = 0,
        calls_after: int = 0,
        calls_last: int | None = None,
    ) -> Outline:
        self._answer(f"outline {session_id} {after} {calls_after}")
        rows = self.written.get(session_id, [])[after:]
        calls = self.made.get(session_id, [])[calls_after:]
        if calls_last is not None:
            calls = calls[max(0, len(calls) - calls_last) :]
        return Outline(
            tuple(_us(row.created_at) for row in rows),
            "".join(row.role[0] for row in rows),
            tuple(
                CallBrief(one.seq, _us(one.created_at), one.tool, one.outcome, one.call_id)
                for one in calls
            ),
        )

    def calls(self, session_id: int, *, after: int = 0, limit: int = 200) -> Page[Call]:
        self._answer(f"calls {session_id} {after} {limit}")
        rows = self.made.get(session_id, [])
        return Page(tuple(row for row in rows if row.seq > after)[:limit], len(rows))

    def search(
        self,
        query: str,
        mode: Mode = "hybrid",
        *,
        limit: int = 20,
        project: str | None = None,
        wait: bool = True,
    ) -> SearchAnswer:
        assert not wait, "the console does not hold an answer back"
        self._answer(f"search-in {query!r} {mode}")
        of, _, text = query.removeprefix("session:").partition(" ")
        text = _words(text)
        session = self.kept[int(of)]
        hits = [
            self._hit(session, message, text)
            for message in self.written[session.id]
            if text.lower() in message.content.lower()
        ]
        return SearchAnswer(tuple(hits[:limit]), len(hits), mode, mode)

    def search_sessions(
        self,
        query: str,
        mode: Mode = "hybrid",
        *,
        limit: int = 20,
        hits: int = 3,
        cursor: str = "",
        project: str | None = None,
        wait: bool = True,
        bands: bool = False,
        sort: SessionSort | None = None,
    ) -> GroupedAnswer:
        assert not wait, "the console does not hold an answer back"
        self._answer(f"search {query!r} {mode}")
        loading = self.loading  # first: a test ends it while this runs
        found = []
        kept = self._listed(query, None) if _words(query) != query else self.kept.values()
        query = _words(query)
        for session in kept:
            mine = [
                self._hit(session, message, query)
                for message in self.written[session.id]
                if query.lower() in message.content.lower() and project in (None, session.project)
            ]
            if mode in self.blind:
                continue
            band: Band = "titles" if query.lower() in session.title.lower() else "words"
            if mine or (bands and band == "titles" and project in (None, session.project)):
                found.append(SessionHits(session, 0.9, len(mine), tuple(mine[:hits]), band))
        if sort is not None:
            found.sort(key=lambda one: sort_key(sort, one.session, one.total))
        elif bands:
            found.sort(key=lambda one: BANDS.index(one.band))
        entries = self._entries(query) if bands and project is None else []
        entries = [
            msgspec.structs.replace(
                one, after=sum(BANDS.index(s.band) <= BANDS.index(one.band) for s in found)
            )
            for one in entries
        ]
        every: list[SessionHits | EntryHits] = [*found, *entries]
        first = int(cursor or 0)
        last = first + limit
        return GroupedAnswer(
            tuple(found[first:last]), len(found), sum(one.total for one in found),
            "words" if loading else mode, mode, str(last) if last < len(found) else "",
            awaits_meaning=loading and not found,
            bands=tuple(sum(one.band == band for one in every) for band in BANDS) if bands else (),
            entries=tuple(entries),
            total_entries=len(entries),
        )  # fmt: skip

    def _entries(self, query: str) -> list[EntryHits]:
        return [
            EntryHits(
                entry, 0.9, 0, Hit(0.9, entry.content[:120], (), entry=entry),
                "titles" if query.lower() in entry.title.lower() else "words",
            )
            for entry in self.known.values()
            if query.lower() in f"{entry.title} {entry.content}".lower()
        ]  # fmt: skip

    def get_entry(self, entry_id: int) -> Entry:
        self._answer(f"entry {entry_id}")
        if entry_id not in self.known:
            raise NotFound(f"there is no entry {entry_id}", "List them")
        return self.known[entry_id]

    def end_session(self, session_id: int, summary: str | None = None) -> SessionChange:
        self._answer(f"end {session_id} {summary!r}")
        ended = msgspec.structs.replace(
            self.session(session_id), status="ended", summary=summary or "", ended_at=START
        )
        self.kept[session_id] = ended
        return SessionChange(ended, True)

    def reopen_session(self, session_id: int) -> SessionChange:
        self._answer(f"reopen {session_id}")
        opened = msgspec.structs.replace(self.session(session_id), status="active", ended_at=None)
        self.kept[session_id] = opened
        return SessionChange(opened, True)

    def delete_session(self, session_id: int) -> None:
        self._answer(f"delete {session_id}")
        del self.kept[session_id], self.written[session_id]

    def _answer(self, call: str) -> None:
        self.asked.append(call)
        if self.down:
            raise MemoryUnavailable("the memory service does not answer", "Run pktui doctor")

    def _hit(self, session: Session, message: Message, query: str) -> Hit:
        at = message.content.lower().find(query.lower())
        start = max(0, at - 30)
        snippet = message.content[start : at + 120]
        mark = Mark(at - start, at - start + len(query))
        return Hit(0.9, snippet, (mark,), session, message)


def _words(query: str) -> str:
    """Return the query without its filters, as it stands where it has none."""
    parsed = parse_query(query, QUERY_KEYS)
    return " ".join(term.text for term in parsed.terms) if parsed.filters else query


def _us(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)
