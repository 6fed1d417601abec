"""The search index on disk: what opening a large store would take long to derive anew.

Derived data in one file, replaced as a whole. It is used only where the ids, sessions and times of
the messages in it are those of the table; what came after it was written is added from the tables.
Before anything is deleted the file goes, so that nothing deleted stays in it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from pktui.errors import StoreError
from pktui.memory.search.archive import Archive, NoArchive, read_archive, write_archive
from pktui.memory.search.corpus import Corpus

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.memory.store.state import State
    from pktui.memory.store.tables import Table

# Of what is derived and how: raise it when terms, vectors or columns change their meaning.
VERSION = 7
NAME = "search.index"

_CALLS = "calls"
# So many new documents or passages at the least are worth a new file.
_WORTH_IT = 1_000
# By what part the index must have grown, too: when nobody asks for anything, and when they do.
_GROWN_QUIET, _GROWN_BUSY = 0.02, 0.25


class _Facts(msgspec.Struct, frozen=True):
    """`titles` are those of the sessions by their ids, `rows` the number of passages.

    `uri` is that of a remote store; a directory may be moved with its file.
    """

    version: int
    uri: str
    model: str
    dimension: int
    documents: int
    rows: int
    titles: dict[int, str]


class SavedIndex:
    """The file of one store; without a path there is none."""

    def __init__(self, path: Path | None) -> None:
        self.titles: dict[int, str] = {}
        """Those of the sessions as they were when the file was written, by id."""
        self._path = path
        self._saving = threading.Lock()
        self._size = 0
        """Documents and passages in the file."""
        self._forgotten = 0

    def restore(self, state: State) -> tuple[int, int]:
        """Fill the corpora of messages and calls from the file; returns the last id of each.

        0 where there is none. Called while the store is opened, after the sessions are known.
        """
        if self._path is None:
            return 0, 0
        try:
            archive = read_archive(self._path)
            facts = msgspec.json.decode(archive.facts, type=_Facts)
        except (NoArchive, msgspec.MsgspecError):
            return 0, 0
        if (facts.version, facts.uri) != (VERSION, _remote(state)):
            return 0, 0
        calls = _calls_of(archive)
        if not (
            _is_current(state.messages_table, archive) and _is_current(state.calls_table, calls)
        ):
            return 0, 0
        vectors = state.vectors
        corpus = Corpus.of(archive, facts.dimension)
        if (facts.model, facts.dimension) != (vectors.model, vectors.dimension):
            corpus.forget_vectors(vectors.dimension)
        state.messages = corpus
        state.calls = Corpus.of(calls, 0)
        self.titles = facts.titles
        self._size = facts.documents + facts.rows
        return _last(state.messages), _last(state.calls)

    def due(self, state: State, *, quiet: bool) -> bool:
        """Tell whether the file should be written anew; `quiet` says that nobody waits."""
        with state.lock:
            size = _size(state)
        grown = _GROWN_QUIET if quiet else _GROWN_BUSY
        new = size - self._size
        return self._path is not None and new >= max(_WORTH_IT, grown * self._size)

    def save(self, state: State) -> bool:
        """Write the file, and read from it from now on; false where that was not possible.

        Others may read and write the store meanwhile. Raises `OSError`.
        """
        if self._path is None:
            return False
        with self._saving:
            corpus, calls = state.messages, state.calls
            with state.writing, state.lock:
                arrays = {
                    **corpus.arrays(),
                    **{f"{_CALLS}.{name}": parts for name, parts in calls.arrays().items()},
                }
                forgotten, size = self._forgotten, _size(state)
                facts = _facts(state)
            write_archive(self._path, msgspec.json.encode(facts), arrays)
            with state.writing, state.lock:
                if self._forgotten != forgotten:
                    self._path.unlink(missing_ok=True)
                    return False
                self._size = size
                archive = read_archive(self._path)
                corpus.adopt(archive)
                calls.adopt(_calls_of(archive))
        return True

    def forget(self) -> None:
        """Remove the file: something in it is about to be deleted. Hold `writing`."""
        self._forgotten += 1
        self.titles = {}
        self._size = 0
        if self._path is None:
            return
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"the search index {self._path} cannot be removed: {error.strerror or error}",
                "Make its directory writable for you",
            ) from error


def _calls_of(archive: Archive) -> Archive:
    return Archive(archive.facts, archive.part(_CALLS))


def _last(corpus: Corpus) -> int:
    return int(corpus.facts["ids"][-1]) if len(corpus) else 0


def _is_current(table: Table, archive: Archive) -> bool:
    """Tell whether what the archive holds is the first part of the table."""
    alive = archive.arrays["alive"]
    ids = archive.arrays["ids"][alive]
    last = int(ids[-1]) if len(ids) else 0
    rows = table.read(["id", "session_id", "created_at"], f"id <= {last}")
    order = np.argsort(rows["id"].to_numpy(), kind="stable")
    groups = archive.arrays["groups.ids"][archive.arrays["slots"][alive]]
    times = rows["created_at"].cast("int64").to_numpy()
    return (
        np.array_equal(rows["id"].to_numpy()[order], ids)
        and np.array_equal(rows["session_id"].to_numpy()[order], groups)
        and np.array_equal(times[order], archive.arrays["times"][alive])
    )


def _facts(state: State) -> _Facts:
    corpus = state.messages
    return _Facts(
        version=VERSION,
        uri=_remote(state),
        model=state.vectors.model,
        dimension=corpus.passages.dimension,
        documents=len(corpus) + len(state.calls),
        rows=len(corpus.passages),
        titles={one.id: one.title for one in state.catalogue.sessions()},
    )


def _remote(state: State) -> str:
    return state.database.uri if "://" in state.database.uri else ""


def _size(state: State) -> int:
    return len(state.messages) + len(state.messages.passages) + len(state.calls)
