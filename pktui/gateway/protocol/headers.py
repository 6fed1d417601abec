"""The HTTP headers of MCP: what of a message is repeated in them, and how it is written there.

Streamable HTTP of 2026-07-28 wants the method, the name, and the arguments that a tool's schema
marks with `x-mcp-header`, in headers beside the body ("Request Metadata"); a value that is not
plain ASCII travels as `=?base64?…?=`. No input and output here, so that clients and servers use the
same rules.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

SESSION: Final = "Mcp-Session-Id"
VERSION: Final = "MCP-Protocol-Version"
METHOD: Final = "Mcp-Method"
NAME: Final = "Mcp-Name"
PARAM_PREFIX: Final = "Mcp-Param-"
LAST_EVENT: Final = "Last-Event-ID"
# W3C Trace Context.
TRACE: Final = ("traceparent", "tracestate")
# The error code of a server that misses a header, or finds it other than the body.
HEADER_MISMATCH: Final = -32020

# The parameter that `Mcp-Name` repeats, by method.
NAMED: Final[Mapping[str, str]] = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
}

_MARK: Final = "x-mcp-header"
_WRAPPED: Final = re.compile(r"=\?base64\?(.*)\?=", re.DOTALL)
_PLAIN: Final = re.compile(r"[\x20-\x7e]*")
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_KINDS: Final = ("string", "integer", "boolean")
_DEEPEST: Final = 64
_SAFE_INTEGER: Final = 2**53 - 1

# Member names from the root of a tool's arguments down to one value.
Path = tuple[str, ...]


def encode_value(value: str) -> str:
    """Return the text as a header's value; whatever a header might not carry is wrapped."""
    plain = _PLAIN.fullmatch(value) and value == value.strip()
    if plain and not _WRAPPED.fullmatch(value):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def decode_value(value: str) -> str | None:
    """Return the text that a header's value stands for; None where its wrapping is malformed."""
    wrapped = _WRAPPED.fullmatch(value)
    if wrapped is None:
        return value
    try:
        raw = base64.b64decode(wrapped[1], validate=True)
        text = raw.decode()
    except (binascii.Error, ValueError):
        return None
    return text if base64.b64encode(raw).decode() == wrapped[1] else None


def routing_headers(method: str, params: Mapping[str, Any], version: str) -> dict[str, str]:
    """Return the headers that repeat version, method and name of a message of the stateless era."""
    headers = {VERSION: encode_value(version), METHOD: encode_value(method)}
    name = params.get(NAMED.get(method, ""))
    if isinstance(name, str):
        headers[NAME] = encode_value(name)
    return headers


def marked_parameters(schema: object) -> dict[Path, str]:
    """Return the arguments that a tool's input schema wants in headers, with the header's name.

    Only properties reached through `properties` alone, of type string, integer or boolean, count,
    as the specification says; a schema that names one header twice has none.
    """
    found = {path: PARAM_PREFIX + token for path, token in _marks(schema, ())}
    names = {name.lower() for name in found.values()}
    return found if len(names) == len(found) else {}


def parameter_headers(marked: Mapping[Path, str], arguments: object) -> dict[str, str]:
    """Return the headers that repeat the marked arguments of one call; absent ones have none."""
    headers = {}
    for path, name in marked.items():
        value = _at(arguments, path)
        if isinstance(value, bool):
            headers[name] = "true" if value else "false"
        elif isinstance(value, str):
            headers[name] = encode_value(value)
        elif isinstance(value, int) and abs(value) <= _SAFE_INTEGER:
            headers[name] = str(value)
    return headers


def _marks(schema: object, path: Path) -> Iterator[tuple[Path, str]]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or len(path) >= _DEEPEST:
        return
    for name, inner in properties.items():
        if not isinstance(inner, dict):
            continue
        token, kind = inner.get(_MARK), inner.get("type")
        if isinstance(token, str) and _TOKEN.fullmatch(token) and kind in _KINDS:
            yield (*path, name), token
        yield from _marks(inner, (*path, name))


def _at(arguments: object, path: Path) -> object:
    for name in path:
        if not isinstance(arguments, Mapping):
            return None
        arguments = arguments.get(name)
    return arguments
