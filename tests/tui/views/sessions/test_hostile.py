"""Text from agents in every place of the view: shown, and without effect."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pktui.memory.records import Call
from pktui.text import has_hidden
from tests.support.memory import MemoryInProcess
from tests.tui.house import HOSTILE, LARGE, SMALL
from tests.tui.views.sessions.room import Room, sessions

if TYPE_CHECKING:
    from pktui.settings import Paths

DECODED = "[a](https://x/%E2%80%AE%1B) <https://y/%E2%80%AE> &#x202e; &#27;[31m ![i](z)"


def _assert_clean(text: str) -> None:
    assert not has_hidden(text.replace("\n", ""))


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("place", ["title", "user", "agent", "tool", "system", "decoded"])
async def test_hostile_text_is_shown_and_does_nothing(
    paths: Paths, size: tuple[int, int], place: str
) -> None:
    memory = MemoryInProcess()
    title = HOSTILE if place == "title" else "calm"
    role = "agent" if place in {"title", "decoded"} else place
    content = DECODED if place == "decoded" else f"needle {HOSTILE}"
    memory.add(title, (role, content), agent=HOSTILE, project=f"/home/{HOSTILE}")  # type: ignore[arg-type]
    async with sessions(paths, memory, size) as room:
        _assert_clean(room.text())
        await room.press("enter")
        _assert_clean(room.text())
        if place in {"user", "agent", "tool", "system"}:
            assert "[bold red]x[/]" in room.text()
        await room.press("escape")
        await room.search("needle")
        _assert_clean(room.text())
        assert room.app.is_running


async def test_a_hostile_title_is_deleted_by_a_word_that_can_be_typed(paths: Paths) -> None:
    memory = MemoryInProcess()
    memory.add(HOSTILE, ("user", "hello"))
    async with sessions(paths, memory) as room:
        await room.press("D")
        _assert_clean(room.text())
        await room.type_text("delete")
        await room.press("enter")
        assert memory.kept == {}


@pytest.mark.parametrize("role", ["agent", "tool"])
async def test_a_line_of_a_megabyte_is_cut_and_counted(paths: Paths, role: str) -> None:
    memory = MemoryInProcess()
    long = "x" * 1_000_000
    memory.add(long, (role, long))  # type: ignore[arg-type]
    async with sessions(paths, memory, SMALL) as room:  # nothing is beside it there
        await room.press("enter")
        assert "994,000 more characters" in _unwrapped(room)
        await room.press("enter")
        await room.press("G")
        assert "600,000 more characters" in _unwrapped(room)


def _unwrapped(room: Room) -> str:
    return " ".join(line.strip(" │▌") for line in room.text().splitlines())


async def test_no_cell_of_a_transcript_carries_a_link(paths: Paths) -> None:
    memory = MemoryInProcess()
    memory.add("links", ("agent", "[click](https://evil.example/path) <https://b.example>"))
    async with sessions(paths, memory) as room:
        assert "click (https://evil.example/path)" in room.text()
        strips = room.app.screen._compositor.render_strips()
        styles = [segment.style for strip in strips for segment in strip]
        assert not [style for style in styles if style and style.link]


async def test_a_hostile_call_is_shown_and_does_nothing(paths: Paths) -> None:
    memory = MemoryInProcess()
    session = memory.add("calls", ("user", "hello"))
    text = HOSTILE.encode("utf-8", "replace").decode()
    at = memory.written[1][0].created_at
    arguments = json.dumps({text: text})
    memory.made[session.id] = [Call(1, 1, 1, text, arguments, "error", text, at, text)]
    async with sessions(paths, memory) as room:
        await room.press("enter", "j", "enter")
        for _ in range(4):
            _assert_clean(room.text())
            await room.press("right")
        assert "arguments │ result │ rule │ history" in room.text()
        assert room.app.is_running
