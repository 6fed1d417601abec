"""What a start-up path pays for: each module alone in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("lancedb", "pyarrow", "torch", "sentence_transformers", "transformers", "numpy")
FORBIDDEN = [
    ("pktui.gateway.main", (*HEAVY, "mcp", "textual", "click", "asyncio", "starlette", "yaml")),
    (
        "pktui.gateway.stdio.proxy",
        (*HEAVY, "mcp", "textual", "click", "asyncio", "starlette", "yaml"),
    ),
    (
        "pktui.gateway.relay.relay_session",
        (*HEAVY, "mcp", "asyncio", "uvicorn", "pktui.gateway.http"),
    ),
    (
        "pktui.gateway.relay.server_context",
        (*HEAVY, "mcp", "asyncio", "uvicorn", "pktui.gateway.http"),
    ),
    ("pktui.memory.client", (*HEAVY, "mcp", "textual", "click", "asyncio", "starlette")),
    ("pktui.memory.mcp_server", (*HEAVY, "mcp", "textual", "click", "asyncio", "starlette")),
    ("pktui.memory.importers.claude_code", (*HEAVY, "mcp", "textual", "click", "starlette")),
    ("pktui.memory.importers.gemini", (*HEAVY, "mcp", "textual", "click", "starlette")),
    ("pktui.policy", (*HEAVY, "mcp", "textual", "click", "asyncio", "yaml", "re2")),
    ("pktui.ledger", (*HEAVY, "mcp", "textual", "click", "asyncio")),
    ("pktui.tui.app", (*HEAVY, "mcp", "click", "starlette")),
    ("pktui.cli.console", (*HEAVY, "mcp", "click", "starlette")),
    ("pktui.cli.app", (*HEAVY, "mcp", "textual", "starlette", "pydantic", "rich")),
    ("pktui.agents", (*HEAVY, "mcp", "textual", "click", "asyncio")),
]


@pytest.mark.parametrize(("module", "forbidden"), FORBIDDEN, ids=[name for name, _ in FORBIDDEN])
def test_a_start_up_path_imports_nothing_heavy(module: str, forbidden: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert set(forbidden).isdisjoint(result.stdout.split())
