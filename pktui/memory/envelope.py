"""What surrounds a request to the memory service: its headers, and the shape of a failure."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote, unquote

import msgspec

from pktui.memory.records import Identity
from pktui.text import storable

AGENT_HEADER = "Pktui-Agent"
GRANT_HEADER = "Pktui-Grant"
PROJECT_HEADER = "Pktui-Project"
CONNECTION_HEADER = "Pktui-Connection"
IDENTITY_HEADERS = (AGENT_HEADER, GRANT_HEADER, PROJECT_HEADER, CONNECTION_HEADER)
REQUEST_HEADER = "Pktui-Request"
"""A key that the same request bears when it is sent again, so that it is carried out once."""
PROTOCOL_VERSION_KEY = "io.modelcontextprotocol/protocolVersion"

_NAME_MEMBER = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_PLAIN = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")

FailureKind = Literal["not_found", "invalid", "unavailable", "store"]


class FailureDetail(msgspec.Struct, frozen=True):
    """What went wrong and what to do about it."""

    kind: FailureKind
    what: str
    cure: str = ""


class Failure(msgspec.Struct, frozen=True):
    """The body of every answer that is not a success."""

    error: FailureDetail


class _Shape(msgspec.Struct):
    method: Any = None
    params: Any = None


def identity_headers(identity: Identity) -> dict[str, str]:
    """Return the headers that say who asks; their values are percent-encoded UTF-8."""
    values = (identity.agent, identity.grant, identity.project, identity.connection)
    return {
        name: quote(storable(value), safe="/ @:")
        for name, value in zip(IDENTITY_HEADERS, values, strict=True)
        if value
    }


def read_identity(headers: Mapping[str, str]) -> Identity:
    """Return the identity that the headers name."""
    return Identity(*(unquote(headers.get(name, "")) for name in IDENTITY_HEADERS))


def mcp_headers(body: bytes, protocol_version: str) -> dict[str, str]:
    """Return the headers that streamable HTTP wants beside a JSON-RPC message.

    On the 2026-07-28 wire they repeat the method and the name of the body.
    """
    headers = {"Accept": "application/json, text/event-stream"}
    try:
        shape = msgspec.json.decode(body, type=_Shape)
    except (ValueError, RecursionError):  # the service says what is wrong with it
        return headers
    params = shape.params if isinstance(shape.params, dict) else {}
    meta = params.get("_meta")
    version = meta.get(PROTOCOL_VERSION_KEY) if isinstance(meta, dict) else None
    if not isinstance(version, str):
        return {**headers, "Mcp-Protocol-Version": protocol_version}
    headers["Mcp-Protocol-Version"] = _header_value(version)
    if isinstance(shape.method, str):
        headers["Mcp-Method"] = _header_value(shape.method)
        name = params.get(_NAME_MEMBER.get(shape.method, ""))
        if isinstance(name, str):
            headers["Mcp-Name"] = _header_value(name)
    return headers


def _header_value(text: str) -> str:
    if _PLAIN.fullmatch(text) and not text.startswith("=?base64?"):
        return text
    return f"=?base64?{base64.b64encode(text.encode(errors='replace')).decode()}?="
