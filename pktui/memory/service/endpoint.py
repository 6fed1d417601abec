"""`/mcp`: the tools over streamable HTTP, stateless, one JSON answer a message, in both eras."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from starlette.responses import Response

from pktui.errors import InvalidRequest
from pktui.memory import mcp_server
from pktui.memory.envelope import Caller
from pktui.memory.mcp_server import HANDSHAKE_VERSIONS, STATELESS_VERSION, Answer, ToolCall
from pktui.memory.service.requests import bytes_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from pktui.memory.service.context import Context

MAX_BODY_BYTES = 4 * 1024 * 1024
_VERSION, _METHOD, _NAME = "mcp-protocol-version", "mcp-method", "mcp-name"
_BASE64 = "=?base64?", "?="
_ACCEPTED = {"application/json", "application/*", "*/*"}
# A message that is none is refused in HTTP's words too; in the stateless era every error is.
_STATUSES = {
    mcp_server.PARSE_ERROR: 400,
    mcp_server.INVALID_REQUEST: 400,
    mcp_server.HEADER_MISMATCH: 400,
    mcp_server.UNSUPPORTED_VERSION: 400,
}
_STATELESS_STATUSES = {mcp_server.INVALID_PARAMS: 400, mcp_server.METHOD_NOT_FOUND: 404}


class McpEndpoint:
    """The one route for agents that speak MCP to the service itself."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def answer(self, request: Request) -> Response:
        """Answer one POST; there are no streams to GET and no sessions to DELETE."""
        if request.method != "POST":
            return Response(status_code=405, headers={"Allow": "POST"})
        if not _types(request, "accept") & _ACCEPTED:
            return Response("accept application/json", 406)
        if _types(request, "content-type") != {"application/json"}:
            return Response("send application/json", 415)
        try:
            message = mcp_server.read(await bytes_of(request, MAX_BODY_BYTES))
        except InvalidRequest as error:
            return Response(str(error), 413)
        step = _mismatch(message, request) or mcp_server.respond(message)
        if isinstance(step, ToolCall):
            caller = Caller.of(request.headers)
            who = caller.agent_or(step.agent)
            made = await self._context.tool(step.name, dict(step.arguments), who, caller.key)
            step = Answer(mcp_server.tool_result(step, made), stateless=step.stateless)
        if not step.body:
            return Response(status_code=202)
        statuses = _STATUSES | (_STATELESS_STATUSES if step.stateless else {})
        return Response(step.body, statuses.get(step.error, 200), media_type="application/json")


def _mismatch(message: object, request: Request) -> Answer | None:
    """Return the refusal of headers that say something else than the message.

    What stands between client and server reads the headers alone.
    """
    headers = request.headers
    said = headers.get(_VERSION)
    params = message.get("params") if isinstance(message, dict) else None
    meta = params.get("_meta") if isinstance(params, dict) else None
    version = meta.get(mcp_server.VERSION_KEY) if isinstance(meta, dict) else None
    if version is None:
        if said is None or said in (*HANDSHAKE_VERSIONS, STATELESS_VERSION):
            return None
        why = f"the header {_VERSION} names a version that is not served"
        return mcp_server.failure(None, mcp_server.INVALID_REQUEST, why)
    assert isinstance(message, dict)
    assert isinstance(params, dict)
    wanted = {_VERSION: version, _METHOD: message.get("method")}
    if message.get("method") == "tools/call":
        wanted[_NAME] = params.get("name")
    for name, value in wanted.items():
        if value is not None and [_plain(one) for one in headers.getlist(name)] != [value]:
            number = message.get("id")
            return mcp_server.failure(
                number if isinstance(number, str | int) else None,
                mcp_server.HEADER_MISMATCH,
                f"the header {name} does not match the message",
                stateless=True,
            )
    return None


def _types(request: Request, header: str) -> set[str]:
    values = request.headers.get(header, "").lower().split(",")
    return {one.partition(";")[0].strip() for one in values}


def _plain(value: str) -> str | None:
    """Return what a header says, which may be in base64; None for one that says nothing."""
    if not (value.startswith(_BASE64[0]) and value.endswith(_BASE64[1])):
        return value
    try:
        return base64.b64decode(value[len(_BASE64[0]) : -len(_BASE64[1])], validate=True).decode()
    except ValueError:
        return None
