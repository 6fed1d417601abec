"""What a page shows, added to a policy: what comes in, what stays, what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pktui.errors import PolicyError
from pktui.policy.document.policy import parse_policy
from pktui.policy.editor import PolicyEditor
from pktui.policy.effective import effective
from pktui.policy.merge import MOST_TEXT, merge_edit
from pktui.policy.text.problems import PolicyInvalid

if TYPE_CHECKING:
    from pathlib import Path

BEFORE = """{
  "version": "1",
  "default": "deny",
  "tools": {
    "read": {},
    "pay": {
      "action": "approve",
      "limits": [ { "counter": "pay_rate", "window": "minute", "max": 3, "scope": "grant" } ]
    }
  }
}
"""
SEARCH = '"search": { "action": "approve" }'


@pytest.fixture
def editor(tmp_path: Path) -> PolicyEditor:
    file = tmp_path / "files.json"
    file.write_text(BEFORE)
    return PolicyEditor(file)


def merged(editor: PolicyEditor, text: str) -> dict[str, Any]:
    edit, _ = merge_edit(editor, text)
    assert edit.before == BEFORE.encode()
    document: dict[str, Any] = json.loads(edit.after)
    return document


@pytest.mark.parametrize(
    "text",
    [
        f'{{"version": "1", "default": "deny", "tools": {{ {SEARCH} }} }}',
        f'{{"tools": {{ {SEARCH} }} }}',
        f"{{ {SEARCH} }}",
        SEARCH,
        f"{SEARCH},",
        f"// from the page\n{{ {SEARCH} }}",
        f"```json\n{{ {SEARCH} }}\n```\n",
        f"\n ``` \r\n\n{SEARCH}\r\n\r\n```  \n",
        "tools:\n  search:\n    action: approve\n",
    ],
)
def test_every_form_a_page_shows_adds_the_tool_and_keeps_the_rest(
    editor: PolicyEditor, text: str
) -> None:
    document = merged(editor, text)
    assert document["tools"]["search"] == {"action": "approve"}
    document["tools"].pop("search")
    assert document == json.loads(BEFORE)


def test_only_lines_of_what_is_new_are_in_the_diff(editor: PolicyEditor) -> None:
    edit, notes = merge_edit(editor, f"{{ {SEARCH} }}")
    added = [line for line in edit.diff.splitlines()[2:] if line.startswith(("+", "-"))]
    assert any("search" in line for line in added)
    assert not any("pay_rate" in line for line in added)
    assert (edit.summary, notes) == ("merged: search", ())


def test_a_tool_that_is_there_gets_what_it_lacks(editor: PolicyEditor) -> None:
    entry = {
        "reason": "Money.",
        "deny_if": [{"conditions": [{"path": "args.amount", "op": "gt", "value": 10}]}],
        "limits": [
            {"counter": "pay_rate", "window": "minute", "max": 1, "scope": "grant"},
            {"counter": "spend", "window": "day", "max": 50, "scope": "grant"},
        ],
    }
    pay = merged(editor, json.dumps({"pay": entry}))["tools"]["pay"]
    assert (pay["action"], pay["reason"]) == ("approve", "Money.")
    assert [(limit["counter"], limit["max"]) for limit in pay["limits"]] == [
        ("pay_rate", 1),
        ("spend", 50),
    ]
    again = PolicyEditor(editor.path)
    again.save(merge_edit(again, json.dumps({"pay": entry}))[0])
    assert not merge_edit(again, json.dumps({"pay": entry}))[0].changed


def test_hide_and_all_tools_are_added_and_the_default_is_not(editor: PolicyEditor) -> None:
    limit = {"counter": "calls", "window": "minute", "max": 120, "scope": "grant"}
    page = {"version": "1", "default": "allow", "hide": ["drop"], "all_tools": {"limits": [limit]}}
    edit, notes = merge_edit(editor, json.dumps(page))
    document = json.loads(edit.after)
    assert (document["default"], document["hide"]) == ("deny", ["drop"])
    assert document["all_tools"] == {"limits": [limit]}
    assert notes == ("its default, allow, was left out: this policy's stays deny",)


def test_an_intercept_policy_is_converted_first(editor: PolicyEditor) -> None:
    text = "version: '1'\ntools:\n  wipe:\n    rules:\n      - name: never\n        action: deny\n"
    edit, _ = merge_edit(editor, text)
    assert effective(parse_policy(edit.after), "wipe").action == "deny"


@pytest.mark.parametrize("text", ["", "[]", "{}", "nothing of the kind", '{"a": ', "1"])
def test_what_holds_no_policy_is_refused(editor: PolicyEditor, text: str) -> None:
    with pytest.raises(PolicyError):
        merge_edit(editor, text)


def test_what_would_be_no_policy_is_refused_with_its_place(editor: PolicyEditor) -> None:
    with pytest.raises(PolicyInvalid, match="acton"):
        merge_edit(editor, '{"search": {"acton": "deny"}}')


def test_a_text_without_end_is_refused(editor: PolicyEditor) -> None:
    with pytest.raises(PolicyError, match="longer"):
        merge_edit(editor, " " * (MOST_TEXT + 1))


@pytest.mark.timeout(20)
def test_a_fence_that_nothing_closes_costs_no_time(editor: PolicyEditor) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        merge_edit(editor, "```\n" + "\n" * (MOST_TEXT - 5) + "x")
