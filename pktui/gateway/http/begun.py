"""How a session with a server behind a URL was begun, so that it can be begun again.

A server that was restarted knows its sessions no more. Its client keeps the id that it was given;
towards the server the session goes on under a new one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from pktui.gateway.http.far import media_type, read_whole
from pktui.gateway.http.protocol import EVENTS, JSON, SESSION_ID
from pktui.gateway.protocol import headers as names
from pktui.gateway.protocol.sse import EventCutter
from pktui.gateway.upstream.broken import ExchangeFailed
from pktui.gateway.upstream.pace import Pace
from pktui.gateway.upstream.remote_replies import version_in

if TYPE_CHECKING:
    from pktui.gateway.http.far import Far
    from pktui.gateway.upstream.http_client import Answer

SECONDS: Final = 30.0
"""How long a server may take to begin a session again: requests wait for it."""
_PLAIN_INITIALIZED: Final = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
_SESSION: Final = names.SESSION.lower()
_VERSION: Final = names.VERSION.lower()
_PLACE: Final = names.LAST_EVENT.lower()


class Begun:
    """One session. `id` is its server's for it; `clock` is monotonic, in seconds."""

    def __init__(
        self, initialize: bytes, server_id: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`initialize` is what the client began it with."""
        self.id = server_id
        self.initialized = _PLAIN_INITIALIZED
        self.streamed = False
        """Whether the server has offered the stream of what it says unasked."""
        self._initialize = initialize
        self._clock = clock
        self._version = ""
        self._renewed = False
        self._lock = asyncio.Lock()
        self._pace = Pace()
        self._not_before = 0.0

    def outward(self, headers: dict[str, str], *, streams: bool = False) -> dict[str, str]:
        """Return a request's headers with the session as the server knows it.

        `streams`: it asks for a stream; no place in one of an earlier session means anything.
        """
        changed = {**headers, _SESSION: self.id}
        if self._version and _VERSION in changed:
            changed[_VERSION] = self._version
        if streams and self._renewed:
            self._renewed = False
            changed.pop(_PLACE, None)
        return changed

    def succeeded(self) -> None:
        """Note that the session is good for something."""
        if self._not_before:
            self._not_before = 0.0
            self._pace.succeeded()

    async def renew(self, far: Far, lost: str, limit: int, take: Callable[[str], bool]) -> bool:
        """Begin the session again, unless that was done; tell whether there is another now.

        `take` is asked whether its new id may be used. Raises `ExchangeFailed`.
        """
        async with self._lock:
            if self.id != lost:
                return True
            if self._clock() < self._not_before:
                return False
            self._not_before = self._clock() + self._pace.next_wait()
            try:
                async with asyncio.timeout(SECONDS):
                    return await self._begin(far, limit, take)
            except TimeoutError as error:
                raise ExchangeFailed("it took too long to begin a session") from error

    async def _begin(self, far: Far, limit: int, take: Callable[[str], bool]) -> bool:
        asked = {"accept": f"{JSON}, {EVENTS}", "content-type": JSON}
        async with far.open("POST", asked, self._initialize) as answer:
            given = answer.header(_SESSION)
            version = await _version(answer, limit)
        if not version or not SESSION_ID.fullmatch(given) or not take(given):
            return False
        told = {**asked, _SESSION: given, _VERSION: version}
        async with far.open("POST", told, self.initialized) as answer:
            if answer.status >= HTTPStatus.BAD_REQUEST:
                return False
        self.id, self._version, self._renewed = given, version, True
        return True


async def _version(answer: Answer, limit: int) -> str:
    """Return the version that an answer to `initialize` settles, empty where it settles none."""
    if answer.status != HTTPStatus.OK:
        return ""
    if media_type(answer) == JSON:
        return version_in(await read_whole(answer, limit) or b"")
    cutter = EventCutter(limit)
    async for chunk in answer.body():
        for event in cutter.feed(chunk):
            if event.is_message and (version := version_in(event.data)):
                return version
    return next((version_in(event.data) for event in cutter.end()), "")
