"""Limits counted exactly: in sliding and calendar windows, given back, read with a retry time.

What is on record is a file of lines here, as the journal is elsewhere.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pktui.errors import LedgerUnavailable
from pktui.ledger.counter_file import PAGE
from pktui.ledger.counters import MOST, NEVER_US, Counters
from tests.ledger.conftest import MINUTE, SECOND, START_US, Clock, Limit
from tests.ledger.counting import LIMIT, Counting

if TYPE_CHECKING:
    from pktui.ledger.records import Charged

THREE = Limit(max=Decimal(3))
ROOT = Path(__file__).resolve().parents[2]
NUMBERS = itertools.count()


@pytest.fixture
def counting(tmp_path: Path, clock: Clock) -> Counting:
    return Counting(tmp_path, clock)


def given_to(counting: Counting, *charges: Limit) -> bool:
    return isinstance(counting.take(*charges), tuple)


def anew(counting: Counting, clock: Clock) -> Counting:
    """Return what another process sees of the same files."""
    return Counting(counting.file.parent, clock)


def test_a_limit_gives_as_often_as_it_says(counting: Counting) -> None:
    assert [given_to(counting, THREE) for _ in range(4)] == [True, True, True, False]


def test_a_reservation_goes_on_from_what_was_looked_at(counting: Counting) -> None:
    counters, other = counting.counters, replace(THREE, counter="other")
    for number in range(5):
        turn = counters.begin()
        assert counters.usage(other, turn)[0] == 0
        assert counters.usage(THREE, turn)[0] == min(number, 3)
        assert (counters.reserve([THREE], f"c{number}", turn) is None) is (number < 3)
        assert counters.usage(THREE, turn)[0] == min(number + 1, 3)
        counters.end(turn, lambda: None)
    assert counting.usage(other) == (0, 0)


def test_what_others_took_after_a_look_counts(counting: Counting, clock: Clock) -> None:
    counters, other = counting.counters, anew(counting, clock)
    turn = counters.begin()
    assert counters.usage(THREE, turn)[0] == 0
    for _ in range(3):
        assert given_to(other, THREE)
    assert counters.reserve([THREE], "c", turn) is THREE
    counters.abandon(turn)


def test_what_was_refused_is_not_seen_as_taken(counting: Counting) -> None:
    turn = counting.counters.begin()
    assert counting.counters.reserve([THREE] * 4, "c", turn) is THREE
    assert counting.counters.usage(THREE, turn)[0] == 0
    assert counting.counters.taken(turn, "c") == ()
    counting.counters.abandon(turn)


def test_what_is_not_on_record_is_not_taken(counting: Counting) -> None:
    def fails() -> None:
        raise RuntimeError

    turn = counting.counters.begin()
    assert counting.counters.reserve([THREE], "c", turn) is None
    with pytest.raises(RuntimeError):
        counting.counters.end(turn, fails)
    assert counting.usage(THREE) == (0, 0)
    assert given_to(counting, THREE)


def test_a_turn_that_is_abandoned_takes_nothing(counting: Counting) -> None:
    turn = counting.counters.begin()
    counting.counters.reserve([THREE], "c", turn)
    counting.counters.abandon(turn)
    assert counting.usage(THREE) == (0, 0)


def test_a_sliding_window_frees_each_charge_one_window_later(
    counting: Counting, clock: Clock
) -> None:
    for _ in range(3):
        counting.take(THREE)
        clock.forward(10)
    clock.now = START_US + MINUTE - 1
    assert not given_to(counting, THREE)
    clock.now = START_US + MINUTE
    assert given_to(counting, THREE)
    assert not given_to(counting, THREE)


def test_a_calendar_window_starts_at_a_multiple_of_its_length(
    counting: Counting, clock: Clock
) -> None:
    daily = replace(THREE, align="calendar", window_us=24 * 60 * MINUTE)
    midnight = START_US - START_US % daily.window_us + daily.window_us
    clock.now = midnight - 1
    assert [given_to(counting, daily) for _ in range(4)][-1] is False
    assert counting.usage(daily) == (3, midnight)
    clock.now = midnight
    assert counting.usage(daily) == (0, 0)
    assert given_to(counting, daily)


def test_usage_tells_when_a_charge_would_fit(counting: Counting, clock: Clock) -> None:
    spend = Limit(max=Decimal(10), amount=Decimal(4))
    assert counting.usage(spend) == (0, 0)
    counting.take(spend)
    clock.forward(10)
    counting.take(spend)
    clock.forward(10)
    assert counting.usage(spend) == (8, START_US + MINUTE)
    assert counting.usage(replace(spend, amount=Decimal(2))) == (8, 0)
    both = replace(spend, amount=Decimal(7))
    assert counting.usage(both) == (8, START_US + 10 * SECOND + MINUTE)
    assert counting.usage(replace(spend, amount=Decimal(11))) == (8, NEVER_US)


def test_all_charges_of_a_call_are_taken_or_none(counting: Counting) -> None:
    wide, narrow = Limit(max=Decimal(9)), Limit(max=Decimal(1), counter="narrow")
    assert given_to(counting, wide, narrow)
    assert counting.take(wide, narrow) is narrow
    assert counting.usage(wide)[0] == 1


def test_two_limits_on_one_counter_both_count_the_call(counting: Counting) -> None:
    tight = replace(THREE, max=Decimal(2))
    assert given_to(counting, THREE, tight)
    assert counting.usage(THREE)[0] == 2
    assert counting.take(THREE, tight) is tight


@pytest.mark.parametrize(
    "other",
    [
        {"counter": "other"},
        {"holder": "session:s1"},
        {"server": "other"},
        {"window_us": 2 * MINUTE},
        {"align": "calendar"},
    ],
    ids=str,
)
def test_counters_do_not_mix(counting: Counting, other: dict[str, object]) -> None:
    for _ in range(3):
        counting.take(THREE)
    assert given_to(counting, replace(THREE, **other))  # type: ignore[arg-type]


def test_names_that_no_file_could_hold_are_counters_too(counting: Counting) -> None:
    for _ in range(3):
        assert given_to(counting, replace(THREE, holder="session:\ud800"))
    assert not given_to(counting, replace(THREE, holder="session:\ud800"))


def test_a_count_survives_an_edit_of_its_limit(counting: Counting) -> None:
    counting.take(THREE)
    assert counting.usage(replace(THREE, max=Decimal(5)))[0] == 1


def test_many_counters_are_read_at_once(counting: Counting) -> None:
    counting.take(THREE)
    others = [replace(THREE, counter=str(number)) for number in range(3)]
    assert counting.counters.used([*others, THREE]) == [0, 0, 0, 1]


def test_a_failed_call_gives_back_what_it_took(counting: Counting, clock: Clock) -> None:
    spend = Limit(max=Decimal(10), amount=Decimal(3))
    taken = []
    for _ in range(3):
        taken.append(counting.take(spend))
        clock.forward(1)
    assert isinstance(taken[1], tuple)
    assert counting.give_back(taken[1])
    assert not counting.give_back(taken[1])
    assert counting.usage(spend) == (6, 0)
    clock.now = START_US + MINUTE
    assert counting.usage(spend)[0] == 3


def test_what_was_taken_before_the_clock_was_set_back_can_be_given_back(
    counting: Counting, clock: Clock
) -> None:
    clock.forward(3600)
    taken = counting.take(THREE)
    clock.now = START_US
    counting.take(THREE)
    assert isinstance(taken, tuple)
    assert counting.give_back(taken)
    assert counting.usage(THREE)[0] == 1


def test_nothing_is_given_back_where_the_turn_fails(counting: Counting) -> None:
    taken = counting.take(THREE)
    assert isinstance(taken, tuple)
    turn = counting.counters.begin()
    counting.counters.release(taken, turn)
    counting.counters.abandon(turn)
    assert counting.usage(THREE)[0] == 1


def test_what_has_left_its_window_is_not_given_back(counting: Counting, clock: Clock) -> None:
    taken = counting.take(THREE)
    clock.forward(60)
    for _ in range(40):
        counting.take(replace(THREE, max=Decimal(100)))
    assert isinstance(taken, tuple)
    assert not counting.give_back(taken)


@pytest.mark.parametrize(
    ("amount", "limit", "fits"),
    [
        ("0", "0", True),
        ("1", "0", False),
        ("0.0000001", "0.000001", True),
        ("0.0000011", "0.000001", False),
        ("1e-1000000", "0", False),
        ("1e1000000", "5", False),
        ("12.000000000000000000000000000000000001", "12", False),
        (str(MOST), str(MOST), True),
        (str(MOST + 1), str(10 * MOST), False),
    ],
)
def test_amounts_are_rounded_up_and_limits_down(
    counting: Counting, amount: str, limit: str, fits: bool
) -> None:
    assert given_to(counting, Limit(max=Decimal(limit), amount=Decimal(amount))) is fits


def test_sums_never_overflow(counting: Counting, clock: Clock) -> None:
    huge = Limit(max=Decimal(MOST), amount=Decimal(MOST))
    for _ in range(40):
        assert given_to(counting, huge)
        assert not given_to(counting, huge)
        clock.forward(60)
    half = replace(huge, amount=Decimal(MOST // 2))
    assert [given_to(counting, half) for _ in range(3)] == [True, True, False]
    clock.now = START_US
    assert not given_to(counting, half)
    counting.file.unlink()
    assert not given_to(anew(counting, clock), half)


def test_a_clock_set_back_never_lets_more_through(counting: Counting, clock: Clock) -> None:
    clock.forward(3600)
    counting.take(THREE)
    counting.take(THREE)
    clock.now = START_US
    assert counting.usage(THREE)[0] == 2
    assert [given_to(counting, THREE) for _ in range(2)] == [True, False]
    assert counting.usage(THREE) == (3, START_US + MINUTE)
    clock.forward(60)
    assert counting.usage(THREE) == (0, 0)


def test_a_clock_that_was_ahead_has_freed_nothing(counting: Counting, clock: Clock) -> None:
    for _ in range(3):
        counting.take(THREE)
    clock.forward(3600)
    assert given_to(counting, THREE)
    clock.now = START_US + SECOND
    assert not given_to(counting, THREE)


def test_the_file_grows_no_further_than_the_windows_need(counting: Counting, clock: Clock) -> None:
    busy = Limit(max=Decimal(10_000))
    for number in range(2000):
        counting.take(busy, Limit(holder=f"session:{number // 4}"))
        clock.forward(1)
    assert counting.file.stat().st_size <= 32 * PAGE
    assert counting.usage(busy)[0] == 44, "one call of four is over its session's limit"


def test_a_ring_grows_with_what_its_window_holds(counting: Counting, clock: Clock) -> None:
    many = Limit(max=Decimal(700))
    assert sum(given_to(counting, many) for _ in range(1000)) == 700
    assert counting.usage(many) == (700, START_US + MINUTE)
    assert anew(counting, clock).usage(many)[0] == 700


def test_a_table_that_grows_in_a_turn_keeps_what_the_turn_takes(
    counting: Counting, clock: Clock
) -> None:
    old = counting.take(THREE)
    clock.forward(30)
    counting.take(THREE)
    assert isinstance(old, tuple)
    counters = counting.counters
    turn = counters.begin()
    back = counters.release(old, turn)
    many = [replace(THREE, counter=str(number)) for number in range(200)]
    assert counters.reserve([THREE, *many], "c", turn) is None
    rows = back + counters.taken(turn, "c")
    counters.end(turn, lambda: counting.record.append(rows))
    other = anew(counting, clock)
    assert other.usage(THREE)[0] == 2
    assert {other.usage(one)[0] for one in many} == {1}
    clock.forward(30)
    assert other.usage(THREE)[0] == 2


# the file


def test_a_lost_or_replaced_file_is_counted_anew(counting: Counting, clock: Clock) -> None:
    gone = counting.take(THREE)
    clock.forward(1)
    counting.take(THREE)
    assert isinstance(gone, tuple)
    counting.give_back(gone)
    counting.file.unlink()
    assert counting.usage(THREE) == (1, 0)
    counting.file.rename(counting.file.with_name("away"))
    counting.file.write_bytes(b"")
    assert [given_to(counting, THREE) for _ in range(3)] == [True, True, False]
    assert anew(counting, clock).usage(THREE)[0] == 3


@pytest.mark.parametrize("where", [0, 8, 16, 32, 64, PAGE, PAGE + 40, PAGE + 64, PAGE + 72])
def test_a_damaged_file_is_counted_anew(counting: Counting, clock: Clock, where: int) -> None:
    counting.take(*[replace(THREE, counter=str(number)) for number in range(12)])
    for start in range(where, where + 2048 if where >= PAGE else where + 8, 8):
        with counting.file.open("r+b") as file:
            file.seek(start)
            file.write(b"\xff" * 8)
    assert anew(counting, clock).usage(replace(THREE, counter="1"))[0] == 1
    assert counting.usage(replace(THREE, counter="2"))[0] == 1
    assert given_to(counting, replace(THREE, counter="1"))


def test_a_file_that_was_cut_is_counted_anew(counting: Counting, clock: Clock) -> None:
    for _ in range(2):
        counting.take(THREE)
    with counting.file.open("r+b") as file:
        file.truncate(100)
    assert counting.usage(THREE)[0] == 2
    assert given_to(anew(counting, clock), THREE)
    assert not given_to(counting, THREE)


def test_a_file_of_another_start_of_the_machine_is_counted_anew(
    counting: Counting, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting.take(THREE)
    turn = counting.counters.begin()
    counting.counters.reserve([THREE], "c", turn)
    counting.counters.end(turn, lambda: None)
    assert counting.usage(THREE)[0] == 2
    monkeypatch.setattr("pktui.ledger.counter_file._boot", lambda: (1, 2))
    assert anew(counting, clock).usage(THREE)[0] == 1, "what is on record counts"


def test_history_is_asked_for_as_far_as_the_longest_window(
    counting: Counting, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting.take(THREE, replace(THREE, window_us=60 * MINUTE))
    asked: list[int] = []

    def history(since_us: int) -> list[Charged]:
        asked.append(since_us)
        return []

    assert counting.counters.longest_us() == 60 * MINUTE
    monkeypatch.setattr("pktui.ledger.counter_file._boot", lambda: (1, 2))
    Counters(counting.file, clock, history).usage(THREE)
    assert 0 < START_US - asked[0] - 60 * MINUTE < 10 * MINUTE


def test_a_full_disk_takes_nothing_and_is_said(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        counting.take(THREE)

    def full(_descriptor: int, _start: int, _size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full, raising=False)
    many = [replace(THREE, counter=str(number)) for number in range(500)]
    with pytest.raises(LedgerUnavailable, match="the disk is full"):
        counting.take(*many)
    monkeypatch.undo()
    assert counting.usage(THREE)[0] == 2
    assert given_to(counting, *many)


def test_a_file_that_may_only_be_read_is_read(counting: Counting, clock: Clock) -> None:
    counting.take(THREE)
    reading = Counters(counting.file, clock, counting.record.since, read_only=True)
    assert reading.usage(THREE)[0] == 1
    counting.file.unlink()
    with pytest.raises(LedgerUnavailable, match="counters"):
        Counters(counting.file, clock, counting.record.since, read_only=True).usage(THREE)


# the word of changes


def test_the_word_is_another_after_each_change(counting: Counting, clock: Clock) -> None:
    own, other = counting.counters.file, anew(counting, clock).counters.file
    counting.take(THREE)
    other.word()
    seen = other.word()
    assert seen is not None
    counting.take(THREE)
    assert other.word() == seen, "counting is no change"
    for _ in range(2):
        own.before_change()
        assert other.word() is None
        own.after_change()
        assert other.word() not in (None, seen)


def test_a_change_that_a_killed_process_left_is_ended_by_the_next(
    counting: Counting, clock: Clock
) -> None:
    own, other = counting.counters.file, anew(counting, clock).counters.file
    other.word()
    before = other.word()
    other.before_change()
    own.before_change()
    own.after_change()
    assert other.word() not in (None, before)


def test_the_word_of_a_replaced_file_is_none_and_then_another(counting: Counting) -> None:
    file = counting.counters.file
    file.word()
    before = file.word()
    assert before is not None
    counting.file.unlink()
    assert file.word() is None
    counting.take(THREE)
    assert file.word() not in (None, before)


# several processes


def start(folder: Path, times: int, where: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.ledger.counting", str(folder), str(times), where],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_together_never_exceed_a_limit(tmp_path: Path) -> None:
    workers = [start(tmp_path, 100) for _ in range(4)]
    taken = [worker.communicate(timeout=50)[0].count("taken") for worker in workers]
    assert sum(taken) == 200
    assert Counting(tmp_path).usage(LIMIT)[0] == 200
    assert len(list(Counting(tmp_path).record.since(0))) == 200


@pytest.mark.parametrize(("where", "counted"), [("before", 2), ("after", 3), ("middle", 3)])
def test_a_process_killed_in_its_turn_leaves_what_is_on_record(
    tmp_path: Path, where: str, counted: int
) -> None:
    worker = start(tmp_path, 10, where)
    assert worker.communicate(timeout=50)[0].count("taken") == 2
    assert worker.returncode == -9
    assert Counting(tmp_path).usage(LIMIT)[0] == counted


def test_a_process_killed_at_any_time_leaves_the_counters_like_the_record(tmp_path: Path) -> None:
    worker = start(tmp_path, 1_000_000)
    assert worker.stdout is not None
    for _ in range(60):
        worker.stdout.readline()
    worker.kill()
    worker.communicate(timeout=50)
    counting = Counting(tmp_path)
    assert counting.usage(LIMIT)[0] == len(list(counting.record.since(0)))


# against the plain definition

STEPS = st.lists(
    st.tuples(st.integers(-90, 90), st.integers(0, 5), st.booleans(), st.integers(0, 2)),
    min_size=1,
    max_size=60,
)


@settings(
    derandomize=True,
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS, align=st.sampled_from(["sliding", "calendar"]))
def test_a_window_holds_exactly_what_was_charged_in_it(
    tmp_path: Path, steps: list[tuple[int, int, bool, int]], align: str
) -> None:
    """Against a list of (time, amount), summed anew each time; of three processes one is new.

    Time only goes on; how it may go back is another test's.
    """
    clock, name = Clock(), f"counter {next(NUMBERS)}"
    several = [Counting(tmp_path, clock) for _ in range(2)]
    kept: list[tuple[int, int, tuple[Charged, ...]]] = []
    for wait, amount, release, which in steps:
        clock.forward(abs(wait))
        counting = several[which] if which < 2 else Counting(tmp_path, clock)
        charge = Limit(max=Decimal(9), amount=Decimal(amount), align=align, counter=name)
        floor = clock.now - clock.now % MINUTE if align == "calendar" else clock.now - MINUTE + 1
        held = sum(units for at, units, _ in kept if at >= floor)
        used, retry_at = counting.usage(charge)
        assert used == held
        assert (retry_at == 0) is (held + amount <= 9)
        taken = counting.take(charge)
        assert isinstance(taken, tuple) is (held + amount <= 9)
        if isinstance(taken, tuple):
            kept.append((clock.now, amount, taken))
        if release and kept:
            counting.give_back(kept.pop(0)[2])


@settings(
    derandomize=True,
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_a_clock_that_goes_back_and_forth_never_lets_more_through(
    tmp_path: Path, steps: list[tuple[int, int, bool, int]]
) -> None:
    """A charge leaves its window no sooner than the clock went forward by that in all."""
    clock, name = Clock(), f"counter {next(NUMBERS)}"
    several = [Counting(tmp_path, clock) for _ in range(2)]
    forward, kept = 0, []
    for wait, amount, _, which in steps:
        clock.forward(wait)
        forward += max(wait, 0)
        charge = Limit(max=Decimal(9), amount=Decimal(amount), counter=name)
        if isinstance(several[which % 2].take(charge), tuple):
            kept.append((forward, amount))
        assert sum(units for at, units in kept if forward - at < 60) <= 9
