"""A ledger that another process keeps locked: what needs no record goes on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from pktui.settings import Paths
from tests.gateway.http.served import (
    Served,
    answer,
    plain,
    request,
    served,
    write_policy,
    write_servers,
)
from tests.gateway.upstream.far import Asked, FarServer

LOCK = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
held.execute("ROLLBACK")
"""
CALLS = 24
OK = {"content": [{"type": "text", "text": "ok"}]}
CALL = {"name": "echo", "arguments": {"text": "a"}}
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def usual(asked: Asked) -> None:
    if "id" not in (asked.message or {}):
        asked.answer(202 if asked.method == "POST" else 405)
    elif asked.message["method"] == "initialize":
        asked.result({}, {"Mcp-Session-Id": f"s-{len(asked.handler.headers['X-Key'])}"})
    else:
        asked.result(OK)


@contextmanager
def locked(running: Served) -> Iterator[None]:
    """Have another process keep the ledger to itself."""
    command = [sys.executable, "-c", LOCK, str(running.paths.ledger_file)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "locked\n"
            yield
        finally:
            process.stdin.close()


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("locked")
    paths = Paths.at(place / "config", place / "data")
    with FarServer(usual) as far:
        one = {"url": far.url, "headers": {"X-Key": "a"}}
        other = {"url": far.url, "headers": {"X-Key": "bb"}}
        write_servers(paths, one=one, other=other, started=plain())
        for server in ("one", "other", "started"):
            write_policy(paths, server)
        with served(paths) as gateway:
            yield gateway


@pytest.mark.parametrize("server", ["one", "started"])
def test_calls_that_wait_for_the_ledger_keep_no_other_client_waiting(
    running: Served, server: str
) -> None:
    busy, other, started = (running.begin(name) for name in (server, "other", "started"))
    before = running.ask(server, busy, "tools/call", 0, **CALL)

    def call(number: int) -> Any:
        message = request("tools/call", number, CALL)
        return answer(running.send(server, message, mcp_session_id=busy))

    with ThreadPoolExecutor(CALLS) as clients:
        with locked(running):
            calls: list[Future[Any]] = [clients.submit(call, n) for n in range(1, CALLS + 1)]
            for _ in range(5):
                healthy = running.client.get(running.url("/healthz"), headers=running.headers())
                assert healthy.status_code == 200
                for name, session in (("other", other), ("started", started)):
                    told = running.send(name, READY, mcp_session_id=session)
                    assert told.status_code == 202
            unknown = running.send("other", READY, token="wrong")
            assert unknown.status_code == 401
        assert {found.result()["id"] for found in calls} == set(range(1, CALLS + 1))
    assert "result" in before
    assert answer(running.send(server, request("ping", 99, {}), mcp_session_id=busy))["id"] == 99
