"""How well search finds: `python -m tests.bench.search_quality FOLDER [--modes M …] [--calls]`.

FOLDER holds one of two layouts. Conversations with questions and the turns that answer them, one
JSON file each, each a store of its own:

    {"sessions": [{"id", "started", "turns": [{"id", "speaker", "text", "image_caption"?}]}],
     "questions": [{"question", "evidence": [turn ids], "answerable", "kind"?}]}

or sessions of coding agents in one store: `sessions.jsonl` (the exchange format), `questions.json`
([{"kind", "question", "gold": [session source ids]}]) and `calls.jsonl` ({"session", "at", "tool",
"arguments", "error"}), which `--calls` indexes too.

Printed for each mode and kind of question: turn recall@5 and @10 (the share of the evidence among
the first messages), session recall@5 and @10 (of the sessions with evidence, by their best hit),
any@5 and any@10 (whether any of them is there), and the mean reciprocal rank of the first right
session; where no turns are known the first two are left out. Beside the modes: `bm25s` over texts,
and the model's plain cosine. Then the share that each part has in the scores of the first ten hits.

`--missed` lists the questions that have no right session among the first five: its rank (- is
none), how many other sessions hold as much of the question's words, and those of its words in a
right session that at most a tenth of all sessions hold: without one, words cannot tell it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

import bm25s
import numpy as np

from pktui.memory.embed import Embedder, load_embedder
from pktui.memory.records import (
    MODES,
    QUERY_KEYS,
    Identity,
    Message,
    NewCall,
    NewMessage,
    Parts,
    Session,
)
from pktui.memory.search.bm25 import query_terms
from pktui.memory.search.tokens import terms, words
from pktui.memory.store import Store
from pktui.query import as_words
from tests.bench.memory_texts import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HITS = 200
"""Hits asked for: so many that ten sessions are among them."""
_COLUMNS = ("turn@5", "turn@10", "sess@5", "sess@10", "any@5", "any@10", "MRR")
_PLAIN = ("bm25s", "cosine")


@dataclass(frozen=True, slots=True)
class Question:
    """A question with the ids of the messages and of the sessions that answer it."""

    text: str
    kind: str
    messages: frozenset[int]
    sessions: frozenset[int]


@dataclass(slots=True)
class Figures:
    """What was measured, by kind of question, and the parts of the scores."""

    rows: dict[str, list[tuple[float, ...]]] = field(default_factory=lambda: defaultdict(list))
    parts: list[Parts] = field(default_factory=list)
    missed: list[tuple[int, Question]] = field(default_factory=list)

    def take(self, asked: Question, found: Sequence[tuple[int, int]]) -> None:
        """Take in an answer: message (0 for a call) and session of each hit, best first."""
        order = list(dict.fromkeys(session for _, session in found))
        rank = next((at for at, one in enumerate(order, 1) if one in asked.sessions), 0)
        turns = [
            _share(asked.messages, [one for one, _ in found[:most]]) if asked.messages else np.nan
            for most in (5, 10)
        ]
        sessions = [_share(asked.sessions, order[:most]) for most in (5, 10)]
        hit = [float(0 < rank <= most) for most in (5, 10)]
        row = (*turns, *sessions, *hit, 1 / rank if rank else 0.0)
        if not 0 < rank <= 5:
            self.missed.append((rank, asked))
        for kind in ("all", asked.kind) if asked.kind else ("all",):
            self.rows[kind].append(row)

    def told(self, name: str) -> Iterator[str]:
        """Yield a line for each kind of question, and one for the parts."""
        for kind, rows in self.rows.items():
            figures = " ".join(f"{value:8.3f}" for value in np.mean(rows, axis=0))
            yield f"{name:9}{kind:15}{figures}  {len(rows)} questions"
        if self.parts:
            sums = {p: mean(getattr(one, p) for one in self.parts) for p in Parts.__struct_fields__}
            whole = sum(sums.values())
            yield f"{name:9}parts: " + ", ".join(f"{p} {s / whole:.2f}" for p, s in sums.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--modes", nargs="*", default=[*MODES[:3], *_PLAIN])
    parser.add_argument("--model", default="", help="another model's name or directory")
    parser.add_argument("--calls", action="store_true", help="index calls.jsonl too")
    parser.add_argument("--undated", action="store_true", help="messages without their times")
    parser.add_argument("--missed", action="store_true", help="list what is not among the first")
    options = parser.parse_args()
    embedder = load_embedder(options.model, MODELS)
    figures = {mode: Figures() for mode in options.modes}
    for store, questions in stores(options.folder, embedder, options.calls, not options.undated):
        plain = Plain(store, embedder) if set(_PLAIN) & set(figures) else None
        for mode, its in figures.items():
            for asked in questions:
                query = as_words(asked.text, QUERY_KEYS)
                if plain and mode in _PLAIN:
                    its.take(asked, plain.find(mode, query))
                else:
                    its.take(asked, _found(store, query, mode, its.parts))
            if options.missed:
                print(f"Missed in {mode}:", *_told_missed(its, Holders(store)), sep="\n")
                its.missed.clear()
    print(f"{'':24}" + " ".join(f"{column:>8}" for column in _COLUMNS))
    for mode, its in figures.items():
        print("\n".join(its.told(mode)), flush=True)


def _found(store: Store, query: str, mode: str, parts: list[Parts]) -> list[tuple[int, int]]:
    hits = store.search(query, mode, limit=_HITS).hits
    parts += [hit.parts for hit in hits[:10] if hit.parts is not None]
    return [
        (hit.message.id if hit.message else 0, hit.session.id)
        for hit in hits
        if hit.session is not None
    ]


class Plain:
    """BM25 by bm25s, and the plain cosine of whole messages' best passages."""

    def __init__(self, store: Store, embedder: Embedder) -> None:
        messages = list(_messages(store))
        self._ids = [(message.id, message.session_id) for message in messages]
        texts = [message.content for message in messages]
        self._words = bm25s.BM25()
        tokens = bm25s.tokenize(texts, stopwords="en", show_progress=False)
        self._words.index(tokens, show_progress=False)
        self._embedder = embedder
        parts = embedder.passages(texts)
        flat = [
            text[one.start : one.end] for text, its in zip(texts, parts, strict=True) for one in its
        ]
        self._owners = np.repeat(np.arange(len(texts)), [len(its) for its in parts])
        self._vectors = embedder.embed(flat)

    def find(self, how: str, query: str) -> list[tuple[int, int]]:
        """Return message and session of the best, best first."""
        if how == "cosine":
            scores = np.full(len(self._ids), -1.0, np.float32)
            np.maximum.at(scores, self._owners, self._vectors @ self._embedder.embed([query])[0])
            best = np.argsort(-scores, kind="stable")[:_HITS].tolist()
        else:
            tokens = bm25s.tokenize(query, stopwords="en", show_progress=False)
            most = min(_HITS, len(self._ids))
            best = self._words.retrieve(tokens, k=most, show_progress=False)[0][0].tolist()
        return [self._ids[at] for at in best]


