"""What a decision costs: `python -m tests.bench.policy_decisions`.

A policy of 500 tools with conditions and limits; calls go round all of them. Prints medians
of processor time, so that what else runs does not count.
Budgets: 20 microseconds without quota, 150 with quota in the ledger.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pktui.gateway.enforcement.quota import LedgerQuota
from pktui.ledger.ledger import Ledger
from pktui.policy.argument_check import UNKNOWN, Definition
from pktui.policy.document.policy import Policy, parse_policy
from pktui.policy.evaluate import Call, evaluate
from pktui.policy.memory_quota import MemoryQuota

TOOLS = 500
ROUNDS = 41
ARGUMENTS = {"reason": "because", "amount": 42, "path": "/home/ada/shop/app.py", "to": "bob"}


def condition(path: str, op: str, value: Any) -> dict[str, Any]:
    return {"conditions": [{"path": f"args.{path}", "op": op, "value": value}]}


def make(*, limited: bool) -> Policy:
    rule: dict[str, Any] = {
        "require": [condition("reason", "exists", True)],
        "deny_if": [condition("amount", "gt", 10_000), condition("path", "regex", "^/etc/")],
        "approve_if": [condition("to", "in", ["carol", "dave"])],
    }
    if limited:
        limit = {"counter": "c", "window": "hour", "max": 10**9, "scope": "grant"}
        rule["limits"] = [limit]
    document: dict[str, Any] = {"version": "1", "default": "deny", "hide": ["secret_*"]}
    document["tools"] = {f"tool_{number}": rule for number in range(TOOLS)}
    return parse_policy(json.dumps(document).encode())


def pinned(tool: str) -> Definition:
    """Return what a server that declares every argument lists."""
    kinds = {"reason": "string", "amount": "number", "path": "string", "to": "string"}
    properties = {
        name: {"anyOf": [{"type": kind}, {"type": "null"}]} for name, kind in kinds.items()
    }
    schema = {"type": "object", "properties": properties, "required": list(kinds)}
    text = json.dumps({"name": tool, "inputSchema": schema})
    return Definition(hashlib.sha256(text.encode()).hexdigest(), text)


def median_us(work: Callable[[Call], object], *, declared: bool = False) -> float:
    names = [f"tool_{number}" for number in range(TOOLS)]
    calls = [
        Call("s", name, ARGUMENTS, "g", "c", pinned(name) if declared else UNKNOWN)
        for name in names
    ]
    costs = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for call in calls:
            work(call)
        costs.append((time.process_time() - started) / TOOLS)
    return statistics.median(costs) * 1e6


def main() -> None:
    plain, limited = make(limited=False), make(limited=True)
    memory = MemoryQuota(lambda: 0)
    cost = median_us(lambda call: evaluate(plain, call, memory))
    print(f"decision without quota               p50 {cost:8.1f} us  (budget 20)")
    cost = median_us(lambda call: evaluate(plain, call, memory), declared=True)
    print(f"decision with the tools' schemas     p50 {cost:8.1f} us  (budget 20)")
    with tempfile.TemporaryDirectory() as directory:
        ledger = Ledger.open(Path(directory) / "ledger.db")

        def reserved(call: Call) -> None:
            with ledger.transaction():
                quota = LedgerQuota(ledger)
                verdict = evaluate(limited, call, quota)
                quota.reserve(verdict.charges, "call")

        cost = median_us(reserved)
        print(f"decision with quota in the ledger    p50 {cost:8.1f} us  (budget 150)")
        ledger.close()


if __name__ == "__main__":
    main()
