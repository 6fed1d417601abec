"""Sums over the record, kept beside it: what a figure over a million calls is read from.

A derived file, `rollup.db`. Whoever reads first adds what is new since the last look (`catch_up`);
the cursor is the last row that was counted and its hash, so that another record, one that was made
anew, and one whose counted rows were pruned are counted from the beginning. Nothing here decides
anything, and the file can be removed at any time.

    hours        calls by hour, tool, client, effect and rule; times the same by duration
    minutes      calls of the last hours by minute, connection and effect
    connections  each client connection with its totals and its last call
    running      calls that went out and have not ended
    tools        first and last call of each tool
"""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pktui.files import open_private
from pktui.ledger.database import unavailable
from pktui.ledger.schema import CALLS

if TYPE_CHECKING:
    from pktui.ledger.database import Database
    from pktui.ledger.transaction import Row

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
VERSION = 2
CHUNK = 50_000
# Buckets of durations an octave: a percentile is within 5% of the truth.
BUCKETS_AN_OCTAVE = 8
# Minutes are for the last hour, connections for who was here this week.
_MINUTES_KEPT = 180
_CONNECTIONS_KEPT_US = 7 * DAY_US
_BUSY_MS = 2_000

_TABLES = (
    "CREATE TABLE cursor (one INTEGER PRIMARY KEY, seq INTEGER, hash BLOB, oldest_us INTEGER)",
    "INSERT INTO cursor VALUES (1, 0, x'', 0)",
    """CREATE TABLE hours (hour INTEGER, server TEXT, tool TEXT, agent TEXT, project TEXT,
        effect TEXT, rule TEXT, n INTEGER, last_us INTEGER,
        PRIMARY KEY (hour, server, tool, agent, project, effect, rule)) WITHOUT ROWID""",
    """CREATE TABLE times (hour INTEGER, server TEXT, tool TEXT, bucket INTEGER, n INTEGER,
        PRIMARY KEY (hour, server, tool, bucket)) WITHOUT ROWID""",
    """CREATE TABLE minutes (minute INTEGER, session TEXT, server TEXT, effect TEXT, n INTEGER,
        PRIMARY KEY (minute, session, server, effect)) WITHOUT ROWID""",
    """CREATE TABLE connections (session TEXT, server TEXT, agent TEXT, grant_name TEXT,
        project TEXT, first_us INTEGER, last_us INTEGER, calls INTEGER, denied INTEGER,
        asked INTEGER, last_seq INTEGER, last_tool TEXT, last_effect TEXT, token TEXT,
        PRIMARY KEY (session, server)) WITHOUT ROWID""",
    """CREATE TABLE running (call_id TEXT PRIMARY KEY, session TEXT, server TEXT, tool TEXT,
        at_us INTEGER) WITHOUT ROWID""",
    """CREATE TABLE tools (server TEXT, tool TEXT, first_us INTEGER, last_us INTEGER,
        PRIMARY KEY (server, tool)) WITHOUT ROWID""",
    f"PRAGMA user_version = {VERSION}",
)
_CALLS_OF = f"""SELECT at_us / {MINUTE_US}, session, server, tool, agent, grant_name, project,
    effect, rule, count(*), min(at_us), max(at_us), max(seq), max(substr(call_id, 1, 16))
    FROM events
    WHERE seq > ? AND seq <= ? AND {CALLS} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9"""  # noqa: S608
_ENDS_OF = """SELECT kind, effect, call_id, session, server, tool, at_us, duration_us FROM events
    WHERE seq > ? AND seq <= ? AND call_id <> '' AND (kind = 'outcome'
    OR kind IN ('decision', 'approval') AND effect = 'allow') ORDER BY seq"""
_ADD_HOUR = """INSERT INTO hours VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    n = n + excluded.n, last_us = max(last_us, excluded.last_us)"""
_ADD_TIME = """INSERT INTO times VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET n = n + excluded.n"""
_ADD_MINUTE = """INSERT INTO minutes VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET n = n + excluded.n"""
_ADD_CONNECTION = """INSERT INTO connections VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET agent = excluded.agent, grant_name = excluded.grant_name,
    project = excluded.project, last_us = excluded.last_us, calls = calls + excluded.calls,
    denied = denied + excluded.denied, asked = asked + excluded.asked,
    last_seq = excluded.last_seq, last_tool = excluded.last_tool,
    last_effect = excluded.last_effect, token = max(token, excluded.token)"""
