"""What a list of a thousand tools costs a relay: new, unchanged again, and one tool changed.

    python -m tests.bench.gateway_lists [--tools N] [--repeats N]

In one process, over a real ledger; milliseconds of processor time of the thread that also carries
calls, and how long a call waits that came right behind the list.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from pktui.settings import Paths
from tests.gateway.conftest import open_house
from tests.gateway.wired import Wired

WORDS = (
    "Returns the issues of a repository that match a query, newest first, as the API has them. "
    "Takes filters by state, label, author and milestone; at most a hundred at a time. Use the "
    "cursor of the last page to go on. Dates are in UTC."
)


def tool(number: int, words: str = WORDS) -> dict[str, Any]:
    text = {"type": "string", "description": "What to look for, in the API's own syntax."}
    properties = {
        "query": text,
        "state": {"type": "string", "enum": ["open", "closed", "all"], "description": "Which."},
        "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 30},
        "labels": {"type": "array", "items": {"type": "string"}, "description": "All of these."},
    }
    schema = {"type": "object", "properties": properties, "required": ["query"]}
    return {
        "name": f"find_issues_{number:04}",
        "description": f"{words} Number {number}.",
        "inputSchema": schema,
        "annotations": {"readOnlyHint": True},
    }


def answer(request_id: int, tools: list[dict[str, Any]]) -> bytes:
    message = {"jsonrpc": "2.0", "id": request_id, "result": {"tools": tools}}
    return json.dumps(message, separators=(",", ":")).encode()


def listed(wired: Wired, request_id: int, tools: list[dict[str, Any]]) -> tuple[float, float]:
    """Return the milliseconds that a list takes, and that a call behind it waits."""
    wired.request("tools/list", request_id=request_id)
    line = answer(request_id, tools)
    call = {"name": tools[0]["name"], "arguments": {"query": "x"}}
    began, before = time.perf_counter(), time.thread_time()
    wired.relay.from_server(line)
    taken = time.thread_time() - before
    wired.request("tools/call", call, request_id=request_id + 1)
    waited = time.perf_counter() - began
    reply = {"jsonrpc": "2.0", "id": request_id + 1, "result": {"content": []}}
    wired.relay.from_server(json.dumps(reply).encode())
    return taken * 1000, waited * 1000


def at(folder: str) -> Paths:
    return Paths.at(Path(folder) / "config", Path(folder) / "data")


def main() -> None:
    parser = argparse.ArgumentParser(description="What lists of tools cost.")
    parser.add_argument("--tools", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(asked.repeats):
        with tempfile.TemporaryDirectory() as folder, open_house(at(folder)) as house:
            wired = Wired(house, lists=None)
            tools = [tool(number) for number in range(asked.tools)]
            changed = [*tools[:-1], tool(asked.tools - 1, "Something else.")]
            kinds = (("new", tools), ("unchanged", tools), ("again", tools), ("changed", changed))
            for turn, (name, these) in enumerate(kinds, 1):
                found.setdefault(name, []).append(listed(wired, 10 * turn, these))
    print(f"{asked.tools} tools, {len(answer(1, tools)):,} bytes")
    print(f"{'':14}{'processor ms':>14}{'a call waits ms':>18}")
    for name, times in found.items():
        processor, waited = (statistics.median(part) for part in zip(*times, strict=True))
        print(f"{name:14}{processor:14.1f}{waited:18.1f}")


if __name__ == "__main__":
    main()
