"""Answering searches: filters first, then a ranking, then the texts of the best."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from pktui.errors import InvalidRequest, StoreError
from pktui.memory.records import Hit, Mark, Mode, SearchAnswer
from pktui.memory.search import ranking
from pktui.memory.search.bm25 import query_terms, weigh
from pktui.memory.search.dates import mentioned
from pktui.memory.search.filters import ENTRY_KEYS, MESSAGE_KEYS
from pktui.memory.search.question import Question, read_mode, read_question
from pktui.memory.search.snippets import Wanted, snippet
from pktui.memory.store.loading import entry_text, message_at
from pktui.memory.store.scope import (
    Bools,
    entries_in_scope,
    messages_in_scope,
)
from pktui.memory.store.substrings import EntryTexts, MessageTexts, Texts

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pktui.memory.embed import Passage, Vectors
    from pktui.memory.search.corpus import Corpus
    from pktui.memory.search.ranking import Floats, Ranked
    from pktui.memory.store.meaning import Meaning
    from pktui.memory.store.state import State

_CANDIDATES = 500
"""So many of the best that hold all words are looked at for the words as they were typed."""
_EXACT_TIER = 0.9
"""Scores of exact matches lie above this in a hybrid search, all others below."""


@dataclass(frozen=True, slots=True)
class _Search:
    """A search under way: what is asked of which corpus, and how it is answered."""

    question: Question
    corpus: Corpus
    texts: Texts
    scope: Callable[[], Bools]
    asked_mode: Mode
    mode: Mode
    limit: int
    note: str = ""
    waited: float = 0.0
    vector: Vectors | None = None
    wanted: Wanted = field(default_factory=lambda: Wanted(()))


class Finding:
    """The two searches: of messages and of entries."""

    def __init__(self, state: State, meaning: Meaning) -> None:
        self._state = state
        self._meaning = meaning

    def messages(
        self, query: str, mode: str, limit: int, project: str | None, waited: float
    ) -> SearchAnswer:
        """Find messages; `project` is an exact directory."""
        state, asked = self._state, read_mode(mode)
        question = read_question(query, MESSAGE_KEYS, state.clock(), asked)
        search = _Search(
            question,
            state.messages,
            MessageTexts(state),
            lambda: messages_in_scope(state, question.filters, project),
            asked,
            asked,
            limit,
            waited=waited,
        )
        search, ranked = self._run(search)
        corpus = state.messages
        passages = self._passages(search, ranked)
        hits = []
        for position, score in zip(ranked.positions.tolist(), ranked.scores, strict=True):
            with state.lock:
                if not corpus.facts["alive"][position]:
                    continue  # deleted since it was ranked
                message = message_at(corpus, position)
                session = state.catalogue.get(message.session_id).session
            shown, marks = _shown(search, message.content, passages.get(position))
            hits.append(Hit(float(score), shown, marks, session, message))
        return self._answer(search, ranked, hits)

    def entries(self, query: str, mode: str, limit: int, waited: float) -> SearchAnswer:
        """Find entries."""
        state, asked = self._state, read_mode(mode)
        question = read_question(query, ENTRY_KEYS, state.clock(), asked)
        search = _Search(
            question,
            state.knowledge,
            EntryTexts(state),
            lambda: entries_in_scope(state, question.filters),
            asked,
            asked,
            limit,
            waited=waited,
        )
        search, ranked = self._run(search)
        passages = self._passages(search, ranked)
        hits = []
        for position, score in zip(ranked.positions.tolist(), ranked.scores, strict=True):
            with state.lock:
                entry = state.entries.get(int(state.knowledge.facts["ids"][position]))
            if entry is not None:
                shown, marks = _shown(search, entry_text(entry), passages.get(position))
                hits.append(Hit(float(score), shown, marks, entry=entry))
        return self._answer(search, ranked, hits)

    def _run(self, search: _Search) -> tuple[_Search, Ranked]:
        search = self._with_vector(_with_possible_mode(search))
        with self._state.lock:
            allowed = search.scope()
        for phrase in search.question.unwanted:
            allowed &= ~search.texts.holding(phrase, allowed)
        required = search.question.exact if search.mode == "exact" else search.question.phrases
        for phrase in required:
            allowed = search.texts.holding(phrase, allowed)
        if search.mode != "exact":
            search = replace(search, wanted=Wanted(query_terms(search.question.words)))
        return search, self._rank(search, allowed)

    def _with_vector(self, search: _Search) -> _Search:
        """Add what the question means, or fall back to words and say why."""
        if search.mode not in ("hybrid", "meaning"):
            return search
        try:
            vector = self._meaning.of_question(search.question.text)
        except StoreError as error:
            return replace(search, mode="words", note=f"By words only: {error}")
        waited = f"waited {search.waited:.0f} s for it" if search.waited else ""
        if vector is None:
            why = "; ".join(part for part in (self._meaning.note, waited) if part)
            return replace(search, mode="words", note=f"By words only: {why}")
        note = f"Words found nothing and the model was not ready: {waited}" if waited else ""
        return replace(search, vector=vector, note=note)

    def _answer(self, search: _Search, ranked: Ranked, hits: list[Hit]) -> SearchAnswer:
        due = search.asked_mode in ("hybrid", "meaning") and search.mode != "exact"
        awaits = due and not hits and self._meaning.due
        return SearchAnswer(
            tuple(hits), ranked.total, search.mode, search.asked_mode, search.note, awaits
        )

    def _rank(self, search: _Search, allowed: Bools) -> Ranked:
        """Rank what is allowed; what holds the query as it was typed comes before the rest."""
        corpus = search.corpus
        with self._state.lock:
            scored = _scores(search, _grown(allowed, corpus), self._state.clock())
            scores, fitting = scored.scores, scored.fitting
            if scored.complete is None:
                return ranking.best(corpus, scores, fitting, search.limit)
            complete = scored.complete & fitting
            likely = ranking.best(corpus, scores, complete, _CANDIDATES).positions
        exact = np.zeros(len(scores), np.bool_)
        exact[likely] = True
        for part in search.question.exact if len(likely) else ():
            exact = search.texts.holding(part, exact)
        scores = np.where(exact, _EXACT_TIER + (1 - _EXACT_TIER) * scores, _EXACT_TIER * scores)
        with self._state.lock:
            fitting = _grown(fitting, corpus)
            scores = np.append(scores, np.zeros(len(fitting) - len(scores), np.float32))
            return ranking.best(corpus, scores, fitting, search.limit)

    def _passages(self, search: _Search, ranked: Ranked) -> dict[int, Passage]:
        """Return the parts of the hits that are nearest to the question's meaning."""
        if search.vector is None:
            return {}
        with self._state.lock:
            return search.corpus.passages.best_passages(search.vector, ranked.positions.tolist())


