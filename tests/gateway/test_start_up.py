"""What a gateway may load before it answers: every agent waits for it at every start."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pktui.gateway import main

HEAVY = {
    "asyncio", "lancedb", "mcp", "numpy", "pyarrow", "sentence_transformers", "starlette",
    "textual", "torch", "click", "yaml",
}  # fmt: skip

SESSION = (
    "pktui.gateway.relay.relay_session",
    "pktui.gateway.relay.server_context",
    "pktui.gateway.enforcement.maintenance",
)


def loaded(*modules: str) -> set[str]:
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module", ["main", "stdio.proxy", "relay.relay_session", "upstream.memory"]
)
def test_nothing_heavy_is_loaded(module: str) -> None:
    assert HEAVY.isdisjoint(loaded(f"pktui.gateway.{module}"))


def test_a_url_takes_an_event_loop_and_nothing_else_that_is_heavy() -> None:
    assert HEAVY & loaded("pktui.gateway.upstream.remote") == {"asyncio"}


def test_what_few_starts_need_is_loaded_by_those_alone() -> None:
    few = {"dataclasses", "difflib", "tempfile"}
    assert few.isdisjoint(loaded("pktui.gateway.servers.entries", *SESSION))


def test_the_server_is_started_before_the_relay_is_loaded() -> None:
    assert "sqlite3" not in loaded("pktui.gateway.main", "pktui.gateway.stdio.proxy")


def test_only_the_memory_and_urls_need_an_http_client() -> None:
    assert "http.client" not in loaded("pktui.gateway.stdio.proxy", *SESSION)


def test_a_gateway_starts_without_what_msgspec_and_argparse_would_load() -> None:
    few = {"argparse", "gettext", "inspect", "shutil", "typing_extensions"}
    code = """
import sys
sys.argv = ["pktui", "gateway", "none", "--policy", "/none"]
from pktui.cli.entry import main
try:
    main()
finally:
    print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pktui.gateway.servers.entries" in done.stdout.split(), done.stderr
    assert few.isdisjoint(done.stdout.split())


def test_what_is_hidden_from_msgspec_is_there_for_others() -> None:
    code = "from pktui.cli import entry; entry._load_msgspec(); import typing_extensions"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


WORDS = [
    "name",
    "",
    "-",
    "--policy",
    "--policy=p",
    "--grant",
    "--gr",
    "--home",
    "--url",
    "-H",
    "a:b",
]


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([*WORDS, "--", "--listen", "1"]), max_size=5))
def test_a_plain_command_line_is_read_as_argparse_reads_it(words: list[str]) -> None:
    def by_argparse(options: Any) -> object:
        try:
            return main._with_argparse(options)
        except SystemExit:
            return None

    options = words[: words.index("--")] if "--" in words else words
    plain = main._plain(options)
    assert plain is None or plain == by_argparse(options)
