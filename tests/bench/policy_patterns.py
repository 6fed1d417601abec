"""RE2 against hostile patterns and texts: `python -m tests.bench.policy_patterns`.

Doubling the text must about double the time, whatever the pattern.
"""

from __future__ import annotations

import statistics
import time

from pktui.policy.regex import compile_pattern
from pktui.policy.text.problems import BadOperand

SIZES = (50_000, 100_000, 200_000)
HOSTILE = {
    "(a+)+$": "a",
    "(a|aa)+$": "a",
    "(.*)(.*)(.*)(.*)x$": "a",
    "^(([a-z])+.)+[A-Z]([a-z])+$": "a",
    "(?:a?){500}a{500}$": "a",
    "(x+x+)+y": "x",
    "[\\pL\\pN]{1,2}!$": "é",
    "(.{1,20}.){1,20}$": "é",
    "(?s).{1,450}!$": "é",
}
REFUSED = (
    "[\\pL\\pN]{1,90}!$",
    "(.{1,30}.){1,30}$",
    "(a)\\1",
    "(?=a)b",
    "((a{100}){100}){100}",
    "(",
    "a" * 900 + "{1000}",
    "\\C*",
)


def median_ms(pattern: str, text: str) -> float:
    search = compile_pattern(pattern)
    search(text)
    costs = []
    for _ in range(5):
        started = time.process_time()
        search(text)
        costs.append(time.process_time() - started)
    return statistics.median(costs) * 1e3


def main() -> None:
    print(f"{'pattern':<32} " + " ".join(f"{size:>10,}" for size in SIZES) + "  ms")
    for pattern, letter in HOSTILE.items():
        costs = [median_ms(pattern, letter * size + "!") for size in SIZES]
        print(f"{pattern:<32} " + " ".join(f"{cost:>10.2f}" for cost in costs))
    for pattern in REFUSED:
        started = time.process_time()
        try:
            compile_pattern(pattern)
            told = "accepted"
        except BadOperand as error:
            told = f"refused: {error}"
        print(f"{(time.process_time() - started) * 1e3:8.2f} ms  {told[:90]}")


if __name__ == "__main__":
    main()
