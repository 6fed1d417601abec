"""A request that is turned away before any message of it is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from pktui.gateway.protocol import jsonrpc

_NO_HEADERS: Final[Mapping[str, str]] = {}


class Refusal(Exception):
    """Why a request is turned away: an HTTP status and a sentence for the client's side."""

    def __init__(
        self, status: HTTPStatus, why: str, headers: Mapping[str, str] = _NO_HEADERS
    ) -> None:
        super().__init__(why)
        self.status = status
        self.why = why
        self.headers = headers

    def response(self) -> Response:
        """Return the answer: a JSON-RPC error without an id, as the MCP transports allow."""
        return Response(
            jsonrpc.error_line(jsonrpc.SERVER_ERROR, self.why, jsonrpc.NULL),
            self.status,
            self.headers,
            "application/json",
        )
