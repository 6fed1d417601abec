"""Whatever is asked, in whatever script: an answer or a refusal, and the same one again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pktui.errors import InvalidRequest
from pktui.memory.records import MODES, Mode
from pktui.memory.store import Store
from tests.memory.store.conftest import ADA, embed_all, log
from tests.support.clock import Clock
from tests.support.embedder import WordsEmbedder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pktui.memory.records import SearchAnswer

TEXTS = (
    "東京の天気は晴れ、京都は雨",
    "京都から東へ行く",
    "ภาษาไทยไม่มีช่องว่าง",
    "한국어를 공부합니다",
    "הבדיקה נכשלה בשרת",
    "فشل الاختبار على الخادم",
    "deploy failed 🚀🔥 twice",
    "👩\u200d👩\u200d👧 family",
    "^(a+)+$ .*? [x] \\d{3} | $1",
    '-not AND OR NOT (a) "open',
    "naïve café Straße \uff26\uff35\uff2c\uff2c",
    "tab\tnew\nline\x1b[31mred\u202ereversed",
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(tmp_path_factory.mktemp("hostile"), WordsEmbedder(), clock=Clock()) as store:
        session = store.start_session("s", ADA)
        log(store, session.id, *TEXTS)
        embed_all(store)
        yield store


def contents(answer: SearchAnswer) -> list[str]:
    return [hit.message.content for hit in answer.hits if hit.message is not None]


@pytest.mark.parametrize("mode", ["hybrid", "words"])
@pytest.mark.parametrize(
    ("query", "first", "held"),
    [
        ("東京", 0, "東京"),
        ("天気", 0, "天気"),
        ("ช่องว่าง", 2, "ช่องว่าง"),
        ("공부", 3, "공부"),
        ("נכשלה", 4, "נכשלה"),
        ("الخادم", 5, "الخادم"),
        ("strasse", 10, "Straße"),
        ("full", 10, "\uff26\uff35\uff2c\uff2c"),
    ],
)
def test_words_are_found_in_every_script(
    filled: Store, mode: Mode, query: str, first: int, held: str
) -> None:
    hits = filled.search(query, mode).hits
    assert hits[0].message is not None
    assert hits[0].message.content == TEXTS[first]
    assert any(held in hits[0].snippet[mark.start : mark.end] for mark in hits[0].marks)


def test_a_word_of_two_characters_is_more_than_both_of_them(filled: Store) -> None:
    assert contents(filled.search("東京", "words"))[0] == TEXTS[0]
    assert contents(filled.search('天気 -"東京"', "words")) == []
    assert TEXTS[1] in contents(filled.search("京都 -東京", "words"))


@pytest.mark.parametrize(
    ("query", "found"),
    [("🚀", [6]), ("(a+)+$", [8]), (".*?", [8]), ("\\d{3}", [8]), ("👩", [7]), ("\u202e", [11])],
)
def test_signs_are_found_as_they_stand(filled: Store, query: str, found: list[int]) -> None:
    assert contents(filled.search(query, "exact")) == [TEXTS[at] for at in found]


PIECES = st.sampled_from(
    [*'-:"*()[]^$\\|&%_ ', "session:", "role:user", "-role:user", "since:1d", "東京", "a" * 300]
)
QUERIES = st.lists(PIECES | st.text(max_size=6), max_size=12).map("".join)


@given(QUERIES, st.sampled_from(MODES))
@settings(max_examples=300, deadline=None)
def test_any_query_is_answered_in_order_or_refused(filled: Store, query: str, mode: Mode) -> None:
    try:
        answer = filled.search(query, mode)
    except InvalidRequest as refusal:
        assert refusal.what  # noqa: PT017  either outcome is right
        return
    scores = [hit.score for hit in answer.hits]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert len(answer.hits) <= answer.total
    for hit in answer.hits:
        assert all(0 <= mark.start < mark.end <= len(hit.snippet) for mark in hit.marks)
    assert filled.search(query, mode, limit=1).hits == answer.hits[:1]
