"""One SQLite connection: shared by threads, written in short transactions, its errors in words.

Every statement of the ledger goes through `Database`, so that a failure of SQLite leaves as
`LedgerUnavailable` with its cause and a cure, wherever it happens.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from pktui.errors import LedgerUnavailable, SettingsError
from pktui.files import PRIVATE_FILE, make_private_directory, open_private
from pktui.ledger.records import Seat
from pktui.ledger.schema import APPLICATION_ID, MOVED_ON, VERSION, migration_from
from pktui.ledger.transaction import Row, Transaction, Values
from pktui.text import storable

BUSY_SECONDS = 5.0
_WAL_LIMIT_BYTES = 64 * 1024 * 1024
# Pages of 4 KiB in the WAL at which they are written back to the file, while a call waits.
#
# Rarely, therefore, but below the 4,062 pages that one table of the WAL's index holds for readers.
_WAL_PAGES = 4000
# How often the log and its index are looked for.
_LOOK_SECONDS = 0.2
# Seconds after which the file is read again, whatever the word says.
_READ_SECONDS = 1.0

_CAUSES = {
    sqlite3.SQLITE_FULL: ("the disk is full", "Free some space; nothing was half-written"),
    sqlite3.SQLITE_READONLY: ("it cannot be written", "Check its owner and mode, and the mount"),
    sqlite3.SQLITE_PERM: ("it may not be opened", "Check its owner and mode"),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "Check that its directory can be written"),
    sqlite3.SQLITE_BUSY: (
        f"another process has kept it locked for {BUSY_SECONDS:.0f} seconds",
        "End the process that holds it, then try again",
    ),
    sqlite3.SQLITE_LOCKED: ("it is locked", "End the process that holds it, then try again"),
    sqlite3.SQLITE_IOERR: ("the disk does not answer as it should", "Check the disk"),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", "Move it away and keep it; a new one is made"),
    sqlite3.SQLITE_NOTADB: ("it is no SQLite file", "Move it away and keep it; a new one is made"),
}


def unavailable(error: Exception, path: Path) -> LedgerUnavailable:
    """Return the error of the ledger that a failure of SQLite or of the system stands for."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None) or 0
        if str(error) == MOVED_ON:
            return moved_on(path)
        cause, cure = _CAUSES.get(code & 0xFF, (str(error), "Run pktui doctor"))
    else:
        cause = (error.strerror if isinstance(error, OSError) else None) or str(error)
        cure = "Check its owner and mode, and those of its directory"
    return LedgerUnavailable(f"the ledger {path} cannot be used: {cause}", cure)


def moved_on(path: Path) -> LedgerUnavailable:
    """Return the error of a program that is older than the file it has open."""
    return LedgerUnavailable(
        f"a newer pktui has moved the ledger {path} on",
        "Update this one, here and where the agents start it, then start it again",
    )


class Changes(Protocol):
    """Tells other processes that what they know of the file may be old."""

    def word(self) -> int | None:
        """Return a number that is another after each change of others; None: it cannot be told."""

    def before_change(self) -> None:
        """Note that a change begins."""

    def after_change(self, *, changed: bool) -> None:
        """Note that it has ended, and whether anything is other than before."""


