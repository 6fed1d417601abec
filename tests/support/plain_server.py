"""A small MCP server without any library: one JSON-RPC message a line, both protocol eras.

Its tools answer with what they were called with, so that a test can see what went through.
`--tools JSON` replaces the definitions, `--deaf` ignores the end of stdin and SIGTERM, `--die-on
NAME` ends the process when that tool is called, `--received FILE` appends every line it reads,
`--lax` lets it pass over messages that it cannot make sense of, and answer all others, `--stuck`
lets it read nothing after the first.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

SCHEMA = {"type": "object"}
TOOLS: list[dict[str, Any]] = [
    {"name": "echo", "description": "Return the arguments.", "inputSchema": SCHEMA},
    {"name": "write", "description": "Pretend to write.", "inputSchema": SCHEMA, "x-extra": 1.50},
    {"name": "secret", "description": "Hidden in most tests.", "inputSchema": SCHEMA},
    {"name": "fail", "description": "Answer with isError.", "inputSchema": SCHEMA},
    {"name": "broken", "description": "Answer with a JSON-RPC error.", "inputSchema": SCHEMA},
    {"name": "silent", "description": "Never answer.", "inputSchema": SCHEMA},
    {"name": "ask", "description": "Ask for input first.", "inputSchema": SCHEMA},
    {"name": "big", "description": "Answer with a megabyte.", "inputSchema": SCHEMA},
]
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"


def answer(message: dict[str, Any], tools: list[dict[str, Any]]) -> dict[str, Any] | None:
    method, params = message.get("method"), message.get("params", {})
    if method == "initialize":
        info = {"name": "plain", "version": "1"}
        version = params.get("protocolVersion", "2025-11-25")
        return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
    if method == "tools/list":
        modern = VERSION_KEY in params.get("_meta", {})
        extra = {"resultType": "complete", "ttlMs": 60000, "cacheScope": "public"}
        return {"tools": tools, **(extra if modern else {}), "x-kept": 1e2}
    if method == "ping":
        return {}
    return call(params) if method == "tools/call" else None


def call(params: dict[str, Any]) -> dict[str, Any] | None:
    name, arguments = params.get("name"), params.get("arguments", {})
    if name == "broken":
        raise ValueError("the tool is broken")
    if name == "silent":
        return None
    if name == "big":
        return {"content": [{"type": "text", "text": "x" * 1_000_000}]}
    if name == "ask" and "requestState" not in params:
        return {"resultType": "input_required", "inputRequests": {}, "requestState": "state-1"}
    text = {"type": "text", "text": json.dumps([name, arguments])}
    return {"content": [text], "isError": name == "fail"}


def serve(options: argparse.Namespace) -> None:
    tools = json.loads(options.tools) if options.tools else TOOLS
    for line in islice(sys.stdin.buffer, 1 if options.stuck else None):
        if options.received:
            with Path(options.received).open("ab") as log:
                log.write(line)
        message = json.loads(line)
        if options.lax and not isinstance(message.get("params", {}), dict):
            continue
        if message.get("params", {}).get("name") == options.die_on:
            raise SystemExit(7)
        if message.get("method") == "notifications/say":
            say(message["params"]["line"])
        if "id" not in message or "method" not in message:
            continue
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        try:
            result = answer(message, tools)
        except ValueError as error:
            reply["error"] = {"code": -32000, "message": str(error)}
        else:
            if result is None and not options.lax:
                continue
            reply["result"] = result
        say(json.dumps(reply))


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tools", default="")
    parser.add_argument("--deaf", action="store_true")
    parser.add_argument("--die-on", default="-")
    parser.add_argument("--received", default="")
    parser.add_argument("--lax", action="store_true")
    parser.add_argument("--stuck", action="store_true")
    options = parser.parse_args()
    if options.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve(options)
    while options.deaf or options.stuck:
        time.sleep(60)


if __name__ == "__main__":
    main()
