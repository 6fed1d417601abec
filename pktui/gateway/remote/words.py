"""What is said of a server that cannot be reached, refuses, or does not speak MCP; and the cure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pktui.text import one_line

if TYPE_CHECKING:
    from pktui.gateway.remote.link import LinkFailed
    from pktui.gateway.servers.endpoint import Endpoint

_CREDENTIALS: Final = (
    'Give its key or token as a header ("headers" in servers.json, or --header); pktui itself signs'
    " in nowhere"
)
_ADDRESS: Final = "Check the URL: it must be that of its streamable HTTP endpoint"
_LONGEST: Final = 300


class Words:
    """Sentences about one server, for agents and for the log; none holds a header or a query."""

    def __init__(self, server: str, endpoint: Endpoint) -> None:
        self._named = f"server {server} at {endpoint.shown}"
        self._server = server

    def failed(self, failure: LinkFailed, endpoint: Endpoint) -> str:
        """Say that no answer came."""
        why = one_line(failure.why, _LONGEST)
        if not failure.sent:
            cure = "Check that it runs and that its address is right"
            if "certificate" in why.lower():
                cure = (
                    "If its certificate is signed by your own authority, name that in SSL_CERT_FILE"
                )
            elif endpoint.scheme == "https" and "wrong version" in why.lower():
                cure = "It does not speak TLS there: perhaps its URL begins with http:"
            return f"{self._named} can't be reached: {why}. {cure}."
        return (
            f"the connection to {self._named} was lost before it answered: {why}. What was asked"
            " for may have been done all the same; look before you ask again."
        )

    def refused(self, status: int, *, content_type: str = "", location: str = "") -> str:
        """Say what an answer that holds no message means."""
        return f"{self._named} {self._meaning(status, content_type, location)}."

    def expired(self) -> str:
        """Say that the server has forgotten the session."""
        return (
            f"{self._named} has ended the session (404). Connect again for a new one: restart"
            f" {self._server} in the agent."
        )

    def too_large(self, limit: int) -> str:
        """Say that an answer was beyond the limit."""
        return (
            f"{self._named} sent an answer of more than {limit} bytes, which is not looked at."
            " Ask for less."
        )

    def broken_off(self) -> str:
        """Say that a stream ended without the answer."""
        return (
            f"{self._named} ended its stream before the answer came. What was asked for may have"
            " been done all the same; look before you ask again."
        )

    def unanswered(self) -> str:
        """Say that an answer was to something else."""
        return f"{self._named} answered something else than what was asked. {_ADDRESS}."

    def overloaded(self) -> str:
        """Say that too much waits already."""
        return f"too many requests wait for {self._named}. Call again when some are answered."

    def ended(self) -> str:
        """Say that the connection is being ended from this side."""
        return f"the connection to {self._named} was ended."

    def _meaning(self, status: int, content_type: str, location: str) -> str:
        if status in (401, 403, 407):
            return f"does not let pktui in ({status}). {_CREDENTIALS}"
        if 300 <= status < 400:
            where = one_line(location.partition("?")[0], _LONGEST) or "nowhere"
            return (
                f"sends requests on to {where} ({status}), where your credentials do not belong."
                " If that is its new address, make it the server's URL"
            )
        if status in (404, 405, 410):
            return (
                f"has no MCP endpoint there ({status}). {_ADDRESS}, not of the older HTTP+SSE"
                " transport"
            )
        if status in (429, 503):
            return f"is too busy ({status}). Call again in a while"
        if status >= 500:
            return f"failed ({status}). Call again later; if it stays so, ask those who run it"
        if status >= 400:
            return f"refused the request ({status}). {_ADDRESS}"
        if status == 202:
            return "took the request without answering it (202)"
        shown = one_line(content_type, _LONGEST) or "nothing"
        return f"answered with {shown} ({status}), which is not MCP. {_ADDRESS}"