class Database:
    """A connection and the lock that makes it usable from any thread."""

    def __init__(
        self, connection: sqlite3.Connection, path: Path, *, read_only: bool, version: int = VERSION
    ) -> None:
        self.path = path
        self.seat = Seat()
        self._newest = version
        self.read_only = read_only
        self._connection = connection
        self._writing = connection.cursor()
        """One for everything that gives no rows: to make one takes as long as a small change."""
        self._lock = threading.RLock()
        # Whether the transaction under way has the write lock.
        self.begun = False
        self._broken = False
        # Is told when changes begin, and when they were committed or taken back.
        self.changes: Changes | None = None
        self._announced = False
        self._changes_before = 0
        self.transaction = Transaction(self)
        self._files = tuple((file, _file_identity(file)) for file in _parts(path))
        self._looked = self._told_at = 0.0
        # What was read of it when `told` looked last.
        self._told = 0
        self._data_version = 0
        """What SQLite said last; another number: other connections have written since."""
        self._looked_now = False
        """Whether that was in the transaction under way."""

    def signed(self, by: str) -> str:
        """Return who decides: on one machine people are not told apart."""
        return by

    def rows(self, sql: str, values: Values = ()) -> list[Row]:
        """Return all rows of a query."""
        with self._lock:
            try:
                return self._connection.execute(sql, values).fetchall()
            except (sqlite3.Error, UnicodeEncodeError) as error:
                self._fail(error)
            return self.rows(sql, _storable(values))

    def row(self, sql: str, values: Values = ()) -> Row | None:
        """Return the first row of a query, or None."""
        with self._lock:
            try:
                found: Row | None = self._connection.execute(sql, values).fetchone()
            except (sqlite3.Error, UnicodeEncodeError) as error:
                self._fail(error)
                found = self.row(sql, _storable(values))
            return found

    def run(self, sql: str, values: Values = ()) -> int:
        """Change something; return the number of rows it touched."""
        with self._lock:
            try:
                return self._writing.execute(sql, values).rowcount
            except (sqlite3.Error, UnicodeEncodeError) as error:
                self._fail(error)
            return self.run(sql, _storable(values))

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let every reading inside see one state of the file; keep it short."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self.row("BEGIN")
            try:
                yield
            finally:
                self.row("COMMIT")

    def begin(self) -> None:
        """Take the write lock, unless this transaction has it; raises `LedgerUnavailable`."""
        if self.begun:
            return
        if self.read_only:
            raise self._read_only()
        self.check_files()
        self._broken = False
        self._lock.acquire()  # other threads see nothing of it before it is committed
        self.begun = True
        try:
            self._writing.execute("BEGIN IMMEDIATE")
            self._changes_before = self._connection.total_changes
            self._looked_now = True
            self._see_others()
            if self.changes is not None:
                self.changes.before_change()
                self._announced = True
        except (sqlite3.Error, LedgerUnavailable) as error:
            self.roll_back()
            if isinstance(error, LedgerUnavailable):
                raise
            raise unavailable(error, self.path) from error

    def run_all(self, sql: str, rows: Sequence[Values]) -> None:
        """Change something once for each of the rows."""
        with self._lock:
            try:
                self._writing.executemany(sql, rows)
            except sqlite3.Error as error:
                self._fail(error)

    def check_whole(self) -> None:
        """Raise `LedgerUnavailable` where a statement of the transaction under way failed."""
        if self.begun and self._broken:
            raise LedgerUnavailable(
                f"the ledger {self.path} could not keep a change", "Run pktui doctor"
            )

    def commit(self) -> None:
        """Commit what was begun, if anything was; raises `LedgerUnavailable`, and keeps it then."""
        if not self.begun:
            return
        try:
            self._writing.execute("COMMIT")
        except sqlite3.Error as error:
            raise unavailable(error, self.path) from error
        self._tell_end()
        self.begun = False
        self._lock.release()

    def roll_back(self) -> None:
        """Take back what was begun and not committed."""
        if self.begun:
            self.begun = False
            with contextlib.suppress(sqlite3.Error):  # also where it was closed meanwhile
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            self._tell_end()
            self._lock.release()

    def _tell_end(self) -> None:
        if self._announced and self.changes is not None:
            self._announced = False
            changed = self._connection.total_changes != self._changes_before
            self.changes.after_change(changed=changed)

    def data_version(self) -> int:
        """Return a number that differs from the last one once another connection has written.

        Raises `LedgerUnavailable` where one of those was a newer pktui that changed the schema.
        """
        with self._lock:
            if self._looked_now and self.begun:
                return self._data_version  # nobody else writes
            try:
                self._looked_now = self.begun
                return self._see_others()
            except sqlite3.Error as error:
                raise unavailable(error, self.path) from error

    def reopen(self, *, fsync: bool) -> None:
        """Take the file that is at the path now in place of the one that was opened.

        Raises `LedgerUnavailable`, and keeps the old one, where there is none or it cannot be used.
        """
        if not self.path.exists():
            raise LedgerUnavailable(f"there is no ledger {self.path}", "Put it back")
        connection = _open(self.path, fsync=fsync, read_only=self.read_only)
        with self._lock:
            self._connection.close()
            self._connection, self._writing = connection, connection.cursor()
            self._files = tuple((file, _file_identity(file)) for file in _parts(self.path))
            self._looked, self._data_version = 0.0, 0

    def close(self) -> None:
        """Close the connection; a transaction left open is rolled back."""
        with self._lock:
            self._connection.close()

    def _read_only(self) -> LedgerUnavailable:
        return LedgerUnavailable(
            f"the ledger {self.path} was opened to be read only",
            "Start pktui without --read-only to change anything",
        )

    def _see_others(self) -> int:
        """Look whether others have written, and whether the file is still of this schema then.

        SQLite keeps the number at hand, while the schema is a look into the file.
        """
        seen: int = self._writing.execute("PRAGMA data_version").fetchone()[0]
        if seen != self._data_version:
            if _version(self._connection) > self._newest:
                raise moved_on(self.path)
            self._data_version = seen
        return seen

    def check_files(self) -> None:
        """Raise `LedgerUnavailable` where the files are not those that were opened.

        The ledger itself is looked at every time; its log and index, without which processes
        would overwrite each other's rows, now and then, because each look costs a call its time.
        Who only reads may have come before there was a log.
        """
        now = time.monotonic()
        every = not self.read_only and now - self._looked >= _LOOK_SECONDS
        for file, identity in self._files if every else self._files[:1]:
            if _file_identity(file) != identity:
                raise _replaced(file)
        if every:
            self._looked = now

    def told(self) -> object:
        """Return what is another after each change of approvals, grants, pins or the stop.

        The word of `changes` tells it; the file itself is read once a second, and where the word
        cannot tell. Raises `LedgerUnavailable` where the file is not the one that was opened.
        """
        self.check_files()
        word = self.changes.word() if self.changes is not None else None
        now = time.monotonic()
        if word is None or now - self._told_at >= _READ_SECONDS:
            self._told = self.data_version()
            self._told_at = now
        return object() if word is None else (word, self._told)

    def stamp(self) -> tuple[object, ...]:
        """Return what differs once something was committed or the file is another."""
        log = _status(self._files[1][0])
        return (
            _file_identity(self._files[0][0]),
            log and (log.st_ino, log.st_size, log.st_mtime_ns),
        )

    def _fail(self, error: sqlite3.Error | UnicodeEncodeError) -> None:
        """Raise what SQLite's failure stands for; text it cannot carry the caller mends."""
        if isinstance(error, sqlite3.Error):
            self._broken = self.begun
            raise unavailable(error, self.path) from error


