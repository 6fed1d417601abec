from __future__ import annotations

from decimal import Decimal
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pktui.policy.evaluate import Charge
from pktui.policy.memory_quota import MemoryQuota
from tests.policy.build import START_US, Clock

MINUTE_US = 60_000_000


def charge(
    maximum: int = 2, amount: str = "1", align: Literal["sliding", "calendar"] = "sliding",
    counter: str = "c",
) -> Charge:  # fmt: skip
    return Charge(counter, "grant:g", "s", MINUTE_US, align, Decimal(maximum), Decimal(amount),
                  "/r", "")  # fmt: skip


def test_a_sliding_window_frees_quota_as_calls_grow_old() -> None:
    clock = Clock()
    quota = MemoryQuota(clock)
    assert quota.reserve([charge()], "1") is None
    clock.forward(30)
    assert quota.reserve([charge()], "2") is None
    assert quota.usage(charge()).retry_at_us == START_US + MINUTE_US
    clock.now_us = START_US + MINUTE_US - 1
    assert quota.reserve([charge()], "3") is not None
    clock.now_us += 1
    assert quota.reserve([charge()], "3") is None


def test_a_calendar_window_frees_all_quota_at_once() -> None:
    clock = Clock(START_US + 45_000_000)
    quota = MemoryQuota(clock)
    entry = charge(align="calendar")
    assert quota.reserve([entry], "1") is None
    assert quota.reserve([entry], "2") is None
    assert quota.usage(entry).retry_at_us == START_US + MINUTE_US
    clock.now_us = START_US + MINUTE_US
    assert quota.usage(entry).used == 0


def test_all_charges_are_taken_or_none() -> None:
    quota = MemoryQuota(Clock())
    wide, narrow = charge(5, counter="wide"), charge(0, counter="narrow")
    assert quota.reserve([wide, narrow], "1") is narrow
    assert quota.usage(wide).used == 0


def test_a_released_call_gives_its_quota_back() -> None:
    quota = MemoryQuota(Clock())
    quota.reserve([charge()], "1")
    quota.release("1")
    assert quota.usage(charge()).used == 0


@pytest.mark.parametrize("amount", ["0.5", "2", "3"])
def test_retry_is_when_the_amount_fits(amount: str) -> None:
    clock = Clock()
    quota = MemoryQuota(clock)
    quota.reserve([charge(2, "1")], "1")
    clock.forward(10)
    quota.reserve([charge(2, "1")], "2")
    retry = quota.usage(charge(2, amount)).retry_at_us
    assert (
        retry
        == {"0.5": START_US + MINUTE_US, "2": START_US + MINUTE_US + 10_000_000, "3": 0}[amount]
    )


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.integers(1, 4), st.lists(st.integers(0, 40), max_size=60))
def test_no_stretch_of_a_window_holds_more_than_max(maximum: int, gaps: list[int]) -> None:
    clock = Clock()
    quota = MemoryQuota(clock)
    admitted = []
    for index, gap in enumerate(gaps):
        clock.forward(gap)
        if quota.reserve([charge(maximum)], str(index)) is None:
            admitted.append(clock.now_us)
    for at in admitted:
        assert sum(at <= other < at + MINUTE_US for other in admitted) <= maximum
