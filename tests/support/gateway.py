"""A gateway process driven line by line, the way a client drives it."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PLAIN_SERVER = Path(__file__).with_name("plain_server.py")
PATIENCE = 60.0


def plain_server(*options: str) -> list[str]:
    """Return the command of the plain server."""
    return [sys.executable, str(PLAIN_SERVER), *options]


def gateway_command(*arguments: str) -> list[str]:
    """Return the command of a gateway from this checkout or installation."""
    return [sys.executable, "-m", "pktui", "gateway", *arguments]


def environment() -> dict[str, str]:
    """Return this process's environment with the package under test importable from anywhere."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


class RunningGateway:
    """A gateway and whatever it started; ended, at the latest, when the context is left."""

    def __init__(
        self, *arguments: str, cwd: Path | None = None, through: Sequence[str] = ()
    ) -> None:
        """`through` is a command that becomes the gateway's once it has run."""
        self.process = subprocess.Popen(
            [*through, *gateway_command(*arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=environment(),
            bufsize=0,
        )
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self.words: list[str] = []
        self._readers = [
            threading.Thread(target=self._read_lines, daemon=True),
            threading.Thread(target=self._read_words, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> RunningGateway:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def send(self, line: bytes) -> None:
        """Write one line to the gateway's stdin."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")

    def request(self, method: str, request_id: Any = 1, **params: Any) -> None:
        """Send a request without waiting for its answer."""
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        self.send(json.dumps(message).encode())

    def call(self, tool: str, request_id: Any = 1, **arguments: Any) -> None:
        """Call a tool without waiting for the answer."""
        self.request("tools/call", request_id, name=tool, arguments=arguments)

    def reply(self) -> Any:
        """Return the next line of the gateway, decoded; None at its end."""
        line = self._lines.get(timeout=PATIENCE)
        return None if line is None else json.loads(line)

    def ask(self, method: str, request_id: Any = 1, **params: Any) -> Any:
        """Send a request and return the next line."""
        self.request(method, request_id, **params)
        return self.reply()

    def hang_up(self) -> int:
        """Close the gateway's stdin and return its status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(PATIENCE)

    def signal(self, number: signal.Signals) -> int:
        """Send a signal and return the gateway's status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def all_words(self) -> str:
        """Return all that it said on stderr, after its end."""
        self._readers[1].join(PATIENCE)
        return "".join(self.words)

    def _read_lines(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _read_words(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.words.append(line.decode())