class Holders:
    """Which sessions hold which words."""

    def __init__(self, store: Store) -> None:
        self._of: dict[str, set[int]] = defaultdict(set)
        for message in _messages(store):
            for term in chain.from_iterable(map(terms, set(words(message.content)))):
                self._of[term].add(message.session_id)
        self._all = set().union(*self._of.values())

    def rivals(self, asked: Question) -> int:
        """Return how many wrong sessions hold as much of the words as the best right one."""
        worth = dict.fromkeys(self._all, 0.0)
        for term, weight in query_terms(words(asked.text)).items():
            holding = self._of.get(term, set())
            for session in holding:
                worth[session] += weight * float(np.log1p(len(self._all) / len(holding)))
        least = max(worth.get(session, 0.0) for session in asked.sessions) - 1e-9
        return sum(worth[one] >= least for one in worth.keys() - asked.sessions)

    def telling(self, asked: Question) -> list[str]:
        """Return the terms of a right session that at most a tenth of all sessions hold."""
        asked_terms = query_terms(words(asked.text))
        holding = {term: self._of.get(term, set()) for term in asked_terms}
        most = len(self._all) / 10
        return [one for one, its in holding.items() if its & asked.sessions and len(its) <= most]


def _told_missed(figures: Figures, holders: Holders) -> Iterator[str]:
    for rank, asked in figures.missed:
        telling = ", ".join(holders.telling(asked))
        yield f"{rank or '-':>5} {holders.rivals(asked):5}  {asked.text}  [{telling}]"


