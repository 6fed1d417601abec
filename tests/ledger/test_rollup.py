from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from pktui.errors import LedgerUnavailable
from pktui.ledger import Caller, Ledger
from pktui.ledger.feed import rollup as sums
from pktui.settings import AuditSettings
from tests.ledger.conftest import CLAUDE, START_US, Clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CODEX = Caller("codex", "", "s2", "/home/ada/shop")


@pytest.fixture
def other(file: Path, clock: Clock, ledger: Ledger) -> Iterator[Ledger]:
    assert ledger.path == file
    opened = Ledger.open(file, clock=clock)
    yield opened
    opened.close()


def call(ledger: Ledger, call_id: str, tool: str = "read", **more: Any) -> None:
    given: dict[str, Any] = {"caller": CLAUDE, "server": "files", "effect": "allow", **more}
    ledger.events.append("decision", call_id=call_id, tool=tool, **given)


def end(ledger: Ledger, call_id: str, duration_us: int = 1_000, tool: str = "read") -> None:
    ledger.events.append(
        "outcome",
        caller=CLAUDE,
        call_id=call_id,
        server="files",
        tool=tool,
        outcome="ok",
        duration_us=duration_us,
    )


def totals(ledger: Ledger) -> dict[str, int]:
    """Return how many calls there are of each tool and with each effect."""
    ledger.rollup.catch_up()
    found: Counter[str] = Counter()
    for hour in ledger.rollup.hours(0):
        found[hour.effect] += hour.calls
    for tool in ledger.rollup.sums_of_tools(0):
        found[tool.tool] += sum(tool.calls.values())
    return dict(found)


def test_each_call_is_counted_once_by_whoever_looks_first(ledger: Ledger, other: Ledger) -> None:
    call(ledger, "c1")
    call(ledger, "c2", "drop", effect="deny", rule="/tools/drop")
    assert totals(ledger) == totals(other) == {"allow": 1, "deny": 1, "read": 1, "drop": 1}
    call(other, "c3")
    assert totals(other) == totals(ledger) == {"allow": 2, "deny": 1, "read": 2, "drop": 1}


