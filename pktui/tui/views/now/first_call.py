"""A first call that pktui makes itself: a real client through a real gateway."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import Any

from pktui.errors import PktuiError

PATIENCE_SECONDS = 60.0
TOOL = "list_sessions"
_COMMAND = (sys.executable, "-P", "-m", "pktui", "gateway", "memory")
_HELLO = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "pktui", "version": "1"},
}
_MESSAGES: tuple[dict[str, Any], ...] = (
    {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": _HELLO},
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": TOOL, "arguments": {}}},
)


def make_first_call() -> str:
    """Call a tool that only reads, and say what came back; blocks. Raises `PktuiError`."""
    try:
        answer = _answer()
    except (OSError, ValueError) as error:
        answer = {"error": {"message": str(error)}}
    if answer is None or "error" in answer:
        why = (answer or {}).get("error", {}).get("message", "the gateway gave no answer")
        raise PktuiError(f"the first call failed: {why}", "Look with: pktui doctor")
    held = answer.get("result", {}).get("isError")
    return f"memory.{TOOL} was {'not let through' if held else 'called'}, through a gateway"


def _answer() -> dict[str, Any] | None:
    with subprocess.Popen(
        _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as gateway:
        assert gateway.stdin is not None
        assert gateway.stdout is not None
        watch = threading.Timer(PATIENCE_SECONDS, gateway.kill)
        watch.daemon = True
        watch.start()
        try:
            for message in _MESSAGES:
                gateway.stdin.write(json.dumps(message).encode() + b"\n")
            gateway.stdin.flush()
            answers = (json.loads(line) for line in gateway.stdout)
            return next((one for one in answers if one.get("id") == 2), None)
        finally:
            watch.cancel()
            gateway.terminate()
