"""The stream for what a server behind a URL says unasked, and the end of a session with it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from pktui.gateway.http.carrying import Carrying
from pktui.gateway.http.errors import Refusal
from pktui.gateway.http.far import KEPT_BACK, media_type
from pktui.gateway.http.protocol import EVENTS
from pktui.gateway.protocol import headers as names
from pktui.gateway.protocol import jsonrpc
from pktui.gateway.upstream.broken import ExchangeFailed

if TYPE_CHECKING:
    from pktui.gateway.http.asked import Asked
    from pktui.gateway.http.client_sessions import Sessions
    from pktui.gateway.http.far import Far
    from pktui.gateway.upstream.http_client import Answer


class Unasked(Carrying):
    """A request without a message."""

    def __init__(self, far: Far, asked: Asked, sessions: Sessions) -> None:
        super().__init__(far, asked, sessions, None)

    async def listen(self) -> None:
        """Open the stream for what the server says unasked, or go on with a broken one.

        Raises `Refusal` (400) for one of no session: the server would tell any of pktui's clients
        what was meant for another.
        """
        if self._asked.session is None and names.LAST_EVENT in self._asked.headers:
            why = f"{names.LAST_EVENT} needs the {names.SESSION} that the stream belongs to"
            raise Refusal(HTTPStatus.BAD_REQUEST, why)
        try:
            lost = await self._open_stream(again=False)
            if lost and await self._renewed(lost):
                await self._open_stream(again=True)
            elif lost:
                await self._reply.bare(HTTPStatus.NOT_FOUND)
        except ExchangeFailed as error:
            line = jsonrpc.error_line(jsonrpc.SERVER_ERROR, self._far.lost(error), jsonrpc.NULL)
            if self._reply.begun:
                await self._reply.end()
            else:
                await self._reply.message(HTTPStatus.BAD_GATEWAY, line)

    async def _open_stream(self, *, again: bool) -> str:
        """Open the stream; return the session that the server knows no more.

        One that never offered the stream says 404 because it has none.
        """
        begun = self._begun
        used = begun.id if begun is not None else ""
        async with self._far.open("GET", self._outward(modern=False, streams=True)) as answer:
            missing = answer.status == HTTPStatus.NOT_FOUND
            if begun is not None and begun.streamed and missing and not again:
                return used
            await self._listen(answer)
        return ""

    async def _listen(self, answer: Answer) -> None:
        status = answer.status
        if status == HTTPStatus.OK and media_type(answer) == EVENTS:
            if self._begun is not None:
                self._begun.streamed = True
            await self._reply.stream(self._back(answer))
            await self._pump(answer)
            await self._reply.end()
        else:
            await self._bare(answer)

    async def _bare(self, answer: Answer) -> None:
        """Pass on a status without a body, but for one that speaks of pktui's credentials."""
        status = answer.status
        hidden = status in KEPT_BACK or 300 <= status < 400
        await self._reply.bare(HTTPStatus.BAD_GATEWAY if hidden else status, self._back(answer))

    async def end_session(self) -> None:
        """Pass on that the client ends its session."""
        session = self._asked.session
        try:
            async with self._far.open("DELETE", self._outward(modern=False)) as answer:
                ended = 200 <= answer.status < 300 or answer.status == HTTPStatus.NOT_FOUND
                if session is not None and ended:
                    self._sessions.forget(session)
                    await self._work.write(self._relay.close_all, "cancelled")
                await self._bare(answer)
        except ExchangeFailed as error:
            line = jsonrpc.error_line(jsonrpc.SERVER_ERROR, self._far.lost(error), jsonrpc.NULL)
            await self._reply.message(HTTPStatus.BAD_GATEWAY, line)
