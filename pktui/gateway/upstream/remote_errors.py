"""What is said of a server that cannot be reached, refuses, or does not speak MCP; and the cure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pktui.text import one_line

if TYPE_CHECKING:
    from pktui.gateway.servers.url import Endpoint
    from pktui.gateway.upstream.http_client import ExchangeFailed

_CREDENTIALS: Final = (
    'Give its key or token as a header ("headers" in servers.json, or --header); pktui itself signs'
    " in nowhere"
)
_ADDRESS: Final = "Check the URL: it must be that of its streamable HTTP endpoint"
_LONGEST: Final = 300
_KEEP_METHOD: Final = (307, 308)


class Words:
    """Sentences about one server, for agents and for the log; none holds a header or a query."""

    def __init__(self, server: str, endpoint: Endpoint) -> None:
        self._named = f"server {server} at {endpoint.shown}"
        self._server = server
        self._endpoint = endpoint

    def failed(self, failure: ExchangeFailed, endpoint: Endpoint) -> str:
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

    def refused(self, status: int, content_type: str, location: str, there: Endpoint | None) -> str:
        """Say what an answer that holds no message means; `there` is what `location` names."""
        if 300 <= status < 400:
            return f"{self._named} {self._redirected(status, location, there)}."
        return f"{self._named} {self._meaning(status, content_type)}."

    def unreadable(self, why: str) -> str:
        """Say that an answer came that cannot be decoded."""
        return (
            f"{self._named} answered, but {why}, so it is not passed on. What was asked for may"
            " have been done all the same; look before you ask again."
        )

    def forgetful(self) -> str:
        """Say that the server knows not even the session that it has just begun."""
        return (
            f"{self._named} forgets each session as soon as it has begun it. Call again in a"
            " while; if it stays so, ask those who run it."
        )

    def forgotten_midway(self) -> str:
        """Say that the session was forgotten while an answer was on its way."""
        return (
            f"{self._named} forgot the session before its answer was here. A new one is begun."
            " What was asked for may have been done all the same; look before you ask again."
        )

    def not_begun_again(self, why: str) -> str:
        """Say that the server has forgotten the session and begins no new one."""
        return (
            f"{self._named} has forgotten the session and did not begin a new one:"
            f" {one_line(why, _LONGEST).rstrip('.')}. What was asked for was not done; call again"
            " in a while."
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

    def _redirected(self, status: int, location: str, there: Endpoint | None) -> str:
        named = one_line(location.partition("?")[0], _LONGEST) or "nowhere"
        if there is None:
            return f"sends requests on to {named} ({status}). {_ADDRESS}"
        if not self._endpoint.same_origin(there):
            return (
                f"sends requests on to {named} ({status}), where your credentials do not belong,"
                " so pktui does not follow. If that is its new address, make it the server's URL"
            )
        shown = one_line(there.shown, _LONGEST)
        if status in _KEEP_METHOD:
            return f"sends requests on to {shown} ({status}), again and again. {_ADDRESS}"
        return (
            f"sends requests on to {shown} ({status}), and a redirect of that kind turns a call"
            f" into a mere look at a page, so pktui does not follow. Make {shown} the server's URL"
        )

    def _meaning(self, status: int, content_type: str) -> str:
        if status in (401, 403, 407):
            return f"does not let pktui in ({status}). {_CREDENTIALS}"
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
