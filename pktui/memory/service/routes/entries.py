"""`/v1/entries`: knowledge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from pktui.memory.service import bodies
from pktui.memory.service.context import Context, number_of
from pktui.memory.service.requests import answer, body_of, key_of, query_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from pktui.memory.store import Store


def routes(context: Context) -> list[Route]:
    """Return the routes on knowledge."""
    own = _Entries(context)
    return [
        Route("/v1/entries", own.list, methods=["GET"]),
        Route("/v1/entries", own.add, methods=["POST"]),
        Route("/v1/entries/search", own.search, methods=["GET"]),
        Route("/v1/entries/stats", own.stats, methods=["GET"]),
        Route("/v1/entries/{id}", own.get, methods=["GET"]),
        Route("/v1/entries/{id}/similar", own.similar, methods=["GET"]),
        Route("/v1/entries/{id}", own.update, methods=["PATCH"]),
        Route("/v1/entries/{id}", own.delete, methods=["DELETE"]),
    ]


class _Entries:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def list(self, request: Request) -> Response:
        asked = query_of(request, bodies.ListEntries)
        return await self._context.read(
            lambda store: store.entries(tags=asked.tag, cursor=asked.cursor, limit=asked.limit)
        )

    async def add(self, request: Request) -> Response:
        asked = await body_of(request, bodies.AddEntry)
        key = key_of(request)
        return await self._context.change(
            lambda store: store.add_entry(
                asked.title, asked.content, source=asked.source, tags=asked.tags, request=key
            )
        )

    async def search(self, request: Request) -> Response:
        asked = query_of(request, bodies.SearchEntries)
        found = await self._context.search(
            lambda store, waited: store.search_entries(
                asked.query, asked.mode, limit=asked.limit, waited=waited
            ),
            wait=asked.wait,
        )
        return answer(found)

    async def stats(self, _request: Request) -> Response:
        return await self._context.read(lambda store: store.entry_stats())

    async def get(self, request: Request) -> Response:
        number = number_of(request)
        return await self._context.read(lambda store: store.entry(number))

    async def similar(self, request: Request) -> Response:
        number = number_of(request)
        asked = query_of(request, bodies.Similar)
        return await self._context.read(
            lambda store: store.similar_entries(number, limit=asked.limit)
        )

    async def update(self, request: Request) -> Response:
        number = number_of(request)
        asked = await body_of(request, bodies.UpdateEntry)
        return await self._context.change(
            lambda store: store.update_entry(
                number,
                title=asked.title,
                content=asked.content,
                source=asked.source,
                tags=asked.tags,
            )
        )

    async def delete(self, request: Request) -> Response:
        number, key = number_of(request), key_of(request)

        def work(store: Store) -> bodies.Nothing:
            store.delete_entry(number, request=key)
            return bodies.Nothing()

        return await self._context.change(work)
