"""Vectors made behind the messages: the backlog, the model and what to do when it changes."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from pktui.errors import StoreError
from pktui.memory.store.loading import entry_text
from pktui.memory.store.vector_table import Kind, VectorRows, sequence_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pktui.memory.embed import Embedder, Passage, Vectors
    from pktui.memory.records import Entry, ModelState
    from pktui.memory.search.corpus import Corpus
    from pktui.memory.store.messages import Messages
    from pktui.memory.store.state import State

_NONE = 2**62
_RECENT_QUESTIONS = 128
# So many vectors are made while somebody waits; a longer backlog is not waited for.
_SOON = 64
_REINDEX = "Run pktui memory reindex to make them anew"


@dataclass(frozen=True, slots=True)
class _Text:
    id: int
    session_id: int
    text: str
    entry: Entry | None = None


class Meaning:
    """Keeps the vectors in step with the texts."""

    def __init__(self, state: State, messages: Messages) -> None:
        self._state = state
        self._messages = messages
        self.embedder: Embedder | None = None
        self.model_state: ModelState = "absent"
        self.note = "no model is loaded"
        self._meant: Callable[[tuple[str, ...]], Vectors] | None = None

    def load(self) -> None:
        """Read the vectors that are there; remove those whose text is gone."""
        try:
            self._load()
        except StoreError as error:
            self._state.vectors.damaged(error)
            for corpus in (self._state.messages, self._state.knowledge):
                corpus.forget_vectors(0)

    def _load(self) -> None:
        vectors = self._state.vectors
        gone: dict[Kind, set[int]] = {"message": set(), "entry": set()}
        known = self._restored()
        for corpus in (self._state.messages, self._state.knowledge):
            if not (known and corpus is self._state.messages):
                corpus.forget_vectors(vectors.dimension)
        waiting = frozenset(self._state.messages.pending)
        first = min(waiting, default=_NONE) if known else 0
        for rows in vectors.batches(f"kind = 'entry' OR ref_id >= {first}" if known else ""):
            corpus = self._corpus(rows.kind)
            gone[rows.kind] |= {one for one in rows.ids if corpus.position(one) is None}
            if rows.kind == "message" and known:
                rows = rows.only(waiting)
            corpus.add_vectors(rows.ids, rows.passages, rows.vectors)
        for kind, ids in gone.items():
            if ids:
                listed = ",".join(str(one) for one in sorted(ids))
                vectors.delete(f"kind = '{kind}' AND ref_id IN ({listed})")

    def _restored(self) -> bool:
        """Tell whether the vectors that the saved index holds are those in the table."""
        corpus = self._state.messages
        if not len(corpus.passages):
            return False
        held = self._state.vectors.message_ids()
        waiting = np.fromiter(corpus.pending, np.int64, len(corpus.pending))
        held = np.sort(held[~np.isin(held, waiting)])
        owners = corpus.passages.owners
        return np.array_equal(
            held, np.sort(corpus.facts["ids"][owners[corpus.facts["alive"][owners]]])
        )

    def waiting(self, state: ModelState, note: str) -> None:
        """Say why there is no model yet, or none at all."""
        self.model_state = state
        self.note = note

    def attach(self, embedder: Embedder) -> None:
        """Use this model from now on, unless the vectors are another's."""
        vectors = self._state.vectors
        with vectors.lock:
            self.embedder = embedder
            self._meant = _remembering(embedder)
            if not vectors.prepare(embedder.name, embedder.dimension):
                other = f"the vectors are of the model {vectors.model}, not of {embedder.name}"
                self.waiting("mismatch", f"{vectors.damage or other}: {_REINDEX}")
                return
            with self._state.lock:
                for corpus in (self._state.messages, self._state.knowledge):
                    if corpus.passages.dimension != embedder.dimension:
                        corpus.forget_vectors(embedder.dimension)
            self.waiting("ready", "")

    def of_question(self, *forms: str) -> Vectors | None:
        """Return the mean vector of a question's forms, or None while no model can be used.

        Recent ones are remembered: the next page or another filter asks the same again. Raises
        `StoreError` where the model fails.
        """
        meant = self._meant
        return meant(forms) if meant is not None and self.model_state == "ready" else None

    def reindex(self) -> int:
        """Drop all vectors, so that `embed_pending` makes them anew; returns how many wait."""
        vectors = self._state.vectors
        with self._state.writing, vectors.lock:
            self._state.forget_index()
            vectors.clear()
            with self._state.lock:
                for corpus in (self._state.messages, self._state.knowledge):
                    corpus.forget_vectors(0)
            if self.embedder is not None:
                self.attach(self.embedder)
        return self.pending()

    def pending(self) -> int:
        """Return the number of messages and entries without vectors."""
        with self._state.lock:
            return len(self._state.messages.pending) + len(self._state.knowledge.pending)

    @property
    def due(self) -> bool:
        """Tell whether the model, or the last vectors, will be there within seconds."""
        if self.model_state == "ready":
            return 0 < self.pending() <= _SOON
        return self.model_state == "loading"

    def embed_pending(self, limit: int) -> int:
        """Make vectors for up to `limit` texts; returns how many, 0 when there is nothing to do.

        Raises `StoreError` where the model or the disk fails: the texts stay in the backlog.
        """
        embedder = self.embedder
        if embedder is None or self.model_state != "ready":
            return 0
        texts = self._pending_entries(limit)
        kind: Kind = "entry"
        if not texts:
            texts, kind = self._pending_messages(limit), "message"
        if texts:
            self._embed(embedder, kind, texts)
        return len(texts)

    def _pending_entries(self, limit: int) -> list[_Text]:
        state = self._state
        with state.lock:
            ids = _first(state.knowledge, limit)
            entries = [state.entries[one] for one in ids]
        return [_Text(entry.id, 0, entry_text(entry), entry) for entry in entries]

    def _pending_messages(self, limit: int) -> list[_Text]:
        with self._state.lock:
            ids = _first(self._state.messages, limit)
        found = self._messages.get_many(ids)
        return [_Text(one.id, one.session_id, one.content) for one in found]

    def _embed(self, embedder: Embedder, kind: Kind, texts: Sequence[_Text]) -> None:
        passages = embedder.passages([one.text for one in texts])
        flat = [(one, part) for one, parts in zip(texts, passages, strict=True) for part in parts]
        vectors = embedder.embed([one.text[part.start : part.end] for one, part in flat])
        with self._unchanging(kind):
            rows = [row for row, (one, _) in enumerate(flat) if self._is_current(kind, one)]
            if rows and self.embedder is embedder and self.model_state == "ready":
                chosen = [flat[row] for row in rows]
                self._keep(embedder, _vector_rows(kind, chosen, vectors[rows]))

    @contextlib.contextmanager
    def _unchanging(self, kind: Kind) -> Iterator[None]:
        """Hold off deletions, and for entries changes, until the vectors are committed."""
        with contextlib.ExitStack() as held:
            if kind == "entry":
                held.enter_context(self._state.writing)
            held.enter_context(self._state.vectors.lock)
            yield

    def _is_current(self, kind: Kind, text: _Text) -> bool:
        with self._state.lock:
            if kind == "entry":
                return self._state.entries.get(text.id) is text.entry
            return self._state.messages.position(text.id) is not None

    def _keep(self, embedder: Embedder, rows: VectorRows) -> None:
        self._state.vectors.append(rows, embedder.name)
        with self._state.lock:
            self._corpus(rows.kind).add_vectors(rows.ids, rows.passages, rows.vectors)

    def _corpus(self, kind: Kind) -> Corpus:
        return self._state.messages if kind == "message" else self._state.knowledge


def _remembering(embedder: Embedder) -> Callable[[tuple[str, ...]], Vectors]:
    @lru_cache(_RECENT_QUESTIONS)
    def meant(forms: tuple[str, ...]) -> Vectors:
        mean = embedder.embed(forms).sum(axis=0)  # in one batch: two thirds of the time of two
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), np.float32)

    return meant


def _first(corpus: Corpus, limit: int) -> list[int]:
    return [one for one, _ in zip(corpus.pending, range(limit), strict=False)]


def _vector_rows(
    kind: Kind, chosen: Sequence[tuple[_Text, Passage]], vectors: object
) -> VectorRows:
    ids = [one.id for one, _ in chosen]
    return VectorRows(
        kind=kind,
        ids=ids,
        sessions=[one.session_id for one, _ in chosen],
        chunks=sequence_numbers(ids),
        passages=[part for _, part in chosen],
        vectors=np.asarray(vectors, np.float32),
    )
