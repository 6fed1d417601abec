"""The store: sessions, messages and knowledge on disk, and how to find them again."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pktui.errors import InvalidRequest, StoreError
from pktui.memory.records import (
    Call,
    Entry,
    EntryStats,
    Facets,
    GroupedAnswer,
    Identity,
    Message,
    ModelState,
    NewCall,
    NewMessage,
    Outline,
    Page,
    Role,
    SearchAnswer,
    Session,
    SessionChange,
    SessionSort,
    SessionStatus,
    SimilarEntry,
    Status,
)
from pktui.memory.store.calls import Calls
from pktui.memory.store.entries import Entries
from pktui.memory.store.finding import Finding
from pktui.memory.store.grouping import Grouping
from pktui.memory.store.loading import load
from pktui.memory.store.meaning import Meaning
from pktui.memory.store.messages import Messages
from pktui.memory.store.saved_index import NAME, SavedIndex
from pktui.memory.store.sessions import Sessions
from pktui.memory.store.similar import Similarity
from pktui.memory.store.state import Clock, State
from pktui.memory.store.tables import Database
from pktui.times import utc_now

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from types import TracebackType

    from pktui.memory.embed import Embedder

DEFAULT_TIMEOUT = timedelta(hours=1)
# Items a list or a search returns at the most.
MOST_AT_ONCE = 1000
_WORN = 0.25
_SESSIONS_AT_ONCE = 2_000


class Store:
    """Everything the memory keeps. One process owns a store; its threads share this object.

    What a method returns is where the next owner finds it. Raises `NotFound` for an unknown id,
    `InvalidRequest` for a parameter or query that cannot be used, `StoreError` where the disk or
    the model fails.
    """

    def __init__(self, state: State, index: SavedIndex, session_timeout: timedelta) -> None:
        self._state = state
        self._index = index
        self._sessions = Sessions(state, session_timeout)
        self._messages = Messages(state)
        self._calls = Calls(state)
        self._entries = Entries(state)
        self._meaning = Meaning(state, self._messages)
        self._finding = Finding(state, self._meaning)
        self._grouping = Grouping(state, self._finding)
        self._similarity = Similarity(state, self._meaning)

    @classmethod
    def open(
        cls,
        place: Database | Path | str,
        embedder: Embedder | None = None,
        *,
        clock: Clock = utc_now,
        session_timeout: timedelta = DEFAULT_TIMEOUT,
        index: Path | None = None,
        sync: bool = False,
    ) -> Self:
        """Open or make the store in a directory, at a LanceDB URI, or in an open database.

        Without an embedder it finds words; `attach` adds meaning later. `index` is the file for
        the search index, without which a large store opens slowly; a directory has its own. With
        `sync` what it acknowledges is on the disk.
        """
        database = place if isinstance(place, Database) else Database(place)
        directory = database.place.directory
        local = directory / NAME if directory is not None else None
        saved = SavedIndex(index or local)
        state = State(database, clock, saved.forget, sync=sync)
        load(state, saved)
        store = cls(state, saved, session_timeout)
        store._meaning.load()
        if embedder is not None:
            store.attach(embedder)
        return store

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Commit what waits; nothing is left to write after it."""
        with self._state.writing, self._state.vectors.lock:
            self._meaning.waiting("absent", "the store is closed")
            with suppress(StoreError):  # the next owner finds it in the journal
                self.flush()

    def start_session(
        self,
        name: str = "",
        identity: Identity = Identity(),  # noqa: B008  frozen
        *,
        source: str = "mcp",
        source_id: str = "",
        started_at: datetime | None = None,
        current: bool = True,
        request: str = "",
    ) -> Session:
        """Start a session and make it the identity's current one (not where `current` is false).

        One who does not say who it is has no current session, as others could not be told apart.

        `request`, here and below, is a key that the same request bears when it comes again: it is
        carried out once, and answered as the first time.
        """
        return self._sessions.start(name, identity, source, source_id, started_at, current, request)

    def add_sessions(self, sessions: Sequence[Session]) -> tuple[Session, ...]:
        """Keep many sessions from elsewhere in one commit, as they are but with new ids."""
        return self._sessions.add(sessions)

    def grow_session(self, session_id: int, name: str, ended_at: datetime) -> None:
        """Give a session from elsewhere, which has ended, its later name and end."""
        self._sessions.grow(session_id, name, ended_at)

    def end_session(
        self,
        session_id: int,
        summary: str | None = None,
        *,
        ended_at: datetime | None = None,
        request: str = "",
    ) -> SessionChange:
        """End a session; one that has ended stays as it is, its summary too."""
        return self._sessions.end(session_id, summary, ended_at, request)

    def reopen_session(self, session_id: int, *, request: str = "") -> SessionChange:
        """Undo the end of a session."""
        return self._sessions.reopen(session_id, request)

    def session_of_request(self, request: str) -> Session | None:
        """Return the session that the request started, ended or reopened when it came before."""
        return self._sessions.made_by(request)

    def delete_session(self, session_id: int, *, request: str = "") -> None:
        """Remove a session with its messages and vectors, for good."""
        self._sessions.delete(session_id, request)
        self._calls.forget(session_id)

    def end_inactive(self, now: datetime | None = None) -> tuple[Session, ...]:
        """End the sessions that showed no life for as long as the time-out; call it regularly."""
        return self._sessions.end_inactive(now or self._state.clock())

    def session(self, session_id: int) -> Session:
        """Return a session."""
        return self._sessions.get(session_id)

    def current_session(self, identity: Identity) -> Session | None:
        """Return the active session that the identity started last."""
        return self._sessions.current(identity)

    def session_from(self, source: str, source_id: str) -> Session | None:
        """Return the session that was imported from there."""
        return self._sessions.by_source(source, source_id)

    def sessions(
        self,
        query: str = "",
        *,
        status: SessionStatus | None = None,
        project: str | None = None,
        cursor: str = "",
        limit: int = 50,
        sort: SessionSort | None = None,
    ) -> Page[Session]:
        """Return sessions whose title, summary, agent or directory hold the query's words.

        Filters as in a search. The latest activity comes first, or what `sort` puts first.
        """
        return self._sessions.page(query, status, project, cursor, _limit(limit), sort)

    def facets(
        self,
        query: str = "",
        mode: str = "",
        *,
        project: str | None = None,
        edges_us: Sequence[int] = (),
        waited: float = 0.0,
    ) -> Facets:
        """Count the sessions by agent, project and time: of a search where a mode is given.

        `edges_us` ascend; in a search the time is that of the hits. Without a mode those that
        `sessions` returns are counted.
        """
        if mode:
            return self._grouping.facets(query, mode, project, edges_us, waited)
        return self._sessions.facets(query, project, edges_us)

    def read_words(self) -> int:
        """Make ready for lists of sessions by words, bit by bit; 0 when there is nothing to do."""
        with self._state.lock:
            return self._state.catalogue.read_words(_SESSIONS_AT_ONCE)

    def append(
        self, messages: Sequence[NewMessage], *, allow_ended: bool = False, request: str = ""
    ) -> tuple[Message, ...]:
        """Keep messages, all or none, together with those of other threads.

        Ended sessions take none, unless `allow_ended`, which is for imports.
        """
        return self._messages.append(messages, allow_ended, request)

    def log(
        self,
        role: Role,
        content: str,
        who: Identity,
        *,
        session_id: int | None = None,
        source_id: str = "",
        request: str = "",
    ) -> Message:
        """Keep one message: in the identity's current session, where none is named."""
        message = NewMessage(session_id or 0, role, content, source_id=source_id)
        return self._messages.log(message, who, request)

    def messages(
        self,
        session_id: int,
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int = 200,
    ) -> Page[Message]:
        """Return messages of a session in order.

        Without bounds the first ones, `after` a message's `seq` those that follow it, `before`
        one the last ones before it. The page's cursor is the `seq` to go on from, in the same
        direction.
        """
        return self._messages.page(session_id, before, after, _limit(limit))

    def neighbours(self, message_id: int, count: int = 3) -> tuple[Message, ...]:
        """Return the message with up to `count` before it and after it in its session."""
        return self._messages.neighbours(message_id, _limit(count))

    def append_calls(self, session_id: int, calls: Sequence[NewCall]) -> tuple[Call, ...]:
        """Keep tool calls of a session, ended or not; those that it has are returned as kept."""
        return self._calls.append(session_id, calls)

    def calls(self, session_id: int, *, after: int = 0, limit: int = 200) -> Page[Call]:
        """Return the session's calls in order, those after the `seq`; the cursor is one too."""
        return self._calls.page(session_id, after, _limit(limit))

    def outline(
        self,
        session_id: int,
        *,
        after: int = 0,
        calls_after: int = 0,
        calls_last: int | None = None,
    ) -> Outline:
        """Return the messages and calls of a session after those `seq`, without their texts.

        `calls_last`: only so many of these calls, the last ones; each takes a few microseconds.
        """
        times, roles = self._messages.times_and_roles(session_id, max(after, 0))
        briefs = self._calls.briefs(session_id, max(calls_after, 0), calls_last)
        return Outline(times, roles, briefs)

    def add_entry(
        self,
        title: str,
        content: str,
        *,
        source: str = "",
        tags: Sequence[str] = (),
        request: str = "",
    ) -> Entry:
        """Keep a new piece of knowledge."""
        now = self._state.clock()
        entry = Entry(0, title, content, source, tuple(tags), now, now)
        return self._entries.add([entry], request)[0]

    def add_entries(self, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        """Keep many entries in one commit, with their times and new ids."""
        return self._entries.add(entries, "")

    def entry(self, entry_id: int) -> Entry:
        """Return an entry."""
        return self._entries.get(entry_id)

    def update_entry(
        self,
        entry_id: int,
        *,
        title: str | None = None,
        content: str | None = None,
        source: str | None = None,
        tags: Sequence[str] | None = None,
    ) -> Entry:
        """Change the fields that are given."""
        return self._entries.update(entry_id, title, content, source, tags)

    def delete_entry(self, entry_id: int, *, request: str = "") -> None:
        """Remove an entry for good."""
        self._entries.delete(entry_id, request)

    def entries(
        self, *, tags: Sequence[str] = (), cursor: str = "", limit: int = 50, offset: int = 0
    ) -> Page[Entry]:
        """Return entries that bear one of the tags (all, without tags), the latest change first."""
        return self._entries.page(tags, cursor, offset, _limit(limit))

    def similar_entries(self, entry_id: int, *, limit: int = 5) -> tuple[SimilarEntry, ...]:
        """Return the entries that say nearly what this one says, the nearest first."""
        return self._similarity.near(self._entries.get(entry_id), _limit(limit))

    def entries_made(self, times: Collection[datetime]) -> tuple[Entry, ...]:
        """Return the entries that were made at one of the times."""
        return self._entries.made(times)

    def entry_stats(self) -> EntryStats:
        """Return figures about all entries."""
        return self._entries.stats()

    def search(
        self,
        query: str,
        mode: str = "hybrid",
        *,
        limit: int = 20,
        project: str | None = None,
        waited: float = 0.0,
    ) -> SearchAnswer:
        """Find messages and calls; `project` is an exact directory.

        See `pktui.memory.search.question`.

        `waited`, here and below, is for how many seconds the same was held back for the model since
        words found nothing; the answer says so.
        """
        return self._finding.messages(query, mode, _limit(limit), project, waited)

    def search_sessions(
        self,
        query: str,
        mode: str = "hybrid",
        *,
        limit: int = 20,
        hits: int = 3,
        cursor: str = "",
        project: str | None = None,
        waited: float = 0.0,
        bands: bool = False,
        sort: SessionSort | None = None,
    ) -> GroupedAnswer:
        """Find sessions by their messages and calls, each with up to `hits` of its best.

        With `bands` those of a title come first, then those with words, then the rest, and the
        knowledge is found with them. `sort` puts them in another order than the best first.
        """
        return self._grouping.sessions(
            *(query, mode, _limit(limit), _limit(hits), cursor, project, waited),
            bands=bands, sort=sort,
        )  # fmt: skip

    def search_entries(
        self, query: str, mode: str = "hybrid", *, limit: int = 10, waited: float = 0.0
    ) -> SearchAnswer:
        """Find entries; the filters are `tag:`, `source:`, `after:`, `before:` and `since:`."""
        return self._finding.entries(query, mode, _limit(limit), waited)

    @property
    def meaning_due(self) -> bool:
        """Tell whether a search that found nothing may find something within seconds."""
        return self._meaning.due

    def attach(self, embedder: Embedder) -> None:
        """Use the model from now on: searches join meaning, `embed_pending` makes vectors."""
        self._meaning.attach(embedder)

    def model_waiting(self, state: ModelState, note: str) -> None:
        """Say why there is no model: it is loading, or it failed."""
        self._meaning.waiting(state, note)

    def pending_vectors(self) -> int:
        """Return the number of messages and entries that have no vectors yet."""
        return self._meaning.pending()

    def embed_pending(self, limit: int = 64) -> int:
        """Make vectors for up to `limit` texts, oldest first; 0 when there is nothing to do."""
        return self._meaning.embed_pending(limit)

    def reindex(self) -> int:
        """Drop all vectors; returns how many texts wait for `embed_pending` now."""
        return self._meaning.reindex()

    def flush(self) -> None:
        """Commit what was acknowledged and what was derived from it, in few commits."""
        self._state.rows.flush()
        self._state.vectors.flush()

    def flush_due(self) -> bool:
        """Tell whether enough waits for `flush` that it should run even while requests come."""
        return self._state.rows.due()

    @property
    def damage(self) -> str:
        """What could not be read when the store was opened, in a sentence; "" for nothing."""
        return self._state.rows.damage

    def upkeep_due(self, *, quiet: bool = False) -> bool:
        """Tell whether enough was committed since `optimize` that it should run now.

        Less is enough where it is `quiet`, as nobody waits; more is needed for a large store.
        """
        wear = sum(table.wear(quiet=quiet, weight=1) for table in self._state.tables)
        return wear + self._state.vectors.wear(quiet=quiet) >= 1

    def optimize(self, *, worn_only: bool = False, quiet: bool = True) -> None:
        """Merge small files and clear old versions away; others may read and write meanwhile.

        `worn_only` leaves the tables alone that had but a small part in making it due.
        """
        least = _WORN if worn_only else 0.0
        for table in self._state.tables:
            if table.wear(quiet=quiet, weight=1) >= least:
                table.compact()
        if self._state.vectors.wear(quiet=quiet) >= least:
            self._state.vectors.compact()

    def save_index(self, *, quiet: bool) -> bool:
        """Write the search index to disk where enough came since; `quiet` where nobody waits.

        Returns whether it was written. Call it now and then, so that the next opening is quick.
        """
        index, state = self._index, self._state
        try:
            if not index.due(state, quiet=quiet):
                return False
            self.flush()  # the file may hold nothing that the tables do not
            return index.save(state)
        except OSError as error:
            raise StoreError(
                f"the search index in {state.database.uri} could not be written: {error}",
                "Free some space; until then the memory takes longer to open",
            ) from error

    def status(self) -> Status:
        """Return the state of the store; the owner adds its own."""
        disk = self._state.database.size_on_disk()
        due = self._index.due(self._state, quiet=True)
        pending = self._meaning.pending()
        with self._state.lock:
            state = self._state
            return Status(
                uri=state.database.place.shown,
                sessions=len(state.catalogue),
                active_sessions=len(state.catalogue.active),
                messages=state.messages.living,
                entries=len(state.entries),
                vectors=state.messages.passages.living + state.knowledge.passages.living,
                pending_vectors=pending,
                model=self._meaning.embedder.name if self._meaning.embedder else "",
                model_state=self._meaning.model_state,
                note=self._meaning.note,
                files_on_disk=disk.files,
                bytes_on_disk=disk.bytes,
                versions=disk.versions,
                index="due" if due else "kept",
                journaled=state.rows.waiting,
                calls=state.calls.living,
            )


def _limit(limit: int) -> int:
    if not 1 <= limit <= MOST_AT_ONCE:
        raise InvalidRequest(
            f"limit {limit} cannot be used", f"Give a whole number from 1 to {MOST_AT_ONCE}"
        )
    return limit
