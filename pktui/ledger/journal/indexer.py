"""What is read: the journal's rows in a SQLite file, made behind it and made anew at any time.

Whoever reads brings it up to date first; a gateway does so in the background, so that there is
little to bring. Several may do so at once: how far each segment is in, is in the same file and
changes with the rows. Nothing in it decides whether a call may run.
"""

from __future__ import annotations

import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui.errors import LedgerUnavailable
from pktui.files import lock, open_private
from pktui.ledger.database import Database, unavailable, use_wal
from pktui.ledger.journal.joints import Joints, Segment
from pktui.ledger.journal.segment import (
    CHARGES,
    CONTENT,
    MACHINE_BITS,
    decode_row,
    file_of,
    number_of,
    split_key,
)
from pktui.ledger.schema import BETWEEN, INDEX_ID, INDEX_TABLES, INDEX_VERSION

if TYPE_CHECKING:
    from pktui.ledger.records import Seat

_BUSY_SECONDS: Final = 5.0
# Bytes of a segment, and segments, that are taken in one transaction.
_PIECE_BYTES: Final = 1 << 20
_MOST_SEGMENTS: Final = 16
# Seconds between two pieces, in which others get the lock.
_BETWEEN: Final = 0.0005
_COLUMNS: Final = ", ".join(CONTENT[1:])
_INSERT: Final = f"""INSERT OR IGNORE INTO events
    (segment, number, {_COLUMNS}, charges, hash, call_us, call_tool, agent_session,
    decision_seq)
    VALUES ({", ".join("?" * (len(CONTENT) + 6))}, CASE WHEN ?4 = 'outcome' THEN coalesce(
        (SELECT min(seq) FROM events WHERE call_id = ?5 AND call_id <> '' AND kind = 'decision'),
        0) ELSE 0 END)"""  # noqa: S608
_INSERT_RESULT: Final = "INSERT OR IGNORE INTO results VALUES (?, ?, ?)"
_NEWEST: Final = """SELECT (SELECT coalesce(max(seq), 0) FROM events),
    (SELECT coalesce(sum(offset), 0) FROM segments)"""
_REACHED: Final = """INSERT INTO segments (n, first_hash, offset, number) VALUES (?, ?, ?, ?)
    ON CONFLICT (n) DO UPDATE SET offset = excluded.offset, number = excluded.number"""
_PLACE: Final = """SELECT seq FROM events WHERE segment = ? AND number <= ?
    ORDER BY number DESC LIMIT 1"""
# Seconds between two looks of the one that keeps the index up: while rows come, and at most.
_SOON: Final = 0.05
_LATE: Final = 0.5
_CHARGED: Final = 1 + len(CONTENT)
_NAMES_SESSION: Final = '{"agent_session":"'
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[tuple[str, int, int]]).decode


class _Detail(msgspec.Struct):
    agent_session: str


_decode_detail = msgspec.json.Decoder(_Detail).decode


