"""All sessions in memory, in their orders, counted, and whose current one each is."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from heapq import nlargest
from itertools import compress, islice, pairwise, repeat
from operator import contains
from typing import TYPE_CHECKING, TypeVar

import msgspec

from pktui.errors import InvalidRequest, NotFound
from pktui.memory.records import Facets, Message, Page, Session, SessionStatus, key_of_owner
from pktui.memory.search.forms import folded
from pktui.memory.store.orders import Orders
from pktui.text import one_line
from pktui.times import microseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set

    from pktui.memory.records import SessionSort

T = TypeVar("T")

TITLE_CHARACTERS = 80
# Chosen sessions are looked for in the list where at least one of so many in it is chosen.
_WALKED = 50


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


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which sessions a list is of.

    `terms` are texts in the form that is searched, each with whether no session may hold it;
    `fits` is None where it would hold for all.
    """

    status: SessionStatus | None = None
    fits: Callable[[Session], bool] | None = None
    terms: tuple[tuple[str, bool], ...] = ()


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
        self._words: dict[int, str] = {}
        """What each session is called and about, in the form that is searched."""
        self._places: dict[str, set[int]] = {}
        """Sessions by agent and directory, of which there are few, in that form too."""
        self._unread: set[int] = set()
        """Sessions whose words have to be put together anew."""
        self._active: set[int] = set()
        self._orders = Orders()
        # How many sessions each agent has in each directory, once that was asked for.
        self._kinds: Counter[tuple[str, str]] | None = None

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
        self._orders.forget()
        self._kinds = None

    def put(self, listed: Listed) -> None:
        """Take in a session, new or in place of what was known of it."""
        known = self._listed.get(listed.session.id)
        if known is not None:
            self._leave(known)
        self._place(listed)
        insort(self._order, _key(listed.session))
        self._orders.put(listed.session)
        if self._kinds is not None:
            self._kinds[_kind(listed.session)] += 1

    def grow(self, session_id: int, messages: Iterable[Message]) -> None:
        """Count messages into a session; nothing else of it changes."""
        known = self._listed[session_id]
        listed = self._listed[session_id] = grown(known, messages)
        before, after = known.session, listed.session
        if before.last_activity != after.last_activity:
            del self._order[bisect_left(self._order, _key(before))]
            insort(self._order, _key(after))
        if self._orders.lists:
            self._orders.change(before, after)
        if before.title != after.title:
            self._unread.add(session_id)

    def remove(self, session_id: int) -> None:
        """Forget a session."""
        known = self._listed.pop(session_id)
        self._leave(known)
        self._active.discard(session_id)
        self._words.pop(session_id, None)
        self._unread.discard(session_id)

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

    def read_words(self, most: int) -> int:
        """Make ready for lists by words, for up to so many sessions; returns how many."""
        ids = list(islice(self._unread, most))
        for session_id in ids:
            session = self._listed[session_id].session
            called = dict.fromkeys((session.title, session.name, session.summary))
            self._words[session_id] = folded("\n".join(called))
            self._places.setdefault(_place(session), set()).add(session_id)
        self._unread.difference_update(ids)
        return len(ids)

    def sessions(self) -> list[Session]:
        """Return all sessions, the one with the latest activity first."""
        return [self._listed[session_id].session for _, session_id in reversed(self._order)]

    def called(self, texts: Sequence[str], fits: Callable[[Session], bool]) -> set[int]:
        """Return the ids of the sessions whose name, title or summary hold all the texts.

        The texts are in the form that is searched.
        """
        self.read_words(len(self._unread))
        found = {
            session_id
            for session_id, words in self._words.items()
            if all(contains(words, text) for text in texts)
        }
        return {one for one in found if fits(self._listed[one].session)}

    def page(
        self, wanted: Wanted, cursor: str, limit: int, sort: SessionSort | None = None
    ) -> Page[Session]:
        """Return the part of the list behind the cursor, and how many sessions are wanted.

        The list is in order as it is, so that a page of it is looked at and no more.
        """
        chosen = self._chosen(wanted)
        if sort not in (None, "age"):
            ids, following = self._orders.page(sort, self.sessions(), chosen, cursor, limit)
            total = len(self._order) if chosen is None else len(chosen)
            return Page(tuple(self._listed[one].session for one in ids), total, following)
        end = self._end(cursor)
        if chosen is None:
            total = len(self._order)
            ids = [one for _, one in islice(_back(self._order, end), limit + 1)]
        else:
            total = len(chosen)
            ids = self._latest(chosen, end, limit + 1)
        found = [self._listed[one].session for one in ids]
        more = len(found) > limit
        found = found[:limit]
        return Page(tuple(found), total, _cursor(found[-1]) if more and found else "")

    def facets(self, wanted: Wanted, edges_us: Sequence[int]) -> Facets:
        """Count the sessions that are wanted; without a wish that costs nothing to speak of."""
        chosen = self._chosen(wanted)
        if chosen is None:
            if self._kinds is None:
                self._kinds = Counter(_kind(one.session) for one in self._listed.values())
            ends = [bisect_left(self._order, (edge, 0)) for edge in edges_us]
            ends = [0, *ends, len(self._order)]
            return facets_of(self._kinds, [last - first for first, last in pairwise(ends)])
        sessions = [self._listed[one].session for one in chosen]
        times = (microseconds(one.last_activity or one.started_at) for one in sessions)
        weeks = Counter(bisect_right(edges_us, at) for at in times)
        return facets_of(
            Counter(map(_kind, sessions)), [weeks[at] for at in range(len(edges_us) + 1)]
        )

    def kinds(self, ids: Iterable[int]) -> Counter[tuple[str, str]]:
        """Count the sessions by agent and directory."""
        return Counter(_kind(self._listed[one].session) for one in ids if one in self._listed)

    def _chosen(self, wanted: Wanted) -> Set[int] | None:
        """Return the ids of the sessions that are wanted, None for all."""
        chosen: Set[int] | None = None
        if wanted.status is not None:
            active = self._active
            chosen = active if wanted.status == "active" else self._listed.keys() - active
        if wanted.terms:
            self.read_words(len(self._unread))
        # What few sessions hold is asked first: the next term is looked for in those alone.
        for text, negated in sorted(wanted.terms, key=lambda term: (term[1], -len(term[0]))):
            held = self._holding(text, chosen)
            among = self._listed.keys() if chosen is None else chosen
            chosen = among - held if negated else held
        if wanted.fits is not None:
            ids = self._listed.keys() if chosen is None else chosen
            chosen = {one for one in ids if wanted.fits(self._listed[one].session)}
        return chosen

    def _holding(self, text: str, among: Set[int] | None) -> set[int]:
        """Return the ids of the sessions, of those or of all, whose words hold the text."""
        places = (ids for place, ids in self._places.items() if text in place)
        if among is None:
            held: Iterator[bool] = map(contains, self._words.values(), repeat(text))
            return set(compress(self._words.keys(), held)).union(*places)
        held = map(contains, map(self._words.__getitem__, among), repeat(text))
        return set(compress(among, held)).union(*(ids & among for ids in places))

    def _latest(self, chosen: Set[int], end: int, most: int) -> list[int]:
        """Return the first of the chosen in the list's order, from the place `end` on."""
        if len(chosen) * _WALKED > len(self._order):
            walk = (one for _, one in _back(self._order, end) if one in chosen)
            return list(islice(walk, most))
        keys = (_key(self._listed[one].session) for one in chosen)
        last = self._order[end] if end < len(self._order) else None
        behind = (key for key in keys if last is None or key < last)
        return [one for _, one in nlargest(most, behind)]

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
        self._unread.add(session.id)
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
        self._places.get(_place(session), set()).discard(session.id)
        del self._order[bisect_left(self._order, _key(session))]
        self._orders.leave(session)
        if self._kinds is not None:
            self._kinds[_kind(session)] -= 1
        for owner in _owners(listed):
            active = self._active_of.get(owner, set())
            active.discard(session.id)
            if not active:
                self._active_of.pop(owner, None)
        if self._by_source.get((session.source, session.source_id)) == session.id:
            del self._by_source[session.source, session.source_id]


