from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pktui.agent_names import hooked_call_id
from pktui.ledger.records import Caller
from pktui.ledger.results import Answered
from pktui.memory.records import Call, Outline
from pktui.text import has_hidden
from pktui.tui.views.policies.sentence import SentenceScreen
from pktui.tui.views.sessions import preview
from pktui.tui.views.sessions.reader import Reader
from pktui.tui.views.sessions.transcript import Transcript
from tests.support.memory import MemoryInProcess
from tests.tui.house import HOSTILE, LARGE, PATIENCE, SMALL
from tests.tui.views.sessions.room import Room, sessions, shop_memory

if TYPE_CHECKING:
    from pktui.memory.records import Outcome
    from pktui.settings import Paths

AGENT_SESSION = "agent-session-1"
BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])


def _long_memory(count: int) -> MemoryInProcess:
    memory = MemoryInProcess()
    memory.add(
        "long", *(("user" if n % 2 else "agent", f"message {n}") for n in range(1, count + 1))
    )
    return memory


def _worked_memory() -> MemoryInProcess:
    """A session that was imported from an agent, with eight calls in its first minute."""
    memory = MemoryInProcess()
    session = memory.add(
        "fix the token",
        ("user", "The JWT token expires too fast."),
        ("agent", "The TTL was 60."),
        ("user", "And the redirect?"),
    )
    memory.kept[1] = msgspec.structs.replace(session, source="claude-code", source_id=AGENT_SESSION)
    for second in range(4):
        _made(memory, "Read", {"file_path": f"src/{second}.py"}, second)
    _made(memory, "mcp__code__search", {"query": "TTL"}, 5, result="src/auth.py:4")
    _made(memory, "Write", {"file_path": "auth.py"}, 6, use="w1", result="written")
    _made(memory, "Bash", {"command": "rm -rf /"}, 7, "denied", use="b1")
    return memory


def _made(
    memory: MemoryInProcess,
    tool: str,
    arguments: dict[str, str],
    second: int,
    outcome: Outcome = "ok",
    *,
    use: str = "",
    result: str = "",
) -> None:
    calls = memory.made.setdefault(1, [])
    at = memory.written[1][0].created_at + timedelta(seconds=second + 1)
    number = len(calls) + 1
    calls.append(Call(number, 1, number, tool, json.dumps(arguments), outcome, result, at, use))


def _decided(room: Room, second: int, tool: str, effect: str, use: str, **more: Any) -> None:
    """Record what a hook of the agent decided about a call."""
    house = room.desk.house
    at = room.memory.written[1][0].created_at + timedelta(seconds=second + 1)
    house.now_us = round(at.timestamp() * 1_000_000)
    caller = Caller("claude-code", "", more.pop("session", AGENT_SESSION), "/home/ada/shop")
    call_id = hooked_call_id("claude-code", caller.session, use)
    house.other.events.append(
        "decision", caller=caller, call_id=call_id, server="claude-code", tool=tool,
        effect=effect, arguments={"file_path": "auth.py"}, **more,
    )  # fmt: skip
    if effect == "allow":
        house.other.events.append("outcome", call_id=call_id, outcome="ok", duration_us=2_000_000)


async def until(room: Room, shown: str) -> None:
    """Wait until that is on the screen; fails where it never is."""
    end = time.monotonic() + PATIENCE
    while shown not in room.text():
        assert time.monotonic() < end, room.text()
        await room.press()


async def _open(room: Room) -> None:
    """Look at the session again from the start, its time line in focus."""
    room.view.action_back()
    room.preview._turn += 1
    room.preview._open()
    await room.press("enter")


def _lines(room: Room) -> list[str]:
    return [line.strip(" │▌✗✓◆▲") for line in room.text().splitlines()]


