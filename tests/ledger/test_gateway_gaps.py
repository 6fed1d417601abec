"""Times of which a gateway put nothing on record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pktui.ledger.chain.export import verify_lines
from pktui.ledger.chain.gateway_gaps import Attendance
from tests.ledger.conftest import MINUTE, START_US

if TYPE_CHECKING:
    from pktui.ledger import Ledger
    from tests.ledger.conftest import Clock

BEAT = 5 * MINUTE


def gateway(
    attendance: Attendance, *rows: tuple[float, str], token: str = "t", pid: int = 12
) -> None:
    """Take rows of a gateway, each so many minutes after the start."""
    detail = json.dumps({"pid": pid, "born": "b", "beat_us": BEAT})
    for minutes, effect in rows:
        at_us = START_US + int(minutes * MINUTE)
        attendance.saw(at_us, "gateway", token, "files", effect, detail)


def shown(attendance: Attendance, minutes: float, *, alive: bool) -> list[tuple[str, float, float]]:
    now_us = START_US + int(minutes * MINUTE)
    return [
        (gap.how, (gap.since_us - START_US) / MINUTE, max(0, (gap.until_us - START_US) / MINUTE))
        for gap in attendance.gaps(now_us, lambda pid, born: alive and (pid, born) == (12, "b"))
    ]


@pytest.mark.parametrize(
    ("rows", "now", "alive", "gaps"),
    [
        ([(0, "open"), (5, "beat"), (10, "beat"), (12, "close")], 999, False, []),
        ([(0, "open"), (5, "beat")], 9, True, []),
        ([(0, "open"), (5, "beat")], 16, True, []),
        ([(0, "open"), (5, "beat")], 17, True, [("unclosed", 5, 0)]),
        ([(0, "open"), (5, "beat")], 6, False, [("unclosed", 5, 0)]),
        ([(0, "open"), (5, "beat"), (485, "beat")], 486, True, [("silent", 5, 485)]),
        ([(0, "open"), (11, "beat"), (12, "close")], 999, False, []),
        ([(5, "beat"), (10, "close")], 999, False, []),
    ],
)
def test_who_neither_closed_nor_went_on_is_named(
    rows: list[tuple[float, str]], now: float, alive: bool, gaps: list[tuple[str, float, float]]
) -> None:
    attendance = Attendance()
    gateway(attendance, *rows)
    assert shown(attendance, now, alive=alive) == gaps


def test_who_was_found_dead_was_ended_by_force_and_the_next_is_named() -> None:
    attendance = Attendance()
    end = json.dumps({"lost_pid": 12, "by_pid": 3, "calls": 0})
    attendance.saw(START_US + 20 * MINUTE, "end", "", "files", "", end)
    gateway(attendance, (0, "open"), (5, "beat"))
    gateway(attendance, (30, "open"), (31, "close"), token="u", pid=13)
    (gap,) = attendance.gaps(START_US + 40 * MINUTE, lambda _pid, _born: False)
    assert (gap.how, gap.server, gap.pid) == ("killed", "files", 12)
    assert gap.until_us == START_US + 20 * MINUTE
    assert gap.next_us == START_US + 30 * MINUTE


@pytest.mark.parametrize("detail", ["", "[]", '{"pid": "x"}', "{", '{"lost_pid": true}'])
def test_what_is_not_a_gateway_s_own_row_is_nothing(detail: str) -> None:
    attendance = Attendance()
    attendance.saw(START_US, "note", "t", "files", "open", detail)
    attendance.saw(START_US, "end", "t", "files", "", detail)
    assert attendance.gaps(START_US, lambda _pid, _born: False) == ()


def test_an_export_tells_gaps_as_of_its_newest_row(ledger: Ledger, clock: Clock) -> None:
    detail = {"pid": 12, "born": "b", "beat_us": BEAT}
    ledger.events.append("gateway", call_id="t", server="files", effect="open", detail=detail)
    clock.forward(600)
    ledger.events.append("note")
    assert verify_lines(ledger.framed()).gaps == ()
    clock.forward(61)
    ledger.events.append("note")
    (gap,) = verify_lines(ledger.framed()).gaps
    assert (gap.how, gap.since_us) == ("unclosed", START_US)


def test_what_looks_like_a_gateway_s_own_row_decides_all_the_same(ledger: Ledger) -> None:
    ledger.catalogue.saw("gateway", [{"name": "read"}])
    ledger.catalogue.saw("files", [{"name": '"lost_pid":'}])
    ledger.catalogue.accept("gateway", "read")
    assert ledger.verify().problem == ""