def _back(order: Sequence[T], end: int) -> Iterator[T]:
    """Yield what stands before the place `end`, backwards."""
    return map(order.__getitem__, range(end - 1, -1, -1))


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


def facets_of(kinds: Mapping[tuple[str, str], int], weeks: Sequence[int]) -> Facets:
    """Return the counts of agents and projects, the most first, with those of weeks."""
    agents: Counter[str] = Counter()
    projects: Counter[str] = Counter()
    for (agent, project), count in kinds.items():
        agents[agent] += count
        projects[project] += count
    return Facets(_most_first(agents), _most_first(projects), tuple(weeks))


def _most_first(counts: Counter[str]) -> tuple[tuple[str, int], ...]:
    found = [pair for pair in counts.items() if pair[1]]
    return tuple(sorted(found, key=lambda pair: (-pair[1], pair[0])))


def _kind(session: Session) -> tuple[str, str]:
    return session.agent, session.project


def _place(session: Session) -> str:
    return folded(f"{session.agent}\n{session.project}")


def _key(session: Session) -> tuple[int, int]:
    return microseconds(session.last_activity or session.started_at), session.id


def _cursor(session: Session) -> str:
    activity, session_id = _key(session)
    return f"{activity}.{session_id}"


def _owners(listed: Listed) -> set[str]:
    return {listed.owner, key_of_owner(listed.owner)} - {""}
