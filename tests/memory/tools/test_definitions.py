"""Names, parameters, types, defaults and required sets are those of the reference server.

They were read off Opencode Personal Knowledge 1.0.10 and are kept here as facts of their own.
"""

from __future__ import annotations

from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from pktui.memory.tools.definitions import definitions

TEXT, NUMBER, TEXTS = "string", "number", "array of string"
REFERENCE: dict[str, tuple[dict[str, str], set[str], dict[str, Any]]] = {
    "store_knowledge": (
        {"title": TEXT, "content": TEXT, "source": TEXT, "tags": TEXTS},
        {"title", "content"},
        {},
    ),
    "search_knowledge": ({"query": TEXT, "limit": NUMBER}, {"query"}, {"limit": 5}),
    "search_knowledge_text": ({"query": TEXT, "limit": NUMBER}, {"query"}, {"limit": 10}),
    "get_knowledge": ({"id": NUMBER}, {"id"}, {}),
    "update_knowledge": (
        {"id": NUMBER, "title": TEXT, "content": TEXT, "source": TEXT, "tags": TEXTS},
        {"id"},
        {},
    ),
    "delete_knowledge": ({"id": NUMBER}, {"id"}, {}),
    "list_knowledge": (
        {"limit": NUMBER, "offset": NUMBER, "tags": TEXTS},
        set(),
        {"limit": 20, "offset": 0},
    ),
    "get_knowledge_stats": ({}, set(), {}),
    "start_logging_session": ({"name": TEXT}, set(), {}),
    "log_message": (
        {"role": "string user|agent", "content": TEXT, "sessionId": NUMBER},
        {"role", "content"},
        {},
    ),
    "search_session": (
        {"sessionId": NUMBER, "query": TEXT, "limit": NUMBER},
        {"sessionId", "query"},
        {"limit": 5},
    ),
    "search_all_sessions": ({"query": TEXT, "limit": NUMBER}, {"query"}, {"limit": 10}),
    "list_sessions": (
        {"limit": NUMBER, "activeOnly": "boolean"},
        set(),
        {"limit": 20, "activeOnly": False},
    ),
    "get_session": ({"sessionId": NUMBER}, {"sessionId"}, {}),
    "end_session": ({"sessionId": NUMBER, "summary": TEXT}, set(), {}),
}
READ_ONLY = {name for name in REFERENCE if name.startswith(("search_", "get_", "list_"))}


def kind(schema: dict[str, Any]) -> str:
    if "items" in schema:
        return f"{schema['type']} of {schema['items']['type']}"
    return " ".join([schema["type"], *(["|".join(schema["enum"])] if "enum" in schema else [])])


def test_the_tools_come_in_the_order_of_the_reference() -> None:
    assert [tool["name"] for tool in definitions()] == list(REFERENCE)


@pytest.mark.parametrize("tool", definitions(), ids=lambda tool: tool["name"])
def test_parameters_are_those_of_the_reference(tool: dict[str, Any]) -> None:
    schema = tool["inputSchema"]
    properties = schema["properties"]
    assert schema["type"] == "object"
    assert (
        {name: kind(value) for name, value in properties.items()},
        set(schema.get("required", [])),
        {name: value["default"] for name, value in properties.items() if "default" in value},
    ) == REFERENCE[tool["name"]]
    assert all(value["description"] for value in properties.values())


@pytest.mark.parametrize("tool", definitions(), ids=lambda tool: tool["name"])
def test_annotations_tell_what_a_tool_can_do(tool: dict[str, Any]) -> None:
    hints = tool["annotations"]
    assert hints["readOnlyHint"] is (tool["name"] in READ_ONLY)
    assert hints["destructiveHint"] is (tool["name"] in {"delete_knowledge", "update_knowledge"})
    assert hints["openWorldHint"] is False
    assert isinstance(hints["idempotentHint"], bool)
    assert tool["title"]


@pytest.mark.parametrize("tool", definitions(), ids=lambda tool: tool["name"])
def test_output_schemas_are_schemas(tool: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(tool["outputSchema"])
    assert tool["outputSchema"]["type"] == "object"