_ADD_TOOL = """INSERT INTO tools VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    first_us = min(first_us, excluded.first_us), last_us = max(last_us, excluded.last_us)"""


class HourOfTool(msgspec.Struct, frozen=True):
    """The calls of one hour with one effect; `hour` counts from the epoch, in UTC."""

    hour: int
    server: str
    tool: str
    effect: str
    calls: int


class Denials(msgspec.Struct, frozen=True):
    """What a rule denied to one agent with one tool."""

    server: str
    rule: str
    tool: str
    agent: str
    calls: int
    last_us: int


class Times(msgspec.Struct, frozen=True):
    """How long the calls of a tool took; the bucket with which 50 and 95 in a hundred end."""

    server: str
    tool: str
    calls: int
    p50_us: int
    p95_us: int


class Connection(msgspec.Struct, frozen=True):
    """A client's connection to a server, its totals and its last call."""

    session: str
    server: str
    agent: str
    grant: str
    project: str
    first_us: int
    last_us: int
    calls: int
    denied: int
    asked: int
    last_seq: int
    last_tool: str
    last_effect: str
    token: str
    """What its gateway is known by in the register of what runs."""


class Running(msgspec.Struct, frozen=True):
    """A call that went out and has not ended."""

    call_id: str
    session: str
    server: str
    tool: str
    at_us: int


class MinuteOfSession(msgspec.Struct, frozen=True):
    """The calls of a connection in one minute, counted from the epoch."""

    minute: int
    session: str
    server: str
    effect: str
    calls: int


class ToolUse(msgspec.Struct, frozen=True):
    """When a tool was called first and last, and how often since the time that was asked for."""

    server: str
    tool: str
    first_us: int
    last_us: int
    calls: int