def test_chunks_come_to_the_same_as_one(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr(sums, "CHUNK", 3)
    for number in range(20):
        call(ledger, f"c{number}")
        clock.forward(600)
        end(ledger, f"c{number}")
    assert ledger.rollup.catch_up(seconds=0) == 37
    assert totals(ledger) == {"allow": 20, "read": 20}
    assert ledger.rollup.running() == ()
    assert [tool.timed for tool in ledger.rollup.sums_of_tools(0)] == [20]


def test_a_call_runs_until_it_has_ended(ledger: Ledger, clock: Clock) -> None:
    call(ledger, "c1")
    clock.forward(5)
    call(ledger, "c2", effect="deny")
    ledger.rollup.catch_up()
    assert [(one.call_id, one.at_us) for one in ledger.rollup.running()] == [("c1", START_US)]
    end(ledger, "c1")
    ledger.rollup.catch_up()
    assert ledger.rollup.running() == ()


def test_a_held_call_runs_once_it_is_released(ledger: Ledger) -> None:
    call(ledger, "c1", effect="approve")
    ledger.rollup.catch_up()
    assert ledger.rollup.running() == ()
    ledger.events.append(
        "approval", caller=CLAUDE, call_id="c1", server="files", tool="read", effect="allow"
    )
    ledger.rollup.catch_up()
    assert [one.call_id for one in ledger.rollup.running()] == ["c1"]


def test_percentiles_are_near_the_truth(ledger: Ledger) -> None:
    for number in range(1, 101):
        end(ledger, f"c{number}", number * 10_000)
    ledger.rollup.catch_up()
    (tool,) = ledger.rollup.sums_of_tools(0)
    assert tool.quantile_us(50) == pytest.approx(500_000, rel=0.1)
    assert tool.quantile_us(95) == pytest.approx(950_000, rel=0.1)


def test_connections_have_their_totals_and_their_last_call(ledger: Ledger, clock: Clock) -> None:
    call(ledger, "c1")
    clock.forward(60)
    call(ledger, "c2", "write", effect="approve")
    clock.forward(60)
    call(ledger, "c3", "drop", effect="deny")
    call(ledger, "c4", caller=CODEX)
    ledger.rollup.catch_up()
    claude = next(one for one in ledger.rollup.connections(0) if one.session == "s1")
    assert (claude.calls, claude.asked, claude.denied) == (3, 1, 1)
    assert (claude.first_us, claude.last_us) == (START_US, clock.now)
    assert (claude.last_tool, claude.last_effect) == ("drop", "deny")
    assert [one.session for one in ledger.rollup.connections(clock.now + 10)] == []
    minutes = [(one.session, one.effect) for one in ledger.rollup.minutes(clock.now - 60_000_000)]
    assert sorted(minutes) == [("s1", "approve"), ("s1", "deny"), ("s2", "allow")]


def test_a_tool_knows_its_first_and_last_call(ledger: Ledger, clock: Clock) -> None:
    call(ledger, "c1")
    clock.forward(2 * 86_400)
    call(ledger, "c2")
    ledger.rollup.catch_up()
    (tool,) = ledger.rollup.tools(clock.now - 3_600_000_000)
    assert (tool.first_us, tool.last_us, tool.calls) == (START_US, clock.now, 1)


def test_sums_since_an_hour_are_those_of_the_calls_since_it(ledger: Ledger, clock: Clock) -> None:
    """Whole days are kept as sums of their own: wherever it begins, nothing more is counted."""
    times = []
    for number in range(120):
        clock.forward(37 * 60)
        call(ledger, f"c{number}")
        end(ledger, f"c{number}", 1 << number % 20)
        times.append(clock.now)
    ledger.rollup.catch_up()
    for since in range(START_US, clock.now, 3_600_000_000):
        hour = since // 3_600_000_000
        wanted = Counter(at // 3_600_000_000 for at in times)
        (tool,) = ledger.rollup.sums_of_tools(since) or (None,)
        assert tool is not None
        assert tool.calls == {at: n for at, n in wanted.items() if at >= hour}
        assert tool.timed == sum(tool.calls.values())


def test_denials_are_told_by_rule(ledger: Ledger) -> None:
    for number in range(3):
        call(ledger, f"c{number}", "drop", effect="deny", rule="/tools/drop")
    call(ledger, "c9")
    ledger.rollup.catch_up()
    (denied,) = ledger.rollup.denials(0)
    assert (denied.rule, denied.tool, denied.agent, denied.calls) == (
        "/tools/drop",
        "drop",
        "claude-code",
        3,
    )


@pytest.mark.parametrize("damage", [b"", b"this is no database " * 500])
def test_a_file_that_is_gone_or_damaged_is_made_anew(
    file: Path, clock: Clock, ledger: Ledger, damage: bytes
) -> None:
    call(ledger, "c1")
    assert totals(ledger) == {"allow": 1, "read": 1}
    ledger.rollup.close()
    file.with_name("rollup.db").write_bytes(damage)
    with closing(Ledger.open(file, clock=clock)) as again:
        if damage:
            with pytest.raises(LedgerUnavailable):
                again.rollup.catch_up()
        assert totals(again) == {"allow": 1, "read": 1}


def test_another_record_is_counted_from_its_beginning(
    file: Path, clock: Clock, ledger: Ledger, tmp_path: Path
) -> None:
    call(ledger, "c1")
    call(ledger, "c2")
    ledger.rollup.catch_up()
    ledger.rollup.close()
    second = Ledger.open(tmp_path / "second" / "ledger.db", clock=clock)
    file.with_name("rollup.db").rename(tmp_path / "second" / "rollup.db")
    call(second, "d1", "other")
    assert totals(second) == {"allow": 1, "other": 1}
    second.close()


def test_what_was_pruned_is_counted_no_more(file: Path, ledger: Ledger, clock: Clock) -> None:
    call(ledger, "c1", "old")
    clock.forward(10 * 86_400)
    call(ledger, "c2", "new")
    assert totals(ledger) == {"allow": 2, "old": 1, "new": 1}
    ledger.rollup.close()
    with closing(Ledger.open(file, clock=clock, audit=AuditSettings(keep_days=5))) as pruning:
        pruning.retention.announce()
        while pruning.retention.step():
            pass
        call(pruning, "c3", "new")
        assert totals(pruning) == {"allow": 2, "new": 2}
        assert [tool.tool for tool in pruning.rollup.tools(0)] == ["new"]


def test_who_finds_another_counting_takes_what_that_one_has(
    ledger: Ledger, other: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums, "_BUSY_MS", 0)
    call(ledger, "c1")
    ledger.rollup.catch_up()
    call(ledger, "c2")
    counting = ledger.rollup._open()
    counting.execute("BEGIN IMMEDIATE")
    assert totals(other) == {"allow": 1, "read": 1}
    counting.execute("ROLLBACK")
    assert totals(other) == {"allow": 2, "read": 2}


def test_a_file_that_cannot_be_written_is_kept_in_memory(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(path: str) -> sqlite3.Connection:
        if path != ":memory:":
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    real = sums._connect
    monkeypatch.setattr(sums, "_connect", connect)
    call(ledger, "c1")
    assert totals(ledger) == {"allow": 1, "read": 1}
    assert not ledger.path.with_name("rollup.db").exists()
