"""The process that embeds for the service: started when it is needed, gone when it was idle."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from pktui import lasting
from pktui.errors import StoreError
from pktui.memory.embed.weights import DIMENSION
from pktui.memory.embed.worker import Answer, Ready, Request, receive, send

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pktui.memory.embed.protocol import Vectors

IDLE_S = 20.0
_CURE = "The memory's log says more; meanwhile words are found"


class Child:
    """At most one process at a time; texts of several threads are embedded one after the other.

    Raises `StoreError` where the process fails.
    """

    def __init__(self, directory: Path, *, idle_s: float = IDLE_S) -> None:
        self._command = [sys.executable, "-P", "-m", "pktui.memory.embed.worker"]
        self._command += [str(directory), str(idle_s)]
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self.closed = False

    def start(self) -> Ready:
        """Return what a new process says of itself, or the one there is."""
        with self._lock:
            return self._started()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the texts' vectors."""
        with self._lock:
            answer = self._request(texts) or self._request(texts)  # it may have ended, being idle
        if answer is None:
            raise StoreError("the model's process ended before it answered", _CURE)
        if answer.why:
            raise StoreError(answer.why, answer.cure)
        return np.frombuffer(answer.vectors, np.float32).reshape(len(texts), DIMENSION)

    @property
    def pid(self) -> int:
        """The process, 0 while there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else 0

    def close(self) -> None:
        """End the process, whatever it does, and start none again."""
        self.closed = True
        process = self._process
        if process is not None:
            process.kill()
            with self._lock:  # who waits for its answer hears that there is none
                self._drop(process)

    def _request(self, texts: Sequence[str]) -> Answer | None:
        ready = self._started()
        if ready.state != "serving":
            raise StoreError(f"the model's process cannot serve: {ready.why}", _CURE)
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            send(process.stdin, Request(list(texts)))
            return msgspec.msgpack.decode(receive(process.stdout), type=Answer)
        except (OSError, msgspec.MsgspecError):
            self._drop(process)
            return None

    def _started(self) -> Ready:
        process = self._process
        if process is not None and process.poll() is None:
            return Ready("serving")
        if process is not None:
            self._drop(process)
        if self.closed:
            raise StoreError("the memory service is ending", "Ask again: it starts anew")
        try:
            process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            why = error.strerror or error
            raise StoreError(f"the model's process cannot be started: {why}", _CURE) from error
        self._process = process
        lasting.start("memory-model-reaper", process.wait)
        assert process.stdout is not None
        try:
            ready = msgspec.msgpack.decode(receive(process.stdout), type=Ready)
        except (OSError, msgspec.MsgspecError):
            ready = Ready("failed", "it ended before it was ready")
        if ready.state != "serving":
            self._drop(process)
        return ready

    def _drop(self, process: subprocess.Popen[bytes]) -> None:
        self._process = None
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was not sent is not needed
                    pipe.close()