@BOTH
async def test_the_transcript_shows_roles_and_markdown(paths: Paths, size: tuple[int, int]) -> None:
    async with sessions(paths, size=size) as room:
        await room.press("G", "enter", "g")
        text = room.text()
        assert "TTL is set to 60 instead of 3600" in text
        assert "TTL = 60" in text
        assert "```" not in text
        assert all(role in text for role in ("user", "agent", "tool"))


@BOTH
async def test_first_and_last_are_those_of_the_session_and_the_corner_names_the_place(
    paths: Paths, size: tuple[int, int]
) -> None:
    async with sessions(paths, _long_memory(2_000), size) as room:
        await room.press("enter")
        assert "message 2000" in room.text()
        assert "2,000 of 2,000" in room.text()
        await room.press("g")
        assert "message 1 " in room.text()
        assert "1 of 2,000" in room.text()
        assert (room.transcript.first, room.transcript.last) == (1, 200)
        await room.press("G")
        assert "message 2000" in room.text()
        assert (room.transcript.first, room.transcript.last) == (1_801, 2_000)


async def test_what_is_read_stays_in_place_when_older_ones_come(paths: Paths) -> None:
    async with sessions(paths, _long_memory(450)) as room:
        await room.press("enter")
        room.transcript.scroll_to(y=8, animate=False)
        await room.desk.settle()
        before = _lines(room)
        room.transcript._ask(older=True)
        await room.desk.settle()
        assert len(room.transcript.messages) == 400
        assert _lines(room) == before


async def test_older_and_newer_messages_come_as_the_person_scrolls(paths: Paths) -> None:
    async with sessions(paths, _long_memory(450)) as room:
        await room.press("enter", "colon", "1", "0", "0", "enter")
        assert room.transcript.place == (100, 0)
        assert room.transcript.first == 1
        for last in (400, 450):
            room.transcript.scroll_to(y=10_000, animate=False)
            await room.desk.settle()
            assert room.transcript.last == last
        await room.press("pagedown", "pagedown", "pagedown")
        room.transcript.scroll_to(y=0, animate=False)
        await room.press("k")
        assert "message 1 " in room.text()