def _shown(search: _Search, text: str, passage: Passage | None) -> tuple[str, tuple[Mark, ...]]:
    return snippet(text, search.wanted, search.question.exact, passage)


def _with_possible_mode(search: _Search) -> _Search:
    question = search.question
    if not question.exact and not _has_filters(question):
        raise InvalidRequest("there is nothing to search for", "Type a word or a filter")
    if question.words or search.mode == "exact":
        return search
    if question.exact:
        return replace(search, mode="exact", note="The query has no words: searched as it stands")
    return replace(search, mode="exact", note="The query is filters alone: the newest first")


def _has_filters(question: Question) -> bool:
    empty = type(question.filters)()
    return question.filters != empty or bool(question.unwanted)


@dataclass(frozen=True, slots=True)
class _Scored:
    """A score for each position, which fit at all, and, by words, which hold all of them."""

    scores: Floats
    fitting: Bools
    complete: Bools | None = None


def _scores(search: _Search, allowed: Bools, now: datetime) -> _Scored:
    """Score every position; the caller holds the lock."""
    corpus, question = search.corpus, search.question
    if search.mode == "exact":
        return _Scored(np.ones(len(corpus), np.float32), allowed)
    if search.mode == "meaning" and search.vector is not None:
        cosines = ranking.best_cosines(corpus, search.vector)
        return _Scored(cosines, allowed & (cosines >= ranking.LEAST_COSINE))
    evidence = weigh(corpus, query_terms(question.words))
    if search.vector is None:
        scores = ranking.by_words(corpus, evidence)
        return _Scored(scores, allowed & evidence.matched, evidence.complete)
    cosines = ranking.best_cosines(corpus, search.vector)
    fitting = allowed & (evidence.matched | (cosines >= ranking.LEAST_COSINE))
    spans = mentioned(question.text, now)
    scores = ranking.both(corpus, evidence, cosines, spans, fitting)
    return _Scored(scores, fitting, evidence.complete)


def _grown(allowed: Bools, corpus: Corpus) -> Bools:
    """Return the truth values for all positions there are now: new and removed ones are out."""
    new = np.zeros(len(corpus) - len(allowed), np.bool_)
    return np.asarray(np.concatenate([allowed, new]) & corpus.facts["alive"], np.bool_)