def _messages(store: Store) -> Iterator[Message]:
    for session in _pages(store):
        yield from store.messages(session.id, limit=1000).items


def _pages(store: Store) -> Iterator[Session]:
    cursor = ""
    while True:
        page = store.sessions(cursor=cursor, limit=200)
        yield from page.items
        if not page.cursor:
            return
        cursor = page.cursor


def stores(
    folder: Path, embedder: Embedder, calls: bool, dated: bool
) -> Iterator[tuple[Store, list[Question]]]:
    """Yield each store of the folder, filled, with its questions."""
    if (folder / "sessions.jsonl").exists():
        with _store(embedder) as store:
            yield store, coding(store, folder, calls=calls)
        return
    for file in sorted(folder.glob("*.json")):
        with _store(embedder) as store:
            yield store, conversation(store, json.loads(file.read_text()), dated=dated)


@contextmanager
def _store(embedder: Embedder) -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as directory, Store.open(Path(directory), embedder) as store:
        yield store


def conversation(store: Store, told: dict[str, Any], *, dated: bool) -> list[Question]:
    """Import a conversation; returns its answerable questions."""
    turns: dict[str, tuple[int, int]] = {}
    for part in told["sessions"]:
        started = datetime.strptime(part["started"], "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
        session = store.start_session(
            identity=Identity(agent="bench"), started_at=started if dated else None
        )
        messages = [
            NewMessage(
                session.id,
                "user",
                _text(turn),
                created_at=started + timedelta(seconds=at) if dated else None,
            )
            for at, turn in enumerate(part["turns"])
        ]
        for turn, message in zip(part["turns"], store.append(messages), strict=True):
            turns[turn["id"]] = (message.id, session.id)
    _embed(store)
    found = []
    for one in told["questions"]:
        evidence = [turns[turn] for turn in one["evidence"] if turn in turns]
        if one["answerable"] and evidence:
            messages_, sessions = zip(*evidence, strict=True)
            kind = one.get("kind", "")
            found.append(Question(one["question"], kind, frozenset(messages_), frozenset(sessions)))
    return found


def coding(store: Store, folder: Path, *, calls: bool) -> list[Question]:
    """Import the sessions of coding agents; returns the questions about them."""
    lines = [json.loads(line) for line in (folder / "sessions.jsonl").open()]
    told = [one for one in lines if one["type"] == "session"]
    new = [
        Session(
            0,
            "",
            "ended",
            _time(one["started_at"]),
            _time(one["ended_at"]),
            agent=one["agent"],
            source=one["source"],
            source_id=one["source_id"],
        )
        for one in told
    ]
    ids = {one.source_id: one.id for one in store.add_sessions(new)}
    messages = [
        NewMessage(ids[one["session"]], one["role"], one["content"], _time(one["created_at"]))
        for one in lines
        if one["type"] == "message"
    ]
    store.append(messages, allow_ended=True)
    if calls:
        by_session: dict[int, list[NewCall]] = defaultdict(list)
        for line in (folder / "calls.jsonl").open():
            one = json.loads(line)
            by_session[ids[one["session"]]].append(_call(one))
        for number, its in by_session.items():
            store.append_calls(number, its)
    _embed(store)
    return [
        Question(
            one["question"],
            one["kind"],
            frozenset(),
            frozenset(ids[gold] for gold in one["gold"] if gold in ids),
        )
        for one in json.loads((folder / "questions.json").read_text())
    ]


def _call(told: dict[str, str]) -> NewCall:
    return NewCall(
        told["tool"] or "unknown",
        told["arguments"],
        "error" if told["error"] else "ok",
        told["error"],
        _time(told["at"]) if told["at"] else None,
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _embed(store: Store) -> None:
    while store.embed_pending(256):
        pass


def _text(turn: dict[str, Any]) -> str:
    caption = turn.get("image_caption")
    return f"{turn['speaker']}: {turn['text']}" + (f"\n{caption}" if caption else "")


def _share(wanted: frozenset[int], found: Sequence[int]) -> float:
    return len(wanted & set(found)) / len(wanted)


if __name__ == "__main__":
    main()