async def test_a_window_never_holds_more_than_its_bound(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.tui.views.sessions.transcript.MOST_SLOTS", 250)
    async with sessions(paths, _long_memory(900)) as room:
        await room.press("enter")
        for _ in range(3):
            room.transcript.scroll_to(y=0, animate=False, force=True)
            room.transcript._ask(older=True)
            await room.desk.settle()
            assert len(room.transcript.messages) <= 250
        assert room.transcript.first == 101
        await room.press("G")
        assert "message 900" in room.text()


async def test_turns_are_the_messages_of_the_user(paths: Paths) -> None:
    async with sessions(paths, _long_memory(450)) as room:
        await room.press("enter", "left_square_bracket")
        assert room.transcript.place == (449, 0)
        await room.press("left_square_bracket", "left_square_bracket", "right_square_bracket")
        assert room.transcript.place == (447, 0)
        await room.press("g", "left_square_bracket")
        assert "no turn before this one" in room.desk.notices()


async def test_a_time_and_a_number_are_gone_to(paths: Paths) -> None:
    memory = _long_memory(450)
    async with sessions(paths, memory) as room:
        at = memory.written[1][299].created_at.astimezone()
        await room.press("enter", "colon")
        await room.type_text(f"{at:%Y-%m-%d} {at:%H:%M}")
        await room.press("enter")
        assert room.transcript.place == (300, 0)
        assert room.app.focused is room.transcript
        back = memory.written[1][309].created_at.astimezone()
        await room.press("colon")
        await room.type_text(f"{back:%H:%M}")
        await room.press("enter")
        assert room.transcript.place == (310, 0)
        await room.press("colon", *"soon", "enter")
        assert "is no time" in room.desk.notices()
        await room.press("colon", "7", "escape")
        assert room.transcript.place == (310, 0)


async def test_new_messages_are_added_at_the_end_and_followed(paths: Paths) -> None:
    memory = _long_memory(3)
    async with sessions(paths, memory) as room:
        await room.press("enter")
        longer = _long_memory(5)
        memory.written, memory.kept = longer.written, longer.kept
        room.app._look_at_memory()
        await room.desk.until(lambda: "message 5" in room.text())
        assert room.transcript.place == (5, 0)
        assert "outline 1 3 0" in memory.asked
        assert "messages 1 None 3" in memory.asked


async def test_a_session_that_ends_with_a_denied_call_is_followed(paths: Paths) -> None:
    memory = MemoryInProcess()
    memory.add("live", ("user", "message 1"))
    for second in (1, 2):
        _made(memory, "Read", {}, second)
    _made(memory, "Bash", {}, 3, "denied")
    async with sessions(paths, memory) as room:
        await room.press("enter")
        assert room.transcript.place == (1, 4)
        await room.press("g", "G")
        assert room.transcript.place == (1, 4)
        (said,) = memory.written[1]
        later = said.created_at + timedelta(minutes=1)
        memory.written[1].append(
            msgspec.structs.replace(said, seq=2, content="message 2", created_at=later)
        )
        room.app._look_at_memory()
        await room.desk.until(lambda: room.transcript.place == (2, 0))
        assert "message 2" in room.text()


async def test_a_call_before_the_first_message_is_gone_to(paths: Paths) -> None:
    memory = _long_memory(3)
    _made(memory, "Read", {"file_path": "first.py"}, -9)
    async with sessions(paths, memory) as room:
        await room.press("enter", "colon", "0", "enter")
        assert room.transcript._current_block() is not None
        assert room.transcript.place == (0, 2)


class _Growing(MemoryInProcess):
    """A memory in which each session gets one more message as soon as it was outlined."""

    def outline(self, session_id: int, **which: Any) -> Outline:
        found = super().outline(session_id, **which)
        last = self.written[session_id][-1]
        more = msgspec.structs.replace(last, seq=last.seq + 1, content=f"message {last.seq + 1}")
        self.written[session_id].append(more)
        return found


async def test_messages_that_come_while_a_session_is_opened_are_shown_at_the_next_look(
    paths: Paths,
) -> None:
    memory = _Growing()
    memory.add("growing", ("user", "message 1"), ("agent", "message 2"))
    async with sessions(paths, memory) as room:
        await room.press("enter")
        assert room.transcript.last == room.transcript.line.total
        room.app._look_at_memory()
        await room.desk.until(lambda: "message 4" in room.text())
        assert room.transcript.last == room.transcript.line.total


async def test_enter_shows_a_cut_message_whole_and_cuts_it_again(paths: Paths) -> None:
    memory = MemoryInProcess()
    memory.add("tool", ("tool", "\n".join(f"row {n}" for n in range(30))), ("user", "short"))
    async with sessions(paths, memory) as room:
        assert "23 more lines · enter whole" in room.text()
        await room.press("enter", "k", "enter")
        assert "row 29" in room.text()
        await room.press("enter")
        assert "row 29" not in room.text()
        await room.press("j", "enter")
        assert "the whole message is shown" in room.desk.notices()


async def test_copy_takes_the_message_or_the_part_of_a_call(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "so that the clipboard of this machine is left alone")
    async with sessions(paths, _worked_memory()) as room:
        await room.press("enter", "left_square_bracket", "y")
        assert room.app.clipboard == "The JWT token expires too fast."
        await room.press("right_curly_bracket", "y")
        assert room.app.clipboard == '{"command": "rm -rf /"}'


async def test_an_empty_session_says_so(paths: Paths) -> None:
    memory = MemoryInProcess()
    memory.add("nothing yet")
    async with sessions(paths, memory) as room:
        assert "No messages yet." in room.text()


@BOTH
async def test_calls_are_folded_and_unfolded(paths: Paths, size: tuple[int, int]) -> None:
    async with sessions(paths, _worked_memory(), size) as room:
        await room.press("enter", "g")
        text = room.text()
        assert "┄ 7 calls  Read x4 · search" in text
        assert "src/0.py" not in text
        assert "rm -rf /" in text  # what was denied has its own line
        await room.press("j", "enter")
        assert "src/0.py" in room.text()
        assert "code.search" in room.text()
        await room.press("enter")
        assert "src/0.py" not in room.text()


async def test_calls_that_could_not_be_read_are_read_when_they_are_shown_again(
    paths: Paths,
) -> None:
    memory = _worked_memory()
    async with sessions(paths, memory) as room:
        await room.press("enter", "g", "j")
        memory.down = True
        await room.press("enter")
        assert "Read" in room.text()
        assert "src/0.py" not in room.text()
        memory.down = False
        await room.press("enter", "enter")
        assert "src/0.py" in room.text()


async def test_a_layout_that_comes_late_does_not_replace_a_later_one(paths: Paths) -> None:
    async with sessions(paths, _worked_memory()) as room:
        await room.press("enter", "g")
        transcript = room.transcript
        laid = transcript._laid[1]
        transcript.post_message(Transcript._LaidOut(transcript._turn, 0, {1: ()}))
        await room.press()
        assert transcript._laid[1] == laid
        assert "rm -rf /" in room.text()


@BOTH
async def test_a_call_opens_to_its_parts(paths: Paths, size: tuple[int, int]) -> None:
    async with sessions(paths, _worked_memory(), size) as room:
        _decided(room, 7, "Bash", "deny", "b1", rule="/tools/Bash", reason="It removes all.")
        await _open(room)
        await room.press("g", "right_curly_bracket", "enter")
        assert "arguments │ result │ rule │ history" in room.text()
        assert '"auth.py"' in room.text()
        await room.press("right")
        assert "no result is kept of this call" in room.text()
        await room.press("right")
        assert "It removes all." in room.text()
        await room.press("right")
        assert "decision deny /tools/Bash" in room.text()
        await room.press("enter")
        assert "arguments │" not in room.text()
        await room.press("right")
        assert "no call is open here" in room.desk.notices()


@BOTH
async def test_a_result_of_the_ledger_stands_in_the_line_and_opens(
    paths: Paths, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "NEWS_SECONDS", 0.01)
    async with sessions(paths, _worked_memory(), size) as room:
        _decided(room, 8, "Edit", "allow", "e1")
        await _open(room)
        await room.press("g", "j", "enter", *"jjjjjjjj")
        assert '→ "written"' in room.text()
        assert "12 lines" not in room.text()
        call_id = hooked_call_id("claude-code", AGENT_SESSION, "e1")
        hostile = HOSTILE.replace("\ud800", "")
        answer = json.dumps({"stdout": f"12 lines changed {hostile}\nsecond line"})
        room.desk.house.other.results.add(
            [Answered(call_id, "claude-code", "Edit", "ok", answer.encode())]
        )
        await room.desk.beat()
        await until(room, '→ "12 lin')
        await room.press("enter", "right")
        text = room.text()
        assert "second line" in text
        assert "12 lines changed" in text
        assert not has_hidden(text.replace("\n", ""))


async def test_of_very_many_calls_the_last_ones_come_first_and_the_others_follow(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.tui.views.sessions.reader._MOST_SOON", 2)
    memory = _worked_memory()
    async with sessions(paths, memory) as room:
        _decided(room, 6, "Write", "allow", "w1")
        reader = Reader(memory, room.desk.house.ledger, memory.kept[1])
        assert [call.tool for call in reader.opening().calls] == ["search", "Write", "Bash"]
        whole = reader.completed()
        assert len(whole.calls) == 7
        assert [call.row > 0 for call in whole.calls] == [False] * 5 + [True, False]
        assert reader.timeline() is whole
        another = Reader(memory, room.desk.house.ledger, memory.kept[1])
        assert len(another.opening(whole=True).calls) == 7
        await _open(room)
        await room.press("g", "j", "enter")
        assert room.text().count("✓ Read ") == 4


async def test_the_same_call_in_record_and_ledger_is_shown_once(paths: Paths) -> None:
    async with sessions(paths, _worked_memory()) as room:
        _decided(room, 6, "Write", "allow", "w1")
        _decided(room, 7, "Bash", "deny", "b1")
        _decided(room, 8, "Edit", "allow", "e1")  # the record has not got it yet
        _decided(room, 9, "Edit", "allow", "e1", session="another of the same agent")
        await _open(room)
        calls = room.transcript.line.calls
        assert [call.tool for call in calls] == [*["Read"] * 4, "search", "Write", "Bash", "Edit"]
        assert [bool(call.row) for call in calls[-3:]] == [True] * 3
        assert [call.took_us for call in calls[-3:]] == [2_000_000, 0, 2_000_000]


@BOTH
async def test_p_makes_a_rule_from_a_call_that_pktui_decided(
    paths: Paths, size: tuple[int, int]
) -> None:
    async with sessions(paths, _worked_memory(), size) as room:
        await room.press("enter", "p")
        assert "no call is under the cursor" in room.desk.notices()
        _decided(room, 6, "Write", "approve", "w1", approval_id="a1")
        _decided(room, 7, "Bash", "deny", "b1")
        await _open(room)
        await room.press("g", "j", "enter", "j", "p")
        assert "no rule is made from Read: it went past pktui" in room.desk.notices()
        await room.press("G", "left_curly_bracket", "left_curly_bracket", "p")
        screen = room.app.screen
        assert isinstance(screen, SentenceScreen)
        assert (screen._example.server, screen._example.tool) == ("claude-code", "Write")
        await room.desk.until(lambda: "would have answered" in room.text())
        assert "Allow claude-code.Write when" in room.text()
        await room.desk.answer("w")
        await room.desk.until(lambda: paths.policy_file("claude-code").exists())
        assert '"Write"' in paths.policy_file("claude-code").read_text()
        assert "u takes it back" in room.desk.notices()


async def test_connections_are_known_by_the_ids_of_use_in_the_record(paths: Paths) -> None:
    memory = _worked_memory()
    _made(memory, "mcp__files__read", {"path": "a"}, 10, use="toolu_1")
    async with sessions(paths, memory) as room:
        house = room.desk.house
        at = memory.made[1][-1].created_at
        house.now_us = round(at.timestamp() * 1_000_000)
        for connection, use in (("c1", "toolu_1"), ("c1", ""), ("c2", "toolu_of_another")):
            meta = {"_meta": {"claudecode/toolUseId": use}} if use else None
            house.other.events.append(
                "decision", caller=Caller("claude-code", "", connection, "/home/ada/shop"),
                call_id=connection + use, server="files", tool="read", effect="allow", detail=meta,
            )  # fmt: skip
        await _open(room)
        await room.desk.until(lambda: len(room.transcript.line.calls) == 9)
        its = [call for call in room.transcript.line.calls if call.server == "files"]
        assert sorted(bool(call.kept) for call in its) == [False, True]


async def test_denied_and_asked_calls_are_gone_through(paths: Paths) -> None:
    async with sessions(paths, _worked_memory()) as room:
        house = room.desk.house
        _decided(room, 6, "Write", "approve", "w1")
        await _open(room)
        await room.press("g", "right_curly_bracket")
        assert room.transcript.place == (1, 7)
        await room.press("right_curly_bracket")
        assert room.transcript.place == (1, 8)
        await room.press("right_curly_bracket")
        assert "no call after this was denied or asked about" in room.desk.notices()
        await room.press("left_curly_bracket")
        assert room.transcript.place == (1, 7)
        assert room.transcript._rail == {0: "asked"}
        assert house.other.approvals.pending() == ()


async def test_a_session_is_searched_inside(paths: Paths) -> None:
    async with sessions(paths, _long_memory(450)) as room:
        await room.press("enter", "slash")
        await room.type_text("message 12")
        await room.press("enter")
        assert "1 of 11 hits" in room.text()  # 12, and 120 to 129
        assert room.transcript.place == (12, 0)
        await room.press("n")
        assert room.transcript.place == (120, 0)
        assert set(room.transcript._rail.values()) == {"hit"}
        await room.press("N", "N")
        assert "on with the last" in room.desk.notices()
        assert room.transcript.place == (129, 0)
        await room.press("slash", *["backspace"] * 10, *"nowhere", "enter")
        assert "“nowhere” is not in this session" in room.desk.notices()


async def test_what_was_found_inside_stays_while_the_list_is_read_again(paths: Paths) -> None:
    async with sessions(paths, _long_memory(450)) as room:
        await room.press("enter", "slash")
        await room.type_text("message 12")
        await room.press("enter", "n")
        await room.desk.until(lambda: "2 of 11 hits" in room.text())
        room.memory.kept[1] = msgspec.structs.replace(room.memory.kept[1], message_count=451)
        room.view.read_again()
        await room.press()
        assert "2 of 11 hits" in room.text()
        assert room.transcript.place == (120, 0)


async def test_calls_of_a_logged_session_are_joined_by_connection(paths: Paths) -> None:
    memory = MemoryInProcess()
    session = memory.add("logged", ("user", "hello"), ("agent", "done"))
    began = round(session.started_at.timestamp() * 1_000_000)
    async with sessions(paths, memory) as room:
        house = room.desk.house
        for connection, offset in (("mine", 0), ("theirs", 1_000_000)):
            caller = Caller("claude-code", "", connection, "/home/ada/shop")
            house.now_us = began + offset - 1_000
            house.other.events.append(
                "decision", caller=caller, call_id=f"{connection}0", server="memory",
                tool="start_logging_session", effect="allow",
            )  # fmt: skip
            house.now_us = began + 70_000_000 + offset
            house.other.events.append(
                "decision", caller=caller, call_id=f"{connection}1", server="files",
                tool=f"read_{connection}", effect="allow",
            )  # fmt: skip
        await _open(room)
        assert [call.tool for call in room.transcript.line.calls] == ["read_mine"]
        assert "files.read_mine" in room.text()


async def test_a_session_of_another_machine_shows_no_call_of_this_ones_ledger(paths: Paths) -> None:
    memory = MemoryInProcess()
    memory.add("from elsewhere", ("user", "hello"), ("agent", "done"))
    async with sessions(paths, memory) as room:
        house = room.desk.house
        caller = Caller("claude-code", "", "mine", "/home/ada/shop")
        house.other.events.append(
            "decision", caller=caller, call_id="own", server="bank", tool="pay", effect="allow"
        )
        (row,) = house.ledger.feed.page(limit=1)
        _made(memory, "mcp__files__read", {}, 3, use=f"ledger:{row.seq}")
        await _open(room)
        assert [call.tool for call in room.transcript.line.calls] == ["read"]


async def test_a_day_is_named_once_where_calls_come_before_the_first_message(paths: Paths) -> None:
    memory = shop_memory()
    async with sessions(paths, memory) as room:
        await room.press("G", "enter")
        day = "Monday 2 March 2026"
        assert room.text().count(day) == 1
        _made(memory, "Read", {"file_path": "first.py"}, -9)
        await room.desk.beat()
        room.preview.look_for_news()
        await until(room, "first.py")
        assert room.text().count(day) == 1


async def test_what_is_read_stays_in_front_where_the_window_gets_narrow(paths: Paths) -> None:
    async with sessions(paths, size=LARGE) as room:
        await room.press("G", "enter")
        await room.desk.pilot.resize_terminal(*SMALL)
        await room.press()
        assert room.transcript.has_focus
        assert "TTL is set to 60" in room.text()
