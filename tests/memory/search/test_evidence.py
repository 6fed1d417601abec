"""Scores of made-up corpora, each against the same sum written out for one document at a time."""

from __future__ import annotations

from dataclasses import dataclass
from math import log1p
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pktui.memory.embed import Passage
from pktui.memory.search import bm25, ranking
from pktui.memory.search.corpus import Corpus, Document
from pktui.memory.search.dates import Span

if TYPE_CHECKING:
    from collections.abc import Mapping

DIMENSION = 8
DAY = 86_400_000_000
WORDS = ("ash", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak", "pine")
QUESTIONS: tuple[dict[str, float], ...] = (
    {"ash": 1.0},
    {"ash": 2.0, "fir": 1.0},
    {"pine": 1.0, "oak": 1.0, "elm": 3.0},
    {"ash": 1.0, "unknown": 1.0},
    {"unknown": 1.0},
    {},
)


@dataclass(frozen=True)
class Made:
    """A corpus, and what it was made of: each document's words, its group, whether it is alive."""

    corpus: Corpus
    texts: list[list[str]]
    groups: list[int]
    alive: list[bool]

    def beside(self, position: int) -> list[list[int]]:
        """Return the positions one and two away, in the same group, removed ones among them."""
        own = [at for at, group in enumerate(self.groups) if group == self.groups[position]]
        at = own.index(position)
        return [[own[n] for n in (at - away, at + away) if 0 <= n < len(own)] for away in (1, 2)]


def make(seed: int, size: int, groups: int) -> Made:
    """Documents that fall into groups at random, the first words the most frequent."""
    random = np.random.default_rng(seed)
    shares = 1 / np.arange(1, len(WORDS) + 1) ** 1.5
    texts = [
        [str(w) for w in random.choice(WORDS, random.integers(1, 12), p=shares / shares.sum())]
        for _ in range(size)
    ]
    own = [int(group) for group in random.integers(1, groups + 1, size)]
    corpus = Corpus(DIMENSION, keep_texts=True)
    for first in range(0, size, 50):
        part = range(first, min(first + 50, size))
        corpus.add([Document(n + 1, own[n], 0, n, " ".join(texts[n])) for n in part])
    vectors = random.standard_normal((size, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    corpus.add_vectors(list(range(1, size + 1)), [Passage(0, 1)] * size, vectors)
    gone = {int(n) for n in random.integers(0, size, size // 20)}
    for position in gone:
        corpus.remove(position + 1)
    return Made(corpus, texts, own, [n not in gone for n in range(size)])


@pytest.fixture(scope="module", params=[(1, 40, 3), (2, 400, 9), (3, 700, 300)])
def made(request: pytest.FixtureRequest) -> Made:
    return make(*request.param)


def rarity(size: int, holding: int) -> float:
    return log1p(max(size - holding + 0.5, 0) / (holding + 0.5))


def strength(count: int, length: float, mean: float, k: float, b: float) -> float:
    return count / (count + k * (1 - b + b * length / mean)) if count else 0.0


def of_documents(made: Made, question: Mapping[str, float], *, lent: bool = True) -> list[float]:
    """Return each document's score by words; the index still knows the removed ones' words."""
    size, living = len(made.texts), sum(made.alive)
    lengths = [
        len(text) if alive else 0 for text, alive in zip(made.texts, made.alive, strict=True)
    ]
    mean = max(sum(lengths) / living, 1)
    scores, possible = [0.0] * size, 1e-9
    for term, weight in question.items():
        counts = [text.count(term) for text in made.texts]
        holding = sum(count > 0 for count in counts)
        if not holding:
            continue
        rare = weight * rarity(living, holding)
        possible += rare
        own = [rare * strength(c, n, mean, 1.0, 0.3) for c, n in zip(counts, lengths, strict=True)]
        for at in range(size):
            near, far = made.beside(at)
            beside = [0.5 * own[n] for n in near] + [0.25 * own[n] for n in far]
            common = holding > max(0.2 * size, 100)
            scores[at] += own[at] if common or not lent else max([own[at], *beside])
    return [score / possible for score in scores]


def of_groups(made: Made, question: Mapping[str, float]) -> dict[int, float]:
    """Return each group's score: that of one long document."""
    order = list(dict.fromkeys(made.groups))
    lengths = dict.fromkeys(order, 0)
    for text, group, alive in zip(made.texts, made.groups, made.alive, strict=True):
        lengths[group] += len(text) if alive else 0
    living = sum(length > 0 for length in lengths.values())
    mean = max(sum(lengths.values()) / living, 1)
    scores, possible = dict.fromkeys(order, 0.0), 1e-9
    for term, weight in question.items():
        counts = dict.fromkeys(order, 0)
        for text, group in zip(made.texts, made.groups, strict=True):
            counts[group] += text.count(term)
        holding = sum(count > 0 for count in counts.values())
        if holding:
            rare = weight * rarity(living, holding)
            possible += rare
            for group in order:
                scores[group] += rare * strength(counts[group], lengths[group], mean, 3.0, 0.75)
    return {group: score / possible for group, score in scores.items()}


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: " ".join(question) or "none")
def test_words_weigh_as_written_out(made: Made, question: dict[str, float]) -> None:
    found = bm25.weigh(made.corpus, question)
    assert np.allclose(found.documents, of_documents(made, question), atol=1e-5)
    assert np.allclose(found.own, of_documents(made, question, lent=False), atol=1e-5)
    groups = of_groups(made, question)
    assert np.allclose(
        found.groups, [groups[g] for g in made.corpus.groups["ids"].tolist()], atol=1e-5
    )
    assert found.matched.tolist() == [any(t in text for t in question) for text in made.texts]
    assert found.complete.tolist() == [all(t in text for t in question) for text in made.texts]


@pytest.mark.parametrize("span", [(), (Span(5, 20, 0.6),)], ids=["no time", "a time"])
def test_words_meaning_and_times_add_up_as_written_out(made: Made, span: tuple[Span, ...]) -> None:
    corpus, random = made.corpus, np.random.default_rng(9)
    evidence = bm25.weigh(corpus, QUESTIONS[2])
    cosines = random.uniform(-0.5, 0.9, len(corpus)).astype(np.float32)
    allowed = corpus.facts["alive"] & (random.random(len(corpus)) < 0.7)
    done = random.random(len(corpus.groups)).astype(np.float32)
    for weights in (ranking.QUESTION, ranking.KEYWORDS):
        scores = ranking.both(corpus, evidence, cosines, span, allowed, weights, done)
        fits = allowed.tolist()
        written_out = both(made, evidence, cosines.tolist(), span, fits, weights, done.tolist())
        assert np.allclose(scores.total, written_out, atol=1e-5)
        for at in np.flatnonzero(scores.total).tolist():
            assert sum(scores.shares(at).values()) == pytest.approx(1)


def both(
    made: Made,
    evidence: bm25.WordEvidence,
    cosines: list[float],
    spans: tuple[Span, ...],
    allowed: list[bool],
    weights: ranking.Weights,
    done: list[float],
) -> list[float]:
    """Return what `ranking.both` says of itself, one document after the other."""
    every = range(len(cosines))
    meaning = [max(cosine, 0) for cosine in cosines]
    near = [made.beside(at) for at in every]
    slots = made.corpus.facts["slots"].tolist()
    words = evidence.documents.tolist()

    def highest(values: list[float]) -> float:
        return max([value for value, fits in zip(values, allowed, strict=True) if fits], default=0)

    lent = [0.3 * sum(meaning[m] for m in near[n][0]) for n in every]
    best = {
        slot: max([meaning[n] for n in every if slots[n] == slot and allowed[n]], default=0)
        for slot in set(slots)
    }
    session_words = [float(evidence.groups[slot]) for slot in slots]
    times = made.corpus.facts["times"]
    near_in_time = [span.nearness(times).tolist() for span in spans]
    totals = [
        weights.words * words[n] / highest(words)
        + weights.meaning * meaning[n] / highest(meaning)
        + weights.neighbours * (meaning[n] + lent[n]) / highest(meaning)
        + weights.session_words * session_words[n] / max(evidence.groups)
        + weights.session_meaning * best[slots[n]] / highest(meaning)
        + 0.03 * done[slots[n]] / max(done)
        + weights.date * max([nearness[n] for nearness in near_in_time], default=0)
        for n in every
    ]
    lengths = made.corpus.words.lengths.tolist()
    totals = [
        total * (1 - weights.length * (1 - length / (length + 20)))
        for total, length in zip(totals, lengths, strict=True)
    ]
    met = min(max(highest(words), highest(meaning)), 1.0)
    return [met * total / highest(totals) for total in totals]


def test_a_session_is_lent_its_best_call() -> None:
    messages, calls = Corpus(keep_texts=True), Corpus(keep_texts=True)
    messages.add([Document(n, group, 0, n, "ash") for n, group in enumerate((7, 3, 9, 7), 1)])
    calls.add([Document(n, group, 0, n, "elm") for n, group in enumerate((3, 5, 7, 7, 3), 1)])
    scores = np.array([0.2, 0.9, 0.3, 0.4, 0.8], np.float32)
    allowed = np.array([True, True, True, True, False])
    lent = ranking.of_sessions(messages, calls, scores, allowed)
    assert dict(zip(messages.groups["ids"].tolist(), lent.tolist(), strict=True)) == (
        pytest.approx({7: 0.4, 3: 0.2, 9: 0.0})
    )


def test_times_order_what_the_words_found_and_raise_none_above_the_best() -> None:
    corpus = Corpus(keep_texts=True)
    corpus.add([Document(n, 1, 0, n * DAY, "ash elm" if n == 1 else "ash") for n in range(1, 5)])
    evidence = bm25.weigh(corpus, {"ash": 1.0})
    every = np.ones(4, np.bool_)
    plain = ranking.by_words(corpus, evidence).total.copy()
    span = Span(3 * DAY, 3 * DAY + 1, 1.0)
    found = ranking.dated(corpus, ranking.by_words(corpus, evidence), [span], every, 0.6)
    assert int(np.argmax(found.total)) == 2
    assert found.total.max() == pytest.approx(plain.max())
    assert found.shares(2)["date"] > 0.2
    assert sum(found.shares(2).values()) == pytest.approx(1)


@pytest.mark.parametrize("in_order", [True, False])
def test_the_nearest_of_many_times_counts_for_each_text(
    monkeypatch: pytest.MonkeyPatch, *, in_order: bool
) -> None:
    monkeypatch.setattr(ranking, "_BLOCK", 16)
    times = np.random.default_rng(6).integers(0, 4000 * DAY, 500)
    if in_order:
        times.sort()
    corpus = Corpus()
    corpus.add([Document(n + 1, n % 7, 0, int(time), "text") for n, time in enumerate(times)])
    months = [Span(year * 365 * DAY, (year * 365 + 31) * DAY, 0.6) for year in range(11)]
    for spans in (months, [*months, Span(700 * DAY, 701 * DAY, 1.0)], months[:1]):
        expected = np.max([span.nearness(times) for span in spans], axis=0)
        assert np.array_equal(ranking._mentioned(corpus, spans), expected)
    assert not len(ranking._mentioned(Corpus(), months))
