from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from pktui.policy.document.policy import PolicyInvalid, parse_policy
from pktui.policy.document.schema import policy_schema, schema_text

CONFIG = Path(__file__).parents[2] / "config"
VALIDATOR = jsonschema.Draft202012Validator(policy_schema())


def accepted_by_the_loader(document: Any) -> bool:
    try:
        parse_policy(json.dumps(document).encode(), dialect="native")
    except PolicyInvalid:
        return False
    return True


def test_the_shipped_file_is_the_schema() -> None:
    assert (CONFIG / "policy.schema.json").read_text(encoding="utf-8") == schema_text()
    jsonschema.Draft202012Validator.check_schema(policy_schema())


@pytest.mark.parametrize(
    "path", sorted((CONFIG / "policies").glob("[!_]*.json")), ids=lambda p: p.stem
)
def test_shipped_policies_are_valid_in_an_editor(path: Path) -> None:
    assert list(VALIDATOR.iter_errors(json.loads(path.read_text(encoding="utf-8")))) == []


def tool(**members: Any) -> dict[str, Any]:
    return {"version": "1", "default": "deny", "tools": {"t": members}}


def limit(**members: Any) -> dict[str, Any]:
    return tool(limits=[{"counter": "c", "window": "day", "max": 1} | members])


def condition(**members: Any) -> dict[str, Any]:
    return tool(deny_if=[{"conditions": [members]}])


@pytest.mark.parametrize(
    "document",
    [
        {}, {"version": "1"}, {"version": "1", "default": "allow"},
        {"version": "2", "default": "allow"}, {"version": "1", "default": "allow", "x": 1},
        {"version": "1", "default": "allow", "hide": ["a", "b*"]},
        {"version": "1", "default": "allow", "hide": ["a", "a"]},
        {"version": "1", "default": "allow", "hide": [" "]},
        {"version": "1", "default": "allow", "tools": {"a?": {}}},
        tool(), tool(action="deny", reason="x"), tool(action="ask"),
        tool(action="require_approval"), tool(action="asks"), tool(reason=1),
        tool(require=[{}]), tool(require=[{"conditions": []}]), tool(deny_if=[{}]),
        tool(rate_limit="5/minute"), tool(rate_limit="5/minit"), tool(rate_limit="5/60"),
        tool(rate_limit={"max": 1, "window": 60}), tool(rate_limit={"max": 1}),
        limit(), limit(max=1.5), limit(max=1.5, increment_from="args.n"), limit(max=-1),
        limit(window=90), limit(window="week"), limit(scope="agent"), limit(align="calendar"),
        limit(increment_from="n"), limit(counter=""), limit(extra=1),
        condition(path="args.a", op="eq", value=None), condition(path="args.a", op="eq"),
        condition(path="args.a..b", op="eq", value=1),
        condition(path="args.a\\.b.c", op="eq", value=1),
        condition(path="args.a", op="gt", value=1), condition(path="args.a", op="gt", value="1"),
        condition(path="args.a", op="in", value=[]), condition(path="args.a", op="in", value="x"),
        condition(path="args.a", op="exists", value=1),
        condition(path="args.a", op="regex", value=1),
        condition(path="args.a[*].b", op="eq", value=1),
        condition(path="args.a[*][*]", op="eq", value=1),
        condition(path="args.a[0].b", op="eq", value=1),
        condition(path="args.a[].b", op="eq", value=1),
        condition(path="args.a.*.b", op="eq", value=1),
        condition(path="args.a.*", op="eq", value=1),
        condition(path="args.*[*]", op="eq", value=1),
        condition(path="args.[*]", op="eq", value=1),
        condition(path="args.a*", op="eq", value=1),
        condition(path="args.a\\[0\\].\\*", op="eq", value=1),
        limit(increment_from="args.a[*]"), limit(increment_from="args.a.0"),
        condition(path="args.a", op="within", value=["${project}", "~/x", "/etc/**", "src/*.py"]),
        condition(path="args.a", op="within", value=[]),
        condition(path="args.a", op="within", value="/etc"),
        condition(path="args.a", op="within", value=[""]),
        condition(path="args.a", op="within", value=["~bob"]),
        condition(path="args.a", op="within", value=["${project}x"]),
        condition(path="args.a", op="within", value=["/x/${project}"]),
        condition(path="args.a", op="within", value=["${home}"]),
        condition(path="args.a", op="within", value=["/**/.."]),
        condition(path="args.a", op="command", value="pytest -q *"),
        condition(path="args.a", op="command", value=" "),
        condition(path="args.a", op="command", value="a; b"),
        condition(path="args.a", op="command", value=["a"]),
        tool(action="approve", allow_if=[{"conditions": []}]),
        tool(action="ask", allow_if=[{"conditions": []}]),
        tool(allow_if=[{"conditions": []}]), tool(action="deny", allow_if=[]),
        tool(look={"tool": "get", "args": {"id": "args.id", "deep": [{"x": "args.a.0.b"}]}}),
        tool(look={"tool": "get"}), tool(look={"tool": "get*"}), tool(look={"tool": ""}),
        tool(look={"args": {}}), tool(look={}), tool(look="get"), tool(look=None),
        tool(look={"tool": "get", "args": []}), tool(look={"tool": "get", "with": {}}),
        tool(look={"tool": "get", "args": {"id": "args.id[*]"}}),
        tool(look={"tool": "get", "args": {"id": ["args."]}}),
        tool(look={"tool": "get", "args": {"id": "args", "n": 1.5, "b": None}}),
        {"version": "1", "default": "allow", "list": "all"},
        {"version": "1", "default": "allow", "list": "callable"},
        {"version": "1", "default": "allow", "list": "some"},
    ],
)  # fmt: skip
def test_the_schema_and_the_loader_agree(document: dict[str, Any]) -> None:
    assert VALIDATOR.is_valid(document) is accepted_by_the_loader(document)
