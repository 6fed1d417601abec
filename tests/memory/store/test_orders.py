"""Lists and searches of sessions by a column, and their facets: as a brute-force count has them."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pktui.errors import InvalidRequest
from pktui.memory import api
from pktui.memory.records import SESSION_SORTS, NewMessage, Session
from pktui.memory.store import Store
from pktui.times import from_microseconds, microseconds
from tests.support.clock import START

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pktui.memory.records import Facets, Message, SessionSort

WORDS = ("kark", "malm", "tand", "vux", "zopt")
AGENTS = ("codex", "codex-2", "opencode", "")
PROJECTS = ("/home/ada/shop", "/home/ada/shop2", "/srv/my infra", "")
WEEK = timedelta(days=7)
EDGES = tuple(microseconds(START + n * WEEK) for n in range(1, 5))


class Kept:
    """A store, and what is in it as plain lists."""

    def __init__(self, place: Path) -> None:
        self.random = random.Random(3)
        self.store = Store.open(place, clock=lambda: START + 6 * WEEK)
        self.said: dict[int, list[Message]] = {}
        for _ in range(60):
            self.add()

    def add(self) -> None:
        chance = self.random
        began = START + chance.random() * 5 * WEEK
        title = " ".join(chance.choices(WORDS, k=2)).title()
        new = Session(
            0, title, "ended", began, began, agent=chance.choice(AGENTS),
            project=chance.choice(PROJECTS), source="test",
        )  # fmt: skip
        number = self.store.add_sessions([new])[0].id
        texts = [" ".join(chance.choices(WORDS, k=2)) for _ in range(chance.randint(0, 4))]
        at = [began + chance.random() * 2 * WEEK for _ in texts]
        said = [NewMessage(number, "user", t, when) for t, when in zip(texts, at, strict=True)]
        self.said[number] = list(self.store.append(said, allow_ended=True)) if said else []

    def change(self) -> None:
        """Let a session grow, one go, one come."""
        number = self.random.choice(sorted(self.said))
        when = START + self.random.random() * 7 * WEEK
        self.said[number] += self.store.append(
            [NewMessage(number, "user", "vux zopt", when)], allow_ended=True
        )
        gone = self.random.choice(sorted(self.said))
        self.store.delete_session(gone)
        del self.said[gone]
        self.add()

    def sessions(self) -> list[Session]:
        return [self.store.session(number) for number in sorted(self.said)]


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path)
    yield made
    made.store.close()


def plain(sort: SessionSort, session: Session, count: int) -> Any:
    """Return what a person would sort by."""
    return {
        "title": session.title.lower(),
        "agent": session.agent,
        "project": session.project.rpartition("/")[2],
        "count": -count,
        "age": -_latest(session),
    }[sort]


def _latest(session: Session) -> int:
    return microseconds(session.last_activity or session.started_at)


@pytest.mark.parametrize("sort", SESSION_SORTS)
def test_pages_of_a_list_are_in_the_order_of_the_column(kept: Kept, sort: SessionSort) -> None:
    for query in ("", "agent:codex", "kark"):
        for _ in range(3):
            found: list[Session] = []
            cursor = ""
            while True:
                page = kept.store.sessions(query, sort=sort, cursor=cursor, limit=7)
                found += page.items
                cursor = page.cursor
                if not cursor:
                    break
            assert len(found) == page.total
            assert {one.id for one in found} == {
                one.id for one in kept.store.sessions(query, limit=200).items
            }
            keys = [(plain(sort, one, one.message_count), -_latest(one)) for one in found]
            assert keys == sorted(keys)
            kept.change()


@pytest.mark.parametrize("sort", SESSION_SORTS)
def test_pages_of_a_search_are_in_the_order_of_the_column(kept: Kept, sort: SessionSort) -> None:
    kept.store.add_entry("Malm", "kark of the knowledge")
    whole = kept.store.search_sessions("kark", "words", limit=200, bands=True)
    found: list[tuple[Any, int]] = []
    ids: set[int] = set()
    entries = 0
    cursor = ""
    while True:
        page = kept.store.search_sessions(
            "kark", "words", sort=sort, cursor=cursor, limit=5, bands=True
        )
        found += [(plain(sort, one.session, one.total), -_latest(one.session))
                  for one in page.sessions]  # fmt: skip
        ids |= {one.session.id for one in page.sessions}
        entries += len(page.entries)
        cursor = page.cursor
        if not cursor:
            break
    assert found == sorted(found)
    assert ids == {one.session.id for one in whole.sessions}
    assert (len(found), entries) == (whole.total, 1)


def test_a_cursor_of_another_order_is_refused(kept: Kept) -> None:
    by_title = kept.store.sessions(sort="title", limit=5).cursor
    assert kept.store.sessions(sort="title", limit=5, cursor=by_title).items
    for sort, cursor in (("count", by_title), ("title", "5.5"), ("title", '["a"')):
        with pytest.raises(InvalidRequest, match="is not one of this list"):
            kept.store.sessions(sort=sort, cursor=cursor)  # type: ignore[arg-type]


def test_facets_of_a_list_are_those_of_a_brute_force_count_as_sessions_change(kept: Kept) -> None:
    for _ in range(20):
        for query, fits in (
            ("", lambda one: True),
            ("agent:=codex", lambda one: one.agent == "codex"),
            ("agent:codex", lambda one: "codex" in one.agent),
            ('project:"=/srv/my infra"', lambda one: one.project == "/srv/my infra"),
            ("-agent:=codex", lambda one: one.agent != "codex"),
        ):
            sessions = [one for one in kept.sessions() if fits(one)]
            facets = kept.store.facets(query, edges_us=EDGES)
            assert dict(facets.agents) == Counter(one.agent for one in sessions)
            assert dict(facets.projects) == Counter(one.project for one in sessions)
            weeks = Counter(bisect_right(EDGES, _latest(one)) for one in sessions)
            assert facets.weeks == tuple(weeks[at] for at in range(len(EDGES) + 1))
            assert kept.store.sessions(query).total == len(sessions)
            assert [count for _, count in facets.agents] == sorted(
                (count for _, count in facets.agents), reverse=True
            )
        kept.change()


def test_facets_of_a_search_say_how_many_sessions_each_filter_would_leave(kept: Kept) -> None:
    for _ in range(8):
        facets = kept.store.facets("kark", "words", edges_us=EDGES)
        for agent, count in facets.agents:
            assert _found(kept, f"kark agent:={agent}") == count
        for project, count in facets.projects:
            assert _found(kept, f'kark project:"={project}"') == count
        between = zip((0, *EDGES), (*EDGES, 0), facets.weeks, strict=True)
        for first, last, count in between:
            assert _found(kept, f"kark {_span(first, last)}") == count
        kept.change()


def _found(kept: Kept, query: str) -> int:
    return kept.store.search_sessions(query, "words", bands=True).total


def _span(first: int, last: int) -> str:
    parts = [("after", first), ("before", last)]
    return " ".join(f'{key}:"{from_microseconds(at).isoformat()}"' for key, at in parts if at)


def test_no_facets_of_nothing(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    facets: Facets = store.facets(edges_us=EDGES)
    assert (facets.agents, facets.projects, sum(facets.weeks)) == ((), (), 0)
    assert sum(store.facets("kark", "words", edges_us=EDGES).weeks) == 0
    store.close()


def test_a_time_that_no_column_can_hold_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="edges_us"):
        msgspec.json.decode(b'{"edges_us":[99999999999999999999]}', type=api.FacetsOf)
