"""How often each method besides `tools/call` was asked for, and how often it was denied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from pktui.ledger.database import Database

_COUNT = """INSERT INTO requests (server, method, n, denied, last_us) VALUES (?, ?, 1, ?, ?)
    ON CONFLICT (server, method) DO UPDATE
    SET n = n + 1, denied = denied + excluded.denied, last_us = excluded.last_us"""


class RequestCount(msgspec.Struct, frozen=True):
    """The requests of one method at one server; `denied` of all `n` were refused here."""

    server: str
    method: str
    n: int
    denied: int
    last_us: int


class Requests:
    """Counters that all gateways share. The caller bounds the names of the methods."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock

    def count(self, server: str, method: str, *, denied: bool = False) -> None:
        """Count one request. Raises `LedgerUnavailable`."""
        with self._database.transaction():
            self._database.run(_COUNT, (server, method, int(denied), self._clock()))

    def counts(self, server: str = "") -> tuple[RequestCount, ...]:
        """Return the counts of a server, or of all, by server and method."""
        rows = self._database.rows(
            "SELECT server, method, n, denied, last_us FROM requests"
            " WHERE ? IN ('', server) ORDER BY server, method",
            (server,),
        )
        return tuple(RequestCount(*row) for row in rows)
