"""The memory's MCP server: what a JSON-RPC message is answered with, in both protocol eras.

Of the handshake (2024-11-05 to 2025-11-25) and stateless (2026-07-28). All but tool calls needs no
memory and no library, so that an agent knows the tools before the service runs: the gateway answers
from here, and so does the service's `/mcp`. A call is read and answered here, and carried out by
whoever has the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui import strict_json
from pktui.memory.tools.definitions import (
    INSTRUCTIONS,
    SERVER_NAME,
    SERVER_TITLE,
    SERVER_VERSION,
    definitions,
)

if TYPE_CHECKING:
    from pktui.memory.tools.answer import ToolAnswer

HANDSHAKE_VERSIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
STATELESS_VERSION: Final = "2026-07-28"

# JSON-RPC 2.0, and MCP 2026-07-28 for those below -32020.
PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
HEADER_MISMATCH: Final = -32020
UNSUPPORTED_VERSION: Final = -32022

_META: Final = "io.modelcontextprotocol/"
VERSION_KEY: Final = f"{_META}protocolVersion"
_CAPABILITIES_KEY: Final = f"{_META}clientCapabilities"
_CLIENT_KEY: Final = f"{_META}clientInfo"
_SERVER_INFO: Final = {"name": SERVER_NAME, "title": SERVER_TITLE, "version": SERVER_VERSION}
_CAPABILITIES: Final = {"tools": {"listChanged": False}}
_DEEPEST: Final = 64
_READER: Final = strict_json.Reader(depth=_DEEPEST)

_Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON-RPC message without a line's end, b"" where nothing is to be answered.

    `error` is its code, 0 for a result.
    """

    body: bytes
    error: int = 0
    stateless: bool = False


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool; `agent` is what the client calls itself in it, if it does."""

    id: str | int
    stateless: bool
    name: str
    arguments: Mapping[str, Any]
    agent: str = ""


NOTHING: Final = Answer(b"")


class _Refused(Exception):
    """The request cannot be carried out; `data` is what the client may need beside the words."""

    def __init__(self, code: int, why: str, data: object = None) -> None:
        super().__init__(why)
        self.code = code
        self.data = data


def read(body: bytes) -> object:
    """Return the message in the text, or the answer to what is none."""
    try:
        return _READER.read(body.decode())
    except ValueError as error:
        return failure(None, PARSE_ERROR, f"the message is not JSON that can be read: {error}")


def respond(message: object) -> Answer | ToolCall:
    """Return the answer to a message, or the tool call that it is."""
    if isinstance(message, Answer):
        return message
    if not isinstance(message, Mapping) or message.get("jsonrpc") != "2.0":
        return failure(None, INVALID_REQUEST, "this is no JSON-RPC 2.0 message")
    method = message.get("method")
    if "method" not in message and ("result" in message or "error" in message):
        return NOTHING  # an answer, though nothing was asked
    if not isinstance(method, str):
        return failure(_id_of(message), INVALID_REQUEST, "the message names no method")
    if "id" not in message:
        return NOTHING
    number = _id_of(message)
    if number is None:
        return failure(None, INVALID_REQUEST, "an id is text or a whole number")
    params = message.get("params", {})
    stateless = False
    try:
        stateless = _is_stateless(params)
        if stateless:
            _check_envelope(params["_meta"])
        if method == "tools/call":
            return _call(number, params, stateless=stateless)
        result = _RESULTS.get((method, stateless), _unknown)(params)
    except _Refused as refused:
        why = str(refused) or f"there is no method {method!r} here"
        return failure(number, refused.code, why, refused.data, stateless=stateless)
    body = msgspec.json.encode({"jsonrpc": "2.0", "id": number, "result": result})
    return Answer(body, stateless=stateless)


def tool_result(call: ToolCall, answer: ToolAnswer) -> bytes:
    """Return the answer to a tool call."""
    result: dict[str, Any] = {
        "content": [{"text": answer.text, "type": "text"}],
        "isError": answer.is_error,
    }
    if answer.structured is not None:
        result["structuredContent"] = answer.structured
    if call.stateless:
        result |= {"resultType": "complete", "_meta": {f"{_META}serverInfo": _SERVER_INFO}}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": call.id, "result": result})


def failure(
    number: str | int | None,
    code: int,
    why: str,
    data: object = None,
    *,
    stateless: bool = False,
) -> Answer:
    """Return a JSON-RPC error."""
    error = {"code": code, "message": why} | ({} if data is None else {"data": data})
    body = msgspec.json.encode({"jsonrpc": "2.0", "id": number, "error": error})
    return Answer(body, code, stateless)


def _id_of(message: Mapping[str, Any]) -> str | int | None:
    number = message.get("id")
    return number if isinstance(number, str | int) and not isinstance(number, bool) else None


def _is_stateless(params: object) -> bool:
    """Tell whether the request is of the stateless era; raises `_Refused` for none of either."""
    if not isinstance(params, Mapping):
        raise _Refused(INVALID_PARAMS, "params must be an object")
    meta = params.get("_meta", {})
    if not isinstance(meta, Mapping):
        raise _Refused(INVALID_PARAMS, "params._meta must be an object")
    return VERSION_KEY in meta


def _check_envelope(meta: Mapping[str, Any]) -> None:
    version = meta[VERSION_KEY]
    if not isinstance(meta.get(_CAPABILITIES_KEY), Mapping):
        raise _Refused(INVALID_PARAMS, f"params._meta needs {_CAPABILITIES_KEY}, an object")
    if not isinstance(version, str):
        raise _Refused(INVALID_PARAMS, f"{VERSION_KEY} must be text")
    if version != STATELESS_VERSION:
        data = {"supported": [STATELESS_VERSION], "requested": version}
        raise _Refused(UNSUPPORTED_VERSION, "Unsupported protocol version", data)
    if _CLIENT_KEY in meta and not _is_implementation(meta[_CLIENT_KEY]):
        raise _Refused(INVALID_PARAMS, f"{_CLIENT_KEY} needs a name and a version")


def _is_implementation(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(value.get(key), str) for key in ("name", "version")
    )


def _call(number: str | int, params: _Params, *, stateless: bool) -> ToolCall:
    name, arguments = params.get("name"), params.get("arguments")
    if not isinstance(name, str):
        raise _Refused(INVALID_PARAMS, "tools/call needs the name of a tool")
    if not isinstance(arguments, Mapping | None):
        raise _Refused(INVALID_PARAMS, "arguments must be an object")
    client = params.get("_meta", {}).get(_CLIENT_KEY)
    agent = client.get("name") if isinstance(client, Mapping) else None
    return ToolCall(
        number, stateless, name, arguments or {}, agent if isinstance(agent, str) else ""
    )


def _unknown(_params: _Params) -> dict[str, Any]:
    raise _Refused(METHOD_NOT_FOUND, "")


def _initialize(params: _Params) -> dict[str, Any]:
    asked = params.get("protocolVersion")
    if not isinstance(asked, str):
        raise _Refused(INVALID_PARAMS, "initialize needs a protocolVersion, text")
    if not isinstance(params.get("capabilities"), Mapping):
        raise _Refused(INVALID_PARAMS, "initialize needs capabilities, an object")
    if not _is_implementation(params.get("clientInfo")):
        raise _Refused(INVALID_PARAMS, "initialize needs a clientInfo with a name and a version")
    return {
        "protocolVersion": asked if asked in HANDSHAKE_VERSIONS else HANDSHAKE_VERSIONS[-1],
        "capabilities": _CAPABILITIES,
        "serverInfo": _SERVER_INFO,
        "instructions": INSTRUCTIONS,
    }


def _ping(_params: _Params) -> dict[str, Any]:
    return {}


def _list(params: _Params) -> dict[str, Any]:
    if not isinstance(params.get("cursor"), str | None):
        raise _Refused(INVALID_PARAMS, "cursor must be text")
    return {"tools": definitions()}


def _cacheable(result: dict[str, Any]) -> dict[str, Any]:
    return {
        **result,
        "resultType": "complete",
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": {f"{_META}serverInfo": _SERVER_INFO},
    }


def _list_stateless(params: _Params) -> dict[str, Any]:
    return _cacheable(_list(params))


def _discover(_params: _Params) -> dict[str, Any]:
    return _cacheable(
        {
            "supportedVersions": [STATELESS_VERSION],
            "capabilities": _CAPABILITIES,
            "instructions": INSTRUCTIONS,
        }
    )


# By method, and whether the request is of the stateless era.
_RESULTS: Final[Mapping[tuple[str, bool], Callable[[_Params], dict[str, Any]]]] = {
    ("initialize", False): _initialize,
    ("initialize", True): _initialize,
    ("ping", False): _ping,
    ("tools/list", False): _list,
    ("tools/list", True): _list_stateless,
    ("server/discover", True): _discover,
}
