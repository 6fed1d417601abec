"""What stands behind `/mcp/<server>`: a URL, or processes and the memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pktui.gateway.http.asked import Asked
    from pktui.gateway.protocol.jsonrpc import Message


class Backend(Protocol):
    """One configured server. Each method answers the request through `asked.reply`."""

    async def post(self, asked: Asked, message: Message) -> None:
        """Take one message of a client, and answer it where it is a request."""

    async def listen(self, asked: Asked) -> None:
        """Open a stream for what the server says unasked, or go on with a broken one."""

    async def end_session(self, asked: Asked) -> None:
        """End the session that the request names."""

    async def end_grant(self, key: str) -> None:
        """End what was started for the clients of a grant that has ended."""

    async def sweep(self) -> None:
        """End what nobody has used for too long."""

    async def close(self) -> None:
        """End everything that was started."""
