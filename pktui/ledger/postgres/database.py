"""The tables that decide, shared by all machines of a team.

Whoever changes them holds one advisory lock until the change is committed, as whoever changes
`ledger.db` holds its write lock: each reads what the one before has left. A commit tells all others
(NOTIFY). Where a commit fails the journal has an event of a change that was not made; its number
is in no row, and nothing goes by it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from pktui.errors import LedgerUnavailable, TeamUnavailable
from pktui.ledger.journal.indexer import index_rows
from pktui.ledger.journal.segment import CONTENT, split_key
from pktui.ledger.postgres.connection import CHANNEL, NOW, SCHEMA, TeamConnection
from pktui.ledger.postgres.limit_recovery import Taking
from pktui.ledger.postgres.tables import LEDGER, SCHEMA_VERSION, migration_from
from pktui.text import storable

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.ledger.records import Seat
    from pktui.ledger.transaction import Row, Transaction, Values

# Stands for NUL in the texts of the database; no text has it otherwise.
NUL: Final = "\U0010ffff"
_DECIDING_LOCK: Final = 0x706B747569
_BEGIN: Final = f"BEGIN; SELECT pg_advisory_xact_lock({_DECIDING_LOCK})"
_COMMIT: Final = f"SELECT pg_notify('{CHANNEL}', ''); COMMIT"
_ENCODING: Final = "SHOW server_encoding"
_IS_THERE: Final = "SELECT to_regclass('ledger') IS NOT NULL"
_VERSION: Final = "SELECT id, version FROM ledger"
_KNOWN: Final = "SELECT n FROM machines WHERE id = %s AND name = %s AND person = %s"
_ENROL: Final = f"""INSERT INTO machines (id, name, person, seen_us) VALUES (%s, %s, %s, {NOW})
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, person = excluded.person
    RETURNING n"""  # noqa: S608
_OWNS: Final = """SELECT pg_has_role(relowner, 'USAGE') FROM pg_class
    WHERE oid = 'ledger'::regclass"""
EVENT_COLUMNS: Final = ("machine", "segment", *CONTENT, "charges", "hash")
ADD_EVENT: Final = f"""INSERT INTO events ({", ".join(EVENT_COLUMNS)})
    VALUES ({", ".join(["%s"] * len(EVENT_COLUMNS))})
    ON CONFLICT (machine, segment, number) DO NOTHING"""  # noqa: S608
_MADE: Final = f"WITH event AS ({ADD_EVENT}) INSERT INTO made VALUES (%s, %s, %s, %s)"  # noqa: S608
_DETAIL: Final = "SELECT detail FROM events WHERE machine = %s AND segment = %s AND number = %s"


class SharedDatabase:
    """What `Deciding` asks, of a PostgreSQL; and its part in the ledger's transaction.

    `machine` is this machine's id, which stays; `seat` what it is called, and whose it is.
    """

    def __init__(
        self,
        uri: str,
        machine: str,
        seat: Seat,
        transaction: Transaction,
        *,
        clock: Callable[[], int],
        directory: Path,
        read_only: bool = False,
        lasting: bool = False,
    ) -> None:
        self.read_only = read_only
        self.connection = TeamConnection(
            uri, clock=clock, greet=self._greet, lasting=lasting, directory=directory
        )
        self.transaction = transaction.with_team
        # The ledger's id, and what this machine is called in it; known once there is a connection.
        self.id = ""
        self.machine_number = 0
        self.seat = seat
        self.taking = Taking(directory / "journal", clock)
        self._machine = machine
        # Whether the transaction under way has the lock.
        self.begun = self._broken = False

    # what is asked

    def rows(self, sql: str, values: Values = ()) -> list[Row]:
        """Return all rows of a query."""
        return self._run(sql, values)[0]

    def row(self, sql: str, values: Values = ()) -> Row | None:
        """Return the first row of a query, or None."""
        found = self._run(sql, values)[0]
        return found[0] if found else None

    def run(self, sql: str, values: Values = ()) -> int:
        """Change something; return the number of rows it touched."""
        return self._run(sql, values)[1]

    def person(self) -> str:
        """Return who is logged in: people are the database's roles, which it tells apart itself."""
        row = self.row("SELECT session_user")
        return str(row[0]) if row else ""

    def signed(self, by: str) -> str:
        """Return who decides: the role that is logged in, and at which machine that is."""
        return f"{self.person()} ({self.seat})"

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let every reading inside see one state."""
        with self.connection.lock:
            self.connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                yield
            finally:
                if self.connection.in_transaction():
                    self.connection.run("COMMIT")

    # its part in a transaction

    def begin(self) -> None:
        """Take the lock, unless this transaction has it."""
        if self.begun:
            return
        if self.read_only:
            raise LedgerUnavailable(
                f"the team's ledger {self.connection.address} was opened to be read only",
                "Start pktui without --read-only to change anything",
            )
        connection = self.connection
        connection.lock.acquire()  # other threads see nothing of it before it is committed
        self.begun, self._broken = True, False
        try:
            connection.run(_BEGIN)
        except BaseException:
            self.roll_back()
            raise

    def check_whole(self) -> None:
        """Raise where a statement of the transaction under way failed."""
        if self.begun and (self._broken or not self.connection.in_transaction()):
            raise self.connection.away or TeamUnavailable(
                f"the team's ledger {self.connection.address} could not keep a change", "Try again"
            )

    def commit(self) -> None:
        """Commit what was begun, and let all machines know."""
        if self.begun:
            self.check_whole()
            self.connection.run(_COMMIT)
            self.begun = False
            self.connection.lock.release()

    def roll_back(self) -> None:
        """Take back what was begun and not committed."""
        if not self.begun:
            return
        self.begun = False
        try:
            if self.connection.in_transaction():
                self.connection.run("ROLLBACK")
        except LedgerUnavailable:
            pass  # the connection is gone, and what was begun with it
        finally:
            self.connection.lock.release()

    def close(self) -> None:
        """Let go of the connection."""
        self.connection.close()

    def _run(self, sql: str, values: Values) -> tuple[list[Row], int]:
        try:
            return self.connection.run(sql.replace("?", "%s"), [stored(value) for value in values])
        except LedgerUnavailable:
            self._broken = self.begun
            raise

    # a new connection

    def _greet(self, connection: TeamConnection) -> None:
        """Make the ledger where there is none and this role may; tell which machine this is."""
        if not connection.run(_IS_THERE)[0][0][0]:
            if self.read_only:
                raise _none_yet(connection)
            make_ledger(connection)
        found, _ = connection.run(_VERSION)
        if not found:
            raise _none_yet(connection)
        self.id, version = found[0]
        if version != SCHEMA_VERSION:
            self._bring_up(connection, version)
        known = self._machine, self.seat.machine, self.seat.person
        rows, _ = connection.run(_KNOWN, known)
        if not rows and not self.read_only:
            rows, _ = connection.run(_ENROL, known)
        self.machine_number = rows[0][0] if rows else 0
        if not self.read_only:
            self.taking.begin(connection, self.machine_number)

    def _bring_up(self, connection: TeamConnection, version: int) -> None:
        """Bring a ledger of an older pktui up to what this one knows, where this role may."""
        _check_version(version, connection.address)
        if self.read_only or not connection.run(_OWNS)[0][0][0]:
            raise LedgerUnavailable(
                f"the team's ledger {connection.address} is of an older pktui"
                f" (schema {version}, needed {SCHEMA_VERSION})",
                "It is brought up by the first gateway or console whose role owns its tables",
            )
        with _alone(connection):
            (version,) = connection.run("SELECT version FROM ledger")[0][0]
            if version < SCHEMA_VERSION:
                connection.run(migration_from(version))


def make_ledger(connection: TeamConnection) -> None:
    """Make the schema and everything in it; of two at once, the second finds it made."""
    encoding = connection.run(_ENCODING)[0][0][0]
    if encoding not in ("UTF8", "SQL_ASCII"):
        raise LedgerUnavailable(
            f"the database {connection.address} is in {encoding}, which cannot hold every text",
            "Make it anew: createdb -E UTF8 -T template0",
        )
    with _alone(connection):
        connection.run(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        if not connection.run(_IS_THERE)[0][0][0]:
            connection.run(LEDGER)
            connection.run(
                "INSERT INTO ledger VALUES (1, %s, %s)", (uuid.uuid4().hex, SCHEMA_VERSION)
            )


@contextmanager
def _alone(connection: TeamConnection) -> Iterator[None]:
    """Let nobody else decide or make tables meanwhile."""
    connection.run(_BEGIN)
    try:
        yield
        connection.run("COMMIT")
    finally:
        if connection.in_transaction():
            connection.run("ROLLBACK")


class SharedVouchers:
    """The events of shared rows, which stand in the same database as soon as they are made."""

    def __init__(self, database: SharedDatabase) -> None:
        self._database = database

    @property
    def team(self) -> str:
        """The ledger's id."""
        return self._database.id

    def next_change(self) -> int:
        """Count a change; the numbers of changes that were taken back are left out."""
        row = self._database.row("SELECT nextval('changes')")
        assert row is not None
        return int(row[0])

    def keep(self, key: int, offset: int, line: bytes, change: int) -> str:
        """Put the event beside its row; name its machine, segment, number and change."""
        segment, number = split_key(key)
        machine = self._database.machine_number
        for row in event_rows(line, machine, segment):
            self._database.run(_MADE, (*row, change, machine, segment, number))
        return f"{machine}:{segment}:{number}:{change}"

    def detail(self, event: str) -> str:
        """Return what the event says."""
        try:
            machine, segment, number, _ = map(int, event.split(":"))
        except ValueError:
            return ""
        row = self._database.row(_DETAIL, (machine, segment, number))
        return str(row[0]) if row else ""


def event_rows(lines: bytes, machine: int, segment: int) -> Iterator[Sequence[Any]]:
    """Give the rows of a segment's lines as `EVENT_COLUMNS` has them."""
    for row in index_rows(lines, segment):
        yield machine, *map(stored, row[: len(EVENT_COLUMNS) - 1])


def stored(value: Any) -> Any:
    """Return a value as PostgreSQL takes it: texts hold no NUL there."""
    if isinstance(value, str):
        return storable(value).replace("\0", NUL)
    return int(value) if isinstance(value, bool) else value


def _none_yet(connection: TeamConnection) -> LedgerUnavailable:
    return LedgerUnavailable(
        f"there is no ledger of pktui in {connection.address} yet",
        "It is made by the first gateway or console whose role may create a schema there",
    )


def _check_version(version: int, address: str) -> None:
    if version > SCHEMA_VERSION:
        raise LedgerUnavailable(
            f"the team's ledger {address} was made by a newer pktui"
            f" (schema {version}, known {SCHEMA_VERSION})",
            "Update pktui, here and where the agents start it",
        )
