"""A ledger as a month of several agents leaves it: `python -m tests.bench.long_ledger DIR [CALLS]`.

Written once and used by the benches of the console, which take `--at DIR`: 1,000,000 calls of 100
tools in some 2,000 sessions take a minute. Each in 50 is denied, each in 1,000 was asked about.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from pktui.files import make_private_directory
from pktui.ledger.arguments.canonical import args_hash
from pktui.ledger.ledger import Ledger
from pktui.ledger.records import Caller, NewApproval
from pktui.settings import AuditSettings, Paths
from pktui.times import now_us
from tests.ledger.conftest import MINUTE, SECOND, Clock

AGENTS = ("claude-code", "opencode", "codex", "cursor")
PROJECTS = tuple(f"/home/me/{name}" for name in ("shop", "billing", "ingest", "docs", "infra"))
SERVERS = ("files", "git", "github", "browser", "postgres", "shell", "tickets", "search")
VERBS = (
    "read",
    "list",
    "find",
    "write",
    "move",
    "open",
    "query",
    "run",
    "add",
    "get",
    "set",
    "tag",
    "log",
)
DAYS = 30
A_SESSION = 500
PIECE = 2_000
WAITED_S = 31
POLICY = '{"version": "1", "default": "allow", "tools": {"write_*": {"action": "approve"}}}'
# All of it is to be there to be read.
AUDIT = AuditSettings(max_megabytes=8_000)


def paths_at(directory: Path) -> Paths:
    return Paths.at(directory / "config", directory / "data")


def long_ledger(paths: Paths, calls: int) -> None:
    """Write so many calls over the days before now, their index and sums, and a policy a server.

    What is there already from a run before is left as it is.
    """
    make_private_directory(paths.data_dir)
    make_private_directory(paths.policies_dir)
    if paths.ledger_file.exists():
        return
    for server in SERVERS:
        paths.policy_file(server).write_text(POLICY)
    began, length = time.perf_counter(), DAYS * 24 * 60 * MINUTE
    clock = Clock(now_us() - length - MINUTE)
    ledger = Ledger.open(paths.ledger_file, audit=AUDIT, clock=clock)
    for first in range(0, calls, PIECE):
        with ledger.transaction():
            for number in range(first, min(calls, first + PIECE)):
                clock.now += length // calls
                append(ledger, number)
    written = time.perf_counter()
    ledger.index.refresh()
    ledger.rollup.catch_up()
    ledger.close()
    size = sum(file.stat().st_size for file in paths.data_dir.rglob("*") if file.is_file())
    print(
        f"{calls:,} calls written in {written - began:.1f} s, read in in"
        f" {time.perf_counter() - written:.1f} s; {size / 1e6:,.0f} MB",
        flush=True,
    )


def append(ledger: Ledger, number: int) -> None:
    """Put one call with its end on record."""
    session = number // A_SESSION
    caller = Caller(AGENTS[session % 4], "", f"s{session}", PROJECTS[session % 5])
    server, tool = SERVERS[number % 8], f"{VERBS[number % 13]}_{'file' if number % 2 else 'page'}"
    call_id = f"{ledger.clock():016x}-{number:x}"
    denied, asked = number % 50 == 0, number % 1_000 == 1
    arguments = {"path": f"src/module_{number % 9_000}.py", "limit": number}
    effect = "deny" if denied else "approve" if asked else "allow"
    approval = _answered(ledger, caller, server, tool, arguments, call_id) if asked else ""
    ledger.events.append(
        "decision", caller=caller, call_id=call_id, server=server, tool=tool, effect=effect,
        rule=f"/tools/{tool}", reason="not in this project" if denied else "",
        arguments=arguments, args_hash=args_hash(arguments), approval_id=approval,
    )  # fmt: skip
    if not denied:
        ledger.events.append(
            "outcome", caller=caller, call_id=call_id, server=server, tool=tool, outcome="ok",
            duration_us=900 + number * 7919 % 90_000,
        )  # fmt: skip


def _answered(
    ledger: Ledger, caller: Caller, server: str, tool: str, arguments: dict[str, object], call: str
) -> str:
    """Ask, and let a person allow it; return the approval's id."""
    until = ledger.clock() + 10 * 60 * SECOND
    asked = ledger.approvals.open(
        NewApproval(
            caller=caller,
            server=server,
            tool=tool,
            arguments=arguments,
            expires_us=until,
            args_hash=args_hash(arguments),
            rule=f"/tools/{tool}",
            call_id=call,
        )
    )
    if isinstance(ledger.clock, Clock):
        ledger.clock.forward(WAITED_S)
    ledger.approvals.answer(asked.id, True, by="console", args_hash=asked.args_hash)
    ledger.approvals.spend(asked.id)
    return asked.id


if __name__ == "__main__":
    long_ledger(paths_at(Path(sys.argv[1])), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000)