class Rollup:
    """The sums; usable from any thread. Every method raises `LedgerUnavailable`."""

    def __init__(self, path: Path, record: Callable[[], Database]) -> None:
        """`record` gives the connection that the record is read on."""
        self._path = path
        self._record = record
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._counted: tuple[int, bytes] = (0, b"")

    def catch_up(self, seconds: float = math.inf) -> int:
        """Count what is new, for at most about so long; return how many rows are still to count.

        Where another process counts just now, what it has counted is enough.
        """
        until = time.monotonic() + seconds
        with self._lock, self._mapped():
            while behind := self._step():
                if time.monotonic() >= until:
                    return behind
        return 0

    def hours(self, since_us: int) -> tuple[HourOfTool, ...]:
        """Return the calls of each hour since then by tool and effect, in time."""
        return self._read(
            HourOfTool,
            "SELECT hour, server, tool, effect, sum(n) FROM hours WHERE hour >= ?"
            " GROUP BY 1, 2, 3, 4 ORDER BY 1",
            (since_us // HOUR_US,),
        )

    def denials(self, since_us: int) -> tuple[Denials, ...]:
        """Return what was denied and hidden since then, by rule, tool and agent."""
        return self._read(
            Denials,
            "SELECT server, rule, tool, agent, sum(n), max(last_us) FROM hours WHERE hour >= ?"
            " AND effect NOT IN ('allow', 'approve') GROUP BY 1, 2, 3, 4",
            (since_us // HOUR_US,),
        )

    def times(self, since_us: int) -> tuple[Times, ...]:
        """Return how long each tool's calls took since then."""
        rows = self._rows(
            "SELECT server, tool, bucket, sum(n) FROM times WHERE hour >= ? GROUP BY 1, 2, 3"
            " ORDER BY 1, 2, 3",
            (since_us // HOUR_US,),
        )
        tools: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for server, tool, bucket, n in rows:
            tools.setdefault((server, tool), []).append((bucket, n))
        return tuple(
            Times(*tool, sum(n for _, n in found), _quantile(found, 50), _quantile(found, 95))
            for tool, found in tools.items()
        )

    def minutes(self, since_us: int) -> tuple[MinuteOfSession, ...]:
        """Return the calls of each minute since then, of the last three hours."""
        return self._read(
            MinuteOfSession, "SELECT * FROM minutes WHERE minute >= ?", (since_us // MINUTE_US,)
        )

    def connections(self, since_us: int) -> tuple[Connection, ...]:
        """Return the connections that called since then, the latest first."""
        return self._read(
            Connection,
            "SELECT * FROM connections WHERE last_us >= ? ORDER BY last_us DESC",
            (since_us,),
        )

    def running(self) -> tuple[Running, ...]:
        """Return the calls that have not ended, oldest first."""
        return self._read(Running, "SELECT * FROM running ORDER BY at_us", ())

    def tools(self, since_us: int) -> tuple[ToolUse, ...]:
        """Return the use of every tool on record, with its calls since then."""
        return self._read(
            ToolUse,
            "SELECT t.server, t.tool, first_us, last_us, coalesce(c.n, 0) FROM tools t LEFT JOIN"
            " (SELECT server, tool, sum(n) AS n FROM hours WHERE hour >= ? GROUP BY 1, 2) c"
            " ON c.server = t.server AND c.tool = t.tool",
            (since_us // HOUR_US,),
        )

    def close(self) -> None:
        """Close the file; it opens again when it is needed."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection, self._counted = None, (0, b"")

    def _read(self, kind: Callable[..., Any], sql: str, values: Sequence[int]) -> tuple[Any, ...]:
        return tuple(kind(*row) for row in self._rows(sql, values))

    def _rows(self, sql: str, values: Sequence[int]) -> list[Row]:
        with self._lock, self._mapped():
            return self._open().execute(sql, values).fetchall()

    @contextlib.contextmanager
    def _mapped(self) -> Iterator[None]:
        """Raise what SQLite says as the ledger's error; a damaged file is made anew next time."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if (error.sqlite_errorcode & 0xFF) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                self._remove()
            raise unavailable(error, self._path) from error
        except OSError as error:
            raise unavailable(error, self._path) from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection = _connect(str(self._path))
            except (OSError, sqlite3.OperationalError):  # a directory that is only read
                self._connection = _connect(":memory:")
        return self._connection

    def _remove(self) -> None:
        self.close()
        with contextlib.suppress(OSError):
            for end in ("", "-wal", "-shm"):
                Path(f"{self._path}{end}").unlink(missing_ok=True)

    def _step(self) -> int:
        """Count one chunk; return how many rows are left."""
        record, sums = self._record(), self._open()
        head, digest = record.row("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1") or (
            0,
            b"",
        )
        if self._counted == (head, digest):
            return 0
        try:
            sums.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return 0
            raise
        try:
            counted = self._count(record, sums, head)
        except BaseException:
            sums.execute("ROLLBACK")
            raise
        sums.execute("COMMIT")
        self._counted = counted
        return int(head - counted[0])

    def _count(self, record: Database, sums: sqlite3.Connection, head: int) -> tuple[int, bytes]:
        """Count the rows after the cursor; return where it is then."""
        seq, known, oldest = sums.execute("SELECT seq, hash, oldest_us FROM cursor").fetchone()
        if seq and _hash_of(record, seq) != known:
            for table in ("hours", "times", "minutes", "connections", "running", "tools"):
                sums.execute(f"DELETE FROM {table}")  # noqa: S608
            seq = oldest = 0
        last = min(head, seq + CHUNK)
        _add_calls(sums, record.rows(_CALLS_OF, (seq, last)))
        _add_ends(sums, record.rows(_ENDS_OF, (seq, last)))
        oldest = _forget(record, sums, oldest)
        at = last, _hash_of(record, last)
        sums.execute("UPDATE cursor SET seq = ?, hash = ?, oldest_us = ?", (*at, oldest))
        return at


def _hash_of(record: Database, seq: int) -> bytes:
    row = record.row("SELECT hash FROM events WHERE seq = ?", (seq,))
    return bytes(row[0]) if row else b""


def _add_calls(sums: sqlite3.Connection, groups: Sequence[Row]) -> None:
    hours: dict[tuple[Any, ...], list[int]] = {}
    minutes: Counter[tuple[Any, ...]] = Counter()
    tools: dict[tuple[str, str], list[int]] = {}
    connections: dict[tuple[str, str], list[Any]] = {}
    newest = max((group[0] for group in groups), default=0)
    for minute, session, server, tool, agent, grant, project, effect, rule, *of in groups:
        n, first_us, last_us, last_seq, token = of
        hour = hours.setdefault((minute // 60, server, tool, agent, project, effect, rule), [0, 0])
        hour[0] += n
        hour[1] = max(hour[1], last_us)
        if tool and effect != "refused":
            use = tools.setdefault((server, tool), [first_us, last_us])
            use[:] = min(use[0], first_us), max(use[1], last_us)
        if not session:
            continue
        if minute > newest - _MINUTES_KEPT:
            minutes[minute, session, server, effect] += n
        row = connections.setdefault(
            (session, server), [agent, grant, project, first_us, last_us, 0, 0, 0, 0, "", "", ""]
        )
        row[3], row[4] = min(row[3], first_us), max(row[4], last_us)
        row[5] += n
        row[6] += n if effect not in ("allow", "approve") else 0
        row[7] += n if effect == "approve" else 0
        if last_seq > row[8]:
            row[8:11] = last_seq, tool, effect
        row[11] = max(row[11], token)
    sums.executemany(_ADD_HOUR, ((*key, *value) for key, value in hours.items()))
    sums.executemany(_ADD_MINUTE, ((*key, n) for key, n in minutes.items()))
    sums.executemany(_ADD_TOOL, ((*key, *value) for key, value in tools.items()))
    sums.executemany(_ADD_CONNECTION, ((*key, *value) for key, value in connections.items()))
    if newest:
        sums.execute("DELETE FROM minutes WHERE minute <= ?", (newest - _MINUTES_KEPT,))
        stale = newest * MINUTE_US - _CONNECTIONS_KEPT_US
        sums.execute("DELETE FROM connections WHERE last_us < ?", (stale,))


def _add_ends(sums: sqlite3.Connection, rows: Sequence[Row]) -> None:
    times: Counter[tuple[Any, ...]] = Counter()
    running: dict[str, tuple[Any, ...]] = {}
    ended: list[tuple[str]] = []
    for kind, _effect, call_id, session, server, tool, at_us, duration_us in rows:
        if kind != "outcome":
            running[call_id] = (call_id, session, server, tool, at_us)
            continue
        if running.pop(call_id, None) is None:
            ended.append((call_id,))
        if duration_us > 0:
            bucket = int(math.log2(duration_us) * BUCKETS_AN_OCTAVE)
            times[at_us // HOUR_US, server, tool, bucket] += 1
    sums.executemany(_ADD_TIME, ((*key, n) for key, n in times.items()))
    sums.executemany("DELETE FROM running WHERE call_id = ?", ended)
    sums.executemany("INSERT OR REPLACE INTO running VALUES (?, ?, ?, ?, ?)", running.values())


def _forget(record: Database, sums: sqlite3.Connection, known_us: int) -> int:
    """Leave out what was pruned from the record; return the time of the oldest call on it."""
    row = record.row("SELECT min(call_us) FROM events WHERE call_us IS NOT NULL")
    oldest = int(row[0]) if row and row[0] else 0
    if oldest > known_us > 0:
        for table in ("hours", "times"):
            sums.execute(f"DELETE FROM {table} WHERE hour < ?", (oldest // HOUR_US,))  # noqa: S608
        for table in ("tools", "connections"):
            sums.execute(f"DELETE FROM {table} WHERE last_us < ?", (oldest,))  # noqa: S608
        sums.execute("DELETE FROM running WHERE at_us < ?", (oldest,))
    return oldest


def _quantile(buckets: Sequence[tuple[int, int]], percent: int) -> int:
    """Return the middle of the bucket in which that many in a hundred have ended."""
    wanted = sum(n for _, n in buckets) * percent
    seen = 0
    for bucket, n in buckets:
        seen += n * 100
        if seen >= wanted:
            return round(2 ** ((bucket + 0.5) / BUCKETS_AN_OCTAVE))
    return 0


def _connect(path: str) -> sqlite3.Connection:
    if path != ":memory:":
        os.close(open_private(Path(path), os.O_RDWR))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        _make_tables(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _make_tables(connection: sqlite3.Connection) -> None:
    """Make the tables where there are none, or those of another version."""
    if connection.execute("PRAGMA user_version").fetchone()[0] == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (name,) in names.fetchall():
            connection.execute(f'DROP TABLE "{name}"')
        for statement in _TABLES:
            connection.execute(statement)
    connection.execute("COMMIT")
