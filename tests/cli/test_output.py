from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from pktui.cli import output
from pktui.errors import PktuiError

HOSTILE = "a\x1b[31mb\u202ec\u200bd"


class Row(msgspec.Struct):
    name: str
    at: Path


class Age(NamedTuple):
    before: timedelta
    said: str


def test_narration_goes_to_standard_error_only(capsys: pytest.CaptureFixture[str]) -> None:
    output.note("working")
    assert capsys.readouterr() == ("", "working\n")


def test_an_error_is_one_line_with_its_cure(capsys: pytest.CaptureFixture[str]) -> None:
    output.fail(PktuiError("the file\nis gone", "Bring it back"))
    assert capsys.readouterr() == ("", "pktui: the file is gone. Bring it back\n")


def test_a_table_keeps_whole_cells_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    wide = "x" * 110
    output.table(["id", "title"], [["1", wide], ["22", "short"]])
    lines = capsys.readouterr().out.splitlines()
    assert [line.rstrip() for line in lines] == ["id  title", f"1   {wide}", "22  short"]


@pytest.mark.parametrize("width", [120, 80, 60, 40])
def test_on_a_narrow_terminal_the_last_columns_give_way_and_the_first_never(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    row = ["s-moni-51", "claude-code", "memory.end_session", "x" * 50, "command line", "0"]
    output.table(["id", "agent", "tool", "arguments", "by", "used"], [row])
    plain = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    header, cells = (line.rstrip() for line in plain.splitlines())
    assert header.startswith("id         ")
    assert cells.startswith("s-moni-51  ")
    assert len(cells) <= width
    assert ("memory.end_session" in cells) == (width >= 80)


def test_a_table_without_rows_says_why_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.table(["id"], [], empty="No sessions yet.")
    assert capsys.readouterr() == ("", "No sessions yet.\n")


def test_no_foreign_character_acts_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.line(HOSTILE)
    output.note(HOSTILE)
    output.table(["h"], [[HOSTILE], ["[bold]markup[/bold]"]])
    output.facts([("name", HOSTILE), ("none", "")])
    output.json({"text": HOSTILE})
    said = "".join(capsys.readouterr())
    assert not {"\x1b", "\u202e", "\u200b"} & set(said)
    assert "[bold]markup[/bold]" in said


@pytest.mark.parametrize(
    "text", [HOSTILE, "\x7f\x9b", "ü 日本 🙂", "\U000e0041tag", "\\u0041 \n\t"]
)
def test_json_gives_back_the_exact_text(capsys: pytest.CaptureFixture[str], text: str) -> None:
    output.json([{"text": text}])
    output.json_line({"text": text})
    said = capsys.readouterr().out
    *document, last = said.splitlines()
    assert json.loads("\n".join(document)) == [{"text": text}]
    assert json.loads(last) == {"text": text}


def test_json_writes_structs_and_paths(capsys: pytest.CaptureFixture[str]) -> None:
    output.json(Row("a", Path("/x")))
    assert json.loads(capsys.readouterr().out) == {"name": "a", "at": "/x"}


def test_facts_line_up_and_indent_what_follows(capsys: pytest.CaptureFixture[str]) -> None:
    output.facts([("id", "1"), ("summary", "one\ntwo")])
    assert capsys.readouterr().out == "id       1\nsummary  one\n         two\n"


@pytest.mark.parametrize(
    "age",
    [
        Age(timedelta(seconds=-5), "0s"),
        Age(timedelta(seconds=59), "59s"),
        Age(timedelta(minutes=59), "59m"),
        Age(timedelta(hours=23), "23h"),
        Age(timedelta(days=12, hours=5), "12d"),
    ],
)
def test_an_age_is_said_in_its_largest_unit(age: Age) -> None:
    now = datetime(2026, 1, 31, 8, tzinfo=UTC)
    when = now - age.before
    assert output.ago(when, now) == age.said
    assert output.age(int(age.before.total_seconds()) * 1_000_000) == age.said


def test_what_cannot_be_undone_needs_a_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    output.confirm("Delete?", yes=True)
    with pytest.raises(PktuiError, match="--yes"):
        output.confirm("Delete?", yes=False)
