"""A server that is a process, started and ended by a process that goes on."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

import pytest

from pktui.gateway.servers.entries import ServerEntry
from pktui.gateway.upstream.process import ProcessServer
from tests.support.gateway import PATIENCE, plain_server


class Ear:
    def quote(self, server: str, words: bytes) -> None:
        """Hear nothing."""


def open_files() -> set[str]:
    return {one.name for one in Path("/dev/fd").iterdir()}


@pytest.mark.parametrize("command", [plain_server(), ["sh", "-c", "exit 3"]])
def test_servers_that_have_ended_leave_no_files_and_no_threads(command: list[str]) -> None:
    before, threads = open_files(), threading.active_count()
    for _ in range(3):
        lines: queue.Queue[object] = queue.Queue()
        gone = threading.Event()
        server = ProcessServer(ServerEntry("s", command[0], tuple(command[1:])), Ear(), 10_000)
        server.start(lambda *taken, lines=lines: lines.put(taken), gone.set)
        server.send(b'{"jsonrpc":"2.0","id":1,"method":"ping"}')
        if command[0] != "sh":
            lines.get(timeout=PATIENCE)
        assert server.end(PATIENCE) in (0, 3)
        assert gone.wait(PATIENCE)
        for thread in threading.enumerate():
            if thread.name.startswith("server-"):
                thread.join(PATIENCE)
    assert open_files() == before
    assert threading.active_count() == threads
