"""What each mode finds, in which order, with which scores and snippets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pktui.errors import InvalidRequest
from pktui.memory.search.bm25 import without_frequent
from pktui.memory.search.question import read_question
from pktui.memory.store import Store
from tests.memory.store.conftest import ADA, BEN, embed_all, log
from tests.support.clock import START, Clock
from tests.support.embedder import WordsEmbedder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pktui.memory.records import SearchAnswer

TEXTS = (
    "The deadlock is in PaymentService.retry()",
    "100%_sure that it is",
    "100 and 90 percent sure",
    "getUserName(id) failed: E_TIMEOUT in session_timeout_minutes",
    "The café is closed, go by bus",
    "東京の天気は晴れ",
    "if a or b: pass",
    "We saw deadlocks twice",
)
PASTED = (
    "I fixed the broken install with rm -rf node_modules and a fresh npm ci.",
    "Never use git commit --no-verify -m 'x' here, the hook writes the headers.",
    'curl answered {"status": 500, "role": "user"} to the 5" disk page',
    'then git commit -m "first try" failed in session::start(role:user)',
    "cache cold, branch merged",
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    yield from holding(TEXTS, tmp_path_factory.mktemp("modes"))


@pytest.fixture(scope="module")
def pasted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    yield from holding(PASTED, tmp_path_factory.mktemp("pasted"))


def holding(texts: Sequence[str], place: Path) -> Iterator[Store]:
    clock = Clock()
    with Store.open(place, WordsEmbedder(), clock=clock) as store:
        session = store.start_session("s", ADA)
        for text in texts:
            log(store, session.id, text)
            clock.advance(minutes=1)
        embed_all(store)
        yield store


def contents(answer: SearchAnswer) -> list[str]:
    return [hit.message.content for hit in answer.hits if hit.message is not None]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("deadlock", [0, 7]),
        ("user name", [3]),
        ("getusername", [3]),
        ("timeout", [3]),
        ("cafe", [4]),
        ("CAFÉ", [4]),
        ("go by", [4]),
        ("天気", [5]),
        ("or if", [6]),
        ("nowhere", []),
        ('"go by bus"', [4]),
        ('"by go"', []),
        ('deadlock -"twice"', [0]),
        ('deadlock -"saw deadlocks"', [0]),
    ],
)
def test_words_find_words(filled: Store, query: str, found: list[int]) -> None:
    answer = filled.search(query, "words")
    assert sorted(contents(answer)) == sorted(TEXTS[number] for number in found)
    assert answer.total == len(found)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("100%", [1]),
        ("%", [1]),
        ("_", [1, 3]),
        ("paymentservice.RETRY()", [0]),
        ("ent", [0, 2]),
        ("E_TIME", [3]),
        ("is", [0, 1, 4]),
        ("if a  or", []),
        ("の天", [5]),
        ("it's", []),
    ],
)
def test_exact_finds_any_string_as_it_stands_newest_first(
    filled: Store, query: str, found: list[int]
) -> None:
    answer = filled.search(query, "exact")
    assert contents(answer) == [TEXTS[number] for number in sorted(found, reverse=True)]
    assert {hit.score for hit in answer.hits} <= {1.0}


@pytest.mark.parametrize("mode", ["hybrid", "words"])
def test_what_stands_there_as_typed_comes_before_what_is_merely_similar(
    filled: Store, mode: str
) -> None:
    answer = filled.search("saw deadlocks", mode)
    assert contents(answer)[:2] == [TEXTS[7], TEXTS[0]]
    assert answer.hits[0].score > 0.9 > answer.hits[1].score


@pytest.mark.parametrize("mode", ["hybrid", "meaning", "words", "exact"])
@pytest.mark.parametrize("query", ["deadlock", "sure that it is", "is", "the session timeout"])
def test_scores_fall_from_one_to_zero_and_the_order_is_stable(
    filled: Store, mode: str, query: str
) -> None:
    answer = filled.search(query, mode)
    scores = [hit.score for hit in answer.hits]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert answer == filled.search(query, mode)
    assert filled.search(query, mode, limit=2).hits == answer.hits[:2]


def test_equal_hits_come_newest_first(store: Store, clock: Clock) -> None:
    session = store.start_session("s", ADA)
    ids = []
    for _ in range(3):
        ids += [message.id for message in log(store, session.id, "same words", "same words")]
        clock.advance(minutes=1)
    for other in ("between", "others"):
        log(store, store.start_session(other, BEN).id, "nothing")
    embed_all(store)
    for mode in ("exact", "meaning"):
        found = [hit.message.id for hit in store.search("same words", mode).hits if hit.message]
        assert found[:6] == ids[::-1]


def test_a_fresh_message_is_found_at_once_without_any_index_run(filled: Store) -> None:
    session = filled.start_session("fresh", BEN)
    (message,) = log(filled, session.id, "brandnew zebra")
    for mode in ("words", "exact", "hybrid"):
        hit = filled.search("zebra", mode).hits[0]
        assert hit.message == message
        assert hit.session == filled.session(session.id)
    filled.delete_session(session.id)


def test_marks_show_what_matched(filled: Store) -> None:
    (hit,) = filled.search("user name failed", "words").hits
    marked = [hit.snippet[mark.start : mark.end] for mark in hit.marks]
    assert marked == ["getUserName", "failed"]
    (hit,) = filled.search("Service.re", "exact").hits
    assert [hit.snippet[mark.start : mark.end] for mark in hit.marks] == ["Service.re"]


def test_a_query_of_signs_alone_is_searched_as_it_stands(filled: Store) -> None:
    answer = filled.search("%_", "hybrid")
    assert (answer.mode, answer.asked_mode) == ("exact", "hybrid")
    assert "no words" in answer.note
    assert contents(answer) == [TEXTS[1]]


def test_filters_alone_list_the_newest(filled: Store) -> None:
    answer = filled.search("role:user", limit=2)
    assert contents(answer) == [TEXTS[7], TEXTS[6]]
    assert answer.total == len(TEXTS)
    assert "newest first" in answer.note


@pytest.mark.parametrize(
    ("query", "mode", "why"),
    [
        ("x" * 1_000_000, "hybrid", "has 1000000 characters, at most 10000"),
        ("", "hybrid", "nothing to search for"),
        ("  ", "exact", "nothing to search for"),
        ("words", "fuzzy", "mode 'fuzzy' is not known"),
        ("role:robot", "words", "role:robot is not known"),
        ("status:open", "words", "status:open is not known"),
        ("session:abc", "words", "session:abc is no session's number"),
        ("since:yesterdayish", "words", "since:yesterdayish"),
        ("after:2026-13-01", "words", "after:2026-13-01"),
    ],
)
def test_a_query_that_cannot_be_used_is_refused_with_its_part(
    filled: Store, query: str, mode: str, why: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        filled.search(query, mode)
    assert why in refusal.value.what


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("rm -rf node_modules", 0),
        ("--no-verify", 1),
        ("git commit --no-verify", 1),
        ('"status": 500', 2),
        ("status: 500", 2),
        ('5" disk', 2),
        ('{"status": 500, "role": "user"}', 2),
        ('git commit -m "first try" failed', 3),
        ("session::start(role:user)", 3),
        ("-rf", 0),
    ],
)
def test_pasted_text_is_text_in_every_mode(pasted: Store, query: str, found: int) -> None:
    for mode in ("words", "hybrid"):
        assert contents(pasted.search(query, mode))[0] == PASTED[found]
    if query != "status: 500":
        assert contents(pasted.search(query, "exact")) == [PASTED[found]]


def test_exact_takes_filters_and_phrases_apart_from_the_text(filled: Store) -> None:
    whole = contents(filled.search('"go by bus"', "exact"))
    assert whole == contents(filled.search("go by bus role:user", "exact")) == [TEXTS[4]]
    assert contents(filled.search('go by "bus"', "exact")) == []
    assert contents(filled.search('go by -"bus"', "exact")) == []


def test_entries_are_searched_apart_with_their_own_filters(filled: Store) -> None:
    port = filled.add_entry("Port", "the deadlock port", source="wiki/net", tags=["net"])
    other = filled.add_entry("Other", "a deadlock elsewhere", tags=["db"])
    embed_all(filled)
    for mode in ("hybrid", "meaning", "words", "exact"):
        answer = filled.search_entries("deadlock", mode)
        assert {hit.entry for hit in answer.hits} == {port, other}
        assert all(0 <= hit.score <= 1 for hit in answer.hits)
        for query in ("deadlock tag:NET", "deadlock source:wiki", "deadlock -tag:db"):
            assert [hit.entry for hit in filled.search_entries(query, mode).hits] == [port]
    assert filled.search_entries("tag:db").hits[0].entry == other
    with pytest.raises(InvalidRequest):
        filled.search_entries("since:soon")


@pytest.mark.parametrize(
    ("query", "asks"),
    [
        ("when did she fly to Rome", True),
        ("the trip to Rome?", True),
        ("fix: address review", False),
        ("what.md", False),
        ("is active", False),
    ],
)
def test_a_question_is_told_from_key_words(query: str, asks: bool) -> None:
    assert read_question(query, (), START, "hybrid").asks is asks


def test_words_that_stand_everywhere_are_left_out_of_what_is_meant(store: Store) -> None:
    session = store.start_session("s", ADA)
    log(store, session.id, *(f"Emi: number {number}" for number in range(60)))
    log(store, session.id, "Emi: pasta at noon")
    corpus = store._state.messages
    assert without_frequent(corpus, "What pasta does Emi cook?") == "What pasta does cook?"
    assert without_frequent(corpus, "number?") == ""
