"""Sends the record on, row by row behind what happens; one process at a time for one ledger."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final

from pktui.errors import LedgerUnavailable, SettingsError
from pktui.files import lock, open_private
from pktui.ledger.journal.indexer import Index
from pktui.settings import filled_in
from pktui.telemetry.cursor import Cursor, read_cursor, write_cursor
from pktui.telemetry.rows import unsent
from pktui.times import now_us

if TYPE_CHECKING:
    from collections.abc import Callable

    from pktui.settings import Paths, TelemetrySettings
    from pktui.telemetry.otlp import Otlp

# Rows of one batch: some 500 kB.
_BATCH: Final = 500
# Seconds between two looks, and between two tries where the receiver does not answer.
_LOOK: Final = 1.0
_RETRY: Final = (1.0, 2.0, 5.0, 15.0, 60.0)


def open_otlp(settings: TelemetrySettings) -> Otlp:
    """Return what sends to the receiver that is set; raises `SettingsError`."""
    if "@" in settings.endpoint.partition("://")[2].partition("/")[0]:
        raise SettingsError(
            "telemetry.endpoint holds a user's name or password, and is shown where it fails",
            'Take it out and set telemetry.headers: { Authorization = "Basic ${OTLP_LOGIN}" }',
        )
    headers = {
        name: filled_in(value, f"telemetry.headers.{name}")
        for name, value in settings.headers.items()
    }
    try:
        from pktui.telemetry.otlp import Otlp
    except ImportError as error:
        raise SettingsError(
            "telemetry.endpoint is set, and OpenTelemetry is not installed",
            "Install it: pip install 'pktui[otel]'",
        ) from error
    return Otlp(settings, headers)


class Sender:
    """Knows how far the record was sent, and sends what follows."""

    def __init__(self, paths: Paths, otlp: Otlp) -> None:
        self._file = paths.telemetry_file
        path = paths.ledger_file
        self._index = Index(path.with_name("index.db"), path.with_name("journal"), now_us)
        self._otlp = otlp
        self._cursor = read_cursor(self._file)
        self._most = _BATCH

    def send_some(self) -> int:
        """Send a batch of rows that were not sent yet; return how many.

        Raises `LedgerUnavailable` where the receiver does not take them; the next batch is half of
        it then, as it may be the size that the receiver refuses.
        """
        rows = unsent(self._index.database(), self._cursor.reached, self._most)
        if not rows:
            return 0
        try:
            self._otlp.send(rows)
        except LedgerUnavailable:
            self._most = max(1, len(rows) // 2)
            raise
        self._most = min(_BATCH, 2 * self._most)
        reached = dict(self._cursor.reached)
        for row in rows:
            reached[row.segment] = max(row.number, reached.get(row.segment, 0))
        self._keep(Cursor(reached, self._cursor.rows + len(rows), now_us()))
        return len(rows)

    def failed(self, why: str) -> None:
        """Keep why nothing goes out, for whoever looks."""
        if why != self._cursor.problem:
            cursor = self._cursor
            self._keep(Cursor(cursor.reached, cursor.rows, cursor.at_us, why))

    def close(self) -> None:
        """Close the index and the connections."""
        self._index.close()
        self._otlp.close()

    def _keep(self, cursor: Cursor) -> None:
        try:
            write_cursor(self._file, cursor)
        except OSError as error:
            raise LedgerUnavailable(
                f"{self._file} cannot be written: {error.strerror or error}", "Free some space"
            ) from error
        self._cursor = cursor


def keep_sending(
    paths: Paths, otlp: Otlp, ending: threading.Event, say: Callable[[str], None]
) -> bool:
    """Send what happens until then, and what is left at the end once; false: another one does."""
    descriptor = open_private(paths.telemetry_lock, os.O_RDWR)
    try:
        if not lock(descriptor):
            return False
        sender = Sender(paths, otlp)
        try:
            _loop(sender, ending, say)
        finally:
            sender.close()
    finally:
        os.close(descriptor)
    return True


def _loop(sender: Sender, ending: threading.Event, say: Callable[[str], None]) -> None:
    tries, last = 0, ""
    while True:
        over = ending.is_set()
        try:
            while sender.send_some():
                tries = 0
            tries, last = 0, ""
        except LedgerUnavailable as error:
            if str(error) != last:
                last = str(error)
                say(last)
            sender.failed(last)
            tries += 1
        if over:
            return
        ending.wait(_RETRY[min(tries, len(_RETRY)) - 1] if tries else _LOOK)
