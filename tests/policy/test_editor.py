from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pktui.errors import PolicyConflict, PolicyError
from pktui.policy import files
from pktui.policy.document.policy import PolicyInvalid, parse_policy
from pktui.policy.editor import START, PolicyEditor, PolicyText
from pktui.policy.effective import effective
from pktui.policy.rule_change import Change

ODD = """{ "version":"1",
  "default" : "deny",
\t"hide": [ "h1",
\t          "h2" ],
  "tools": {
      "a": {"reason":   "kept" , "action":"approve"},
      "b": { },
    "db_*": { "deny_if": [ { "conditions": [] } ] },
    "r": { "rate_limit": "5/minute" },
    "l": {
      "limits": [
        { "max": 3, "scope": "session", "window": "day", "counter": "l_rate" },
        { "counter": "other", "window": "hour", "max": 9 }
      ]
    }
  }}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "p.json"
    file.write_text(ODD)
    return file


def edited(path: Path) -> Any:
    return json.loads(path.read_text())


def lines_changed(path: Path) -> list[str]:
    before = ODD.splitlines()
    return [line for line in path.read_text().splitlines() if line not in before]


def test_an_action_is_replaced_in_place(path: Path) -> None:
    PolicyEditor(path).set_action("a", "deny")
    assert lines_changed(path) == ['      "a": {"reason":   "kept" , "action":"deny"},']


def test_an_entry_without_an_action_gets_one(path: Path) -> None:
    PolicyEditor(path).set_action("b", "approve", reason="Look at it.")
    assert edited(path)["tools"]["b"] == {"action": "approve", "reason": "Look at it."}
    assert len(lines_changed(path)) == 1


def test_allowing_what_is_allowed_changes_nothing(path: Path) -> None:
    edit = PolicyEditor(path).set_action("b", "allow")
    assert not edit.changed
    assert path.read_text() == ODD


def test_an_unlisted_tool_is_added_behind_the_others(path: Path) -> None:
    PolicyEditor(path).set_action("new", "approve")
    assert list(edited(path)["tools"])[-1] == "new"
    assert effective(PolicyEditor(path).policy, "new").action == "approve"


def test_a_tool_under_a_glob_keeps_the_globs_conditions(path: Path) -> None:
    PolicyEditor(path).set_action("db_x", "approve")
    assert edited(path)["tools"]["db_x"]["deny_if"] == [{"conditions": []}]
    assert edited(path)["tools"]["db_*"] == {"deny_if": [{"conditions": []}]}


def test_a_limit_on_an_unlisted_tool_does_not_allow_it(path: Path) -> None:
    editor = PolicyEditor(path)
    editor.set_limit("new", 5, "hour")
    found = effective(editor.policy, "new")
    assert found.action == "deny"
    assert [(limit.counter, str(limit.max)) for limit in found.limits] == [("new_rate", "5")]


def test_hiding_and_showing_leave_the_list_as_it_was(path: Path) -> None:
    editor = PolicyEditor(path)
    editor.set_action("b", "hide")
    assert edited(path)["hide"] == ["h1", "h2", "b"]
    editor.set_action("b", "allow")
    assert path.read_text() == ODD


def test_a_tool_hidden_by_a_glob_cannot_be_shown_by_name(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text('{"version":"1","default":"allow","hide":["db_*"]}')
    with pytest.raises(PolicyError, match=r'hidden by the glob "db_\*"'):
        PolicyEditor(path).set_action("db_x", "allow")


def test_a_limit_is_changed_where_it_stands(path: Path) -> None:
    editor = PolicyEditor(path)
    editor.set_limit("l", 7, "minute")
    assert edited(path)["tools"]["l"]["limits"][0] == {
        "max": 7, "scope": "session", "window": "minute", "counter": "l_rate",
    }  # fmt: skip
    assert len(lines_changed(path)) == 1
    editor.set_limit("l", None)
    assert [limit["counter"] for limit in edited(path)["tools"]["l"]["limits"]] == ["other"]


def test_a_shorthand_is_changed_as_a_shorthand(path: Path) -> None:
    editor = PolicyEditor(path)
    editor.set_limit("r", 9, "hour")
    assert edited(path)["tools"]["r"] == {"rate_limit": "9/hour"}
    editor.set_limit("r", None)
    assert edited(path)["tools"]["r"] == {}


def test_a_reason_is_set_and_taken_away(path: Path) -> None:
    editor = PolicyEditor(path)
    editor.set_reason("a", 'say "why"\n')
    assert edited(path)["tools"]["a"]["reason"] == 'say "why"\n'
    editor.set_reason("a", "")
    assert edited(path)["tools"]["a"] == {"action": "approve"}


def test_a_preview_writes_nothing_and_shows_the_difference(path: Path) -> None:
    edit = PolicyEditor(path).preview([Change("a", "deny")])
    assert path.read_text() == ODD
    assert '-      "a": {"reason":   "kept" , "action":"approve"},' in edit.diff
    assert '+      "a": {"reason":   "kept" , "action":"deny"},' in edit.diff


def test_a_file_changed_meanwhile_is_not_written_over(path: Path) -> None:
    editor = PolicyEditor(path)
    path.write_text(ODD + "\n")
    with pytest.raises(PolicyConflict, match="changed since it was read"):
        editor.set_action("a", "deny")
    assert path.read_text() == ODD + "\n"
    editor.reload()
    assert editor.set_action("a", "deny").changed


def test_ten_edits_are_undone_one_by_one(path: Path) -> None:
    editor = PolicyEditor(path)
    for index in range(12):
        editor.set_reason("a", f"reason {index}")
    for _ in range(10):
        editor.undo()
    assert edited(path)["tools"]["a"]["reason"] == "reason 1"
    with pytest.raises(PolicyError, match="left to undo"):
        editor.undo()


def test_an_undo_over_a_foreign_edit_is_refused(path: Path) -> None:
    editor = PolicyEditor(path)
    editor.set_action("a", "deny")
    path.write_text(ODD)
    with pytest.raises(PolicyConflict, match="nothing was undone"):
        editor.undo()


def test_another_process_can_undo_where_history_is_kept(path: Path, tmp_path: Path) -> None:
    history = tmp_path / "history"
    PolicyEditor(path, history=history).set_action("a", "deny")
    assert PolicyEditor(path, history=history).undo().summary == "undone: a: deny"
    assert path.read_text() == ODD
    assert [file.stat().st_mode & 0o777 for file in history.iterdir()] == [0o600]


def test_a_missing_file_starts_by_asking_about_everything(tmp_path: Path) -> None:
    path = tmp_path / "config" / "policies" / "s.json"
    history = tmp_path / "data" / "history"
    editor = PolicyEditor(path, history=history)
    assert editor.raw == START
    editor.set_action("a", "deny")
    assert edited(path)["default"] == "approve"
    assert path.stat().st_mode & 0o777 == 0o600
    made = (path.parent, path.parent.parent, history, history.parent)
    assert [place.stat().st_mode & 0o777 for place in made] == [0o700] * 4


def test_a_broken_file_is_not_edited(path: Path) -> None:
    path.write_text("{")
    with pytest.raises(PolicyInvalid):
        PolicyEditor(path).set_action("a", "deny")
    assert path.read_text() == "{"


def test_a_lock_kept_by_another_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_PATIENCE_SECONDS", 0.0)
    handle = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        with pytest.raises(PolicyError, match=r"keeps the policies in .* locked"):
            PolicyEditor(path).set_action("a", "deny")
    finally:
        os.close(handle)
    assert path.read_text() == ODD


def test_a_preview_of_an_older_file_is_not_saved(path: Path) -> None:
    editor = PolicyEditor(path)
    preview = editor.preview([Change("a", "deny")])
    editor.set_action("b", "deny")
    with pytest.raises(PolicyConflict, match="changed since that preview"):
        editor.save(preview)


def test_a_symbolic_link_stays_one_and_the_mode_is_kept(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(path)
    path.chmod(0o640)
    PolicyEditor(link).set_action("a", "deny")
    assert link.is_symlink()
    assert edited(path)["tools"]["a"]["action"] == "deny"
    assert path.stat().st_mode & 0o777 == 0o640


def test_no_file_is_left_lying_about(path: Path) -> None:
    PolicyEditor(path).set_action("a", "deny")
    assert [file.name for file in path.parent.iterdir()] == ["p.json"]


def test_an_edit_that_would_break_the_policy_is_refused(path: Path) -> None:
    with pytest.raises(PolicyInvalid, match="counter"):
        PolicyEditor(path).set_limit("n" * 300, 5)
    assert path.read_text() == ODD


@pytest.mark.parametrize("name", ["*", "db_*x", "a?", "b[0]", "c]"])
@pytest.mark.parametrize(
    "change", [{"action": "allow"}, {"action": "hide"}, {"limit": "5/minute"}, {"reason": "Why."}]
)
def test_no_pattern_is_made_of_a_tools_name(path: Path, name: str, change: dict[str, Any]) -> None:
    with pytest.raises(PolicyError, match="would be one for other tools") as caught:
        PolicyEditor(path).preview([Change(name, **change)])
    assert "one by one" in caught.value.cure


def test_a_pattern_that_the_author_wrote_is_changed(path: Path) -> None:
    PolicyEditor(path).set_action("db_*", "deny")
    assert edited(path)["tools"]["db_*"]["action"] == "deny"


def test_several_changes_are_one_edit_and_one_step_back(path: Path) -> None:
    editor = PolicyEditor(path)
    edit = editor.preview(
        [
            Change("a", "deny", reason="Not now."),
            Change("b", "hide"),
            Change("r", limit="9/min"),
            Change("new", "allow", limit="5/90"),
        ]
    )
    assert path.read_text() == ODD
    assert edit.summary == "4 changes: a: deny; b: hide; r: 9 per min; new: allow, 5 per 90"
    editor.save(edit)
    after = edited(path)
    assert after["tools"]["a"] == {"reason": "Not now.", "action": "deny"}
    assert after["hide"] == ["h1", "h2", "b"]
    assert after["tools"]["r"] == {"rate_limit": "9/minute"}
    (limit,) = after["tools"]["new"]["limits"]
    assert (limit["max"], limit["window"]) == (5, 90)
    editor.undo()
    assert path.read_text() == ODD


def test_where_one_of_several_changes_is_refused_none_is_made(path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be written"):
        PolicyEditor(path).preview([Change("a", "deny"), Change("b", limit="often")])
    assert path.read_text() == ODD


ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "action": st.sampled_from(["allow", "deny", "approve"]),
        "reason": st.text(max_size=8),
        "rate_limit": st.just("5/minute"),
        "deny_if": st.just([{"conditions": []}]),
    },
)
DOCUMENTS = st.fixed_dictionaries(
    {"version": st.just("1"), "default": st.sampled_from(["allow", "deny", "approve"])},
    optional={
        "hide": st.lists(st.sampled_from("abcd"), unique=True),
        "tools": st.dictionaries(st.sampled_from(["a", "b", "c", "x*"]), ENTRIES, max_size=4),
    },
)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    DOCUMENTS,
    st.sampled_from([None, 1, 2, "\t"]),
    st.sampled_from(["a", "b", "xy", "new"]),
    st.sampled_from(["allow", "deny", "approve", "hide"]),
)
def test_editing_one_tool_changes_no_other_meaning(
    document: dict[str, Any], indent: int | str | None, tool: str, action: Any
) -> None:
    text = json.dumps(document, indent=indent)
    draft = PolicyText(text, parse_policy(text.encode()))
    if action == "hide":
        draft.hide(tool)
    else:
        draft.show(tool)
        draft.act(tool, action)
    after = json.loads(draft.text)
    edited_policy = parse_policy(draft.text.encode())
    assert edited_policy.hides(tool) is (action == "hide")
    if action != "hide":
        assert edited_policy.rule_for(tool).action == action
    for part in (document, after):
        part.get("tools", {}).pop(tool, None)
        part["hide"] = [name for name in part.get("hide", []) if name != tool]
        part.setdefault("tools", {})
    assert after == document


@pytest.mark.parametrize("action", ["allow", "deny"])
def test_what_runs_unasked_goes_with_the_asking(tmp_path: Path, action: str) -> None:
    path = tmp_path / "p.json"
    entry = '{ "action": "ask", "allow_if": [{ "conditions": [] }], "reason": "Look." }'
    path.write_text(f'{{"version": "1", "default": "deny", "tools": {{ "t": {entry} }}}}')
    PolicyEditor(path).set_action("t", action)  # type: ignore[arg-type]
    changed = f'{{ "action": "{action}", "reason": "Look." }}'
    assert f'"t": {changed}' in path.read_text()
    kept = PolicyEditor(path)
    kept.set_action("t", "approve")
    assert '"action": "approve"' in path.read_text()


@pytest.mark.parametrize("change", [Change("t\udce9", "deny"), Change("a", reason="b\udce9")])
def test_half_a_character_is_in_no_name_and_no_reason(path: Path, change: Change) -> None:
    before = path.read_bytes()
    with pytest.raises(PolicyError, match="half a character"):
        PolicyEditor(path).preview([change])
    assert path.read_bytes() == before
