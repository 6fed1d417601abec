"""`/v1/sessions`, `/v1/messages`, `/v1/calls` and `/v1/search`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from pktui.errors import NotFound
from pktui.memory.records import Identity, NewMessage
from pktui.memory.service import bodies
from pktui.memory.service.context import Context, number_of
from pktui.memory.service.requests import answer, body_of, identity_of, key_of, query_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from pktui.memory.records import Call, Message, SessionChange
    from pktui.memory.store import Store

CURRENT = "current"


def routes(context: Context) -> list[Route]:
    """Return the routes on sessions and their messages."""
    own = _Sessions(context)
    return [
        Route("/v1/sessions", own.list, methods=["GET"]),
        Route("/v1/sessions", own.start, methods=["POST"]),
        Route(f"/v1/sessions/{CURRENT}", own.current, methods=["GET"]),
        Route("/v1/sessions/{id}", own.get, methods=["GET"]),
        Route("/v1/sessions/{id}", own.delete, methods=["DELETE"]),
        Route("/v1/sessions/{id}/messages", own.messages, methods=["GET"]),
        Route("/v1/sessions/{id}/end", own.end, methods=["POST"]),
        Route("/v1/sessions/{id}/reopen", own.reopen, methods=["POST"]),
        Route("/v1/messages", own.log, methods=["POST"]),
        Route("/v1/messages/{id}/neighbours", own.neighbours, methods=["GET"]),
        Route("/v1/sessions/{id}/calls", own.calls, methods=["GET"]),
        Route("/v1/calls", own.log_calls, methods=["POST"]),
        Route("/v1/search", own.search, methods=["GET"]),
        Route("/v1/search/sessions", own.search_sessions, methods=["GET"]),
    ]


class _Sessions:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def list(self, request: Request) -> Response:
        asked = query_of(request, bodies.ListSessions)
        return await self._context.read(
            lambda store: store.sessions(
                asked.query,
                status=asked.status,
                project=asked.project,
                cursor=asked.cursor,
                limit=asked.limit,
            )
        )

    async def start(self, request: Request) -> Response:
        asked = await body_of(request, bodies.StartSession)
        who, key = identity_of(request), key_of(request)
        return await self._context.change(
            lambda store: store.start_session(
                asked.name, who, source=asked.source, source_id=asked.source_id, request=key
            )
        )

    async def current(self, request: Request) -> Response:
        who = identity_of(request)
        return await self._context.read(lambda store: store.current_session(who))

    async def get(self, request: Request) -> Response:
        number = number_of(request)
        return await self._context.read(lambda store: store.session(number))

    async def delete(self, request: Request) -> Response:
        number, key = number_of(request), key_of(request)

        def work(store: Store) -> bodies.Nothing:
            store.delete_session(number, request=key)
            return bodies.Nothing()

        return await self._context.change(work)

    async def messages(self, request: Request) -> Response:
        number = number_of(request)
        asked = query_of(request, bodies.ListMessages)
        return await self._context.read(
            lambda store: store.messages(
                number, before=asked.before, after=asked.after, limit=asked.limit
            )
        )

    async def end(self, request: Request) -> Response:
        asked = await body_of(request, bodies.EndSession)
        who, key = identity_of(request), key_of(request)
        number = None if request.path_params["id"] == CURRENT else number_of(request)

        def work(store: Store) -> SessionChange:
            known = store.session_of_request(key)
            ending = number or (known.id if known else _current(store, who))
            return store.end_session(ending, asked.summary, request=key)

        return await self._context.change(work)

    async def reopen(self, request: Request) -> Response:
        number, key = number_of(request), key_of(request)
        return await self._context.change(lambda store: store.reopen_session(number, request=key))

    async def log(self, request: Request) -> Response:
        asked = await body_of(request, bodies.LogMessage)
        who, key = identity_of(request), key_of(request)

        def work(store: Store) -> Message:
            made = store.message_of_request(key)
            if made is not None:
                return made
            number = asked.session_id or _current(store, who)
            message = NewMessage(number, asked.role, asked.content, source_id=asked.source_id)
            return store.append([message], request=key)[0]

        return await self._context.change(work)

    async def neighbours(self, request: Request) -> Response:
        number = number_of(request)
        asked = query_of(request, bodies.Neighbours)
        return await self._context.read(lambda store: store.neighbours(number, asked.n))

    async def search(self, request: Request) -> Response:
        asked = query_of(request, bodies.Search)
        found = await self._context.search(
            lambda store, waited: store.search(
                asked.query, asked.mode, limit=asked.limit, project=asked.project, waited=waited
            ),
            wait=asked.wait,
        )
        return answer(found)

    async def search_sessions(self, request: Request) -> Response:
        asked = query_of(request, bodies.SearchSessions)
        found = await self._context.search(
            lambda store, waited: store.search_sessions(
                asked.query,
                asked.mode,
                limit=asked.limit,
                hits=asked.hits,
                cursor=asked.cursor,
                project=asked.project,
                waited=waited,
            ),
            wait=asked.wait,
        )
        return answer(found)

    async def calls(self, request: Request) -> Response:
        number = number_of(request)
        asked = query_of(request, bodies.ListCalls)
        return await self._context.read(
            lambda store: store.calls(number, after=asked.after, limit=asked.limit)
        )

    async def log_calls(self, request: Request) -> Response:
        asked = await body_of(request, bodies.LogCalls)
        who = identity_of(request)

        def work(store: Store) -> tuple[Call, ...]:
            number = asked.session_id
            if number is None and asked.source_id:
                number = _session_from(store, asked)
            return store.append_calls(number or _current(store, who), asked.calls)

        return await self._context.change(work)


def _session_from(store: Store, asked: bodies.LogCalls) -> int:
    """Return the session of that source, made where it is not there."""
    known = store.session_from(asked.source, asked.source_id)
    if known is None:
        identity = Identity(agent=asked.agent, project=asked.project)
        known = store.start_session(
            "", identity, source=asked.source, source_id=asked.source_id, current=False
        )
    return known.id


def _current(store: Store, who: Identity) -> int:
    session = store.current_session(who)
    if session is None:
        raise NotFound("there is no current session", "Start one, or name a session by its id")
    return session.id
