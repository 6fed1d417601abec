"""What of a message is repeated in headers, held against the SDK's own rules."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.inbound import (
    decode_header_value,
    encode_header_value,
    find_invalid_x_mcp_header,
    mcp_param_headers,
    x_mcp_header_map,
)

from pktui.gateway.protocol.headers import (
    decode_value,
    encode_value,
    marked_parameters,
    parameter_headers,
    routing_headers,
)


@given(st.text())
def test_any_text_comes_back_and_is_written_as_the_sdk_writes_it(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert encode_value(text) == encode_header_value(text)
    assert decode_value(encode_value(text)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("us-west1", "us-west1"),
        ("=?base64?SGVsbG8sIOS4lueVjA==?=", "Hello, 世界"),
        ("=?base64?IHBhZGRlZCA=?=", " padded "),
        ("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", "=?base64?literal?="),
        ("=?base64?not base64?=", None),
        ("=?base64?QR==?=", None),
        ("=?base64?/w==?=", None),
        ("=?BASE64?QQ==?=", "=?BASE64?QQ==?="),
    ],
)
def test_wrapped_values_are_read_strictly(value: str, text: str | None) -> None:
    assert decode_value(value) == text == decode_header_value(value)


@pytest.mark.parametrize(
    ("method", "params", "name"),
    [
        ("tools/call", {"name": "add"}, "add"),
        ("prompts/get", {"name": "hé"}, "=?base64?aMOp?="),
        ("resources/read", {"uri": "file:///a b"}, "file:///a b"),
        ("tools/list", {"name": "x"}, None),
        ("tools/call", {"name": 7}, None),
        ("resources/read", {}, None),
    ],
)
def test_the_name_is_repeated_where_the_method_has_one(
    method: str, params: dict[str, Any], name: str | None
) -> None:
    headers = routing_headers(method, params, "2026-07-28")
    assert headers.pop("Mcp-Name", None) == name
    assert headers == {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}


SCHEMA = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "plain": {"type": "string"},
        "deep": {
            "type": "object",
            "properties": {
                "count": {"type": "integer", "x-mcp-header": "Count"},
                "dry": {"type": "boolean", "x-mcp-header": "Dry"},
            },
        },
    },
}


@pytest.mark.parametrize(
    "arguments",
    [
        {"region": "eu", "plain": "x", "deep": {"count": 3, "dry": False}},
        {"region": "hé "},
        {"region": None, "deep": 5},
        {"deep": {"count": -7, "dry": True}},
        {},
    ],
)
def test_marked_arguments_are_repeated_as_the_sdk_does(arguments: dict[str, Any]) -> None:
    assert find_invalid_x_mcp_header(SCHEMA) is None
    expected = mcp_param_headers(x_mcp_header_map(SCHEMA), arguments)
    assert parameter_headers(marked_parameters(SCHEMA), arguments) == expected


@pytest.mark.parametrize(
    "schema",
    [
        None,
        [],
        {"properties": []},
        {"properties": {"a": []}},
        {"properties": {"a": {"type": "number", "x-mcp-header": "A"}}},
        {"properties": {"a": {"type": ["string"], "x-mcp-header": "A"}}},
        {"properties": {"a": {"type": "string", "x-mcp-header": "A\r\nB: c"}}},
        {"properties": {"a": {"type": "string", "x-mcp-header": ""}}},
        {"items": {"properties": {"a": {"type": "string", "x-mcp-header": "A"}}}},
        {
            "properties": {
                "a": {"type": "string", "x-mcp-header": "Same"},
                "b": {"type": "string", "x-mcp-header": "same"},
            }
        },
    ],
)
def test_marks_that_break_the_rules_are_not_followed(schema: object) -> None:
    assert marked_parameters(schema) == {}
    assert parameter_headers(marked_parameters(schema), {"a": "x"}) == {}


def test_numbers_that_not_every_reader_holds_are_not_repeated() -> None:
    marked = marked_parameters(SCHEMA)
    assert parameter_headers(marked, {"deep": {"count": 2**53}}) == {}
    assert parameter_headers(marked, {"deep": {"count": 1.0}}) == {}
