"""Limits counted exactly: in sliding and calendar windows, given back, read with a retry time."""

from __future__ import annotations

import itertools
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pktui.ledger.counters import MOST, NEVER_US
from tests.ledger.conftest import MINUTE, SECOND, START_US, Clock, Limit

if TYPE_CHECKING:
    from pktui.ledger import Ledger

THREE = Limit(max=Decimal(3))
NUMBERS = itertools.count()


def take(ledger: Ledger, *charges: Limit, call_id: str = "c") -> Limit | None:
    return ledger.counters.reserve(charges, call_id)


def usage(ledger: Ledger, charge: Limit) -> tuple[float, int]:
    used, retry_at_us = ledger.counters.usage(charge)
    return float(used), retry_at_us


def test_a_limit_gives_as_often_as_it_says(ledger: Ledger) -> None:
    assert [take(ledger, THREE) for _ in range(4)] == [None, None, None, THREE]


def test_a_reservation_goes_on_from_what_was_looked_at(ledger: Ledger) -> None:
    counters, other = ledger.counters, replace(THREE, counter="other")
    for number in range(5):
        with ledger.transaction():
            sight = counters.sight()
            assert counters.usage(other, sight)[0] == 0
            assert counters.usage(THREE, sight)[0] == min(number, 3)
            assert (counters.reserve([THREE], f"c{number}", sight) is None) is (number < 3)
            assert counters.usage(THREE, sight)[0] == min(number + 1, 3)
    assert usage(ledger, other) == (0, 0)


def test_what_was_refused_is_not_seen_as_taken(ledger: Ledger) -> None:
    with ledger.transaction():
        sight = ledger.counters.sight()
        assert ledger.counters.reserve([THREE] * 4, "c", sight) is THREE
        assert ledger.counters.usage(THREE, sight)[0] == 0


def test_a_sliding_window_frees_each_charge_one_window_later(ledger: Ledger, clock: Clock) -> None:
    for _ in range(3):
        take(ledger, THREE)
        clock.forward(10)
    clock.now = START_US + MINUTE - 1
    assert take(ledger, THREE) is THREE
    clock.now = START_US + MINUTE
    assert take(ledger, THREE) is None
    assert take(ledger, THREE) is THREE


def test_a_calendar_window_starts_at_a_multiple_of_its_length(ledger: Ledger, clock: Clock) -> None:
    daily = replace(THREE, align="calendar", window_us=24 * 60 * MINUTE)
    midnight = START_US - START_US % daily.window_us + daily.window_us
    clock.now = midnight - 1
    assert [take(ledger, daily) for _ in range(4)][-1] is daily
    assert usage(ledger, daily) == (3, midnight)
    clock.now = midnight
    assert usage(ledger, daily) == (0, 0)
    assert take(ledger, daily) is None


def test_usage_tells_when_a_charge_would_fit(ledger: Ledger, clock: Clock) -> None:
    spend = Limit(max=Decimal(10), amount=Decimal(4))
    assert usage(ledger, spend) == (0, 0)
    take(ledger, spend)
    clock.forward(10)
    take(ledger, spend)
    clock.forward(10)
    assert usage(ledger, spend) == (8, START_US + MINUTE)
    assert usage(ledger, replace(spend, amount=Decimal(2))) == (8, 0)
    both = replace(spend, amount=Decimal(7))
    assert usage(ledger, both) == (8, START_US + 10 * SECOND + MINUTE)
    assert usage(ledger, replace(spend, amount=Decimal(11))) == (8, NEVER_US)


@pytest.mark.parametrize("align", ["sliding", "calendar"])
def test_counters_in_use_are_told_as_usage_tells_them(
    ledger: Ledger, clock: Clock, align: str
) -> None:
    spend = Limit(max=Decimal(10), amount=Decimal("2.5"), align=align)
    others = (replace(spend, holder="session:s1"), replace(spend, server="files"))
    for charge in (spend, *others):
        take(ledger, charge)
    assert {one.server for one in ledger.counters.in_use("memory")} == {"memory"}
    assert ledger.counters.in_use("mem") == ()
    clock.forward(20)
    take(ledger, spend)
    for seconds in (0, 30, 20):
        clock.forward(seconds)
        told = {(one.server, one.holder): one.used for one in ledger.counters.in_use()}
        expected = {
            (charge.server, charge.holder): usage(ledger, charge)[0] for charge in (spend, *others)
        }
        assert told == {key: used for key, used in expected.items() if used}
    clock.forward(100)
    assert ledger.counters.in_use() == ()


def test_all_charges_of_a_call_are_taken_or_none(ledger: Ledger) -> None:
    wide, narrow = Limit(max=Decimal(9)), Limit(max=Decimal(1), counter="narrow")
    assert take(ledger, wide, narrow) is None
    assert take(ledger, wide, narrow) is narrow
    assert usage(ledger, wide)[0] == 1


