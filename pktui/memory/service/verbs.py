"""Who carries out each verb of the memory, and how a request becomes one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.datastructures import Headers

from pktui.errors import InvalidRequest, NotFound, PktuiError
from pktui.memory import api
from pktui.memory.envelope import Caller
from pktui.memory.records import Identity
from pktui.memory.service.holder import panic_error
from pktui.memory.service.requests import answer, body_of, crash, failure
from pktui.memory.tools.answer import failed
from pktui.memory.tools.call import SEARCHES, call
from pktui.suggest import did_you_mean
from pktui.text import one_line

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from pktui.httpserver.serving import Post
    from pktui.memory.records import Call, Entry, Message, Session, SessionChange
    from pktui.memory.service.context import Context
    from pktui.memory.store import Store
    from pktui.memory.tools.answer import ToolAnswer


class Verbs:
    """The one route of `/v1`, and the short way to the store that most requests take."""

    def __init__(self, context: Context, say: Callable[[str], None]) -> None:
        self._context = context
        self._say = say
        self._own: Mapping[str, Callable[[Any, Caller], Awaitable[object]]] = {
            api.STATUS.name: self._status,
            api.STOP.name: self._stop,
            api.REINDEX.name: self._reindex,
            api.USAGE.name: self._usage,
            api.IMPORT.name: self._import,
            api.TOOL.name: self._tool,
        }

    async def answer(self, request: Request) -> Response:
        """Carry out a request; raises `PktuiError`."""
        verb = api.VERBS.get(request.path_params["verb"])
        if verb is None:
            name = one_line(request.path_params["verb"], 40)
            raise NotFound(f"there is no verb {name!r}", did_you_mean(name, api.VERBS))
        if request.method == "POST":
            given = await body_of(request, verb.arguments)
        elif verb.changes or request.query_params:
            raise InvalidRequest(f"GET {verb.path} takes nothing and changes nothing", "Use POST")
        else:
            given = verb.arguments()
        return answer(await self._carried_out(verb, given, Caller.of(request.headers)))

    def post_short(self, post: Post) -> bool:
        """Carry out a request on the store without ASGI, which would take as long again.

        Returns False for what ASGI is to answer: what may wait for the model, what cannot be read,
        and everything until the store is open.
        """
        store = self._context.holder.store
        if post.path not in _SHORT or store is None:
            return False
        verb, work = _SHORT[post.path]
        try:
            given = msgspec.json.decode(post.body, type=verb.arguments)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        if verb is api.TOOL and given.name in SEARCHES:
            return False
        self._context.activity.begin()
        self._context.holder.workers.submit(
            self._answer_short, post, asyncio.get_running_loop(), verb, partial(work, store, given)
        )
        return True

    def _answer_short(
        self,
        post: Post,
        loop: asyncio.AbstractEventLoop,
        verb: api.Verb[Any, Any],
        work: Callable[[Caller], object],
    ) -> None:
        """Carry out a request in a thread of the store's, and have it answered by the loop."""
        status = 200
        try:
            caller = Caller.of(Headers(raw=list(post.headers.items())))
            body = msgspec.json.encode(work(caller))
            if verb.changes:
                self._context.background.wake()
        except BaseException as error:  # noqa: BLE001  a panic of the library is no `Exception`
            if not isinstance(error, Exception):
                error = panic_error(error)
            elif not isinstance(error, PktuiError):
                error = crash(error, f"POST {verb.path}", self._say)
            refusal = failure(error)
            status, body = refusal.status_code, bytes(refusal.body)
        self._context.activity.end()
        loop.call_soon_threadsafe(post.answer, status, body)

    async def _carried_out(self, verb: api.Verb[Any, Any], given: Any, caller: Caller) -> object:
        own = self._own.get(verb.name)
        if own is not None:
            return await own(given, caller)
        if verb.name in _SEARCHES:
            return await self._context.search(
                lambda store, waited: _SEARCHES[verb.name](store, given, waited),
                wait=given.wait,
            )
        made = await self._context.holder.run(
            lambda store: _ON_THE_STORE[verb.name](store, given, caller)
        )
        if verb.changes:
            self._context.background.wake()
        return made

    async def _status(self, _given: api.Arguments, _caller: Caller) -> object:
        return await self._context.status()

    async def _stop(self, _given: api.Arguments, _caller: Caller) -> None:
        self._context.stop()

    async def _reindex(self, _given: api.Arguments, _caller: Caller) -> object:
        await self._context.holder.run(lambda store: store.reindex())
        self._context.background.wake()
        return await self._context.status()

    async def _usage(self, given: api.Usage, _caller: Caller) -> object:
        book = self._context.usage
        if book is None:
            return ()
        return await asyncio.to_thread(book.sums, given.since, by_session=given.by_session)

    async def _import(self, given: api.Import, _caller: Caller) -> object:
        made = await self._context.holder.run(
            lambda store: self._context.ingest.take(store, given.records)
        )
        self._context.background.wake()
        return made

    async def _tool(self, given: api.CallTool, caller: Caller) -> object:
        who = caller.agent_or(given.agent)
        return await self._context.tool(given.name, given.arguments, who, caller.key)


