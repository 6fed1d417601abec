"""Staying the owner of a store that others can reach: renewing its lease until the service ends."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from pktui import lasting
from pktui.errors import StoreError
from pktui.files import write_whole
from pktui.memory.store.lease import SECONDS, Holder, Lease, LeaseLost

if TYPE_CHECKING:
    from pathlib import Path

RENEWALS_A_LEASE = 5


class LeaseRenewal:
    """The thread that renews. `failure` says why it could not go on; then nothing is written."""

    def __init__(self, lease: Lease, say: Callable[[str], None], seconds: float = SECONDS) -> None:
        self._lease = lease
        self._say = say
        self._pause_s = seconds / RENEWALS_A_LEASE
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.failure: StoreError | None = None

    def start(self) -> None:
        """Begin to renew."""
        self._thread = lasting.start("memory-lease", self._run, log=self._say, fatal=self._fail)

    def end(self, timeout_s: float) -> None:
        """Let the next owner in; call it when the store is closed."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
        if self.failure is None and (self._thread is None or not self._thread.is_alive()):
            try:
                self._lease.release()
            except StoreError as error:
                self._say(f"The lease was not given back, it runs out: {error}")

    def _run(self) -> None:
        while not self._stopping.wait(self._pause_s):
            with lasting.Survived("renewing the lease, which is tried again,", self._say):
                try:
                    self._lease.renew()
                except LeaseLost as error:
                    self.failure = error
                    return

    def _fail(self) -> None:
        self.failure = StoreError("the lease is not renewed any more", "See the service's log")


def holder_of(key_file: Path) -> Holder:
    """Return who the services of this data directory are; the file keeps it for the next one."""
    host = socket.gethostname()
    try:
        key = key_file.read_text().strip()
    except FileNotFoundError:
        key = secrets.token_hex(16)
        write_whole(key_file, key.encode())
    return Holder(f"{key}@{host}", f"process {os.getpid()} on {host}")
