"""One connection to the team's database, what it has told, and the circuit that spares calls.

A statement that is not answered within twice `ANSWER_SECONDS`, or a connection that breaks, opens
the circuit: everything is refused at once with the cause until a thread has made a new connection.
Changes of other machines are told over the same connection (LISTEN); what was told counts as long
as the database has answered anything within `TOLD_SECONDS`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import ConnStatus, TransactionStatus

from pktui import lasting
from pktui.errors import LedgerUnavailable, SettingsError, TeamUnavailable
from pktui.ledger.postgres.circuit import Circuit
from pktui.ledger.transaction import Row

# How long a statement waits for the lock of another machine; it may take as long again.
ANSWER_SECONDS: Final = 2.0
CONNECT_SECONDS: Final = 3
TOLD_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 1.0
CHANNEL: Final = "pktui"
SCHEMA: Final = "pktui"
_BEGIN: Final = (
    f"SET search_path = {SCHEMA}, pg_temp; SET lock_timeout = {ANSWER_SECONDS * 1000:.0f};"
    # What is given up here is given up there, with the locks that it holds.
    f" SET statement_timeout = {2 * ANSWER_SECONDS * 1000:.0f};"
    " SET idle_in_transaction_session_timeout = 10000;"
    f" LISTEN {CHANNEL}"
)
NOW: Final = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_TIME: Final = f"SELECT {NOW}"
_AWAY: Final = "Calls go on once it answers again; see pktui doctor"
_COMING: Final = "connecting to the team's ledger"
# Classes of errors of one statement, which psycopg counts among those of the connection: it was
# rolled back for the sake of another, or is too large for the server.
_ANSWERED: Final = ("40", "54")

# What goes wrong is raised; an agent or a terminal is told nothing beside it.
logging.getLogger("psycopg").addHandler(logging.NullHandler())
logging.getLogger("psycopg").propagate = False


class _Notifying(psycopg.Connection[Row]):
    """Gives up on a server that does not answer."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        return super().wait(gen, interval, timeout or 2 * ANSWER_SECONDS)


