"""`pktui hook`, the whole process: how many times bare Python it takes, and its slowest.

    python -m tests.bench.hook [ROUNDS]

One call of each agent that its shipped policy allows, interleaved with `python -c pass`; wall time
and processor time.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from statistics import median

AGENTS = {
    "claude-code": {"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_use_id": "t"},
    "codex": {"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_use_id": "t"},
    "gemini": {"hook_event_name": "BeforeTool", "tool_name": "run_shell_command"},
}


def timed(command: list[str], stdin: bytes) -> tuple[float, float]:
    """Return wall and processor time of a process, in milliseconds."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, input=stdin, capture_output=True, check=True)
    took = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took * 1e3, used * 1e3


def main() -> None:
    rounds = int(sys.argv[1]) if sys.argv[1:] else 40
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as home:
        call = {"session_id": "s", "cwd": home, "tool_input": {"command": "ls -l"}}
        hooks = {
            agent: (
                [sys.executable, "-m", "pktui", "hook", agent, "--home", home],
                json.dumps(call | payload).encode(),
            )
            for agent, payload in AGENTS.items()
        }
        for command, stdin in hooks.values():
            timed(command, stdin)
        bare: list[tuple[float, float]] = []
        took: dict[str, list[tuple[float, float]]] = {agent: [] for agent in hooks}
        for _ in range(rounds):
            for agent, (command, stdin) in hooks.items():
                bare.append(timed([sys.executable, "-c", "pass"], b""))
                took[agent].append(timed(command, stdin))
    floor = [median(column) for column in zip(*bare, strict=True)]
    print(f"bare python    p50 {floor[0]:6.1f} ms, processor {floor[1]:6.1f} ms")
    for agent, found in took.items():
        wall, used = ([one[at] for one in found] for at in (0, 1))
        p95 = sorted(wall)[round(0.95 * (len(wall) - 1))]
        print(
            f"{agent:<14} p50 {median(wall):6.1f} ms ({median(wall) / floor[0]:.1f}x),"
            f" p95 {p95:6.1f} ms, processor {median(used):6.1f} ms ({median(used) / floor[1]:.1f}x)"
        )


if __name__ == "__main__":
    main()