def test_two_limits_on_one_counter_both_count_the_call(ledger: Ledger) -> None:
    tight = replace(THREE, max=Decimal(2))
    assert take(ledger, THREE, tight) is None
    assert usage(ledger, THREE)[0] == 2
    assert take(ledger, THREE, tight) is tight


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
def test_counters_do_not_mix(ledger: Ledger, other: dict[str, object]) -> None:
    for _ in range(3):
        take(ledger, THREE)
    assert take(ledger, replace(THREE, **other)) is None  # type: ignore[arg-type]


def test_a_count_survives_an_edit_of_its_limit(ledger: Ledger) -> None:
    take(ledger, THREE)
    assert usage(ledger, replace(THREE, max=Decimal(5)))[0] == 1


def test_a_failed_call_gives_back_what_it_took(ledger: Ledger, clock: Clock) -> None:
    spend = Limit(max=Decimal(10), amount=Decimal(3))
    for call in ("a", "b", "c"):
        take(ledger, spend, call_id=call)
        clock.forward(1)
    assert ledger.counters.release("b")
    assert not ledger.counters.release("b")
    assert usage(ledger, spend) == (6, 0)
    clock.now = START_US + MINUTE
    assert usage(ledger, spend)[0] == 3


def test_a_release_joins_the_transaction_that_fails(ledger: Ledger) -> None:
    take(ledger, THREE, call_id="a")

    def half() -> None:
        with ledger.transaction():
            ledger.counters.release("a")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert usage(ledger, THREE)[0] == 1


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
    ledger: Ledger, amount: str, limit: str, fits: bool
) -> None:
    charge = Limit(max=Decimal(limit), amount=Decimal(amount))
    assert (take(ledger, charge) is None) is fits


def test_running_totals_never_overflow(ledger: Ledger, clock: Clock) -> None:
    huge = Limit(max=Decimal(MOST), amount=Decimal(MOST))
    for _ in range(40):
        assert take(ledger, huge) is None
        assert take(ledger, huge) is huge
        clock.forward(60)
    half = replace(huge, amount=Decimal(MOST // 2))
    assert [take(ledger, half) for _ in range(3)] == [None, None, half]


def test_a_clock_set_back_never_lets_more_through(ledger: Ledger, clock: Clock) -> None:
    clock.forward(3600)
    take(ledger, THREE)
    take(ledger, THREE)
    clock.now = START_US
    assert usage(ledger, THREE)[0] == 2
    assert [take(ledger, THREE) for _ in range(2)] == [None, THREE]
    assert usage(ledger, THREE) == (3, START_US + MINUTE)
    clock.forward(60)
    assert usage(ledger, THREE) == (0, 0)


def test_passed_charges_are_removed(ledger: Ledger, clock: Clock) -> None:
    busy, idle = Limit(max=Decimal(10_000)), Limit(counter="idle")
    take(ledger, idle)
    for _ in range(500):
        take(ledger, busy)
        clock.forward(1)
    rows = ledger._database.row("SELECT count(*) FROM charges")
    assert rows
    assert rows[0] <= 60 + 32 + 1
    clock.forward(3600)
    assert ledger.counters.prune() == rows[0]
    assert usage(ledger, busy) == (0, 0)


@settings(
    derandomize=True,
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 5), st.booleans()), min_size=1, max_size=40
    ),
    align=st.sampled_from(["sliding", "calendar"]),
)
def test_a_window_holds_exactly_what_was_charged_in_it(
    ledger: Ledger, steps: list[tuple[int, int, bool]], align: str
) -> None:
    """Against the plain definition: a list of (time, amount), summed anew each time."""
    clock, name = Clock(), f"counter {next(NUMBERS)}"
    counters = type(ledger.counters)(ledger._database, clock)
    kept: dict[str, tuple[int, int]] = {}
    for number, (wait, amount, release) in enumerate(steps):
        clock.forward(wait)
        charge = Limit(max=Decimal(9), amount=Decimal(amount), align=align, counter=name)
        floor = clock.now - clock.now % MINUTE if align == "calendar" else clock.now - MINUTE + 1
        held = sum(units for at, units in kept.values() if at >= floor)
        used, retry_at = counters.usage(charge)
        assert used == held
        assert (retry_at == 0) is (held + amount <= 9)
        call_id = f"{name}{number}"
        if counters.reserve([charge], call_id) is None:
            assert held + amount <= 9
            kept[call_id] = (clock.now, amount)
        else:
            assert held + amount > 9
        if release and kept:
            first = next(iter(kept))
            counters.release(first)
            del kept[first]
