"""What a gateway says of itself on record: that it opened, is still there, and closed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pktui.ledger.presence import process_birth
from pktui.times import boot_ns

if TYPE_CHECKING:
    from pktui.ledger.ledger import Ledger


class Lifetime:
    """The rows of one process; each method raises `LedgerUnavailable`."""

    def __init__(self, server: str, beat_minutes: float) -> None:
        """`server` is the one it serves, empty where it serves several."""
        self._server = server
        self._beat_us = round(beat_minutes * 60_000_000)
        self._token = os.urandom(8).hex()
        self._said_us = 0

    def tell(self, ledger: Ledger) -> None:
        """Say that it opened, or, where it is time, that it is still there."""
        now_us = boot_ns() // 1000  # goes on while the machine sleeps
        if not self._said_us:
            self._append(ledger, "open")
        elif self._beat_us and now_us - self._said_us >= self._beat_us:
            self._append(ledger, "beat")
        else:
            return
        self._said_us = now_us

    def close(self, ledger: Ledger) -> None:
        """Say that it closed, where it said that it opened."""
        if self._said_us:
            self._append(ledger, "close")

    def _append(self, ledger: Ledger, effect: str) -> None:
        pid = os.getpid()
        ledger.events.append(
            "gateway",
            call_id=self._token,
            server=self._server,
            effect=effect,
            detail={"pid": pid, "born": process_birth(pid) or "", "beat_us": self._beat_us},
        )
