"""`/v1/status`, `/v1/stop`, `/v1/reindex`, `/v1/import` and `/v1/tools`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from starlette.routing import Route

from pktui.memory.service import bodies
from pktui.memory.service.requests import answer, body_of, identity_of, key_of, query_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from pktui.memory.service.context import Context


def routes(context: Context) -> list[Route]:
    """Return the routes on the service itself."""
    own = _Upkeep(context)
    return [
        Route("/v1/status", own.status, methods=["GET"]),
        Route("/v1/stop", own.stop, methods=["POST"]),
        Route("/v1/reindex", own.reindex, methods=["POST"]),
        Route("/v1/import", own.take_in, methods=["POST"]),
        Route("/v1/usage", own.usage, methods=["GET"]),
        Route("/v1/tools", own.call_tool, methods=["POST"]),
    ]


class _Upkeep:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def status(self, _request: Request) -> Response:
        return answer(await self._context.status())

    async def stop(self, _request: Request) -> Response:
        self._context.stop()
        return answer(bodies.Nothing())

    async def reindex(self, _request: Request) -> Response:
        await self._context.holder.run(lambda store: store.reindex())
        self._context.background.wake()
        return answer(await self._context.status())

    async def call_tool(self, request: Request) -> Response:
        asked = await body_of(request, bodies.CallTool)
        who, key = identity_of(request), key_of(request)
        if asked.agent and not who.agent:
            who = msgspec.structs.replace(who, agent=asked.agent)
        return answer(await self._context.tool(asked.name, asked.arguments, who, key))

    async def usage(self, request: Request) -> Response:
        asked = query_of(request, bodies.AskUsage)
        book = self._context.usage
        if book is None:
            return answer([])
        return answer(await asyncio.to_thread(book.sums, asked.since, by_session=asked.by_session))

    async def take_in(self, request: Request) -> Response:
        asked = await body_of(request, bodies.Import)
        return await self._context.change(
            lambda store: self._context.intake.take(store, asked.records)
        )
