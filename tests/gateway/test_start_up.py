"""What a gateway may load before it answers: every agent waits for it at every start."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "asyncio", "lancedb", "mcp", "numpy", "pyarrow", "sentence_transformers", "starlette",
    "textual", "torch", "typer", "yaml",
}  # fmt: skip


def loaded(*modules: str) -> set[str]:
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module", ["run", "stdio.stdio", "stdio.serving", "upstream.builtin", "remote.server"]
)
def test_nothing_heavy_is_loaded(module: str) -> None:
    assert HEAVY.isdisjoint(loaded(f"pktui.gateway.{module}"))


def test_what_few_starts_need_is_loaded_by_those_alone() -> None:
    few = {"dataclasses", "difflib", "tempfile"}
    assert few.isdisjoint(loaded("pktui.gateway.servers.entries", "pktui.gateway.stdio.proxy"))


def test_the_server_is_started_before_the_relay_is_loaded() -> None:
    assert "sqlite3" not in loaded("pktui.gateway.main", "pktui.gateway.stdio.stdio")


def test_only_the_memory_and_urls_need_an_http_client() -> None:
    assert "http.client" not in loaded("pktui.gateway.stdio.stdio", "pktui.gateway.stdio.proxy")
