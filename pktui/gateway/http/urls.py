"""A server behind a URL: each request of a client becomes one to it, policed both ways.

Session ids, event ids and statuses pass through; what a person gave in the server's entry is added,
and nothing of the client's own credentials goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pktui.gateway.http.arguments import check_arguments
from pktui.gateway.http.far import Far
from pktui.gateway.http.posted import Posted
from pktui.gateway.http.protocol import is_modern, parameters_in
from pktui.gateway.http.unasked import Unasked

if TYPE_CHECKING:
    from pktui.gateway.http.asked import Asked
    from pktui.gateway.http.client_sessions import Sessions
    from pktui.gateway.protocol.jsonrpc import Message
    from pktui.gateway.servers.entries import ServerEntry


class UrlServer:
    """One server behind a URL."""

    def __init__(self, entry: ServerEntry, sessions: Sessions) -> None:
        """Raises `SettingsError` where the entry's URL or headers cannot be used."""
        self._far = Far(entry)
        self._sessions = sessions

    async def post(self, asked: Asked, message: Message) -> None:
        """Take one message of a client, and answer it where it is a request.

        Raises `Refused` for a header that says other than the message.
        """
        called = message.method == "tools/call" and is_modern(asked.headers, message)
        if called and parameters_in(asked.headers):
            await check_arguments(asked, message, all_of=False)
        await Posted(self._far, asked, self._sessions, message).post()

    async def listen(self, asked: Asked) -> None:
        """Open the stream for what the server says unasked, or go on with a broken one."""
        await Unasked(self._far, asked, self._sessions).listen()

    async def end_session(self, asked: Asked) -> None:
        """Pass on that the client ends its session."""
        await Unasked(self._far, asked, self._sessions).end_session()

    async def end_grant(self, key: str) -> None:
        """Do nothing: all grants share the connections, and their sessions have ended here."""

    async def sweep(self) -> None:
        """Do nothing: the connections look after themselves."""

    async def close(self) -> None:
        """Close every connection."""
        await self._far.close()
