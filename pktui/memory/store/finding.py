"""Answering searches: filters first, then a ranking, then the texts of the best.

Messages and calls are ranked each among themselves and meet by their scores; sessions are ranked
by their best hit. Entries are searched alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from pktui.errors import InvalidRequest, StoreError
from pktui.memory.records import Hit, Mark, Mode, Parts, SearchAnswer
from pktui.memory.search import ranking
from pktui.memory.search.bm25 import query_terms, weigh, without_frequent
from pktui.memory.search.dates import mentioned
from pktui.memory.search.filters import ENTRY_KEYS, MESSAGE_KEYS, Searched
from pktui.memory.search.question import Question, read_mode, read_question
from pktui.memory.search.snippets import Wanted, snippet
from pktui.memory.search.tokens import words
from pktui.memory.store.call_filters import calls_in_scope
from pktui.memory.store.calls import call_at
from pktui.memory.store.loading import entry_text
from pktui.memory.store.messages import message_at
from pktui.memory.store.scope import Bools, entries_in_scope, in_scope
from pktui.memory.store.substrings import CorpusTexts, EntryTexts, Texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from pktui.memory.embed import Passage, Vectors
    from pktui.memory.search.corpus import Corpus
    from pktui.memory.search.ranking import Floats, Scores
    from pktui.memory.store.meaning import Meaning
    from pktui.memory.store.state import State

# So many of the best that hold all words are looked at for the words as they were typed.
_CANDIDATES = 500
# Scores of exact matches lie above this in a hybrid search, all others below.
_EXACT_TIER = 0.9


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked, and how it is answered: where `mode` is another, `note` says why."""

    question: Question
    asked_mode: Mode
    mode: Mode
    note: str = ""
    waited: float = 0.0
    vector: Vectors | None = None
    wanted: Wanted = field(default_factory=lambda: Wanted(()))


@dataclass(frozen=True, slots=True)
class Source:
    """One corpus to search: its texts, and which of them may be found at all."""

    corpus: Corpus
    texts: Texts
    scope: Callable[[], Bools]


@dataclass(frozen=True, slots=True)
class Found:
    """What a source has: a score for each position, which of them fit, which hold it as typed,
    and which have any of its words."""

    source: Source
    parts: Scores
    scores: Floats
    fitting: Bools
    exact: Bools
    worded: Bools

    def parts_of(self, position: int) -> Parts:
        """Return what the score of a position is made of."""
        shares = self.parts.shares(position)
        lifted = _EXACT_TIER if self.exact[position] else 0.0
        score = float(np.clip(self.scores[position], 0, 1))
        made = {part: share * (score - lifted) for part, share in shares.items()}
        if lifted or not any(shares.values()):
            made["words"] += score - sum(made.values())
        return Parts(**made)


