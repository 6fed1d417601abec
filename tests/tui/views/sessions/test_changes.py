from __future__ import annotations

import json
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import msgspec
import pytest
from textual import events

from pktui.tui.screens.working import with_bar
from tests.tui.house import LARGE, SMALL
from tests.tui.views.sessions.room import Room, sessions, shop_memory

if TYPE_CHECKING:
    from pktui.memory.records import Message, Page
    from pktui.settings import Paths
    from pktui.tui.progress import Progress

PATIENCE = 60


def _names_in(directory: Path) -> list[str]:
    return [file.name for file in directory.iterdir()]


def _status(room: Room, number: int) -> str:
    return room.memory.kept[number].status


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_e_ends_with_a_summary_and_u_takes_it_back(
    paths: Paths, size: tuple[int, int]
) -> None:
    async with sessions(paths, size=size) as room:
        await room.press("e")
        await room.type_text("slow query found")
        assert _status(room, 3) == "active"
        await room.press("enter")
        assert _status(room, 3) == "ended"
        assert room.memory.kept[3].summary == "slow query found"
        assert "○  checkout is slow" in room.text()
        await room.press("u")
        assert _status(room, 3) == "active"
        assert "●  checkout is slow" in room.text()


async def test_the_summary_may_stay_empty(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.press("e", "enter")
        assert _status(room, 3) == "ended"
        assert "end 3 None" in room.memory.asked


async def test_escape_ends_nothing(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.press("e", "escape")
        assert _status(room, 3) == "active"


async def test_an_ended_session_cannot_be_ended_but_reopened(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.press("j", "e")
        assert len(room.app.screen_stack) == 1
        await room.press("R")
        assert _status(room, 2) == "active"
        await room.press("u")
        assert _status(room, 2) == "ended"


async def test_delete_asks_for_the_title(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.press("D", "enter")
        assert 3 in room.memory.kept
        await room.type_text("checkout is slow")
        await room.press("enter")
        assert 3 not in room.memory.kept
        assert room.titles() == ["migrate postgres", "debugging auth"]


async def test_ten_steps_can_be_undone_and_then_there_is_nothing(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.press("e", "enter", "j", "j", "e", "enter", "u", "u", "u")
        assert _status(room, 3) == _status(room, 1) == "active"


async def test_a_failed_change_is_told_and_changes_nothing(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.press("e")
        room.memory.down = True
        await room.press("enter")
        assert _status(room, 3) == "active"
        assert "does not answer" in room.desk.notices()


async def test_a_read_only_console_changes_nothing(paths: Paths) -> None:
    async with sessions(paths, read_only=True) as room:
        await room.press("e", "D")
        assert len(room.app.screen_stack) == 1
        assert "read-only" in room.desk.notices()


@pytest.mark.parametrize("ending", [".md", ".json", ".jsonl"])
async def test_export_writes_the_whole_session(
    paths: Paths, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with sessions(paths) as room:
        await room.press("G", "x")
        target = tmp_path / f"out{ending}"
        room.app.screen.query_one("#ask-input").value = str(target)  # type: ignore[attr-defined]
        await room.press("enter")
        written = target.read_text()
        assert "The JWT token expires too fast" in written
        assert "Keep the login redirect." in written
        assert target.stat().st_mode & 0o777 == 0o600
        if ending == ".json":
            assert len(json.loads(written)["messages"]) == 4
        if ending == ".jsonl":
            assert len([json.loads(line) for line in written.splitlines()]) == 5


async def test_export_never_overwrites(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkout-is-slow.md").write_text("mine")
    async with sessions(paths) as room:
        await room.press("x", "enter")
        assert "is there already" in room.desk.notices()
        assert (tmp_path / "checkout-is-slow.md").read_text() == "mine"


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_a_long_export_shows_how_far_it_is_and_escape_leaves_no_file(
    paths: Paths, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.tui.views.sessions.changes.AT_ONCE", 2)
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.chdir(out)
    memory, go_on = shop_memory(), Event()
    read = memory.messages

    def slow(session_id: int, *, after: int | None = None, **more: int) -> Page[Message]:
        if after == 2 and more.get("limit") == 2:
            assert go_on.wait(PATIENCE)
        return read(session_id, after=after, **more)

    monkeypatch.setattr(memory, "messages", slow)
    async with sessions(paths, memory=memory, size=size) as room:
        await room.press("G")
        await room.desk.key("x")
        await room.desk.until(lambda: "Export" in room.text())
        await room.desk.key("enter")
        await room.desk.until(lambda: "2 messages" in room.text())
        bar = next(line for line in room.text().splitlines() if "2 messages" in line)
        assert "████████████░░░░░░░░░░░░  50%" in bar
        room.desk.house.now_us += 1_000_000
        await room.desk.until(lambda: "2 messages  2/s" in room.text())
        await room.desk.key("escape")
        go_on.set()
        await room.desk.until(lambda: "cancelled; nothing was written" in room.desk.notices())
        await room.desk.settle()
        assert len(room.app.screen_stack) == 1
        assert _names_in(out) == []


async def test_a_bar_comes_over_its_own_view_only_and_hears_no_earlier_key(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.tui.screens.working.MOMENT_SECONDS", 0.01)
    go_on, ended = Event(), list[str]()

    def work(progress: Progress) -> str:
        assert go_on.wait(PATIENCE)
        progress.tell(1, 1)
        return "written"

    async with sessions(paths, size=LARGE) as room:
        view, app, desk = room.view, room.app, room.desk

        def begin() -> None:
            with_bar(view, "Exporting", "messages", work, ended.append, print, group="export")

        await room.press("2")
        begin()
        desk.house.now_us += 2_000_000
        await desk.until(lambda: "Exporting" in room.text().splitlines()[-1])
        assert not app.screen.is_modal
        await desk.key("1")
        begin()
        await desk.until(lambda: app.screen.is_modal)
        early = events.Key("escape", None)
        early.time -= PATIENCE
        app.post_message(early)
        await desk.pilot.pause()
        await desk.until(lambda: app.keyboard.at_rest)
        go_on.set()
        await desk.until(lambda: ended == ["written", "written"])
        await desk.settle()
        assert not app.screen.is_modal


async def test_what_takes_longer_than_a_moment_is_named_until_it_is_done(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, go_on = shop_memory(), Event()
    delete = memory.delete_session

    def slow(session_id: int) -> None:
        assert go_on.wait(PATIENCE)
        delete(session_id)

    monkeypatch.setattr(memory, "delete_session", slow)
    async with sessions(paths, memory=memory, size=LARGE) as room:
        await room.press("D")
        await room.type_text("checkout is slow")
        await room.desk.key("enter")
        await room.desk.until(lambda: len(room.app.screen_stack) == 1)
        assert "deleting" not in room.text().splitlines()[-1]
        room.desk.house.now_us += 2_000_000
        room.app.tick()
        await room.desk.until(lambda: "deleting the session 2 s" in room.text().splitlines()[-1])
        go_on.set()
        await room.desk.settle()
        assert "deleting" not in room.text().splitlines()[-1]
        assert 3 not in memory.kept


async def test_going_on_copies_the_agents_own_command(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "so that the clipboard of this machine is left alone")
    monkeypatch.delenv("TMUX", raising=False)
    memory = shop_memory()
    own = "7efbd609-a68b-4e8a-a9cd-eb7104b2e057"
    memory.kept[3] = msgspec.structs.replace(
        memory.kept[3], source="claude-code", source_id=own, project=str(tmp_path)
    )
    async with sessions(paths, memory) as room:
        await room.press("o")
        line = f"cd {tmp_path} && claude --resume {own}"
        assert f"run it in another terminal: {line}" in room.desk.notices()
        await room.desk.until(lambda: room.app.clipboard == line)
        await room.press("G", "o")
        assert "which resumes none" in room.desk.notices()
