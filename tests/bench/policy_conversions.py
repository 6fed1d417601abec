"""Many more trials of what converting servers get: `python -m tests.bench.policy_conversions 5000`.

Prints what was tried, and every call that a rule should have stopped; exits 1 where there is one.
"""

from __future__ import annotations

import asyncio
import logging
import sys

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.support.converting import Tally, Trial, run, trials


def main(examples: int, start: int = 0) -> int:
    tally, wrong = Tally(), list[str]()

    @seed(start)
    @settings(
        max_examples=examples, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(trials())
    def attempt(trial: Trial) -> None:
        wrong.extend(asyncio.run(run(trial, tally)))

    logging.disable(logging.WARNING)
    attempt()
    print(tally)
    print(*wrong[:20], sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