class TeamConnection:
    """The connection; safe from several threads, which take turns. Raises `LedgerUnavailable`.

    `greet` is called with each new connection before anything else uses it. `lasting`: this process
    lives long, so that a thread connects again while the circuit is open. `directory` is where the
    processes of this machine tell each other that it is.
    """

    def __init__(
        self,
        uri: str,
        *,
        name: str = "pktui",
        clock: Callable[[], int],
        greet: Callable[[TeamConnection], None] = lambda _connection: None,
        lasting: bool = False,
        directory: Path,
    ) -> None:
        try:
            parts = conninfo_to_dict(uri)
        except psycopg.ProgrammingError as error:
            raise SettingsError(
                f"ledger.uri is no address of a PostgreSQL: {_first_line(error)}",
                "Write it as postgresql://user@host/database",
            ) from None
        host = parts.get("host") or parts.get("hostaddr") or "localhost"
        # What a person is shown of the address: no password.
        self.address = f"{parts.get('dbname') or parts.get('user') or ''} on {host}"
        self._circuit = Circuit(directory, self.address)
        self.lock = threading.RLock()
        self._uri = uri
        self._name = name
        self._clock = clock
        self._greet = greet
        self._lasting = lasting
        # How often there was a new connection.
        self.connected = 0
        self._connection: _Notifying | None = None
        self._away: LedgerUnavailable | None = None
        self._closed = False
        self._heard = 0.0
        self._offset_us = 0
        self._version = 0
        self._coming_back = False

    @property
    def away(self) -> LedgerUnavailable | None:
        """Why the database cannot be used now, None where it can as far as is known.

        Another error each time: one that is raised again and again keeps a trace of each time.
        """
        away = self._away
        return type(away)(away.what, away.cure) if away is not None else None

    def now_us(self) -> int:
        """Return the time of the database's clock, as it was with the last answer."""
        if not self._heard:
            self.told()
        return self._clock() + self._offset_us

    def told(self) -> int:
        """Return a number that is another once any machine has changed what decides.

        Asks the database only where it has not answered anything of late.
        """
        with self.lock:
            self._ready()
            if time.monotonic() - self._heard > TOLD_SECONDS:
                self.tell_time()
            return self._version

    def seen(self) -> int:
        """Return what `told` does, without asking: the last number while the circuit is open."""
        with self.lock, suppress(LedgerUnavailable):
            if self._away is None:
                return self.told()
        return self._version

    def run(self, sql: str, values: Sequence[Any] = ()) -> tuple[list[Row], int]:
        """Run one statement; return its rows and how many it touched."""
        with self.lock:
            connection = self._ready()
            begun = time.monotonic()
            try:
                cursor = connection.execute(sql, values or None)
                rows = cursor.fetchall() if cursor.description is not None else []
            except psycopg.Error as error:
                raise self._failed(error) from error
            self._heard = begun
            return rows, cursor.rowcount

    def run_all(self, sql: str, values: Sequence[Sequence[Any]]) -> None:
        """Run one statement for each of the values."""
        with self.lock:
            connection = self._ready()
            try:
                with connection.cursor() as cursor:
                    cursor.executemany(sql, values)
            except psycopg.Error as error:
                raise self._failed(error) from error

    def tell_time(self) -> None:
        """Ask for the database's time, which also shows that it answers."""
        with self.lock:
            before = self._clock()
            rows, _ = self.run(_TIME)
            self._offset_us = int(rows[0][0]) - (before + self._clock()) // 2

    def in_transaction(self) -> bool:
        """Tell whether a transaction is open on this connection."""
        connection = self._connection
        return (
            connection is not None
            and connection.info.transaction_status != TransactionStatus.IDLE
            and not connection.closed
        )

    def close(self) -> None:
        """Let go of the connection."""
        with self.lock:
            self._closed = True
            self._let_go()

    def _ready(self) -> _Notifying:
        """Return the connection, made where there is none, with what it was told taken in."""
        if self._closed:
            raise LedgerUnavailable("the team's ledger was closed", "Start pktui again")
        if self._lasting and (why := self.away) is not None:
            raise why
        if self._connection is None:
            try:
                self._circuit.check()
            except TeamUnavailable as error:
                self._open_circuit(error)
                raise
            self._take_up(self._connect())
        connection = self._connection
        assert connection is not None
        pgconn = connection.pgconn
        try:
            pgconn.consume_input()
        except psycopg.Error as error:
            raise self._failed(error) from error
        if pgconn.status != ConnStatus.OK:
            raise self._failed(errors.OperationalError("the connection was closed"))
        while pgconn.notifies() is not None:
            self._version += 1
        return connection

    def _connect(self) -> _Notifying:
        try:
            return _Notifying.connect(
                self._uri,
                autocommit=True,
                connect_timeout=CONNECT_SECONDS,
                application_name=self._name,
                keepalives_idle=10,
                client_encoding="utf8",
            )
        except psycopg.Error as error:
            why = self._failed(error)
            if isinstance(why, TeamUnavailable):
                self._circuit.opened(why)
            raise why from error

    def _take_up(self, connection: _Notifying) -> None:
        self._connection = connection
        self.connected += 1
        try:
            connection.add_notify_handler(self._was_told)
            connection.execute(_BEGIN)
            self._version += 1
            self._away = None
            self.tell_time()
            self._greet(self)
            self._circuit.closed()
        except psycopg.Error as error:
            self._open_circuit(why := _cause(error, self.address))
            raise why from error
        except LedgerUnavailable as error:
            self._open_circuit(error)
            raise
        except BaseException:
            self._let_go()  # nothing may be taken over one that was not greeted
            raise

    def _was_told(self, _notify: object) -> None:
        self._version += 1

    def _failed(self, error: psycopg.Error) -> LedgerUnavailable:
        """Return what a failure stands for; one of the connection opens the circuit."""
        found = _cause(error, self.address)
        if isinstance(found, TeamUnavailable):
            self._open_circuit(found)
        return found

    def _open_circuit(self, why: LedgerUnavailable) -> None:
        self._let_go()
        self._away = why
        self._version += 1
        if self._lasting and not self._coming_back and not self._closed:
            self._coming_back = True
            lasting.start("team", self._come_back)

    def _come_back(self) -> None:
        """Connect again, however often it takes; a thread's whole work."""
        while not self._closed:
            time.sleep(_AGAIN_SECONDS)
            with lasting.Survived(_COMING, lasting.to_stderr), suppress(LedgerUnavailable):
                connection = self._connect()  # before the lock: it may take long, and calls go on
                with self.lock:
                    if self._closed:
                        connection.close()
                    else:
                        self._take_up(connection)
                    self._coming_back = False
                    return

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()


def _cause(error: psycopg.Error, address: str) -> LedgerUnavailable:
    """Return the error of the ledger that a failure of PostgreSQL stands for."""
    what = f"the team's ledger {address} cannot be used"
    why = _first_line(error)
    match error:
        case errors.LockNotAvailable():
            return LedgerUnavailable(
                f"{what}: another machine has kept it locked for {ANSWER_SECONDS:.0f} seconds",
                "Try again; see who holds it in pg_locks",
            )
        case errors.InsufficientPrivilege():
            cure = "Give its role to pktui_gateway, or to pktui_auditor to read only"
            return LedgerUnavailable(f"{what}: {why}", cure)
        case errors.DiskFull() | errors.OutOfMemory():
            return LedgerUnavailable(
                f"{what}: {why}", "Give the database room; nothing was half-written"
            )
        case errors.ReadOnlySqlTransaction():
            return LedgerUnavailable(f"{what}: {why}", "Name the primary server in ledger.uri")
        case errors.UndefinedTable() | errors.UndefinedFunction() | errors.InvalidSchemaName():
            return LedgerUnavailable(
                f"{what}: there is none yet", "Make it with: pktui ledger migrate --to URL"
            )
        case errors.InvalidPassword() | errors.InvalidAuthorizationSpecification():
            return TeamUnavailable(f"{what}: {why}", "Check user and password of ledger.uri")
        case psycopg.OperationalError() | psycopg.InterfaceError() if not (
            (error.sqlstate or "").startswith(_ANSWERED)
        ):
            if type(error).__name__ == "_WaitTimeout":
                why = f"it did not answer within {2 * ANSWER_SECONDS:.0f} seconds"
            return TeamUnavailable(f"{what}: {why}", _AWAY)
        case _:
            return LedgerUnavailable(f"{what}: {why}", "Run pktui doctor")


def _first_line(error: psycopg.Error) -> str:
    text = error.diag.message_primary or str(error)
    return " ".join(text.split("\n")[0].split()) or type(error).__name__
