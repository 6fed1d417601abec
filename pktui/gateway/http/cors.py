"""What a browser asks before a page of another origin may talk to the gateway (WHATWG Fetch, CORS).

Only the origins that a person named in `http.allowed_origins` are let in, each by its own name: a
page needs a grant's token like everybody else, and no cookie of a browser ever counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from starlette.datastructures import MutableHeaders
from starlette.responses import Response

from pktui.gateway.protocol import headers as names

if TYPE_CHECKING:
    from starlette.types import Message, Scope, Send

    from pktui.gateway.http.protocol import Headers

METHODS: Final = "GET, POST, DELETE"
_ASKED_METHOD: Final = "access-control-request-method"
_ASKED_HEADERS: Final = "access-control-request-headers"
# What a client may send; besides these only headers that repeat arguments.
_TAKEN: Final = (
    *("authorization", "content-type", "accept"),
    *(names.SESSION, names.VERSION, names.METHOD, names.NAME, names.LAST_EVENT),
    *names.TRACE,
)
_ARGUMENT: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}"
_PARAMETER: Final = re.compile(names.PARAM_PREFIX + _ARGUMENT, re.IGNORECASE)
_MOST_PARAMETERS: Final = 64
_SHOWN: Final = f"{names.SESSION}, {names.VERSION}, WWW-Authenticate, Retry-After, Allow"
_KEPT_SECONDS: Final = 600


class Cors:
    """Answers for the pages of some origins."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    def origin(self, headers: Headers) -> str:
        """Return the origin of a page that is let in, as the browser wrote it; else nothing."""
        given = headers.get("origin")
        return given if given and given.lower() in self._origins else ""

    def preflight(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the answer to a browser that asks first; None for any other request."""
        if scope["method"] != "OPTIONS" or _ASKED_METHOD not in headers or not self.origin(headers):
            return None
        asked = headers.get(_ASKED_HEADERS).split(",")
        marked = [name.strip() for name in asked if _PARAMETER.fullmatch(name.strip())]
        return Response(
            status_code=HTTPStatus.NO_CONTENT,
            headers={
                "Access-Control-Allow-Methods": METHODS,
                "Access-Control-Allow-Headers": ", ".join((*_TAKEN, *marked[:_MOST_PARAMETERS])),
                "Access-Control-Max-Age": str(_KEPT_SECONDS),
                "Vary": f"{_ASKED_METHOD}, {_ASKED_HEADERS}",
            },
        )

    def shown(self, send: Send, headers: Headers) -> Send:
        """Return what sends an answer so that its page may read it."""
        origin = self.origin(headers)
        if not self._origins:
            return send

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                written = MutableHeaders(scope=message)
                written.add_vary_header("Origin")
                if origin:
                    written["Access-Control-Allow-Origin"] = origin
                    written["Access-Control-Expose-Headers"] = _SHOWN
            await send(message)

        return sent
