"""`pktui gateway --listen` as a process: how it begins, and that nothing of it stays behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from pktui.errors import UsageError
from pktui.gateway.http.server import parse_address
from pktui.ledger.ledger import Ledger
from tests.gateway.http.served import (
    ACCEPT,
    INITIALIZE,
    PATIENCE,
    eventually,
    plain,
    request,
    write_policy,
    write_servers,
)
from tests.support.gateway import environment, gateway_command

if TYPE_CHECKING:
    from pktui.settings import Paths


@contextmanager
def listening(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a gateway and yield it with its port."""
    command = gateway_command("--listen", "127.0.0.1:0", *arguments)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stderr is not None
        try:
            found = re.search(r"http://127\.0\.0\.1:(\d+)/mcp/", process.stderr.readline())
            assert found
            yield process, int(found[1])
        finally:
            process.kill()


def children(pid: int) -> list[int]:
    """Return what a process has started, and what those have."""
    tasks = Path(f"/proc/{pid}/task")
    direct = [int(child) for task in tasks.glob("*/children") for child in task.read_text().split()]
    return [*direct, *(inner for child in direct for inner in children(child))]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def begin(port: int, token: str) -> None:
    headers = {"authorization": f"Bearer {token}", "accept": ACCEPT}
    reply = httpx2.post(
        f"http://127.0.0.1:{port}/mcp/plain",
        json=request("initialize", 0, INITIALIZE),
        headers=headers,
        timeout=PATIENCE,
    )
    assert reply.status_code == 200


@pytest.fixture
def token(paths: Paths) -> str:
    write_servers(paths, plain=plain("--deaf"))
    write_policy(paths, "plain")
    ledger = Ledger.open(paths.ledger_file)
    _, token = ledger.grants.create("tester", ("*",))
    ledger.close()
    return token


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_however_it_ends_no_server_is_left(token: str, number: signal.Signals) -> None:
    with listening() as (process, port):
        begin(port, token)
        begin(port, token)
        started = children(process.pid)
        assert len(started) >= 4
        os.kill(process.pid, number)
        status = process.wait(PATIENCE)
        assert status == (-number if number == signal.SIGKILL else 128 + number)
        assert eventually(lambda: not any(map(alive, started)))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        ("8811", ("127.0.0.1", 8811)),
        (":8811", ("127.0.0.1", 8811)),
        ("[::1]:8811", ("::1", 8811)),
        ("localhost:0", ("localhost", 0)),
    ],
)
def test_an_address_is_read(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "localhost", "localhost:x", "localhost:70000", "x:²"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no address"):
        parse_address(text)


@pytest.mark.parametrize("more", [["plain"], ["--grant", "x"], ["--", "cat"]])
def test_listening_takes_no_single_server(more: list[str]) -> None:
    done = subprocess.run(
        gateway_command("--listen", "127.0.0.1:0", *more),
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert (done.returncode, "--listen serves every" in done.stderr) == (2, True)