def open_database(path: Path, *, fsync: bool, read_only: bool) -> Database:
    """Open the file, made and migrated where it must be; raises `LedgerUnavailable`."""
    return Database(_open(path, fsync=fsync, read_only=read_only), path, read_only=read_only)


def has_table(database: Database, name: str) -> bool:
    """Tell whether the file has a table of that name."""
    found = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return database.row(found, (name,)) is not None


def _open(path: Path, *, fsync: bool, read_only: bool) -> sqlite3.Connection:
    connection: sqlite3.Connection | None = None
    try:
        connection = _connect_read_only(path) if read_only else _connect(path, fsync=fsync)
        _check_kind(connection, path)
        version = _version(connection)
        if version < VERSION and not read_only:
            _migrate(connection)
            version = _version(connection)
        _check_version(version, path)
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.Error | OSError):
            raise unavailable(error, path) from error
        if isinstance(error, SettingsError):
            raise LedgerUnavailable(error.what, error.cure) from error
        raise
    return connection


def _connect(path: Path, *, fsync: bool) -> sqlite3.Connection:
    make_private_directory(path.parent)
    if not os.access(path.parent, os.W_OK):  # SQLite takes the file, and its log cannot be made
        raise PermissionError(errno.EACCES, f"{path.parent} cannot be written to")
    _make_file(path)
    if path.stat().st_mode & 0o077:
        path.chmod(PRIVATE_FILE)
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        use_wal(connection)
        connection.execute(f"PRAGMA synchronous={'FULL' if fsync else 'NORMAL'}")
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute(f"PRAGMA journal_size_limit={_WAL_LIMIT_BYTES}")
        connection.execute(f"PRAGMA wal_autocheckpoint={_WAL_PAGES}")
    except BaseException:
        connection.close()
        raise
    return connection


def _make_file(path: Path) -> None:
    """Make the file, private from the start, where it is missing.

    One that is there is not opened: to close it again would drop the locks that this process's
    other connections hold on it (POSIX), and the next process to leave would take itself for the
    last one and remove the log under them.
    """
    if not path.exists():
        os.close(open_private(path, os.O_RDWR))


def use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL; while another process does the same, SQLite answers busy at once."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _connect_read_only(path: Path) -> sqlite3.Connection:
    """Open without writing; a directory that cannot be written needs a file at rest."""
    if not path.exists():
        raise LedgerUnavailable(
            f"there is no ledger at {path} yet",
            "It is made when an agent first starts through pktui gateway",
        )
    at_rest = not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists()
    address = f"file:{quote(os.fsencode(path))}?mode=ro{'&immutable=1' if at_rest else ''}"
    return sqlite3.connect(
        address, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to this version; of two processes at once, the second finds it done."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if (version := _version(connection)) < VERSION:
            for statement in migration_from(version):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={VERSION}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _check_kind(connection: sqlite3.Connection, path: Path) -> None:
    used = connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()  # before the mark
    mark = connection.execute("PRAGMA application_id").fetchone()[0]
    if mark != APPLICATION_ID and (mark or used):
        raise LedgerUnavailable(
            f"{path} is a SQLite file of another program", "Move it away; a ledger is made there"
        )


def _check_version(version: int, path: Path) -> None:
    if version > VERSION:
        raise LedgerUnavailable(
            f"the ledger {path} was written by a newer pktui (schema {version}, known {VERSION})",
            "Upgrade pktui, here and where the agents start it",
        )
    if version < VERSION:
        raise LedgerUnavailable(
            f"the ledger {path} is of an older pktui (schema {version}, needed {VERSION})",
            "Open it once without --read-only",
        )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _storable(values: Values) -> Values:
    return [storable(value) if isinstance(value, str) else value for value in values]


def _parts(path: Path) -> tuple[str, str, str]:
    """Return the files that are there while a ledger is open: itself, its log, the log's index."""
    return str(path), f"{path}-wal", f"{path}-shm"


def _replaced(file: str) -> LedgerUnavailable:
    return LedgerUnavailable(
        f"{file}, part of the ledger, was removed or replaced while in use",
        "Start pktui and the agents again",
    )


def _file_identity(path: str) -> tuple[int, int] | None:
    found = _status(path)
    return (found.st_dev, found.st_ino) if found is not None else None


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116  a third of the time of Path.stat, on every call
    except OSError:
        return None
