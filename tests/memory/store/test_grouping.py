"""Searches grouped by session: every count is that of a brute-force count."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pktui.errors import InvalidRequest
from pktui.memory.records import BANDS, MODES, EntryHits, NewCall, NewMessage, Session
from pktui.memory.search.bm25 import without_frequent
from pktui.memory.search.call_text import call_text
from pktui.memory.search.ranking import LEAST_COSINE
from pktui.memory.store import Store
from tests.memory.store.conftest import embed_all
from tests.support.clock import START
from tests.support.embedder import WordsEmbedder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pktui.memory.records import GroupedAnswer, Mode, SessionHits

WORDS = [f"{a}{b}{c}" for a in "kmtvz" for b in "aou" for c in ("rk", "lm", "nd", "x", "pt", "gg")]
SESSIONS, MESSAGES, CALLS, ENTRIES = 60, 4_000, 3_000, 300
# How far the cosine of a vector that is kept in bytes is off, at the most.
ROUNDED = 0.005


class Filled:
    """A store with its texts as a plain list: session (0 for an entry), kind, text in lower case.

    `vectors` are those of the texts, of zeros where a kind has none.
    """

    def __init__(self, place: Path) -> None:
        self.random = random.Random(7)
        self.store = Store.open(place, WordsEmbedder())
        new = Session(0, "s", "ended", START, START, source="test")
        ids = [one.id for one in self.store.add_sessions([new] * SESSIONS)]
        self.texts: list[tuple[int, str, str]] = []
        messages = [
            NewMessage(self.random.choice(ids), "user", self.words(), START + timedelta(seconds=n))
            for n in range(MESSAGES)
        ]
        self.store.append(messages, allow_ended=True)
        self.texts += [(one.session_id, "messages", one.content) for one in messages]
        for number in ids:
            calls = [
                NewCall("Bash", json.dumps({"command": self.words()}), created_at=START)
                for _ in range(CALLS // SESSIONS)
            ]
            made = self.store.append_calls(number, calls)
            self.texts += [(number, "calls", call_text(one).lower()) for one in made]
        for _ in range(ENTRIES):
            entry = self.store.add_entry(self.words(), self.words())
            self.texts.append((0, "entries", f"{entry.title}\n{entry.content}"))
        embed_all(self.store)
        self.held = [text.split() for _, _, text in self.texts]
        self.vectors = WordsEmbedder().embed([text for _, _, text in self.texts])
        self.vectors[[kind == "calls" for _, kind, _ in self.texts]] = 0

    def words(self) -> str:
        """Return some words, the first of the list much more often than the last."""
        count = self.random.randint(1, 8)
        return " ".join(
            WORDS[min(int(self.random.expovariate(0.1)), len(WORDS) - 1)] for _ in range(count)
        )


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    made = Filled(tmp_path_factory.mktemp("grouping"))
    yield made
    made.store.close()


def counted(
    filled: Filled, query: str, mode: Mode, kinds: tuple[str, ...], least: float
) -> Counter[int]:
    """Return the hits of each session, by looking at every text.

    One whose vector is as near as `least` fits by its meaning.
    """
    if mode == "exact":
        fits = [query in text for _, _, text in filled.texts]
    else:
        asked = set(query.split()) if mode != "meaning" else set()
        fits = [not asked.isdisjoint(held) for held in filled.held]
    if mode in ("hybrid", "meaning"):
        state = filled.store._state
        corpus = state.knowledge if kinds == ("entries",) else state.messages
        telling = without_frequent(corpus, query)
        meant = WordsEmbedder().embed([query, telling] if telling else [query]).sum(axis=0)
        fits = (filled.vectors @ (meant / np.linalg.norm(meant)) >= least) | fits
    rows = zip(filled.texts, fits, strict=True)
    return Counter(session for (session, kind, _), held in rows if held and kind in kinds)


def pages(filled: Filled, query: str, mode: Mode, limit: int) -> Iterator[GroupedAnswer]:
    cursor = ""
    while True:
        page = filled.store.search_sessions(query, mode, limit=limit, hits=2, cursor=cursor)
        yield page
        if not page.cursor:
            return
        cursor = page.cursor


def test_of_200_random_queries_each_count_is_the_brute_force_one(filled: Filled) -> None:
    chance = random.Random(11)
    for number in range(200):
        mode = MODES[number % 4]
        place = chance.choice(["", "", "messages", "calls", "entries"])
        query = " ".join(chance.choices(WORDS, k=chance.randint(1, 2)))
        if mode == "exact" and chance.random() < 0.3:
            query = query[: chance.randint(2, 3)]
        kinds = (place,) if place else ("messages", "calls")
        fewest, most = (
            counted(filled, query, mode, kinds, LEAST_COSINE + off) for off in (ROUNDED, -ROUNDED)
        )
        if place == "entries":
            entries = filled.store.search_entries(query, mode, limit=200)
            assert fewest.total() <= entries.total <= most.total(), (query, mode)
            assert len({hit.entry.id for hit in entries.hits if hit.entry}) == min(
                200, entries.total
            )
            continue
        asked = f"{query} in:{place}" if place else query
        answer = filled.store.search_sessions(asked, mode, limit=200, hits=1)
        found = Counter({one.session.id: one.total for one in answer.sessions})
        assert fewest <= found <= most, (asked, mode)
        assert (answer.total, answer.total_hits) == (len(found), found.total())
        assert filled.store.search(asked, mode, limit=1).total == found.total()


def test_pages_hold_each_session_once_best_first(filled: Filled) -> None:
    whole = filled.store.search_sessions("kark malm", "words", limit=200).sessions
    parts = [one for page in pages(filled, "kark malm", "words", 17) for one in page.sessions]
    assert [one.session.id for one in parts] == [one.session.id for one in whole]
    scores = [one.score for one in whole]
    assert scores == sorted(scores, reverse=True)
    for one in parts:
        assert 0 < len(one.hits) <= min(2, one.total)
        assert one.hits[0].score == one.score
        assert [hit.score for hit in one.hits] == sorted(
            (hit.score for hit in one.hits), reverse=True
        )
        assert {hit.session.id for hit in one.hits if hit.session} == {one.session.id}


def test_a_cursor_of_another_list_is_refused(filled: Filled) -> None:
    with pytest.raises(InvalidRequest, match="is not one of this list"):
        filled.store.search_sessions("kark", cursor="12")


def test_bands_count_titles_words_and_meaning_as_a_brute_force_count_does(tmp_path: Path) -> None:
    chance = random.Random(5)
    store = Store.open(tmp_path)
    titles: dict[int, str] = {}
    texts: dict[int, str] = {}
    for _ in range(60):
        name, text = (" ".join(chance.choices(WORDS[:12], k=3)) for _ in range(2))
        new = Session(0, name, "ended", START, START, source="test", project="/home/ada/shop")
        number = store.add_sessions([new])[0].id
        titles[number] = name
        if chance.random() < 0.7:
            texts[number] = text
            store.append([NewMessage(number, "user", text, START)], allow_ended=True)
    for _ in range(60):
        query = " ".join(chance.choices(WORDS[:12], k=chance.randint(1, 2)))
        called = {n for n, title in titles.items() if all(w in title for w in query.split())}
        worded = {n for n, t in texts.items() if set(query.split()) & set(t.split())}
        found: list[SessionHits] = []
        cursor = ""
        while True:
            page = store.search_sessions(query, "words", limit=7, cursor=cursor, bands=True)
            assert page.bands == (len(called), len(worded - called), 0)
            assert page.total == len(called | worded)
            found += page.sessions
            cursor = page.cursor
            if not cursor:
                break
        assert [one.session.id for one in found if one.band == "titles"] == sorted(
            called, key=[one.session.id for one in found].index
        )
        assert {one.session.id for one in found} == called | worded
        order = [BANDS.index(one.band) for one in found]
        assert order == sorted(order)
        assert all(one.total == (one.session.id in worded) for one in found)
    whole = store.search_sessions("kark", "words", limit=200, bands=True)
    assert store.search_sessions("kark role:agent", "words", bands=True).bands == (0, 0, 0)
    assert store.search_sessions("kark project:nowhere", "words", bands=True).total == 0
    assert store.search_sessions("kark project:shop", "words", bands=True).bands == whole.bands
    assert store.search_sessions("kark", "words").bands == ()
    store.close()


def test_what_only_means_the_same_is_the_last_band(tmp_path: Path) -> None:
    store = Store.open(tmp_path, WordsEmbedder())
    for name, text in (("one", "kark malm"), ("two", "kark malm tokx"), ("tokx", "zuu")):
        new = Session(0, name, "ended", START, START, source="test")
        number = store.add_sessions([new])[0].id
        store.append([NewMessage(number, "user", text, START)], allow_ended=True)
    while store.embed_pending():
        pass
    answer = store.search_sessions("tokx kark", "meaning", bands=True)
    assert answer.bands[1] == 0
    assert answer.bands[2] > 0
    answer = store.search_sessions("tokx", "hybrid", bands=True)
    assert {one.session.name: one.band for one in answer.sessions}["two"] == "words"
    assert answer.sessions[0].session.name == "tokx"
    store.close()


def test_knowledge_stands_in_its_band_and_each_page_counts_it_as_brute_force_does(
    tmp_path: Path,
) -> None:
    chance = random.Random(11)
    store = Store.open(tmp_path, clock=lambda: START)
    kept: dict[tuple[str, int], tuple[str, str]] = {}
    for _ in range(40):
        title, text = (" ".join(chance.choices(WORDS[:12], k=3)) for _ in range(2))
        kept["entry", store.add_entry(title, text).id] = (title, f"{title} {text}")
        new = Session(0, title, "ended", START, START, source="test", agent="codex")
        number = store.add_sessions([new])[0].id
        kept["session", number] = (title, text)
        store.append([NewMessage(number, "user", text, START)], allow_ended=True)
    for _ in range(40):
        query = " ".join(chance.choices(WORDS[:12], k=chance.randint(1, 2)))
        words = query.split()
        called = {one for one, (title, _) in kept.items() if all(w in title for w in words)}
        worded = {one for one, (_, text) in kept.items() if set(words) & set(text.split())}
        found: list[tuple[str, int]] = []
        order: list[int] = []
        cursor = ""
        while True:
            page = store.search_sessions(query, "words", limit=7, cursor=cursor, bands=True)
            assert page.bands == (len(called), len(worded - called), 0)
            expected = called | worded
            kinds = [kind for kind, _ in expected]
            assert (page.total, page.total_entries) == (
                kinds.count("session"), kinds.count("entry")
            )  # fmt: skip
            assert page.total_hits == sum(one[0] == "session" for one in worded)
            for one in page.in_order():
                order.append(BANDS.index(one.band))
                if isinstance(one, EntryHits):
                    found.append(("entry", one.entry.id))
                    assert (one.hit is not None) == (found[-1] in worded)
                else:
                    found.append(("session", one.session.id))
            cursor = page.cursor
            if not cursor:
                break
        assert len(found) == len(set(found))
        assert set(found) == expected
        assert order == sorted(order)
    store.close()


@pytest.mark.parametrize(
    ("query", "sessions", "entries"),
    [
        ("kark", 1, 1),
        ("kark in:knowledge", 0, 1),
        ("kark in:messages", 1, 0),
        ("kark agent:codex", 1, 0),
        ("kark role:user", 1, 0),
        ("kark tool:Bash", 0, 0),
        ("kark -role:user", 0, 1),
        ("kark source:wiki", 0, 1),
        ("kark after:2020-01-01", 1, 1),
    ],
)
def test_filters_that_only_a_session_can_meet_leave_the_knowledge_out(
    tmp_path: Path, query: str, sessions: int, entries: int
) -> None:
    store = Store.open(tmp_path, clock=lambda: START)
    store.add_entry("kark", "malm", source="a wiki")
    new = Session(0, "s", "ended", START, START, source="test", agent="codex")
    number = store.add_sessions([new])[0].id
    store.append([NewMessage(number, "user", "kark", START)], allow_ended=True)
    answer = store.search_sessions(query, "words", bands=True)
    assert (answer.total, answer.total_entries) == (sessions, entries)
    assert store.search_sessions(query, "words").total_entries == 0
    store.close()
