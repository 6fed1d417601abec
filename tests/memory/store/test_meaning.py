"""Vectors behind the messages: the backlog, other models, and a model that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pktui.errors import StoreError
from pktui.memory.embed import Passage, Vectors
from pktui.memory.store import Store
from tests.memory.store.conftest import ADA, embed_all, log
from tests.support.embedder import WordsEmbedder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Other(WordsEmbedder):
    name = "other/64"


class Failing(WordsEmbedder):
    def embed(self, texts: Sequence[str]) -> Vectors:
        raise StoreError("the model failed: out of memory", "Restart the memory")


class ByLines(WordsEmbedder):
    """Every line is a passage."""

    name = "lines/64"

    def passages(self, texts: Sequence[str]) -> list[tuple[Passage, ...]]:
        cut: list[tuple[Passage, ...]] = []
        for text in texts:
            ends = [at for at, char in enumerate(text) if char == "\n"] + [len(text)]
            starts = [0, *(end + 1 for end in ends[:-1])]
            cut.append(tuple(Passage(*span) for span in zip(starts, ends, strict=True)))
        return cut


def test_a_text_waits_in_the_backlog_until_it_has_its_vectors(place: Path) -> None:
    with Store.open(place) as store:
        session = store.start_session("s", ADA)
        log(store, session.id, "one", "two", "three")
        store.add_entry("four", "")
        assert store.pending_vectors() == 4
        assert store.embed_pending() == 0
    with Store.open(place) as store:
        store.attach(WordsEmbedder())
        assert store.pending_vectors() == 4
        assert [store.embed_pending(2) for _ in range(4)] == [1, 2, 1, 0]
        assert store.pending_vectors() == 0
    with Store.open(place, WordsEmbedder()) as store:
        assert (store.pending_vectors(), store.status().vectors) == (0, 4)


def test_a_vector_that_fails_stays_in_the_backlog(place: Path) -> None:
    with Store.open(place, Failing()) as store:
        session = store.start_session("s", ADA)
        log(store, session.id, "never lost")
        with pytest.raises(StoreError, match="the model failed"):
            store.embed_pending()
        assert store.pending_vectors() == 1
        answer = store.search("lost")
        assert (answer.mode, answer.asked_mode, len(answer.hits)) == ("words", "hybrid", 1)
        assert "the model failed" in answer.note
        store.attach(WordsEmbedder())
        assert store.embed_pending() == 1


def test_vectors_of_another_model_are_refused_until_they_are_made_anew(place: Path) -> None:
    with Store.open(place, WordsEmbedder()) as store:
        session = store.start_session("s", ADA)
        log(store, session.id, "apples", "pears")
        embed_all(store)
    with Store.open(place, Other()) as store:
        assert store.status().model_state == "mismatch"
        assert store.embed_pending() == 0
        answer = store.search("apples")
        assert (answer.mode, len(answer.hits)) == ("words", 1)
        assert "words/64" in answer.note
        assert "memory reindex" in answer.note
        assert store.reindex() == 2
        embed_all(store)
        assert (store.search("apples").mode, store.status().model_state) == ("hybrid", "ready")
    with Store.open(place, Other()) as store:
        assert (store.status().vectors, store.pending_vectors()) == (2, 0)


def test_every_answer_says_which_mode_was_used(store: Store, place: Path) -> None:
    session = store.start_session("s", ADA)
    log(store, session.id, "apples")
    embed_all(store)
    for mode in ("hybrid", "meaning", "words", "exact"):
        answer = store.search("apples", mode)
        assert (answer.mode, answer.asked_mode, answer.note) == (mode, mode, "")
    store.model_waiting("loading", "the model is being loaded")
    answer = store.search("apples", "meaning")
    assert (answer.mode, answer.asked_mode) == ("words", "meaning")
    assert "being loaded" in answer.note


def test_a_hit_in_a_long_text_shows_its_own_passage(place: Path) -> None:
    filler = "\n".join(f"line {number} of nothing at all" for number in range(100))
    with Store.open(place, ByLines()) as store:
        session = store.start_session("s", ADA)
        log(store, session.id, f"{filler}\nthe deadlock is in the retry\n{filler}")
        embed_all(store)
        (hit,) = store.search("deadlock retry", "meaning").hits
        assert hit.score > 0.4
        assert "the deadlock is in the retry" in hit.snippet
        assert len(hit.snippet) < 300
        marked = [hit.snippet[mark.start : mark.end] for mark in hit.marks]
        assert marked == ["deadlock", "retry"]


def test_a_session_deleted_while_its_vectors_are_made_leaves_none(place: Path) -> None:
    store = Store.open(place, WordsEmbedder())

    class Deleting(WordsEmbedder):
        def embed(self, texts: Sequence[str]) -> Vectors:
            store.delete_session(session.id)
            return super().embed(texts)

    with store:
        session = store.start_session("s", ADA)
        log(store, session.id, "soon gone")
        store.attach(Deleting())
        store.embed_pending()
        assert (store.status().vectors, store.pending_vectors()) == (0, 0)


def test_an_entry_changed_while_its_vector_is_made_waits_for_a_new_one(place: Path) -> None:
    store = Store.open(place, WordsEmbedder())

    class Changing(WordsEmbedder):
        def embed(self, texts: Sequence[str]) -> Vectors:
            store.update_entry(1, content="changed")
            return super().embed(texts)

    with store:
        store.add_entry("title", "first")
        store.attach(Changing())
        store.embed_pending()
        assert (store.status().vectors, store.pending_vectors()) == (0, 1)


def test_a_question_that_comes_again_is_embedded_once_by_each_model(place: Path) -> None:
    class Counting(WordsEmbedder):
        def __init__(self, name: str) -> None:
            self.name = name
            self.asked: list[str] = []

        def embed(self, texts: Sequence[str]) -> Vectors:
            self.asked += texts
            return super().embed(texts)

    first, second = Counting("first"), Counting("second")
    with Store.open(place, first) as store:
        session = store.start_session("s", ADA)
        log(store, session.id, "the deploy token")
        embed_all(store)
        del first.asked[:]
        for query in ("deploy token", "deploy token role:user", "other", "deploy token"):
            assert store.search(query).mode == "hybrid"
        assert first.asked == ["deploy token", "other"]
        store.attach(second)
        store.reindex()
        embed_all(store)
        del second.asked[:]
        assert len(store.search("deploy token").hits) == 1
        assert second.asked == ["deploy token"]


def test_a_question_that_failed_is_asked_of_the_model_again(place: Path) -> None:
    class Wavering(WordsEmbedder):
        works = True

        def embed(self, texts: Sequence[str]) -> Vectors:
            if not self.works:
                raise StoreError("the model stumbled", "Ask again")
            return super().embed(texts)

    embedder = Wavering()
    with Store.open(place, embedder) as store:
        session = store.start_session("s", ADA)
        log(store, session.id, "the deploy token")
        embed_all(store)
        embedder.works = False
        failed = store.search("deploy token")
        assert (failed.mode, len(failed.hits)) == ("words", 1)
        assert "the model stumbled" in failed.note
        embedder.works = True
        assert store.search("deploy token").mode == "hybrid"
