"""What a start-up path pays for: each module alone in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pktui.files import make_private_directory
from pktui.ledger import Ledger

if TYPE_CHECKING:
    from pktui.settings import Paths

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


# What a command may not import, by its words; on a ledger and a policy that are there.
LIGHT = (*HEAVY, "mcp", "textual", "pydantic", "rich", "re2", "ssl", "asyncio", "yaml", "logging")
COMMANDS = [
    ("approvals", "list"),
    ("audit", "tail"),
    ("policy", "show", "files"),
    ("status",),
    ("wait", "--timeout", "0"),
]


@pytest.mark.parametrize("words", COMMANDS, ids=[" ".join(words) for words in COMMANDS])
def test_a_command_imports_nothing_heavy(words: tuple[str, ...], paths: Paths) -> None:
    for directory in (paths.data_dir, paths.policies_dir):
        make_private_directory(directory)
    Ledger.open(paths.ledger_file).close()
    paths.policy_file("files").write_text('{"version": "1", "default": "deny", "tools": {"a": {}}}')
    code = f"import sys; from pktui.cli.app import run; run({list(words)!r}); print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert set(LIGHT).isdisjoint(result.stdout.split())