class Finding:
    """The searches of messages and calls, and of entries."""

    def __init__(self, state: State, meaning: Meaning) -> None:
        self._state = state
        self._meaning = meaning

    def messages(
        self, query: str, mode: str, limit: int, project: str | None, waited: float
    ) -> SearchAnswer:
        """Find messages and calls; `project` is an exact directory."""
        search, found = self.in_sessions(query, mode, project, waited)
        best: list[tuple[float, int, Found, int]] = []
        total = 0
        for one in found:
            with self._state.lock:
                ranked = ranking.best(one.source.corpus, one.scores, one.fitting, limit)
                times = one.source.corpus.facts["times"][ranked.positions].tolist()
            total += ranked.total
            best += [
                (-float(score), -time, one, position)
                for score, time, position in zip(
                    ranked.scores, times, ranked.positions.tolist(), strict=True
                )
            ]
        best.sort(key=lambda row: row[:2])
        hits = self.hits(search, [(one, position) for _, _, one, position in best[:limit]])
        return self._answer(search, total, hits)

    def in_sessions(
        self, query: str, mode: str, project: str | None, waited: float, *, knowledge: bool = False
    ) -> tuple[Search, list[Found]]:
        """Score messages and calls; returns how it was asked and what each kind has.

        `knowledge`: entries too, which are of no project.
        """
        state = self._state
        search = self._search(query, MESSAGE_KEYS, mode, state.messages, waited)
        filters = search.question.filters
        messages = Source(
            state.messages,
            CorpusTexts(state, state.messages),
            lambda: self._locked(in_scope, state, state.messages, filters, project),
        )
        texts = CorpusTexts(state, state.calls)

        def calls_scope() -> Bools:
            allowed = self._locked(in_scope, state, state.calls, filters, project)
            return calls_in_scope(state, allowed, texts, filters)

        sources: dict[Searched, Source] = {
            "message": messages,
            "call": Source(state.calls, texts, calls_scope),
        }
        if knowledge and project is None:
            sources["entry"] = self._knowledge(search)
        searched = {
            kind: source
            for kind, source in sources.items()
            if kind in filters.kinds and source.corpus.living
        }
        calls = self._found(search, searched["call"]) if "call" in searched else None
        return search, [
            calls
            if calls and kind == "call"
            else self._found(search, source, calls if kind == "message" else None)
            for kind, source in searched.items()
        ]

    def entries(self, query: str, mode: str, limit: int, waited: float) -> SearchAnswer:
        """Find entries."""
        state = self._state
        search = self._search(query, ENTRY_KEYS, mode, state.knowledge, waited)
        source = self._knowledge(search)
        found = self._found(search, source)
        with state.lock:
            ranked = ranking.best(source.corpus, found.scores, found.fitting, limit)
        hits = self.hits(search, [(found, position) for position in ranked.positions.tolist()])
        return self._answer(search, ranked.total, hits)

    def _knowledge(self, search: Search) -> Source:
        state, filters = self._state, search.question.filters
        return Source(
            state.knowledge,
            EntryTexts(state),
            lambda: self._locked(entries_in_scope, state, filters),
        )

    def _locked(self, scope: Callable[..., Bools], *arguments: object) -> Bools:
        with self._state.lock:
            return scope(*arguments)

    def hits(self, search: Search, chosen: Sequence[tuple[Found, int]]) -> list[Hit]:
        """Return the hits at the chosen positions, less those deleted since."""
        hits = []
        passages = {
            id(found): self._passages(search, found, [at for one, at in chosen if one is found])
            for found in {id(one): one for one, _ in chosen}.values()
        }
        for found, position in chosen:
            hit = self._hit(search, found, position, passages[id(found)].get(position))
            if hit is not None:
                hits.append(hit)
        return hits

    def _hit(
        self, search: Search, found: Found, position: int, passage: Passage | None
    ) -> Hit | None:
        state, corpus = self._state, found.source.corpus
        session = message = call = entry = None
        with state.lock:
            if not corpus.facts["alive"][position]:
                return None  # deleted since it was ranked
            if corpus is state.knowledge:
                entry = state.entries[int(corpus.facts["ids"][position])]
                text = entry_text(entry)
            else:
                text = corpus.texts[position]
                if corpus is state.calls:
                    call = call_at(corpus, position)
                    number = call.session_id
                else:
                    message = message_at(corpus, position)
                    number = message.session_id
                session = state.catalogue.get(number).session
        shown, marks = _shown(search, text, passage)
        score = float(np.clip(found.scores[position], 0, 1))
        return Hit(score, shown, marks, session, message, entry, call, found.parts_of(position))

    def _search(
        self, query: str, keys: tuple[str, ...], mode: str, corpus: Corpus, waited: float
    ) -> Search:
        asked_mode = read_mode(mode)
        question = read_question(query, keys, self._state.clock(), asked_mode)
        search = _with_possible_mode(Search(question, asked_mode, asked_mode, waited=waited))
        search = self._with_vector(search, corpus)
        if search.mode == "exact":
            return search
        return replace(search, wanted=Wanted(query_terms(question.words)))

    def _found(self, search: Search, source: Source, calls: Found | None = None) -> Found:
        """Score one kind; what was done in a session, its `calls`, speaks for what was said."""
        allowed = source.scope()
        for phrase in search.question.unwanted:
            allowed &= ~source.texts.holding(phrase, allowed)
        required = search.question.exact if search.mode == "exact" else search.question.phrases
        for phrase in required:
            allowed = source.texts.holding(phrase, allowed)
        return self._rank(search, source, allowed, calls)

    def _with_vector(self, search: Search, corpus: Corpus) -> Search:
        """Add what the question means, or fall back to words and say why."""
        if search.mode not in ("hybrid", "meaning"):
            return search
        try:
            vector = self._vector(search.question.text, corpus)
        except StoreError as error:
            return replace(search, mode="words", note=f"By words only: {error}")
        waited = f"waited {search.waited:.0f} s for it" if search.waited else ""
        if vector is None:
            why = "; ".join(part for part in (self._meaning.note, waited) if part)
            return replace(search, mode="words", note=f"By words only: {why}")
        note = f"Words found nothing and the model was not ready: {waited}" if waited else ""
        return replace(search, vector=vector, note=note)

    def _vector(self, text: str, corpus: Corpus) -> Vectors | None:
        """Return what the question means: as it stands, and without its frequent words."""
        with self._state.lock:
            telling = without_frequent(corpus, text)
        if not words(telling) or len(telling.split()) == len(text.split()):
            return self._meaning.of_question(text)
        return self._meaning.of_question(text, telling)

    def _answer(self, search: Search, total: int, hits: Iterable[Hit]) -> SearchAnswer:
        found = tuple(hits)
        return SearchAnswer(
            found,
            total,
            search.mode,
            search.asked_mode,
            search.note,
            self.awaits(search, not found),
        )

    def awaits(self, search: Search, nothing: bool) -> bool:
        """Tell whether nothing was found, and what finds by meaning is about to be there."""
        due = search.asked_mode in ("hybrid", "meaning") and search.mode != "exact"
        return due and nothing and self._meaning.due

    def _rank(self, search: Search, source: Source, allowed: Bools, calls: Found | None) -> Found:
        """Score what is allowed; what holds the query as it was typed comes before the rest."""
        corpus = source.corpus
        with self._state.lock:
            parts, fitting, complete, worded = _scores(
                search, corpus, _grown(allowed, corpus), self._state.clock(), calls
            )
            exact = np.zeros(len(parts.total), np.bool_)
            if complete is None:
                return Found(source, parts, parts.total, fitting, exact, worded)
            likely = ranking.best(corpus, parts.total, complete & fitting, _CANDIDATES).positions
        exact[likely] = True
        for part in search.question.exact if len(likely) else ():
            exact = source.texts.holding(part, exact)
        scores = np.float32(_EXACT_TIER) * parts.total
        scores[exact] = _EXACT_TIER + (1 - _EXACT_TIER) * parts.total[exact]
        with self._state.lock:
            fitting &= corpus.facts["alive"][: len(fitting)]
        return Found(source, parts, scores, fitting, exact, worded)

    def _passages(
        self, search: Search, found: Found, positions: Sequence[int]
    ) -> dict[int, Passage]:
        """Return the parts of the hits that are nearest to the question's meaning."""
        if search.vector is None:
            return {}
        with self._state.lock:
            return found.source.corpus.passages.best_passages(search.vector, positions)


