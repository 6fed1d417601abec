"""Which calls are of a session, each once, and where they stand in its line."""

from __future__ import annotations

import random
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import pytest

from pktui.agent_names import hooked_call_id
from pktui.ledger.records import CallRow
from pktui.memory.records import CallBrief, Session
from pktui.tui.views.sessions.joining import by_key, joined, names_of, use_of
from pktui.tui.views.sessions.timeline import FIRST_CALL, LineCall, Timeline

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGAN_US = 1_772_445_600_000_000
SECOND = 1_000_000
SESSION = Session(
    1, "", "ended", datetime(2026, 3, 2, 10, tzinfo=UTC), source="gemini", source_id="own"
)


def row(number: int, server: str, tool: str, second: int, **more: str) -> CallRow:
    base = dict.fromkeys(CallRow.__struct_fields__, "")
    known = {"seq": number, "at_us": BEGAN_US + second * SECOND, "duration_us": 0}
    named = {"server": server, "tool": tool, "effect": "allow", "outcome": "ok"}
    return msgspec.convert(base | known | named | more, CallRow)


def brief(seq: int, tool: str, second: int, call_id: str = "") -> CallBrief:
    return CallBrief(seq, BEGAN_US + second * SECOND, tool, "ok", call_id)


def test_a_call_without_an_id_is_the_nearest_of_its_tool() -> None:
    briefs = [
        brief(1, "mcp_files_read", 1),
        brief(2, "mcp_files_read", 20),
        brief(3, "mcp_files_read", 3_000),
        brief(4, "read", 2),
    ]
    own = {"session": "connection", "agent_session": "own"}
    rows = [row(10, "files", "read", 19, **own), row(11, "files", "read", 900, **own)]
    calls = joined(SESSION, briefs, rows)
    assert sorted((call.kept, call.row) for call in calls) == [
        (0, 11), (1, 0), (2, 10), (3, 0), (4, 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "expected"), [("gemini", [(1, 10), (2, 11)]), ("claude-code", [(0, 10), (2, 11)])]
)
def test_a_hooked_call_is_the_nearest_only_where_its_agent_tells_no_id(
    source: str, expected: list[tuple[int, int]]
) -> None:
    own = {"session": "own", "agent_session": "own"}
    briefs = [brief(1, "run_shell_command", 1, "c-1"), brief(2, "run_shell_command", 9, "c-2")]
    known = hooked_call_id("claude-code", "own", "c-2")
    rows = [
        row(10, source, "run_shell_command", 3, **own, call_id="a"),
        row(11, source, "run_shell_command", 10, **own, call_id=known),
    ]
    session = msgspec.structs.replace(SESSION, source=source)
    calls = joined(session, briefs, rows)
    assert sorted((call.kept, call.row) for call in calls if call.row) == expected


def test_a_call_of_another_session_is_never_taken_for_one_of_this() -> None:
    other = {"session": "connection", "agent_session": "another"}
    calls = joined(SESSION, [brief(1, "mcp_files_read", 1)], [row(10, "files", "read", 1, **other)])
    assert sorted((call.kept, call.row) for call in calls) == [(0, 10), (1, 0)]


def test_a_key_of_another_machines_ledger_joins_nothing() -> None:
    briefs = [brief(1, "mcp__files__read", 1, "ledger:10"), brief(2, "t", 3, "ledger:11")]
    rows = [row(10, "files", "read", 1), row(11, "files", "pay", 700)]
    assert sorted((call.kept, call.row) for call in joined(SESSION, briefs, rows)) == [
        (0, 11), (1, 10), (2, 0),
    ]  # fmt: skip


def test_names_and_ids_are_read_out_of_what_agents_write() -> None:
    assert names_of("mcp__files__read__all") == ("files", "read__all")
    assert names_of("mcp__files") == ("", "mcp__files")
    assert names_of("Read") == ("", "Read")
    ids = ("ledger:7", "ledger:x", "8", "ledger:", "ledger:٣", f"ledger:{'9' * 5_000}")
    briefs = [brief(at, "t", 0, one) for at, one in enumerate(ids, 1)]
    assert by_key(briefs) == {7: briefs[0]}
    assert use_of('{"_meta":{"claudecode/toolUseId":"u"}}') == "u"
    for broken in ("", "{", '{"_meta":"claudecode/toolUseId"}', '["claudecode/toolUseId"]'):
        assert use_of(broken) == ""
    deep = '{"claudecode/toolUseId":' + "[" * 100_000 + "]" * 100_000 + "}"
    assert use_of(deep) == ""


def test_every_call_stands_behind_the_last_message_before_it() -> None:
    draw = random.Random(7)
    for _ in range(60):
        times = [draw.randrange(100) for _ in range(draw.randrange(8))]
        roles = "".join(draw.choice("uats") for _ in times)
        states = ("allowed", "denied", "asked")
        calls = [
            LineCall(draw.randrange(100), "", "t", draw.choice(states), "", kept=number)  # type: ignore[arg-type]
            for number in range(1, draw.randrange(2, 20))
        ]
        line = Timeline(tuple(times), roles, calls)
        held = [(slot, call) for slot in range(line.total + 1) for call in line.calls_of(slot)]
        assert Counter(call.kept for _, call in held) == Counter(call.kept for call in calls)
        for slot, call in held:
            latest = [max(times[: at + 1]) for at in range(len(times))]
            assert slot == sum(at <= call.at_us for at in latest)
            place = line.place_of_kept(call.kept)
            assert place is not None
            assert line.calls_of(place[0])[place[1] - FIRST_CALL] is call
        _check_moves(line)


@pytest.fixture
def _central_europe(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_central_europe")
def test_a_time_of_a_day_on_which_the_clock_was_changed_is_that_of_the_clock() -> None:
    hours = (0, 2, 7, 8, 9)  # by the clock 1:00, then 4:00 and later
    times = [round(datetime(2026, 3, 29, one, tzinfo=UTC).timestamp() * SECOND) for one in hours]
    assert Timeline(times, "u" * len(times)).slot_of_clock(10 * 3600, 1) == 4


def _check_moves(line: Timeline) -> None:
    places = [
        (slot, FIRST_CALL + at)
        for slot in range(line.total + 1)
        for at, call in enumerate(line.calls_of(slot))
        if call.mark
    ]
    for slot in range(line.total + 1):
        for part in range(FIRST_CALL + len(line.calls_of(slot))):
            here = (slot, part)
            later = [place for place in places if place > here]
            before = [place for place in places if place < here]
            assert line.outstanding(here, 1) == (later[0] if later else None)
            assert line.outstanding(here, -1) == (before[-1] if before else None)
    users = [seq for seq in range(1, line.total + 1) if line.turn(seq - 1, 1) == seq]
    for slot in range(1, line.total + 1):
        assert line.turn(slot, 1) == next((seq for seq in users if seq > slot), None)
        assert line.turn(slot, -1) == next((seq for seq in reversed(users) if seq < slot), None)
