"""Types by the pinned schema, and names in another case."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pktui.policy.argument_check import Definition
from pktui.policy.declared import ANY, Schema, Unreadable, kind
from pktui.policy.evaluate import Call, Verdict, evaluate
from pktui.policy.memory_quota import MemoryQuota
from tests.policy.build import Clock, policy, tool


def asks_about(*paths: str, **members: Any) -> Any:
    return tool(
        approve_if=[
            {"conditions": [{"path": f"args.{path}", "op": "eq", "value": "never"}]}
            for path in paths
        ],
        **members,
    )


def verdict(rules: Any, arguments: dict[str, Any], schema: Any = None) -> Verdict:
    definition = Definition()
    if schema is not None:
        text = json.dumps({"name": "t", "inputSchema": schema})
        definition = Definition(text, text)
    call = Call("s", "t", arguments, "g", "c", definition)
    return evaluate(rules, call, MemoryQuota(Clock()))


def members(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


INTEGER = {"type": "integer"}
TREE = {
    "$defs": {
        "node": members(n=INTEGER, kids={"type": "array", "items": {"$ref": "#/$defs/node"}})
    },
    "$ref": "#/$defs/node",
}


@pytest.mark.parametrize(
    ("path", "schema", "arguments", "told"),
    [
        ("amount", {"type": "number"}, {"amount": "5"}, "amount must be a number, not text."),
        ("amount", {"type": "number"}, {"amount": 5}, ""),
        ("amount", INTEGER, {"amount": 5.0}, ""), ("amount", INTEGER, {"amount": 10**30}, ""),
        ("amount", INTEGER, {"amount": 5.5}, "amount must be a whole number, not a fraction."),
        ("amount", INTEGER, {"amount": True}, "amount must be a whole number, not a boolean."),
        ("amount", INTEGER, {"amount": None}, "amount must be a whole number, not null."),
        ("amount", INTEGER, {}, ""),
        ("force", {"type": "boolean"}, {"force": 1}, "force must be a boolean, not a number."),
        ("v", {"type": ["string", "null"]}, {"v": 1}, "v must be text or null, not a number."),
        ("v", {"anyOf": [{"type": "string"}, INTEGER]}, {"v": 1}, ""),
        ("v", {"anyOf": [{"type": "string"}, INTEGER]}, {"v": []}, "not a list"),
        ("v", {"oneOf": [{"const": 1}, {"enum": ["a", None]}]}, {"v": True}, "not a boolean"),
        ("v", {"oneOf": [{"const": 1}, {"enum": ["a", None]}]}, {"v": 1.5}, ""),
        ("v", {"allOf": [{"type": ["string", "integer"]}, {"type": ["string", "null"]}]},
         {"v": 1}, "v must be text, not a number."),
        ("v", {"type": "string", "nullable": True}, {"v": None}, ""),
        ("v", False, {"v": 1}, "v must be left out"), ("v", True, {"v": 1}, ""),
        ("v", {"type": "mystery"}, {"v": 1}, ""), ("v", {"type": []}, {"v": 1}, ""),
        ("v", {"enum": list(range(2000))}, {"v": "x"}, ""),
        ("v.a", members(a=INTEGER), {"v": {"a": "x"}}, "v.a must be a whole number, not text."),
        ("v.a", members(a=INTEGER), {"v": '{"a": 1}'}, "v must be an object, not text."),
        ("v.0", {"type": "array", "items": INTEGER}, {"v": ["1"]}, "v.0 must be a whole number"),
        ("v.0", {"type": "array", "items": INTEGER}, {"v": [1, "1"]}, ""),
        ("v.1", {"prefixItems": [INTEGER, {"type": "string"}]}, {"v": ["a", 1]},
         "v.1 must be text"),
        ("v.1", {"items": [INTEGER], "additionalItems": {"type": "string"}}, {"v": [1, 1]},
         "v.1 must be text"),
        ("v[*].q", {"type": "array", "items": members(q=INTEGER)}, {"v": [{"q": 1}, {"q": "1"}]},
         "v.1.q must be a whole number, not text."),
        ("v[*]", {"prefixItems": [INTEGER], "items": {"type": "string"}}, {"v": [1, "a", []]},
         "v.2 must be"),
        ("v.k", {"type": "object", "additionalProperties": INTEGER}, {"v": {"k": "x"}}, "v.k must"),
        ("v.k", {"additionalProperties": INTEGER, "patternProperties": {"^k": {}}},
         {"v": {"k": "x"}}, ""),
        ("v.x", {"anyOf": [{"type": "string"}, members(x=INTEGER)]}, {"v": {"x": "1"}},
         "v.x must be a whole number, not text."),
    ],
)  # fmt: skip
def test_a_value_of_no_declared_type_is_denied_before_any_rule(
    path: str, schema: Any, arguments: dict[str, Any], told: str
) -> None:
    name = path.partition(".")[0].partition("[")[0]
    found = verdict(asks_about(path), arguments, members(**{name: schema}))
    if told:
        assert (found.effect, found.rule) == ("deny", "(type)")
        assert told in found.reason
    else:
        assert found.rule != "(type)"


def test_references_are_followed_also_in_circles() -> None:
    rules = asks_about("kids[*].kids.0.n")
    good = {"kids": [{"kids": [{"n": 1}]}]}
    assert verdict(rules, good, TREE).effect != "deny"
    bad = {"kids": [{"kids": [{"n": "1"}]}]}
    assert verdict(rules, bad, TREE).reason == "kids.0.kids.0.n must be a whole number, not text."


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"}, {"$ref": "https://example.com/s.json"}, {"$ref": "#/nowhere"}, {"$ref": 5},
        {"$ref": "#anchor"}, {"anyOf": "x", "type": 5, "enum": {}, "items": 7, "properties": []},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"$defs": {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 9} for n in range(40)},
         "$ref": "#/$defs/d0"},
        {"properties": {"v": {"$id": "https://example.com/v", "$ref": "#/type"}}}, "text", 5, [],
    ],
)  # fmt: skip
def test_a_schema_that_cannot_be_read_declares_nothing(schema: Any) -> None:
    assert verdict(asks_about("v"), {"v": [1]}, schema).rule == "/tools/t/approve_if/args.v-eq"


def test_a_schema_is_read_in_a_bounded_number_of_steps() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(300):
        deep = {"anyOf": [deep, deep]}
    with pytest.raises((Unreadable, RecursionError)):
        Schema(deep).kinds(deep)


def test_types_are_asked_only_where_rules_look() -> None:
    schema = members(a=INTEGER, b=INTEGER)
    assert verdict(asks_about("a"), {"a": 1, "b": "x"}, schema).rule != "(type)"
    limited = tool(limits=[{"counter": "c", "window": "day", "max": 9, "increment_from": "args.b"}])
    assert verdict(limited, {"b": "1"}, schema).rule == "(type)"


def test_several_definitions_of_one_name_declare_nothing() -> None:
    text = json.dumps([{"name": "t", "inputSchema": members(v=INTEGER)}, {"name": "t"}])
    call = Call("s", "t", {"v": "x"}, "g", "c", Definition("h", text))
    rule = evaluate(asks_about("v"), call, MemoryQuota(Clock())).rule
    assert rule == "/tools/t"


@pytest.mark.parametrize(
    ("path", "arguments", "name"),
    [
        ("amount", {"Amount": 1}, "Amount"), ("amount", {"amount": 1, "AMOUNT": 2}, "AMOUNT"),
        ("kind", {"\u212aind": 1}, "\u212aind"), ("is", {"i\u017f": 1}, "i\u017f"),
        ("amount", {"\uff41mount": 1}, "\uff41mount"), ("stra\u00dfe", {"STRASSE": 1}, "STRASSE"),
        ("v.deep", {"v": {"Deep": 1}}, "Deep"), ("v.deep", {"V": {"deep": 1}}, "V"),
        ("v[*].q", {"v": [{"q": 1}, {"Q": 1}]}, "Q"), ("v.0.q", {"v": [{"Q": 1}]}, "Q"),
    ],
)  # fmt: skip
def test_a_name_that_differs_in_case_alone_is_denied(
    path: str, arguments: dict[str, Any], name: str
) -> None:
    found = verdict(asks_about(path), arguments)
    assert (found.effect, found.rule) == ("deny", "(name)")
    assert name in found.reason or "\\u" in found.reason


def test_other_names_and_those_that_rules_use_themselves_pass() -> None:
    assert verdict(asks_about("amount"), {"amounts": 1, "a": {"Amount": 1}}).effect == "allow"
    assert verdict(asks_about("amount", "Amount"), {"amount": 1, "Amount": 2}).effect != "deny"
    assert verdict(policy(default="allow"), {"A": 1, "a": 2}).effect == "allow"


@pytest.mark.parametrize("name", ["00", "+0", "-0", " 0", "0.0", "0_0", "0e5"])
def test_a_name_that_is_a_rules_where_keys_are_numbers_is_denied(name: str) -> None:
    found = verdict(asks_about("m.0"), {"m": {name: 500}})
    assert (found.effect, found.rule) == ("deny", "(name)")
    assert verdict(asks_about("m.0"), {"m": {"1": 5, "0x": 5, "1e999999999": 5}}).effect == "allow"


ORDER = members(amount=INTEGER, note={"type": "string"})


@pytest.mark.parametrize(
    ("path", "schema", "arguments"),
    [
        ("amount", ORDER, {"amt": 500}),
        ("o.amount", members(o=ORDER), {"o": {"note": "x", "amt": 500}}),
        ("os[*].amount", members(os={"type": "array", "items": ORDER}), {"os": [{"amt": 5}]}),
        ("o.amount", members(o={"anyOf": [ORDER, {"type": "null"}]}), {"o": {"amt": 5}}),
        ("amount", {"allOf": [ORDER, members(b=INTEGER)]}, {"b": 1, "amt": 5}),
        ("amount", ORDER | {"additionalProperties": False}, {"amt": 5}),
        ("n", TREE, {"N_": 5}),
    ],
)
def test_no_undeclared_name_stands_in_for_a_declared_one_that_a_rule_looks_at(
    path: str, schema: Any, arguments: dict[str, Any]
) -> None:
    found = verdict(asks_about(path), arguments, schema)
    assert (found.effect, found.rule) == ("deny", "(name)")
    assert "is no name that the tool's schema declares" in found.reason
    assert verdict(asks_about(path), arguments).effect == "allow"


@pytest.mark.parametrize(
    ("path", "schema", "arguments"),
    [
        ("note", ORDER, {"note": "x", "amt": 5}), ("amount", ORDER, {"note": "x"}),
        ("amount", ORDER, {}), ("other", ORDER, {"amt": 5}), ("amount", members(), {"amt": 5}),
        ("amount", ORDER | {"additionalProperties": True}, {"amt": 5}),
        ("amount", ORDER | {"patternProperties": {"^x": INTEGER}}, {"amt": 5}),
        ("o.amount", members(o={"anyOf": [ORDER, {"type": "object"}]}), {"o": {"amt": 5}}),
        ("amount", {"anyOf": [ORDER, members(amt=INTEGER)]}, {"amt": 5}),
    ],
)  # fmt: skip
def test_names_that_a_schema_leaves_open_pass(
    path: str, schema: Any, arguments: dict[str, Any]
) -> None:
    assert verdict(asks_about(path), arguments, schema).effect == "allow"


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "x", [], {}])
def test_every_value_has_one_kind(value: Any) -> None:
    one = kind(value)
    assert one & ANY == one
    assert one.bit_count() == 1
