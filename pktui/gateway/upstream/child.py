"""The server's process, in a group that ends with the gateway, however the gateway ends.

A guard, the smallest shell there is, leads the group and waits on a pipe that only the gateway
holds. When the gateway dies without a word (SIGKILL), the pipe ends, and the guard ends the group:
the server, what the server started, and itself. The guard is there before the server is, so no
moment is left uncovered, and as long as it lives the group's number cannot be given to others.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import IO, TYPE_CHECKING, Final

from pktui.errors import UpstreamFailed
from pktui.gateway.servers.expand import prepared

if TYPE_CHECKING:
    from pktui.gateway.servers.entries import ServerEntry

_GUARD: Final = (
    "trap '' HUP INT QUIT TERM; read -r _; sleep 0.3; kill -TERM 0; sleep 0.7; kill -KILL 0"
)
# Seconds between asking a group to end and ending it.
_AFTER_TERM: Final = 0.5


class Child:
    """A started server. Start it from the main thread, before any other.

    `stdin`, `stdout` and `stderr` are descriptors that belong to whoever uses them.
    """

    def __init__(self, entry: ServerEntry) -> None:
        """Start the command; raises `UpstreamFailed` where it cannot be started.

        Raises `SettingsError` where its entry refers to what is not there.
        """
        entry = prepared(entry, os.environ)
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
            process_group=0,
        )
        try:
            self._process = subprocess.Popen(
                [entry.command, *entry.args],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                cwd=entry.cwd,
                env={**os.environ, **entry.env},
                process_group=self._guard.pid,
            )
        except (OSError, ValueError) as error:
            self._dismiss_guard()
            raise UpstreamFailed(
                f"server {entry.name} cannot be started: {entry.command}: {_cause(error)}",
                "Check the command, its path and its working directory",
            ) from error
        self._status: int | None = None
        self.stdin = _descriptor(self._process.stdin)
        self.stdout = _descriptor(self._process.stdout)
        self.stderr = _descriptor(self._process.stderr)

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    def wait(self, seconds: float | None = None) -> int | None:
        """Wait for the server; return its status as a shell gives it, None if it still runs."""
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        return status if status >= 0 else 128 - status

    def end(self, patience: float) -> int:
        """Wait `patience` seconds for the server, ask it to end, end its group; return its status.

        Close its stdin before. A second time it only returns the status: the group's number may
        belong to others by then.
        """
        if self._status is None:
            status = self.wait(patience)
            if status is None:
                self._signal(signal.SIGTERM)
                status = self.wait(_AFTER_TERM)
            self._dismiss_guard()
            self._status = self.wait() if status is None else status
        assert self._status is not None
        return self._status

    def _dismiss_guard(self) -> None:
        """End the group, and the guard with it."""
        self._signal(signal.SIGKILL)
        self._guard.wait()
        assert self._guard.stdin is not None
        self._guard.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._guard.pid, number)


def _descriptor(stream: IO[bytes] | None) -> int:
    """Take a pipe's end over: it is closed by whoever uses it, and by nobody else."""
    assert stream is not None
    with stream:
        return os.dup(stream.fileno())


def _cause(error: OSError | ValueError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
