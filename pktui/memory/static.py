"""The answers that need no MCP library: what the server is, which tools it has, what a call gave.

They are those of the MCP server behind the service's `/mcp`, in both protocol eras, so that an
agent need not wait for the service to start before it knows the tools.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from pktui.memory.tools.catalogue import (
    INSTRUCTIONS,
    SERVER_NAME,
    SERVER_TITLE,
    SERVER_VERSION,
    definitions,
)

if TYPE_CHECKING:
    from pktui.memory.tools.answer import ToolAnswer

_HANDSHAKE_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
_MODERN_VERSION = "2026-07-28"
_META = "io.modelcontextprotocol/"
_SERVER_INFO = {"name": SERVER_NAME, "title": SERVER_TITLE, "version": SERVER_VERSION}
_CAPABILITIES = {"tools": {"listChanged": False}}
_NOTHING = b""
_CALL_MEMBERS = {"name", "arguments", "_meta"}

_Params = Mapping[str, Any]


def answer(message: Mapping[str, Any]) -> bytes | None:
    """Return the answer to a JSON-RPC message where it needs no memory, as one line without end.

    `b""` means that nothing is to be answered (a notification). None means that only the service
    can answer, which includes every message that is not quite as it should be.
    """
    method = message.get("method")
    if message.get("jsonrpc") != "2.0" or not isinstance(method, str):
        return None
    if "id" not in message:
        return _NOTHING if method.startswith("notifications/") else None
    params = message.get("params", {})
    if not _is_id(message["id"]) or not isinstance(params, Mapping):
        return None
    era = _era(params)
    result = _RESULTS.get((method, era), _unknown)(params)
    if result is None:
        return None
    return msgspec.json.encode({"jsonrpc": "2.0", "id": message["id"], "result": result})


class ToolCall(msgspec.Struct, frozen=True):
    """A call of one of our tools, and what its answer needs to become a JSON-RPC message."""

    id: str | int
    era: str
    name: str
    arguments: Mapping[str, Any]


def tool_call(message: object) -> ToolCall | None:
    """Return the tool call that a message plainly is; None leaves it to the MCP library."""
    if not isinstance(message, Mapping) or message.get("jsonrpc") != "2.0":
        return None
    params, number = message.get("params"), message.get("id")
    if message.get("method") != "tools/call" or not isinstance(params, Mapping):
        return None
    name, arguments, era = params.get("name"), params.get("arguments", {}), _era(params)
    plain = set(params) <= _CALL_MEMBERS and isinstance(arguments, Mapping) and _is_id(number)
    if not (plain and era and any(one["name"] == name for one in definitions())):
        return None
    return ToolCall(number, era, name, arguments)  # type: ignore[arg-type]


def tool_result(call: ToolCall, answer: ToolAnswer) -> bytes:
    """Return the answer to a tool call as the MCP library would send it."""
    result: dict[str, Any] = {
        "content": [{"text": answer.text, "type": "text"}],
        "isError": answer.is_error,
    }
    if answer.structured is not None:
        result["structuredContent"] = answer.structured
    if call.era == "modern":
        result |= {"resultType": "complete", "_meta": {f"{_META}serverInfo": _SERVER_INFO}}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": call.id, "result": result})


def _era(params: _Params) -> str:
    """Return "handshake", "modern", or "" where the envelope is not one of the modern era's."""
    meta = params.get("_meta", {})
    if not isinstance(meta, Mapping):
        return ""
    if f"{_META}protocolVersion" not in meta:
        return "handshake"
    served = (
        meta[f"{_META}protocolVersion"] == _MODERN_VERSION
        and isinstance(meta.get(f"{_META}clientCapabilities"), Mapping)
        and _is_implementation(meta.get(f"{_META}clientInfo", {"name": "", "version": ""}))
    )
    return "modern" if served else ""


def _is_id(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _is_implementation(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(value.get(key), str) for key in ("name", "version")
    )


def _unknown(_params: _Params) -> None:
    return None


def _initialize(params: _Params) -> dict[str, Any] | None:
    asked = params.get("protocolVersion")
    if (
        not isinstance(asked, str)
        or not isinstance(params.get("capabilities"), Mapping)
        or not _is_implementation(params.get("clientInfo"))
    ):
        return None
    return {
        "protocolVersion": asked if asked in _HANDSHAKE_VERSIONS else _HANDSHAKE_VERSIONS[-1],
        "capabilities": _CAPABILITIES,
        "serverInfo": _SERVER_INFO,
        "instructions": INSTRUCTIONS,
    }


def _ping(_params: _Params) -> dict[str, Any]:
    return {}


def _list(params: _Params) -> dict[str, Any] | None:
    if not isinstance(params.get("cursor", ""), str):
        return None
    return {"tools": definitions()}


def _modern(result: dict[str, Any]) -> dict[str, Any]:
    return {
        **result,
        "resultType": "complete",
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": {f"{_META}serverInfo": _SERVER_INFO},
    }


def _list_modern(params: _Params) -> dict[str, Any] | None:
    result = _list(params)
    return None if result is None else _modern(result)


def _discover(_params: _Params) -> dict[str, Any]:
    return _modern(
        {
            "supportedVersions": [_MODERN_VERSION],
            "capabilities": _CAPABILITIES,
            "instructions": INSTRUCTIONS,
        }
    )


_RESULTS: Mapping[tuple[str, str], Callable[[_Params], dict[str, Any] | None]] = {
    ("initialize", "handshake"): _initialize,
    ("initialize", "modern"): _initialize,
    ("ping", "handshake"): _ping,
    ("tools/list", "handshake"): _list,
    ("tools/list", "modern"): _list_modern,
    ("server/discover", "modern"): _discover,
}
