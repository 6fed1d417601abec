"""Whole commands beside bare Python: `python -m tests.bench.commands [ROUNDS]`.

Prints processor and wall time of each as multiples of `python -c pass`, the two started in turn,
on a ledger with calls that wait and a policy of 40 tools. Bytecode is written and warm, as it is
for whoever has installed pktui.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pktui.ledger import Caller, Ledger, NewApproval, args_hash
from pktui.settings import Paths
from pktui.times import now_us

BARE = ["-c", "pass"]
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
COMMANDS = {
    ("approvals", "list"): 8,
    ("audit", "tail"): 8,
    ("status",): 12,
    ("policy", "show", "files"): 12,
}


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        environment = furnished(Path(directory))
        for words, most in COMMANDS.items():
            bare, command = [], []
            spent(["-m", "pktui", *words], environment)
            for _ in range(rounds):
                bare.append(spent(BARE, environment))
                command.append(spent(["-m", "pktui", *words], environment))
            cpu, wall = (
                statistics.median(one[kind] for one in command)
                / statistics.median(one[kind] for one in bare)
                for kind in (0, 1)
            )
            print(
                f"{' '.join(words):<20} {cpu:5.1f} times bare Python's processor time,"
                f" {wall:5.1f} of its wall time (at most {most})"
            )


def spent(words: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Run Python; return the seconds of processor and of wall time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], env=environment, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def furnished(directory: Path) -> dict[str, str]:
    """Fill a config and a data directory; return the environment that names them."""
    paths = Paths.at(directory / "config", directory / "data")
    for place in (paths.policies_dir, paths.data_dir):
        place.mkdir(parents=True, mode=0o700)
    tools = {f"tool{number}": {"action": "approve"} for number in range(40)}
    policy = {"version": "1", "default": "deny", "tools": tools}
    paths.policy_file("files").write_text(json.dumps(policy))
    caller = Caller("claude-code", "", "s1", "/home/ada/shop")
    ledger = Ledger.open(paths.ledger_file)
    ledger.catalogue.saw("files", [{"name": name, "description": "Does it."} for name in tools])
    for number in range(5):
        arguments = {"path": f"file{number}"}
        digest = args_hash(arguments)
        ledger.events.append(
            "decision", caller=caller, call_id=f"c{number}", server="files", tool="tool1",
            effect="approve", args_hash=digest, arguments=arguments,
        )  # fmt: skip
        ledger.approvals.open(
            NewApproval(caller, "files", "tool1", arguments, digest, now_us() + 3_600_000_000)
        )
    ledger.close()
    named = {
        "PKTUI_CONFIG_DIR": str(paths.config_dir),
        "PKTUI_DATA_DIR": str(paths.data_dir),
    }
    return {name: value for name, value in os.environ.items() if name != NO_BYTECODE} | named


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
