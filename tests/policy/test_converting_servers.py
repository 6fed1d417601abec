"""What a rule forbids for the value a tool gets never reaches it unasked, however it is sent."""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, given, settings

from tests.support.converting import Tally, Trial, run, trials

TALLY = Tally()


@settings(
    derandomize=True, max_examples=150, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
@given(trials())
def test_no_call_gets_past_a_rule_by_what_a_server_makes_of_it(trial: Trial) -> None:
    assert asyncio.run(run(trial, TALLY)) == []


def test_the_trials_reach_tools_with_converted_values_that_rules_are_about() -> None:
    assert TALLY.reached > 150
    assert TALLY.converted > 50
    assert TALLY.held > 80
    assert TALLY.let_through > 200
