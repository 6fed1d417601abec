"""Who carries out each verb of the memory, and how a request becomes one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from pktui.errors import InvalidRequest, NotFound
from pktui.memory import api
from pktui.memory.records import Identity, NewMessage
from pktui.memory.service.requests import answer, body_of, identity_of, key_of
from pktui.suggest import did_you_mean
from pktui.text import one_line

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from pktui.memory.records import Call, Entry, Message, Session, SessionChange
    from pktui.memory.service.context import Context
    from pktui.memory.store import Store


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and the key of the request that comes again when its answer was lost."""

    who: Identity
    key: str


class Verbs:
    """The one route of `/v1`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._own: Mapping[str, Callable[[Any, Asker], Awaitable[object]]] = {
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
            asked = await body_of(request, verb.asked)
        elif verb.changes or request.query_params:
            raise InvalidRequest(f"GET {verb.path} takes nothing and changes nothing", "Use POST")
        else:
            asked = verb.asked()
        asker = Asker(identity_of(request), key_of(request))
        return answer(await self._carried_out(verb, asked, asker))

    async def _carried_out(self, verb: api.Verb[Any, Any], asked: Any, asker: Asker) -> object:
        own = self._own.get(verb.name)
        if own is not None:
            return await own(asked, asker)
        if verb.name in _SEARCHES:
            return await self._context.search(
                lambda store, waited: _SEARCHES[verb.name](store, asked, waited), wait=asked.wait
            )
        made = await self._context.holder.run(
            lambda store: _ON_THE_STORE[verb.name](store, asked, asker)
        )
        if verb.changes:
            self._context.background.wake()
        return made

    async def _status(self, _asked: api.Arguments, _asker: Asker) -> object:
        return await self._context.status()

    async def _stop(self, _asked: api.Arguments, _asker: Asker) -> None:
        self._context.stop()

    async def _reindex(self, _asked: api.Arguments, _asker: Asker) -> object:
        await self._context.holder.run(lambda store: store.reindex())
        self._context.background.wake()
        return await self._context.status()

    async def _usage(self, asked: api.Usage, _asker: Asker) -> object:
        book = self._context.usage
        if book is None:
            return ()
        return await asyncio.to_thread(book.sums, asked.since, by_session=asked.by_session)

    async def _import(self, asked: api.Import, _asker: Asker) -> object:
        made = await self._context.holder.run(
            lambda store: self._context.ingest.take(store, asked.records)
        )
        self._context.background.wake()
        return made

    async def _tool(self, asked: api.CallTool, asker: Asker) -> object:
        who = asker.who
        if asked.agent and not who.agent:
            who = msgspec.structs.replace(who, agent=asked.agent)
        return await self._context.tool(asked.name, asked.arguments, who, asker.key)


def _end_session(store: Store, asked: api.EndSession, asker: Asker) -> SessionChange:
    known = store.session_of_request(asker.key)
    number = asked.session_id or (known.id if known else _current(store, asker))
    return store.end_session(number, asked.summary, request=asker.key)


def _log(store: Store, asked: api.Log, asker: Asker) -> Message:
    made = store.message_of_request(asker.key)
    if made is not None:
        return made
    number = asked.session_id or _current(store, asker)
    message = NewMessage(number, asked.role, asked.content, source_id=asked.source_id)
    return store.append([message], request=asker.key)[0]


def _log_calls(store: Store, asked: api.LogCalls, asker: Asker) -> tuple[Call, ...]:
    number = asked.session_id
    if number is None and asked.source_id:
        number = _session_from(store, asked)
    return store.append_calls(number or _current(store, asker), asked.calls)


def _session_from(store: Store, asked: api.LogCalls) -> int:
    """Return the session of that source, made where it is not there."""
    known = store.session_from(asked.source, asked.source_id)
    if known is None:
        identity = Identity(agent=asked.agent, project=asked.project)
        known = store.start_session(
            "", identity, source=asked.source, source_id=asked.source_id, current=False
        )
    return known.id


def _current(store: Store, asker: Asker) -> int:
    session = store.current_session(asker.who)
    if session is None:
        raise NotFound("there is no current session", "Start one, or name a session by its id")
    return session.id


def _start_session(store: Store, asked: api.StartSession, asker: Asker) -> Session:
    return store.start_session(
        asked.name,
        asker.who,
        source=asked.source,
        source_id=asked.source_id,
        request=asker.key,
    )


def _add_entry(store: Store, asked: api.AddEntry, asker: Asker) -> Entry:
    return store.add_entry(
        asked.title, asked.content, source=asked.source, tags=asked.tags, request=asker.key
    )


def _given(asked: api.Arguments) -> dict[str, Any]:
    return msgspec.structs.asdict(asked)


# Where a verb's arguments are those of the store's method, they are handed on by their names.
_ON_THE_STORE: Mapping[str, Callable[[Store, Any, Asker], object]] = {
    api.SESSIONS.name: lambda store, asked, _: store.sessions(**_given(asked)),
    api.SESSION.name: lambda store, asked, _: store.session(asked.session_id),
    api.CURRENT_SESSION.name: lambda store, _, asker: store.current_session(asker.who),
    api.MESSAGES.name: lambda store, asked, _: store.messages(**_given(asked)),
    api.CALLS.name: lambda store, asked, _: store.calls(**_given(asked)),
    api.OUTLINE.name: lambda store, asked, _: store.outline(**_given(asked)),
    api.NEIGHBOURS.name: lambda store, asked, _: store.neighbours(**_given(asked)),
    api.START_SESSION.name: _start_session,
    api.LOG.name: _log,
    api.LOG_CALLS.name: _log_calls,
    api.END_SESSION.name: _end_session,
    api.REOPEN_SESSION.name: lambda store, asked, asker: store.reopen_session(
        asked.session_id, request=asker.key
    ),
    api.DELETE_SESSION.name: lambda store, asked, asker: store.delete_session(
        asked.session_id, request=asker.key
    ),
    api.ENTRIES.name: lambda store, asked, _: store.entries(**_given(asked)),
    api.ENTRY.name: lambda store, asked, _: store.entry(asked.entry_id),
    api.SIMILAR_ENTRIES.name: lambda store, asked, _: store.similar_entries(**_given(asked)),
    api.STATS.name: lambda store, _asked, _: store.entry_stats(),
    api.ADD_ENTRY.name: _add_entry,
    api.UPDATE_ENTRY.name: lambda store, asked, _: store.update_entry(**_given(asked)),
    api.DELETE_ENTRY.name: lambda store, asked, asker: store.delete_entry(
        asked.entry_id, request=asker.key
    ),
}


def _searched(asked: api.Arguments, waited: float) -> dict[str, Any]:
    given = _given(asked) | {"waited": waited}
    del given["wait"]
    return given


# With the seconds for which the same was held back for the model.
_SEARCHES: Mapping[str, Callable[[Store, Any, float], Any]] = {
    api.SEARCH.name: lambda store, asked, waited: store.search(**_searched(asked, waited)),
    api.SEARCH_SESSIONS.name: lambda store, asked, waited: store.search_sessions(
        **_searched(asked, waited)
    ),
    api.FACETS.name: lambda store, asked, waited: store.facets(**_searched(asked, waited)),
    api.SEARCH_ENTRIES.name: lambda store, asked, waited: store.search_entries(
        **_searched(asked, waited)
    ),
}
