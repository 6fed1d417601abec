"""Arguments that a person changes: typed as text, read as the tool's schema wants them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pktui.errors import UsageError
from pktui.policy.argument_check import UNKNOWN, Definition
from pktui.policy.argument_edits import drop_value, fields_of, set_value

SCHEMA = {
    "type": "object",
    "properties": {
        "amount": {"type": "integer", "description": "In cents."},
        "note": {"type": "string"},
        "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "deep": {"type": "object", "properties": {"on": {"type": "boolean"}}},
        "items": {"type": "array", "items": {"type": "object"}},
        "kind": {"type": "string", "enum": ["a", "b"]},
        "any": {},
    },
    "required": ["amount"],
}
DEFINITION = Definition("h", json.dumps({"name": "pay", "inputSchema": SCHEMA}))
GIVEN: dict[str, Any] = {"amount": 5, "items": [{"qty": 1}], "any": 1}


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("amount", "7", 7),
        ("args.amount", "7", 7),
        ("note", "7", "7"),
        ("note", "", ""),
        ("maybe", "null", None),
        ("maybe", "7", "7"),
        ("any", "true", True),
        ("any", "plain words", "plain words"),
        ("any", '"7"', "7"),
        ("kind", "b", "b"),
        ("deep", '{"on":true}', {"on": True}),
    ],
)
def test_a_text_is_read_as_the_schema_wants(path: str, text: str, value: object) -> None:
    changed = set_value(GIVEN, path, text, DEFINITION)
    assert changed == GIVEN | {path.removeprefix("args."): value}
    assert GIVEN["amount"] == 5


def test_a_value_inside_others_is_changed_alone() -> None:
    assert set_value(GIVEN, "items.0.qty", "2", DEFINITION)["items"] == [{"qty": 2}]
    assert set_value(GIVEN, "items.1", '{"qty":3}', DEFINITION)["items"][1] == {"qty": 3}
    assert set_value(GIVEN, "deep.on", "false", DEFINITION)["deep"] == {"on": False}
    assert GIVEN["items"] == [{"qty": 1}]


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("amount", "much", "amount must be a whole number"),
        ("amount", '"5"', "amount must be a whole number, not text"),
        ("amount", "5.5", "not a fraction"),
        ("amount", '{"a":1,"a":2}', "amount must be a whole number"),
        ("amuont", "5", 'Did you mean "amount"?'),
        ("deep.on", "1", "deep.on must be a boolean, not a number"),
        ("items[*].qty", "1", "names several values"),
        ("items[0]", "1", "Write .0 instead"),
        ("items.7", "{}", "element 7 of a list of 1"),
        ("kind", "c", "Write one of a, b"),
        ("any.deep", "1", "leads into a number"),
    ],
)
def test_what_cannot_be_meant_says_what_is_wrong(path: str, text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        set_value(GIVEN, path, text, DEFINITION)
    assert said in str(caught.value)


def test_an_argument_is_left_out_unless_it_is_required() -> None:
    assert "any" not in drop_value(GIVEN, "any", DEFINITION)
    assert drop_value(GIVEN, "items.0.qty", DEFINITION)["items"] == [{}]
    with pytest.raises(UsageError, match="amount is required"):
        drop_value(GIVEN, "amount", DEFINITION)
    with pytest.raises(UsageError, match="has no note to leave out"):
        drop_value(GIVEN, "note", DEFINITION)


def test_without_a_schema_what_stands_there_says_how_a_text_is_read() -> None:
    assert set_value({"a": "x"}, "a", "7", UNKNOWN) == {"a": "7"}
    assert set_value({"a": 1}, "a", "7", UNKNOWN) == {"a": 7}


@pytest.mark.parametrize("properties", [[], None, "x", 1, {"a": 3}, {"a": {"enum": {}}}])
@pytest.mark.parametrize("required", [["b"], "a", None, [[1]]])
def test_a_schema_that_is_none_breaks_nothing(properties: object, required: object) -> None:
    schema = {"type": "object", "properties": properties, "required": required}
    definition = Definition("h", json.dumps({"name": "pay", "inputSchema": schema}))
    assert set_value({"a": 1}, "a", "2", definition) == {"a": 2}
    assert drop_value({"a": 1}, "a", definition) == {}
    assert [(one.name, one.value) for one in fields_of({"a": 1}, definition)] == [("a", 1)]


def test_an_element_of_a_list_that_is_not_given_is_no_member_of_an_object() -> None:
    with pytest.raises(UsageError, match="the whole of it"):
        set_value({"amount": 5}, "items.0.qty", "2", DEFINITION)
    assert set_value({"amount": 5}, "items", '[{"qty":2}]', DEFINITION)["items"] == [{"qty": 2}]


def test_a_form_has_a_field_for_all_that_is_declared_or_given() -> None:
    fields = fields_of(GIVEN | {"extra": 1}, DEFINITION)
    assert [one.name for one in fields] == [*SCHEMA["properties"], "extra"]
    amount, kind = fields[0], fields[5]
    assert (amount.required, amount.wants, amount.description) == (
        True, "a whole number", "In cents.",
    )  # fmt: skip
    assert kind.wants == "one of a, b"


@pytest.mark.parametrize("name", ["a.b", "a[0]", "back\\slash", "args.x"])
def test_a_fields_path_leads_to_it_whatever_its_name(name: str) -> None:
    [field] = fields_of({name: 1}, UNKNOWN)
    assert set_value({name: 1}, field.path, "2", UNKNOWN) == {name: 2}
