from __future__ import annotations

import json
from typing import Any

import pytest
from rich.cells import cell_len

from pktui.text import has_hidden
from pktui.tui.arguments import argument_lines, beside_lines, diff_lines, raw_lines, summary

HOSTILE = (
    "[bold red]x[/] \x1b[2J\x1b]0;t\x07 a\rb \u202egnp\u2066 \u200b\u200d\x00\x9b1m \U000e0041"
)


def drawn(value: Any) -> list[str]:
    return [line.lead + line.text for line in argument_lines(json.dumps(value))]


def test_plain_values_stand_in_one_column() -> None:
    assert drawn({"id": 7, "title": "JWT", "tags": ["a", "b"], "on": True, "none": None}) == [
        "id     7",
        'title  "JWT"',
        'tags   ["a", "b"]',
        "on     true",
        "none   null",
    ]


def test_a_number_is_shown_as_it_was_written() -> None:
    text = '{"n": 12345678901234567890.10, "e": 1e400}'
    assert [line.text for line in argument_lines(text)] == ["12345678901234567890.10", "1e400"]


def test_text_of_several_lines_stands_behind_a_gutter() -> None:
    assert drawn({"content": "one\n  two: 2"}) == ["content", "  │ one", "  │   two: 2"]


def test_nested_values_are_shown_to_the_last() -> None:
    assert drawn({"a": {"b": [1, {"c": "x"}]}, "e": {}, "l": []}) == [
        "a",
        "  b",
        "    1. 1",
        "    2.",
        '      c  "x"',
        "e  {}",
        "l  []",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [("old_string", "new_string"), ("oldText", "newText"), ("old_str", "new_str")],
)
def test_an_edit_is_shown_as_a_diff(old: str, new: str) -> None:
    assert drawn({"path": "a.py", old: "one\ntwo", new: "one\nzwei"}) == [
        'path  "a.py"',
        f"{old} → {new}",
        "    one",
        "  - two",
        "  + zwei",
    ]


def test_a_change_of_line_ends_alone_is_seen_in_the_diff() -> None:
    assert [line.lead + line.text for line in diff_lines("a\r\nb", "a\nb")] == [
        "- a␍",
        "+ a",
        "  b",
    ]


def test_a_long_edit_shows_both_texts_whole() -> None:
    old = "\n".join(f"old {n}" for n in range(2_000))
    lines = list(diff_lines(old, "new"))
    assert len(lines) == 2_001
    assert lines[-1].lead == "+ "


@pytest.mark.parametrize("text", ["", "not json", '{"a": 1', '{"a": 1, "a": 2}', "[" * 5_000])
def test_what_cannot_be_read_is_shown_as_it_came(text: str) -> None:
    lines = argument_lines(text)
    assert lines[0].tone == "warning"
    assert "".join(line.text for line in lines[1:]) == text


@pytest.mark.parametrize("value", [{}, {"a": {}}, {"a": []}])
def test_empty_arguments_are_named(value: dict[str, Any]) -> None:
    assert drawn(value)


@pytest.mark.parametrize(
    "value",
    [
        {"x": HOSTILE},
        {HOSTILE: "x"},
        {"x": {HOSTILE: [HOSTILE, {HOSTILE: HOSTILE}]}},
        {"x": f"one\n{HOSTILE}"},
        {"old_string": HOSTILE, "new_string": f"{HOSTILE}\nb"},
        HOSTILE,
        [HOSTILE],
    ],
)
def test_hostile_text_is_visible_everywhere(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    shown = [line.lead + line.text for line in (*argument_lines(text), *raw_lines(text))]
    shown.append(summary(text))
    assert not any(has_hidden(line) or "\n" in line or "\t" in line for line in shown)
    assert any("[bold red]" in line for line in shown)


def test_a_megabyte_of_text_is_kept_whole() -> None:
    lines = argument_lines(json.dumps({"x": "y" * 1_000_000}))
    assert lines[0].text == '"' + "y" * 1_000_000 + '"'


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ({"query": "jwt ttl", "limit": 5}, 'query="jwt ttl" limit=5'),
        ({"a": "x\ny", "b": [1, 2], "c": {"d": 1}}, 'a="x y" b=[1, 2] c={1}'),
        ({}, ""),
        (None, ""),
        ([1], "[1]"),
    ],
)
def test_a_summary_is_one_line(value: Any, line: str) -> None:
    assert summary(json.dumps(value)) == line


def test_a_summary_is_never_longer_than_asked() -> None:
    assert len(summary(json.dumps({"k": "v" * 900, "l": "w" * 900}), 40)) <= 41


def test_old_and_new_stand_beside_each_other_and_nothing_is_cut() -> None:
    old, new = f"same\ngone {'o' * 90}\nsame", f"same\nsame\ncome {HOSTILE}"
    lines = list(beside_lines(old, new, 80))
    rows = [line.lead + line.text for line in lines]
    assert all(cell_len(row) <= 80 for row in rows)
    assert not has_hidden("".join(rows))
    assert {row.index(" │ ") for row in rows} == {38}
    left = "".join(row[2:38].rstrip() for row in rows if row.startswith("- "))
    assert left.replace(" ", "") == f"gone{'o' * 90}"
    assert any(line.tone == "added" and "+ come" in line.lead + line.text for line in lines)
