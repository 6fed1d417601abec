"""What a start-up path pays for: each module alone in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("lancedb", "pyarrow", "torch", "sentence_transformers", "transformers", "numpy")
FORBIDDEN = [
    ("pktui.gateway.main", (*HEAVY, "mcp", "textual", "typer", "asyncio", "starlette", "yaml")),
    (
        "pktui.gateway.stdio.stdio",
        (*HEAVY, "mcp", "textual", "typer", "asyncio", "starlette", "yaml"),
    ),
    ("pktui.gateway.stdio.proxy", (*HEAVY, "mcp", "asyncio", "uvicorn", "pktui.gateway.http")),
    ("pktui.memory.client", (*HEAVY, "mcp", "textual", "typer", "asyncio", "starlette")),
    ("pktui.memory.static", (*HEAVY, "mcp", "textual", "typer", "asyncio", "starlette")),
    ("pktui.memory.importers.claude_code", (*HEAVY, "mcp", "textual", "typer", "starlette")),
    ("pktui.memory.importers.gemini", (*HEAVY, "mcp", "textual", "typer", "starlette")),
    ("pktui.policy", (*HEAVY, "mcp", "textual", "typer", "asyncio", "yaml", "re2")),
    ("pktui.ledger", (*HEAVY, "mcp", "textual", "typer", "asyncio")),
    ("pktui.tui.app", (*HEAVY, "mcp", "typer", "starlette")),
    ("pktui.cli.console", (*HEAVY, "mcp", "typer", "starlette")),
    ("pktui.cli.app", (*HEAVY, "mcp", "textual", "starlette")),
    ("pktui.agents", (*HEAVY, "mcp", "textual", "typer", "asyncio")),
]


@pytest.mark.parametrize(("module", "forbidden"), FORBIDDEN, ids=[name for name, _ in FORBIDDEN])
def test_a_start_up_path_imports_nothing_heavy(module: str, forbidden: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert set(forbidden).isdisjoint(result.stdout.split())
