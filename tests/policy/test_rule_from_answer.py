"""Saving an answer as a rule: what it writes, and that it says where it would not help."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from pktui.errors import PolicyError
from pktui.policy.editor import PolicyEditor
from pktui.policy.evaluate import Call
from pktui.policy.rule_from_answer import preview_permit

if TYPE_CHECKING:
    from pathlib import Path

CALL = Call("files", "write", {"size": 5}, "agent@/work", "s1")


def editor(tmp_path: Path, **document: Any) -> PolicyEditor:
    file = tmp_path / "files.json"
    file.write_text(json.dumps({"version": "1", "default": "deny", **document}, indent=2))
    return PolicyEditor(file)


@pytest.mark.parametrize(
    "document",
    [
        {"tools": {"write": {"action": "approve", "reason": "Look."}}},
        {"tools": {"w*": {"action": "approve"}}},
        {"default": "approve", "tools": {}},
    ],
)
def test_the_rule_lets_the_call_through(tmp_path: Path, document: dict[str, Any]) -> None:
    edits = editor(tmp_path, **document)
    before = edits.path.read_bytes()
    edit = preview_permit(edits, CALL)
    assert edits.path.read_bytes() == before
    assert '"write"' in edit.diff
    edits.save(edit)
    assert edits.policy.rule_for("write").action == "allow"
    edits.undo()
    assert edits.path.read_bytes() == before


@pytest.mark.parametrize("name", ["*", "write_*", "w[r]ite"])
def test_a_name_that_would_be_a_pattern_becomes_no_rule(tmp_path: Path, name: str) -> None:
    edits = editor(tmp_path, tools={"write_*": {"action": "approve"}})
    with pytest.raises(PolicyError, match="would be one for other tools"):
        preview_permit(edits, replace(CALL, tool=name))


BIG = [{"conditions": [{"path": "args.size", "op": "gt", "value": 1}]}]


@pytest.mark.parametrize(
    "document",
    [
        {"tools": {"write": {"approve_if": BIG}}},
        {"tools": {"write": {"action": "approve", "deny_if": BIG}}},
    ],
)
def test_a_rule_that_would_not_help_is_not_offered(
    tmp_path: Path, document: dict[str, Any]
) -> None:
    with pytest.raises(PolicyError, match="would not let this call through") as caught:
        preview_permit(editor(tmp_path, **document), CALL)
    assert "_if" in caught.value.what


CONDITIONS = '[{"path": "args.size", "op": "lte", "value": 5}]'


@pytest.mark.parametrize(
    "document",
    [
        {"tools": {"write": {"action": "approve", "reason": "Look."}}},
        {"default": "approve", "tools": {}},
        {"tools": {"w*": {"action": "approve"}}},
        {
            "tools": {
                "write": {
                    "action": "approve",
                    "allow_if": [{"conditions": [{"path": "args.x", "op": "eq", "value": 1}]}],
                }
            }
        },
    ],
)
def test_a_limited_rule_lets_such_calls_through_and_asks_about_others(
    tmp_path: Path, document: dict[str, Any]
) -> None:
    edits = editor(tmp_path, **document)
    edits.save(preview_permit(edits, CALL, CONDITIONS))
    rule = json.loads(edits.raw)["tools"]["write"]
    assert rule["action"] == "approve"
    assert rule["allow_if"][-1] == {"conditions": json.loads(CONDITIONS)}
    assert len(rule["allow_if"]) == 1 + len(document["tools"].get("write", {}).get("allow_if", []))
    with pytest.raises(PolicyError, match="would not let this call through"):
        preview_permit(edits, replace(CALL, arguments={"size": 6}), CONDITIONS)


def test_a_limited_rule_is_for_tools_that_ask(tmp_path: Path) -> None:
    edits = editor(tmp_path, tools={"write": {"action": "deny"}})
    with pytest.raises(PolicyError, match="is not asked about"):
        preview_permit(edits, CALL, CONDITIONS)
