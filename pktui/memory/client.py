"""The memory service's client: every verb of the memory as a plain function call.

One client serves any number of threads. The service is started where it does not run yet, except
by `status` and `stop`. Importing this module costs the standard library and msgspec, no more.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from pktui.errors import InvalidRequest, MemoryUnavailable, NotFound, PktuiError, StoreError
from pktui.memory import api, envelope, exporting, mcp_server
from pktui.memory.addresses import LocalAddress, remote_of
from pktui.memory.interchange import ImportReport, Record, Reject
from pktui.memory.records import (
    Call,
    Entry,
    EntryStats,
    Facets,
    GroupedAnswer,
    Identity,
    Message,
    Mode,
    NewCall,
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
    UsageSum,
)
from pktui.memory.starting import end_owner, ensure_service, wait_until_gone
from pktui.memory.transport import Reply, Transport
from pktui.text import storable_parts

if TYPE_CHECKING:
    from pktui.memory.addresses import Address
    from pktui.settings import Paths

__all__ = ["MemoryClient", "ensure_service"]

Given = TypeVar("Given", bound=api.Arguments)
Made = TypeVar("Made")

TIMEOUT_S = 60.0
IMPORT_BATCH_RECORDS = 500
IMPORT_BATCH_BYTES = 1024 * 1024
_KEY_BYTES = 12
_NO_ARGUMENTS = api.Arguments()


class MemoryClient:
    """The memory that the settings name, or that of the data directory, seen by one identity.

    A request whose answer was lost with the service is sent again with the same key, which the
    service knows it by: it is carried out once. Raises `MemoryUnavailable` where the service
    cannot be reached or started, `NotFound` for an unknown id, `InvalidRequest` for what it cannot
    understand and `StoreError` where the store fails. `timeout` is what one answer may take, in
    seconds. `start=False` never starts a service.
    """

    def __init__(
        self,
        paths: Paths,
        identity: Identity = Identity(),  # noqa: B008  frozen, so one for all
        *,
        timeout: float = TIMEOUT_S,
        start: bool = True,
    ) -> None:
        self._paths = paths
        self._headers = envelope.identity_headers(identity)
        self._remote = remote_of(paths)
        starter = functools.partial(ensure_service, paths) if start else None
        if self._remote is None:
            address: Address = LocalAddress(paths)
        else:
            address, starter = self._remote.address, None
            self._headers |= self._remote.headers
        self._transport = Transport(address, timeout=timeout, start=starter)
        self._quiet = Transport(address, timeout=timeout, start=None)

    def close(self) -> None:
        """Close the kept connections."""
        self._transport.close()
        self._quiet.close()

    def ensure(self) -> None:
        """Start the service where it does not listen yet, and wait until it does.

        One on another machine (`memory.service`) is only asked whether it is there.
        """
        if self._remote is None:
            ensure_service(self._paths)
        else:
            self.status()

    # the service

    def status(self) -> Status:
        """Return the state of the service; does not start it and does not keep it awake."""
        return self._ask(api.STATUS, quiet=True)

    def wait_until_gone(self, seconds: float) -> None:
        """Return when the service closes the connection that `status` used, else after so long."""
        self._quiet.wait_until_closed(seconds)

    def stop(self) -> None:
        """End the service and return when it is gone; raises `MemoryUnavailable` if none runs.

        One that does not answer, such as another version's, is sent a signal instead. One on
        another machine is others' too, and is ended there.
        """
        if self._remote is not None:
            raise InvalidRequest(
                f"the memory service at {self._remote.address} is not this machine's",
                "End it where it runs",
            )
        try:
            self._ask(api.STOP, quiet=True)
        except MemoryUnavailable:
            if not end_owner(self._paths):
                raise
        self._quiet.close()
        self._transport.close()
        wait_until_gone(self._paths)

    def reindex(self) -> Status:
        """Make every vector anew in the background, with the model that is set now."""
        return self._ask(api.REINDEX)

    # sessions

    def sessions(
        self,
        query: str = "",
        *,
        status: SessionStatus | None = None,
        project: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
        sort: SessionSort | None = None,
    ) -> Page[Session]:
        """List sessions, the latest activity first; `query` has words and filters."""
        given = api.Sessions(
            query=_zoned(query),
            status=status,
            project=project,
            cursor=cursor or "",
            limit=limit,
            sort=sort,
        )
        return self._ask(api.SESSIONS, given)

    def facets(
        self,
        query: str = "",
        mode: Mode | Literal[""] = "",
        *,
        project: str | None = None,
        edges_us: Sequence[int] = (),
        wait: bool = True,
    ) -> Facets:
        """Count the sessions of a list, or with a mode those a search finds in bands.

        `edges_us` are ascending times in microseconds; `wait` as in `search`.
        """
        given = api.FacetsOf(
            query=_zoned(query), mode=mode, project=project, edges_us=tuple(edges_us), wait=wait
        )
        return self._ask(api.FACETS, given)

    def session(self, session_id: int) -> Session:
        """Return a session."""
        return self._ask(api.SESSION, api.OfSession(session_id=session_id))

    def current_session(self) -> Session | None:
        """Return the session that this identity logs to now."""
        return self._ask(api.CURRENT_SESSION)

    def messages(
        self,
        session_id: int,
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int = 200,
    ) -> Page[Message]:
        """Return messages of a session in their order.

        `after` and `before` are a message's `seq`: the first ones after it, the last before it.
        Without either the first ones are returned. `total` counts the whole session.
        """
        given = api.Messages(session_id=session_id, before=before, after=after, limit=limit)
        return self._ask(api.MESSAGES, given)

    def start_session(self, name: str = "", *, source: str = "mcp", source_id: str = "") -> Session:
        """Start a session and make it this identity's current one."""
        given = api.StartSession(name=name, source=source, source_id=source_id)
        return self._ask(api.START_SESSION, given)

    def log(
        self, role: Role, content: str, session_id: int | None = None, *, source_id: str = ""
    ) -> Message:
        """Append a message to the session, else to this identity's current one.

        It is where the next service finds it when this returns.
        """
        given = api.Log(role=role, content=content, session_id=session_id, source_id=source_id)
        return self._ask(api.LOG, given)

    def end_session(self, session_id: int | None, summary: str | None = None) -> SessionChange:
        """End a session (None: this identity's current one); ending twice changes nothing."""
        return self._ask(api.END_SESSION, api.EndSession(session_id=session_id, summary=summary))

    def reopen_session(self, session_id: int) -> SessionChange:
        """Make an ended session active again."""
        return self._ask(api.REOPEN_SESSION, api.OfSession(session_id=session_id))

    def delete_session(self, session_id: int) -> None:
        """Remove a session with its messages and vectors, for good."""
        self._ask(api.DELETE_SESSION, api.OfSession(session_id=session_id))

    def search(
        self,
        query: str,
        mode: Mode = "hybrid",
        *,
        limit: int = 20,
        project: str | None = None,
        wait: bool = True,
    ) -> SearchAnswer:
        """Search all messages and calls; `query` has words, phrases and filters.

        Where words find nothing and the model is being loaded, the answer waits for it, seconds, or
        with `wait=False` it `awaits_meaning`.
        """
        given = api.Search(query=_zoned(query), mode=mode, project=project, limit=limit, wait=wait)
        return self._ask(api.SEARCH, given)

    def search_sessions(
        self,
        query: str,
        mode: Mode = "hybrid",
        *,
        limit: int = 20,
        hits: int = 3,
        cursor: str = "",
        project: str | None = None,
        wait: bool = True,
        bands: bool = False,
        sort: SessionSort | None = None,
    ) -> GroupedAnswer:
        """Find sessions by their messages and calls, each with up to `hits` of its best.

        The answer's cursor asks for the next ones; `wait` as in `search`. With `bands` also by
        their titles, and those first, then what has the words, then what means the same; entries
        of the knowledge are found with them.
        """
        given = api.SearchSessions(
            query=_zoned(query),
            mode=mode,
            project=project,
            limit=limit,
            wait=wait,
            hits=hits,
            cursor=cursor,
            bands=bands,
            sort=sort,
        )
        return self._ask(api.SEARCH_SESSIONS, given)

    # calls

    def log_calls(
        self,
        calls: Sequence[NewCall],
        session_id: int | None = None,
        *,
        source: str = "",
        source_id: str = "",
        agent: str = "",
        project: str = "",
    ) -> tuple[Call, ...]:
        """Append tool calls, their secrets masked, and return them as kept.

        They go to the session with that id; else to the one known by `source` and `source_id`,
        which is made of `agent` and `project` where it is not there; else to this identity's
        current one. A `call_id` that the session has is not appended again.
        """
        given = api.LogCalls(
            calls=tuple(calls),
            session_id=session_id,
            source=source,
            source_id=source_id,
            agent=agent,
            project=project,
        )
        return self._ask(api.LOG_CALLS, given)

    def calls(self, session_id: int, *, after: int = 0, limit: int = 200) -> Page[Call]:
        """Return the session's calls in order, those after the `seq`; the cursor is one too."""
        return self._ask(api.CALLS, api.Calls(session_id=session_id, after=after, limit=limit))

    def outline(
        self,
        session_id: int,
        *,
        after: int = 0,
        calls_after: int = 0,
        calls_last: int | None = None,
    ) -> Outline:
        """Return when each message and call of the session was, without their texts.

        Only of messages and of calls after those `seq`, and of so many of the last calls.
        """
        given = api.OutlineOf(
            session_id=session_id, after=after, calls_after=calls_after, calls_last=calls_last
        )
        return self._ask(api.OUTLINE, given)

    def neighbours(self, message_id: int, n: int = 2) -> tuple[Message, ...]:
        """Return a message with up to `n` before it and `n` after it, in their order."""
        return self._ask(api.NEIGHBOURS, api.Neighbours(message_id=message_id, count=n))

    # knowledge

    def add_entry(
        self, title: str, content: str, *, source: str = "", tags: Sequence[str] = ()
    ) -> Entry:
        """Keep a new entry."""
        given = api.AddEntry(title=title, content=content, source=source, tags=tuple(tags))
        return self._ask(api.ADD_ENTRY, given)

    def get_entry(self, entry_id: int) -> Entry:
        """Return an entry."""
        return self._ask(api.ENTRY, api.OfEntry(entry_id=entry_id))

    def similar_entries(self, entry_id: int, *, limit: int = 5) -> tuple[SimilarEntry, ...]:
        """Return the entries that repeat or may contradict this one, the nearest first."""
        given = api.SimilarEntries(entry_id=entry_id, limit=limit)
        return self._ask(api.SIMILAR_ENTRIES, given)

    def update_entry(
        self,
        entry_id: int,
        *,
        title: str | None = None,
        content: str | None = None,
        source: str | None = None,
        tags: Sequence[str] | None = None,
    ) -> Entry:
        """Change what is given and leave the rest; `tags` replaces them all."""
        given = api.UpdateEntry(
            entry_id=entry_id,
            title=title,
            content=content,
            source=source,
            tags=None if tags is None else tuple(tags),
        )
        return self._ask(api.UPDATE_ENTRY, given)

    def delete_entry(self, entry_id: int) -> None:
        """Remove an entry with its vectors, for good."""
        self._ask(api.DELETE_ENTRY, api.OfEntry(entry_id=entry_id))

    def entries(
        self, *, tags: Sequence[str] = (), cursor: str | None = None, limit: int = 50
    ) -> Page[Entry]:
        """List entries, the latest change first, with one of the tags (all, without tags)."""
        given = api.Entries(tags=tuple(tags), cursor=cursor or "", limit=limit)
        return self._ask(api.ENTRIES, given)

    def search_entries(
        self, query: str, mode: Mode = "hybrid", *, limit: int = 20, wait: bool = True
    ) -> SearchAnswer:
        """Search the knowledge; `wait` as in `search`."""
        given = api.SearchEntries(query=_zoned(query), mode=mode, limit=limit, wait=wait)
        return self._ask(api.SEARCH_ENTRIES, given)

    def stats(self) -> EntryStats:
        """Return figures about the knowledge."""
        return self._ask(api.STATS)

    def usage(self, since: str = "", *, by_session: bool = False) -> tuple[UsageSum, ...]:
        """Return the tokens that agents used from a local day on; starts no service."""
        return self._ask(api.USAGE, api.Usage(since=since, by_session=by_session), quiet=True)

    # in and out

    def import_records(
        self,
        records: Iterable[Record],
        *,
        progress: Callable[[ImportReport], None] | None = None,
    ) -> ImportReport:
        """Take records in, in batches; `progress` is told the sum so far after each.

        What is known already is counted and not added again, so an import that broke off can
        simply be run again. A record that is too large to be sent is counted and named.
        """
        total = ImportReport()
        refused: list[Reject] = []
        for batch in exporting.batches(
            records, IMPORT_BATCH_RECORDS, IMPORT_BATCH_BYTES, refused.append
        ):
            body = msgspec.Raw(b'{"records":[' + b",".join(batch) + b"]}")
            total = total.plus(self._ask(api.IMPORT, body))
            if progress is not None:
                progress(total)
        return total.plus(ImportReport(rejected=len(refused), rejects=tuple(refused)))

    def export(self, session_id: int | None = None) -> Iterator[Record]:
        """Yield one session with its messages, or all sessions and all knowledge."""
        return exporting.export(self, session_id)

    def call_tool(self, call: mcp_server.ToolCall) -> bytes:
        """Carry out a tool call and return the answer to it."""
        given = api.CallTool(name=call.name, arguments=dict(call.arguments), agent=call.agent)
        return mcp_server.tool_result(call, self._ask(api.TOOL, given))

    # how

    def _ask(
        self,
        verb: api.Verb[Given, Made],
        given: api.Arguments | msgspec.Raw = _NO_ARGUMENTS,
        *,
        quiet: bool = False,
    ) -> Made:
        """Ask; where `quiet` no service is started for it."""
        try:
            body = msgspec.json.encode(given)
        except UnicodeEncodeError:  # what a command line or a file name brings need not be UTF-8
            body = msgspec.json.encode(storable_parts(msgspec.to_builtins(given)))
        headers = {**self._headers, "Content-Type": "application/json"}
        if verb.changes:
            headers[envelope.REQUEST_HEADER] = secrets.token_hex(_KEY_BYTES)
        transport = self._quiet if quiet else self._transport
        reply = transport.request("POST", verb.path, body, headers)
        if reply.status >= 400:
            raise _error(reply)
        try:
            return msgspec.json.decode(reply.body, type=verb.answer)
        except msgspec.MsgspecError as error:
            raise MemoryUnavailable(
                f"the memory service answered something else than was wanted: {error}",
                "It may be of another version: run pktui memory stop and try again",
            ) from error


def _zoned(query: str) -> str:
    """Return the query with our zone in its times: the service may have been started in another."""
    if ":" not in query:
        return query
    from pktui.query import TIME_KEYS, with_zones

    return with_zones(query, TIME_KEYS)


_KINDS: dict[str, type[PktuiError]] = {
    "not_found": NotFound,
    "invalid": InvalidRequest,
    "unavailable": MemoryUnavailable,
}


def _error(reply: Reply) -> PktuiError:
    try:
        failure = msgspec.json.decode(reply.body, type=envelope.Failure).error
    except msgspec.MsgspecError:
        return StoreError(
            f"the memory service answered with status {reply.status}",
            "See the log that pktui memory status names",
        )
    return _KINDS.get(failure.kind, StoreError)(failure.what, failure.cure)