def _shown(search: Search, text: str, passage: Passage | None) -> tuple[str, tuple[Mark, ...]]:
    return snippet(text, search.wanted, search.question.exact, passage)


def _with_possible_mode(search: Search) -> Search:
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


def _scores(
    search: Search, corpus: Corpus, allowed: Bools, now: datetime, calls: Found | None
) -> tuple[Scores, Bools, Bools | None, Bools]:
    """Score every position; returns which fit at all, by words which hold all, and which any.

    The caller holds the lock.
    """
    question = search.question
    if search.mode == "exact":
        every = np.ones(len(corpus), np.float32)
        return ranking.Scores(every).made_of("words", 1.0, every), allowed, None, allowed
    cosines = None
    if search.vector is not None:
        cosines = ranking.best_cosines(corpus, search.vector)
        if search.mode == "meaning":
            scores = ranking.Scores(cosines).made_of("meaning", 1.0, cosines)
            near = allowed & (cosines >= ranking.LEAST_COSINE)
            return scores, near, None, np.zeros(len(near), np.bool_)
    evidence = weigh(corpus, query_terms(question.words))
    if cosines is None:
        scores = ranking.by_words(corpus, evidence)
        return scores, allowed & evidence.matched, evidence.complete, evidence.matched
    spans = mentioned(question.text, now)
    weights = ranking.QUESTION if question.asks else ranking.KEYWORDS
    if not corpus.passages.dimension:  # of a kind that is given no vectors
        fitting = allowed & evidence.matched
        scores = ranking.by_words(corpus, evidence)
        if spans:
            scores = ranking.dated(corpus, scores, spans, fitting, weights.date)
        return scores, fitting, evidence.complete, evidence.matched
    fitting = allowed & (evidence.matched | (cosines >= ranking.LEAST_COSINE))
    done = None
    if calls is not None:
        done = ranking.of_sessions(corpus, calls.source.corpus, calls.parts.total, calls.fitting)
    scores = ranking.both(corpus, evidence, cosines, spans, fitting, weights, done)
    return scores, fitting, evidence.complete, evidence.matched


def _grown(allowed: Bools, corpus: Corpus) -> Bools:
    """Return the truth values for all positions there are now: new and removed ones are out."""
    new = np.zeros(len(corpus) - len(allowed), np.bool_)
    return np.asarray(np.concatenate([allowed, new]) & corpus.facts["alive"], np.bool_)
