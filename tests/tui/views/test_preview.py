from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from pktui.errors import MemoryUnavailable
from pktui.ledger.records import Caller
from pktui.memory.records import Entry, Session
from pktui.text import has_hidden
from pktui.tui.views.approvals.preview import MOST_BYTES, preview_of, read_file
from tests.tui.house import HOSTILE, LARGE, SMALL, START_US, House, desk

if TYPE_CHECKING:
    from pktui.settings import Paths
    from pktui.tui.services import Memory

BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])
NONE = cast("Memory", SimpleNamespace())
START = datetime.fromtimestamp(START_US / 1_000_000, UTC)


@pytest.fixture
def house(paths: Paths) -> Iterator[House]:
    house = House(paths)
    yield house
    house.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = tmp_path / "shop"
    project.mkdir()
    (project / "auth.py").write_text("import jwt\nTTL = 60\n\n\ndef check(): ...\n")
    return project


def asked(
    house: House, project: Path, arguments: Mapping[str, Any], tool: str = "write", **more: Any
) -> Any:
    caller = Caller("claude-code", "", "s", str(project))
    return house.ask(tool, arguments, **{"server": "files", "caller": caller, **more})


def said(house: House, project: Path, arguments: Mapping[str, Any], **more: Any) -> str:
    lines = preview_of(asked(house, project, arguments, **more), NONE, START_US)
    return "\n".join(f"{line.lead}{line.text}" for line in lines)


def test_a_write_over_a_file_is_shown_as_its_difference(house: House, project: Path) -> None:
    text = (project / "auth.py").read_text().replace("60", "3600")
    found = said(house, project, {"path": "auth.py", "content": text})
    assert "changes auth.py  +1 -1" in found
    assert "- TTL = 60" in found
    assert "+ TTL = 3600" in found
    absolute = said(house, project, {"file_path": str(project / "auth.py"), "content": ""})
    assert "+0 -5" in absolute


def test_edits_are_made_to_what_stands_there(house: House, project: Path) -> None:
    found = said(house, project, {"path": "auth.py", "old_string": "60", "new_string": "90"})
    assert "+ TTL = 90" in found
    edits = [{"oldText": "60", "newText": "70"}, {"oldText": "import jwt\n", "newText": ""}]
    assert "+1 -2" in said(house, project, {"path": "auth.py", "edits": edits})
    missing = {"path": "auth.py", "old_string": "61", "new_string": "90"}
    assert "the text to replace is not in it" in said(house, project, missing)


def test_a_new_file_and_one_that_stays_are_named(house: House, project: Path) -> None:
    found = said(house, project, {"path": "new.py", "content": "a\nb\n"})
    assert "makes   new.py, a new file of 2 lines" in found
    same = (project / "auth.py").read_text()
    assert "nothing: it holds this" in said(house, project, {"path": "auth.py", "content": same})


@pytest.mark.parametrize(
    "arguments",
    [{}, {"path": "auth.py"}, {"content": "x"}, {"path": 1, "content": "x"}, {"path": "a\0b",
     "content": "x"}, {"path": ".", "content": "x"}],
)  # fmt: skip
def test_what_cannot_be_told_is_not_said(
    house: House, project: Path, arguments: dict[str, Any]
) -> None:
    assert said(house, project, arguments) == ""


def test_pipes_and_giants_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert read_file(tmp_path / "pipe") is None
    (tmp_path / "giant").write_bytes(b"x" * (MOST_BYTES + 1))
    assert read_file(tmp_path / "giant") is None


def test_the_memorys_own_tools_show_the_thing_itself(house: House, project: Path) -> None:
    session = Session(7, "", "active", START, title="Fix the login", message_count=1_204)
    entry = Entry(3, "JWT", "TTL is 60\nsee auth.py", "", (), START, START)
    memory = cast(
        "Memory", SimpleNamespace(session=lambda _id: session, get_entry=lambda _id: entry)
    )

    def lines(tool: str, arguments: dict[str, Any]) -> str:
        waits = asked(house, project, arguments, tool, server="memory")
        found = preview_of(waits, memory, START_US + 60_000_000)
        return "\n".join(f"{line.lead}{line.text}" for line in found)

    ended = lines("end_session", {"sessionId": 7})
    assert "“Fix the login”, 1,204 messages, last 1 min ago" in ended
    assert "TTL is 60" in lines("delete_knowledge", {"id": 3})
    assert "+1 -1" in lines("update_knowledge", {"id": 3, "content": "TTL is 3600\nsee auth.py"})


def test_a_memory_that_is_away_is_said(house: House, project: Path) -> None:
    def away(_id: int) -> Session:
        raise MemoryUnavailable("the memory is away", "Wait")

    memory = cast("Memory", SimpleNamespace(session=away))
    waits = asked(house, project, {"sessionId": 7}, "end_session", server="memory")
    assert "cannot be looked up now" in preview_of(waits, memory, START_US)[0].text


@BOTH
async def test_the_card_shows_the_change_above_the_arguments(
    house: House, project: Path, size: tuple[int, int]
) -> None:
    (project / "auth.py").write_text(f"{HOSTILE}\n".replace("\ud800", ""))
    asked(house, project, {"path": "auth.py", "content": "TTL = 3600\n"})
    async with desk(house, "approvals", size) as at:
        if size == SMALL:
            await at.press("enter")
        screen = at.screen_text()
        assert "changes auth.py  +1 -" in screen
        assert screen.index("changes auth.py") < screen.rindex("content")
        assert not has_hidden(screen.replace("\n", ""))