class Index:
    """The index of one journal. Safe from several threads.

    Where its directory can't be written, it is made in memory, for this process alone.
    """

    def __init__(self, path: Path, directory: Path, clock: Callable[[], int]) -> None:
        self.path = path
        self._directory = directory
        self._joints = Joints(directory, clock)
        self._lock = threading.RLock()
        self._database: Database | None = None
        # How large each segment was when all of it was in.
        self._looked: dict[int, int] = {}
        # Segments that are whole in it, and those that were taken out again.
        self._done: set[int] = set()
        self._gone: set[int] = set()
        self._closed = False

    def database(self) -> Database:
        """Return the file to read from, up to date; raises `LedgerUnavailable`."""
        self.refresh()
        with self._lock:
            return self._opened()

    def refresh(self, seconds: float = math.inf) -> int:
        """Take in what was written since, for about so long; return how many rows those are.

        Others come in between two pieces: a journal that is read anew takes a minute a million
        calls.
        """
        rows, until = 0, time.monotonic() + seconds
        while taken := self._take_some():
            rows += taken
            if time.monotonic() >= until:
                break
            time.sleep(_BETWEEN)
        return rows

    def unread(self) -> int:
        """Return how many bytes of the journal are not in it, by the segments' sizes."""
        with self._lock:
            known: dict[int, int] = dict(self._opened().rows("SELECT n, offset FROM segments"))
            self._joints.refresh()
            return sum(
                max(0, self._size(one) - known.get(one.n, 0))
                for one in self._open_segments()
                if one.pruned is None
            )

    def keep_up(self, ending: threading.Event) -> None:
        """Bring it up to date until then, where no other process does; a thread's whole work.

        Raises `LedgerUnavailable`.
        """
        descriptor = open_private(self.path.with_suffix(".lock"), os.O_RDWR)
        try:
            pause = _LATE
            while not ending.wait(pause):
                if lock(descriptor):  # it is kept then
                    pause = _SOON if self.refresh() else min(_LATE, pause * 2)
        finally:
            os.close(descriptor)

    def stamp(self) -> tuple[int, ...]:
        """Return what differs once a row was written, from a look at the segments' sizes alone."""
        with self._lock, suppress(OSError):
            self._joints.refresh()
            return tuple(map(self._size, self._open_segments()))
        return (-1,)

    def state(self) -> tuple[int, ...]:
        """Return what differs once a row was taken in, or the index was made anew."""
        with self._lock:
            index = self.database()
            return id(index), *(index.row(_NEWEST) or ())

    def counters(self) -> list[str]:
        """Return the names of all counters that rows took from."""
        return [row[0] for row in self.database().rows("SELECT key FROM counters")]

    def others_reached(self, team: str) -> int:
        """Return up to where the rows of a team's other machines are in; 0: none is."""
        with self._lock:
            row = self._opened().row("SELECT reached FROM others WHERE team = ?", (team,))
        return int(row[0]) if row else 0

    def take_others(
        self,
        rows: Sequence[tuple[Any, ...]],
        machines: Mapping[int, Seat],
        team: str,
        reached: int,
    ) -> None:
        """Take rows of other machines in, each with its machine before all else.

        `machines` are all of them, this one under 0.
        """
        placed = (
            (machine << MACHINE_BITS | segment, *rest)
            for machine, segment, *rest in rows
            if segment < 1 << MACHINE_BITS
        )
        with self._lock, self._opened().transaction():
            database = self._opened()
            for n, seat in machines.items():
                values = n, seat.machine, seat.person
                database.run("INSERT OR REPLACE INTO machines VALUES (?, ?, ?)", values)
            database.run_all(_INSERT, list(map(_indexed, placed)))
            database.run("INSERT OR REPLACE INTO others VALUES (?, ?)", (team, reached))

    def reached(self) -> dict[int, int]:
        """Return the last row of each segment that is in, without a look at the journal."""
        with self._lock:
            return dict(self._opened().rows("SELECT n, number FROM segments"))

    def rebuild(self) -> int:
        """Make it anew from the journal; return how many rows it has."""
        with self._lock:
            self._let_go()
            self.path.unlink(missing_ok=True)
            for part in ("-wal", "-shm"):
                Path(f"{self.path}{part}").unlink(missing_ok=True)
            self.refresh()
            row = self._opened().row("SELECT count(*) FROM events")
        return int(row[0]) if row else 0

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._closed = True
            self._let_go()

    def _let_go(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
        self._looked.clear()
        self._done.clear()
        self._gone.clear()

    def _opened(self) -> Database:
        """Return the file, made where it is missing, damaged, or of another version."""
        if self._closed:
            raise LedgerUnavailable(f"{self.path} was closed", "Start pktui again")
        if self._database is not None:
            try:
                self._database.check_files()
            except LedgerUnavailable:
                self._let_go()
        if self._database is None:
            self._database = _open(self.path)
        return self._database

    def _behind(self) -> list[Segment]:
        """Return the segments with rows, or an end, that are not in the index."""
        found = []
        for segment in self._open_segments():
            if segment.pruned is not None or self._size(segment) != self._looked.get(segment.n):
                found.append(segment)
            elif segment.sealed is not None:
                self._done.add(segment.n)
        return found

    def _open_segments(self) -> list[Segment]:
        """Return the segments that are not known to be whole in the index, or out of it."""
        return [
            one
            for n, one in self._joints.segments.items()
            if n not in (self._done if one.pruned is None else self._gone)
        ]

    def _size(self, segment: Segment) -> int:
        try:
            return os.stat(file_of(self._directory, segment.n)).st_size  # noqa: PTH116
        except FileNotFoundError:
            return 0

    def _take_some(self) -> int:
        """Take a piece of what is not in yet; return how many rows that was, 0 once all is."""
        with self._lock:
            database = self._opened()
            try:
                self._joints.refresh()
                while behind := self._behind():
                    if rows := self._take(database, behind[:_MOST_SEGMENTS]):
                        return rows
            except OSError as error:
                raise unavailable(error, self.path) from error
        return 0

    def _take(self, database: Database, behind: list[Segment]) -> int:
        """Take some rows of segments in, in the order of their times; return how many."""
        rows: list[tuple[Any, ...]] = []
        results = 0
        with database.transaction():
            known: dict[int, int] = dict(database.rows("SELECT n, offset FROM segments"))
            for segment in behind:
                if segment.pruned is not None:
                    if segment.n in known:
                        self._drop(database, segment.n)
                    self._gone.add(segment.n)
                    continue
                start = known.get(segment.n, 0)
                piece, whole = _piece(file_of(self._directory, segment.n), start)
                offset = start + len(piece)
                self._looked[segment.n] = offset if whole < 0 else whole
                if offset != start or segment.n not in known:
                    first = bytes.fromhex(segment.opened.hash)
                    last = number_of(piece[piece.rfind(b"\n", 0, -1) + 1 :])
                    database.run(_REACHED, (segment.n, first, offset, last))
                if segment.opened.shelf == "results":
                    found = list(_results(piece, segment.n, start))
                    database.run_all(_INSERT_RESULT, found)
                    results += len(found)
                else:
                    rows += index_rows(piece, segment.n)
            rows.sort(key=_time)
            database.run_all(_INSERT, rows)
            keys = {one[0] for row in rows if row[_CHARGED] for one in _decode(row[_CHARGED])}
            database.run_all("INSERT OR IGNORE INTO counters VALUES (?)", [(key,) for key in keys])
        return len(rows) + results

    def _drop(self, database: Database, segment: int) -> None:
        database.run("DELETE FROM events WHERE segment = ?", (segment,))
        database.run("DELETE FROM results WHERE segment = ?", (segment,))
        database.run("DELETE FROM segments WHERE n = ?", (segment,))


def place_of(index: Database, key: int) -> int:
    """Return a row's place in the order the index has; of one that is gone, that before it."""
    row = index.row(_PLACE, split_key(key)) if key else None
    return int(row[0]) if row else 0


def _time(row: tuple[Any, ...]) -> int:
    return int(row[2])


def _piece(path: Path, start: int) -> tuple[bytes, int]:
    """Return whole lines of a segment from there on, and its size; -1 where more follow them."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = _PIECE_BYTES
            while True:
                data = os.pread(file.fileno(), length, start)
                end = data.rfind(b"\n") + 1
                if end or len(data) < length:
                    break
                length *= 8
    except FileNotFoundError:
        return b"", 0
    return data[:end], size if start + len(data) >= size else -1


def index_rows(piece: bytes, segment: int) -> Iterator[tuple[Any, ...]]:
    """Give the rows of lines as the index has them; what is no row is for `audit verify`."""
    for line in piece.splitlines():
        with suppress(ValueError):
            row = decode_row(line)
            charges = _encode(row[CHARGES]).decode() if len(row) > CHARGES + 1 else ""
            yield _indexed((segment, *row[: len(CONTENT)], charges, bytes.fromhex(row[-1])))


def _results(piece: bytes, segment: int, offset: int) -> Iterator[tuple[str, int, int]]:
    """Give the call of each result of a piece that begins there, and where the result stands."""
    for line in piece.splitlines(keepends=True):
        parts = line.split(b'"', 4)  # its number and time, its kind, a comma, its call
        if len(parts) == 5:
            yield parts[3].decode(errors="replace"), segment, offset
        offset += len(line)


def _indexed(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row, its segment before and its charges and hash behind it, as the index has it."""
    is_call = row[3] in ("decision", "refused")
    call_us = row[2] if is_call else None
    call_tool = f"{row[6]}{BETWEEN}{row[7]}" if is_call else None
    return *row, call_us, call_tool, _agent_session(row[len(CONTENT)]) if is_call else None


def _agent_session(detail: str) -> str | None:
    """Return the agent's own session that a call's row names, which stands first in its detail."""
    return _decode_detail(detail).agent_session if detail.startswith(_NAMES_SESSION) else None


def _open(path: Path) -> Database:
    """Open the index; one that cannot be used as it is is made anew. Raises `LedgerUnavailable`."""
    for last in (False, True):
        try:
            return Database(_connect(path), path, read_only=False, version=INDEX_VERSION)
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if last or code not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise unavailable(error, path) from error
            for part in ("", "-wal", "-shm"):
                Path(f"{path}{part}").unlink(missing_ok=True)
        except OSError as error:
            raise unavailable(error, path) from error
    raise AssertionError


def _connect(path: Path) -> sqlite3.Connection:
    target: Path | str = path
    if os.access(path.parent, os.W_OK):
        if not path.exists():
            os.close(open_private(path, os.O_RDWR))
    else:
        target = ":memory:"
    connection = sqlite3.connect(
        target, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        if target is path:
            use_wal(connection)
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA secure_delete=ON")
        if connection.execute("PRAGMA user_version").fetchone()[0] != INDEX_VERSION:
            connection.execute("BEGIN IMMEDIATE")
            _make(connection)
            connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _make(connection: sqlite3.Connection) -> None:
    """Make the tables, in place of those of another version."""
    if connection.execute("PRAGMA user_version").fetchone()[0] == INDEX_VERSION:
        return
    found = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    for (name,) in connection.execute(found).fetchall():
        connection.execute(f'DROP TABLE "{name}"')
    for statement in INDEX_TABLES:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={INDEX_ID}")
    connection.execute(f"PRAGMA user_version={INDEX_VERSION}")
