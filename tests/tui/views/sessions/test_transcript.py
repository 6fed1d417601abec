from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pktui.ledger.records import Caller
from tests.support.memory import START, MemoryInProcess
from tests.tui.house import LARGE, SMALL
from tests.tui.views.sessions.room import sessions

if TYPE_CHECKING:
    from pktui.settings import Paths


def _long_memory(count: int) -> MemoryInProcess:
    memory = MemoryInProcess()
    memory.add(
        "long", *(("user" if n % 2 else "agent", f"message {n}") for n in range(1, count + 1))
    )
    return memory


def _without_scrollbar(text: str) -> list[str]:
    return [line[:-2] for line in text.splitlines()]


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_the_transcript_shows_roles_and_markdown(paths: Paths, size: tuple[int, int]) -> None:
    async with sessions(paths, size=size) as room:
        await room.press("G", "enter")
        text = room.text()
        assert "TTL is set to 60 instead of 3600" in text
        assert "TTL = 60" in text
        assert "```" not in text
        assert all(role in text for role in ("user", "agent", "tool"))


async def test_it_starts_at_the_newest_and_reads_older_ones_on_the_way_up(paths: Paths) -> None:
    async with sessions(paths, _long_memory(450)) as room:
        assert len(room.transcript.part.messages) == 200
        assert "message 450" in room.text()
        await room.press("enter", "g")
        assert len(room.transcript.part.messages) == 400
        assert "message 251" in room.text()
        await room.press("g")
        assert len(room.transcript.part.messages) == 450
        await room.press("g")
        assert "message 1 " in room.text()


async def test_what_is_read_stays_in_place_when_older_ones_come(paths: Paths) -> None:
    async with sessions(paths, _long_memory(450)) as room:
        await room.press("enter")
        room.transcript.scroll_to(y=8, animate=False)
        await room.desk.settle()
        before = room.text()
        room.transcript._ask(older=True)
        await room.desk.settle()
        assert len(room.transcript.part.messages) == 400
        assert _without_scrollbar(room.text()) == _without_scrollbar(before)


async def test_a_hit_far_back_is_read_with_what_is_around_it(paths: Paths) -> None:
    async with sessions(paths, _long_memory(450)) as room:
        await room.search("message 17")
        await room.press("n")
        part = room.transcript.part
        assert part.has_older is False
        assert part.has_newer is True
        await room.press("enter", "pagedown", "pagedown", "pagedown")
        first = part.messages[0].seq
        assert room.transcript.part.messages[0].seq == first


async def test_the_last_key_goes_to_the_newest_message_from_anywhere(paths: Paths) -> None:
    async with sessions(paths, _long_memory(450)) as room:
        await room.search("message 17")
        await room.press("enter", "G")
        assert "message 450" in room.text()
        assert room.transcript.part.messages[0].seq == 251


async def test_new_messages_are_added_at_the_end(paths: Paths) -> None:
    memory = _long_memory(3)
    async with sessions(paths, memory) as room:
        longer = _long_memory(5)
        memory.written, memory.kept = longer.written, longer.kept
        room.app._look_at_memory()
        await room.press()
        assert "message 5" in room.text()
        assert memory.calls[-1] == "messages 1 3 None" or "messages 1 None 3" in memory.calls


async def test_a_long_tool_message_is_cut_until_asked_for(paths: Paths) -> None:
    memory = MemoryInProcess()
    memory.add("tool", ("tool", "\n".join(f"row {n}" for n in range(30))))
    async with sessions(paths, memory) as room:
        assert "23 more lines · o whole" in room.text()
        await room.press("enter", "o", "G")
        assert "row 29" in room.text()


async def test_copy_takes_the_marked_message(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "so that the clipboard of this machine is left alone")
    async with sessions(paths) as room:
        await room.press("G", "enter", "left_square_bracket", "y")
        assert room.app.clipboard == "memory.store_knowledge approved"


async def test_an_empty_session_says_so(paths: Paths) -> None:
    memory = MemoryInProcess()
    memory.add("nothing yet")
    async with sessions(paths, memory) as room:
        assert "No messages yet." in room.text()


async def test_calls_stand_between_the_messages_of_their_time(paths: Paths) -> None:
    async with sessions(paths) as room:
        house = room.desk.house
        for minute, tool, effect in ((1, "read_file", "allow"), (2, "write_file", "deny")):
            at = START + timedelta(hours=1, minutes=minute, seconds=30)
            house.now_us = round(at.timestamp() * 1_000_000)
            house.other.events.append(
                "decision",
                caller=Caller("claude-code", project="/home/ada/shop"),
                call_id=f"call-{minute}",
                server="fs",
                tool=tool,
                effect=effect,
                arguments={"path": "auth.py"},
            )
            if effect == "allow":
                house.other.events.append(
                    "outcome", call_id=f"call-{minute}", outcome="ok", duration_us=2_000
                )
        await room.press("G", "enter")
        lines = [line for line in room.text().splitlines() if "│" in line]
        order = [
            word
            for line in lines
            for word in (
                "The JWT",
                "fs.read_file  ✓ allowed",
                "fs.write_file  ✗ denied",
                "Keep the",
            )
            if word in line
        ]
        assert order == [
            "The JWT",
            "fs.read_file  ✓ allowed",
            "fs.write_file  ✗ denied",
            "Keep the",
        ]
