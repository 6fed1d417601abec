"""What loading a policy of 1,000 tools costs: `python -m tests.bench.policy_load`.

Prints medians of processor time, so that what else runs does not count.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import time

from pktui.policy.document.policy import PolicyInvalid, parse_policy
from pktui.policy.recommend import recommend

ROUNDS = 21
VERBS = ("get", "list", "create", "run", "delete")


def median_ms(raw: bytes) -> float:
    costs = []
    for _ in range(ROUNDS):
        started = time.process_time()
        with contextlib.suppress(PolicyInvalid):
            parse_policy(raw)
        costs.append(time.process_time() - started)
    return statistics.median(costs) * 1e3


def main() -> None:
    tools = [{"name": f"{VERBS[number % 5]}_thing_{number}"} for number in range(1000)]
    started = time.process_time()
    raw = recommend("bench", tools)
    print(f"recommend 1,000 tools                {(time.process_time() - started) * 1e3:8.1f} ms")
    print(f"load 1,000 tools ({len(raw) // 1024} KiB)        p50 {median_ms(raw):8.1f} ms")
    broken = json.loads(raw)
    broken["tools"]["get_thing_0"] = {"acton": "deny"}
    text = json.dumps(broken, indent=2).encode()
    print(f"refuse it for one misspelt key   p50 {median_ms(text):8.1f} ms")
    code = (
        "import time; a = time.process_time(); "
        "import pktui.policy.live, pktui.policy.evaluate; print(time.process_time() - a)"
    )
    cold = sorted(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(9)
    )
    print(f"import, in a fresh interpreter   p50 {cold[4] * 1e3:8.1f} ms")


if __name__ == "__main__":
    main()