def _tool(store: Store, given: api.CallTool, caller: Caller) -> ToolAnswer:
    who = caller.agent_or(given.agent)
    try:
        return call(store, given.name, given.arguments, who, caller.key)
    except Exception:
        raise
    except BaseException as panic:  # noqa: BLE001  of the store's library
        return failed("The memory cannot be used", panic_error(panic))


def _end_session(store: Store, given: api.EndSession, caller: Caller) -> SessionChange:
    known = store.session_of_request(caller.key)
    number = given.session_id or (known.id if known else _current(store, caller))
    return store.end_session(number, given.summary, request=caller.key)


def _log(store: Store, given: api.Log, caller: Caller) -> Message:
    return store.log(
        given.role,
        given.content,
        caller.who,
        session_id=given.session_id,
        source_id=given.source_id,
        request=caller.key,
    )


def _log_calls(store: Store, given: api.LogCalls, caller: Caller) -> tuple[Call, ...]:
    number = given.session_id
    if number is None and given.source_id:
        number = _session_from(store, given)
    return store.append_calls(number or _current(store, caller), given.calls)


def _session_from(store: Store, given: api.LogCalls) -> int:
    """Return the session of that source, made where it is not there."""
    known = store.session_from(given.source, given.source_id)
    if known is None:
        identity = Identity(agent=given.agent, project=given.project)
        known = store.start_session(
            "", identity, source=given.source, source_id=given.source_id, current=False
        )
    return known.id


def _current(store: Store, caller: Caller) -> int:
    session = store.current_session(caller.who)
    if session is None:
        raise NotFound("there is no current session", "Start one, or name a session by its id")
    return session.id


def _start_session(store: Store, given: api.StartSession, caller: Caller) -> Session:
    return store.start_session(
        given.name,
        caller.who,
        source=given.source,
        source_id=given.source_id,
        request=caller.key,
    )


def _add_entry(store: Store, given: api.AddEntry, caller: Caller) -> Entry:
    return store.add_entry(
        given.title,
        given.content,
        source=given.source,
        tags=given.tags,
        request=caller.key,
    )


def _fields(given: api.Arguments) -> dict[str, Any]:
    return msgspec.structs.asdict(given)


# Where a verb's arguments are those of the store's method, they are handed on by their names.
_ON_THE_STORE: Mapping[str, Callable[[Store, Any, Caller], object]] = {
    api.SESSIONS.name: lambda store, given, _: store.sessions(**_fields(given)),
    api.SESSION.name: lambda store, given, _: store.session(given.session_id),
    api.CURRENT_SESSION.name: lambda store, _, caller: store.current_session(caller.who),
    api.MESSAGES.name: lambda store, given, _: store.messages(**_fields(given)),
    api.CALLS.name: lambda store, given, _: store.calls(**_fields(given)),
    api.OUTLINE.name: lambda store, given, _: store.outline(**_fields(given)),
    api.NEIGHBOURS.name: lambda store, given, _: store.neighbours(**_fields(given)),
    api.START_SESSION.name: _start_session,
    api.LOG.name: _log,
    api.LOG_CALLS.name: _log_calls,
    api.END_SESSION.name: _end_session,
    api.REOPEN_SESSION.name: lambda store, given, caller: store.reopen_session(
        given.session_id, request=caller.key
    ),
    api.DELETE_SESSION.name: lambda store, given, caller: store.delete_session(
        given.session_id, request=caller.key
    ),
    api.ENTRIES.name: lambda store, given, _: store.entries(**_fields(given)),
    api.ENTRY.name: lambda store, given, _: store.entry(given.entry_id),
    api.SIMILAR_ENTRIES.name: lambda store, given, _: store.similar_entries(**_fields(given)),
    api.STATS.name: lambda store, _given, _: store.entry_stats(),
    api.ADD_ENTRY.name: _add_entry,
    api.UPDATE_ENTRY.name: lambda store, given, _: store.update_entry(**_fields(given)),
    api.DELETE_ENTRY.name: lambda store, given, caller: store.delete_entry(
        given.entry_id, request=caller.key
    ),
}


# What takes the short way, by the path of a request.
_SHORT: Mapping[bytes, tuple[api.Verb[Any, Any], Callable[[Store, Any, Caller], object]]] = {
    api.VERBS[name].path.encode(): (api.VERBS[name], work)
    for name, work in {**_ON_THE_STORE, api.TOOL.name: _tool}.items()
}


def _searched(given: api.Arguments, waited: float) -> dict[str, Any]:
    fields = _fields(given) | {"waited": waited}
    del fields["wait"]
    return fields


# With the seconds for which the same was held back for the model.
_SEARCHES: Mapping[str, Callable[[Store, Any, float], Any]] = {
    api.SEARCH.name: lambda store, given, waited: store.search(**_searched(given, waited)),
    api.SEARCH_SESSIONS.name: lambda store, given, waited: store.search_sessions(
        **_searched(given, waited)
    ),
    api.FACETS.name: lambda store, given, waited: store.facets(**_searched(given, waited)),
    api.SEARCH_ENTRIES.name: lambda store, given, waited: store.search_entries(
        **_searched(given, waited)
    ),
}
