"""A policy's document: read with its problems marked, searched, and edited by hand."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pktui.policy.document.policy import load_policy
from pktui.policy.lint import Review
from pktui.policy.live import LivePolicy
from pktui.policy.text.problems import Problem
from pktui.tui.console import Console
from pktui.tui.glyphs import UNICODE
from pktui.tui.screens.ask import AskScreen
from pktui.tui.views.policies.document_screen import DocumentScreen
from pktui.tui.views.policies.marked import marked
from pktui.tui.views.policies.write_screen import WriteScreen
from pktui.tui.widgets.document import DocumentView
from tests.tui.house import HOSTILE, LARGE, SMALL, House, desk
from tests.tui.views.test_policies import POLICY, action_of, at_tool, house, write

__all__ = ["house"]
BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])
BROKEN = """{
  "version": "1",
  "default": "deny",
  "tools": {
    "read": { "acton": "approve" },
    "write": {}
  }
}
"""


@BOTH
async def test_problems_are_marked_where_they_stand_with_what_to_do(
    house: House, size: tuple[int, int]
) -> None:
    write(house, "files", BROKEN)
    async with desk(house, "policies", size) as at:
        await at_tool(at, "files", "read")
        await at.press("v")
        assert isinstance(at.app.screen, DocumentScreen)
        text = at.screen_text()
        assert "1 problem · gateways keep the last good one" in text
        assert '5 ✗     "read": { "acton": "approve" },' in text
        assert 'unknown key "acton"' in text
        assert 'id you mean "action"?' in text
        assert '6       "write": {}' in text
        await at.press("escape")
        assert not isinstance(at.app.screen, DocumentScreen)


def test_a_problem_that_begins_in_the_indent_shows_it_once() -> None:
    problem = Problem(2, 1, "", "is no rule", "Take it out")
    shown = marked("{\n    true\n}", Review(None, (problem,)), UNICODE).lines[1]
    assert (shown.lead, shown.text) == ("2 ✗     ", "true")
    assert shown.spans == ((0, 4, "wrong"),)


async def test_the_word_that_is_wrong_is_made_out_from_the_rest(house: House) -> None:
    write(house, "files", BROKEN)
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "read")
        await at.press("v")
        rows = at.app.screen.query_one(DocumentView).rows
        row = next(row for row in rows if "acton" in row.text)
        pieces = list(row.pieces())
        assert ('"acton"', "wrong") in pieces
        assert ('"read"', "key") in pieces
        assert ('"approve"', "string") in pieces
        assert "".join(text for text, _ in pieces) == row.text


async def test_what_is_valid_and_not_meant_is_marked_otherwise(house: House) -> None:
    tools = {"delete_*": {"action": "deny"}, "delete_one": {}}
    write(house, "files", {"version": "1", "default": "deny", "tools": tools})
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "delete_one")
        await at.press("v")
        assert "2 rules, any other tool: deny · 1 to look at" in at.screen_text()
        rows = at.app.screen.query_one(DocumentView).rows
        assert not [row for row in rows for _, tone in row.pieces() if tone == "wrong"]


@BOTH
async def test_words_are_found_in_the_document(house: House, size: tuple[int, int]) -> None:
    tools = {f"tool_{number}": {"reason": f"number {number}"} for number in range(100)}
    write(house, "files", {"version": "1", "default": "deny", "tools": tools})
    async with desk(house, "policies", size) as at:
        await at_tool(at, "files", "tool_0")
        await at.press("v", "slash", *"Number", "space", *"9")
        assert "1 of 11" in at.screen_text()
        assert "number 9" in at.screen_text()
        await at.press("enter", "n", "n")
        assert "3 of 11" in at.screen_text()
        assert "number 91" in at.screen_text()
        await at.press("N", "N", "N")
        assert "11 of 11" in at.screen_text()
        await at.press("escape")
        assert isinstance(at.app.screen, DocumentScreen)
        await at.press("v")
        assert not isinstance(at.app.screen, DocumentScreen)


async def test_hostile_text_in_a_document_is_made_visible(house: House) -> None:
    raw = f'{{ "version": "1",\n"default": "deny",\t{HOSTILE}'
    house.paths.policy_file("files").write_text(raw, errors="replace")
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "read")
        await at.press("v")
        assert isinstance(at.app.screen, DocumentScreen)
        for row in at.app.screen.query_one(DocumentView).rows:
            assert row.text.isprintable()
            assert "\u202e" not in row.text
        assert "[bold red]x[/]" in at.screen_text()


async def test_a_file_that_is_no_text_says_so(house: House) -> None:
    house.paths.policy_file("files").write_bytes(b'{"version": "\xff"}')
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "read")
        await at.press("v")
        assert "not UTF-8" in at.screen_text()


async def test_a_server_without_a_file_shows_what_holds_till_then(house: House) -> None:
    house.other.catalogue.saw("mail", [{"name": "send"}])
    async with desk(house, "policies") as at:
        await at_tool(at, "mail", "send")
        await at.press("v")
        assert "there is no file yet" in at.screen_text()
        assert '"default": "approve"' in at.screen_text()


# By hand


@dataclass
class Editor:
    """A program that leaves what it was told to, and notes what it was given."""

    directory: Path

    def types(self, text: str) -> None:
        (self.directory / "typed").write_text(text)

    @property
    def given(self) -> bytes | None:
        given = self.directory / "given"
        return given.read_bytes() if given.exists() else None

    @property
    def name(self) -> str:
        return (self.directory / "name").read_text()


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Editor:
    monkeypatch.setattr(Console, "suspend", lambda _self: contextlib.nullcontext())
    script = tmp_path / "an editor.py"
    script.write_text(
        "import os, pathlib, sys\n"
        "file, here = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).parent\n"
        "assert os.stat(file).st_mode & 0o077 == 0 == os.stat(file.parent).st_mode & 0o077\n"
        "(here / 'given').write_bytes(file.read_bytes())\n"
        "(here / 'name').write_text(file.name)\n"
        "if (here / 'typed').exists(): file.write_bytes((here / 'typed').read_bytes())\n"
    )
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", shlex.join([sys.executable, str(script)]))
    return Editor(tmp_path)


def edited(**more: object) -> str:
    return json.dumps({**POLICY, **more}, indent=2)


async def test_what_was_edited_is_shown_and_written_only_then_and_undone(
    house: House, editor: Editor
) -> None:
    file = house.paths.policy_file("files")
    before = file.read_bytes()
    editor.types(edited(default="deny"))
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "read")
        await at.press("V")
        assert isinstance(at.app.screen, WriteScreen)
        assert "Write what you edited for files?" in at.screen_text()
        assert '"default": "deny"' in at.screen_text()
        assert editor.given == before == file.read_bytes()
        assert editor.name == "files.json"
        await at.answer("w")
        await at.until(lambda: load_policy(file).default == "deny")
        await at.until(lambda: not at.app.undo_stack.running)
        await at.press("u")
        assert file.read_bytes() == before


async def test_an_unusable_document_is_marked_and_never_in_the_file(
    house: House, editor: Editor
) -> None:
    file = house.paths.policy_file("files")
    before = file.read_bytes()
    editor.types(BROKEN)
    live = LivePolicy(file)
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "read")
        await at.press("V")
        assert isinstance(at.app.screen, DocumentScreen)
        assert 'unknown key "acton"' in at.screen_text()
        assert "as you left it, not written" in at.screen_text()
        assert file.read_bytes() == before
        live.current()
        assert live.problem is None
        editor.types(BROKEN.replace("acton", "action"))
        await at.press("V")  # goes on with what was left
        assert isinstance(at.app.screen, WriteScreen)
        assert editor.given == BROKEN.encode()
        await at.answer("w")
        await at.until(lambda: action_of(house, "read") == "approve")


async def test_a_broken_file_is_mended_by_hand(house: House, editor: Editor) -> None:
    write(house, "files", BROKEN)
    editor.types(edited(default="deny"))
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "read")
        await at.press("V")
        assert isinstance(at.app.screen, WriteScreen)
        await at.answer("w")
        await at.until(lambda: action_of(house, "read") == "allow")


async def test_what_loosens_asks_for_the_pin(
    house: House, editor: Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.ledger.approvals.pin.COST", 1 << 11)
    house.other.pin.set("quite secret", by="a person")
    before = house.paths.policy_file("files").read_bytes()
    editor.types(edited(default="allow"))
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "read")
        await at.press("V")
        await at.answer("w")
        await at.until(lambda: isinstance(at.app.screen, AskScreen))
        assert house.paths.policy_file("files").read_bytes() == before


async def test_a_file_that_changed_meanwhile_is_not_written_over(
    house: House, editor: Editor
) -> None:
    editor.types(edited(default="deny"))
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "read")
        await at.press("V")
        other = write(house, "files", edited(description="by somebody else"))
        kept = other.read_bytes()
        await at.answer("w")
        await at.until(lambda: "nothing was written" in at.notices())
        assert other.read_bytes() == kept


async def test_nothing_changed_is_said(house: House, editor: Editor) -> None:
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "read")
        await at.press("V")
        assert "nothing was changed" in at.notices()
        assert editor.given
        assert at.app.screen is at.app.screen_stack[0]


@pytest.mark.parametrize(
    ("editor_is", "said"),
    [("", "no editor is set"), ("nowhere-to-be-found", "the editor nowhere-to-be-found cannot be"),
     (f"{sys.executable} -c 'exit(3)'", f"{Path(sys.executable).name} ended with status 3"),
     ("vi 'x", "EDITOR cannot be read as a command")],
)  # fmt: skip
async def test_an_editor_that_does_not_do_is_told(
    house: House, editor: Editor, monkeypatch: pytest.MonkeyPatch, editor_is: str, said: str
) -> None:
    monkeypatch.setenv("EDITOR", editor_is)
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "read")
        await at.press("V")
        assert at.said[-1].startswith(said)
        assert at.app.screen is at.app.screen_stack[0]
    assert editor.given is None


async def test_without_a_terminal_to_hand_over_it_says_so(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUAL", "true")
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "read")
        await at.press("V")
        assert "cannot be handed to an editor" in at.notices()


async def test_read_only_shows_and_edits_nothing(house: House, editor: Editor) -> None:
    house.read_only = True
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "read")
        await at.press("v")
        assert isinstance(at.app.screen, DocumentScreen)
        await at.press("V")
        assert "read-only" in at.notices()
        assert editor.given is None


async def test_from_all_tools_it_is_the_document_of_the_tool_s_server(house: House) -> None:
    async with desk(house, "policies") as at:
        await at.press("asterisk", "v")
        assert isinstance(at.app.screen, DocumentScreen)
        assert "The policy of memory" in at.screen_text()


async def test_the_help_lists_the_keys(house: House) -> None:
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "read")
        await at.press("question_mark", *"document")
        assert "policies.document" in at.screen_text()
