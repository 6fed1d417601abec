"""Sums over the record, kept beside it: what a figure over a million calls is read from.

A derived file, `rollup.db`. Whoever reads first adds what is new since the last look (`catch_up`);
the cursor is the last row that was counted and its hash, so that another record, one that was made
anew, and one whose counted rows were pruned are counted from the beginning. Nothing here decides
anything, and the file can be removed at any time.

    hours        calls by hour and effect
    denied       those that were denied, by hour, rule, tool and client
    tools_hours  calls of each tool in an hour, and how long they took; tools_days the same of a day
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pktui.files import open_private
from pktui.ledger.database import unavailable
from pktui.ledger.journal.segment import MACHINE_BITS
from pktui.ledger.records import Seat
from pktui.ledger.schema import CALLS

if TYPE_CHECKING:
    from pktui.ledger.database import Database
    from pktui.ledger.transaction import Row

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
VERSION = 4
CHUNK = 50_000
# Buckets of durations an octave: a percentile is within 5% of the truth.
BUCKETS_AN_OCTAVE = 8
# Minutes are for the last hour, connections for who was here this week.
_MINUTES_KEPT = 180
_CONNECTIONS_KEPT_US = 7 * DAY_US
_BUSY_MS = 2_000
_DAY = 24
# How many in each hour or bucket, of one tool.
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[int, int]).decode

_TABLES = (
    "CREATE TABLE cursor (one INTEGER PRIMARY KEY, seq INTEGER, hash BLOB, oldest_us INTEGER)",
    "INSERT INTO cursor VALUES (1, 0, x'', 0)",
    """CREATE TABLE hours (hour INTEGER, effect TEXT, n INTEGER,
        PRIMARY KEY (hour, effect)) WITHOUT ROWID""",
    """CREATE TABLE denied (hour INTEGER, server TEXT, rule TEXT, tool TEXT, agent TEXT, n INTEGER,
        last_us INTEGER, PRIMARY KEY (hour, server, rule, tool, agent)) WITHOUT ROWID""",
    *(
        f"""CREATE TABLE {table} (at INTEGER, server TEXT, tool TEXT, calls BLOB, times BLOB,
        PRIMARY KEY (at, server, tool)) WITHOUT ROWID"""
        for table in ("tools_hours", "tools_days")
    ),
    """CREATE TABLE minutes (minute INTEGER, session TEXT, server TEXT, effect TEXT, n INTEGER,
        PRIMARY KEY (minute, session, server, effect)) WITHOUT ROWID""",
    """CREATE TABLE connections (session TEXT, server TEXT, agent TEXT, grant_name TEXT,
        project TEXT, first_us INTEGER, last_us INTEGER, calls INTEGER, denied INTEGER,
        asked INTEGER, last_seq INTEGER, last_tool TEXT, last_effect TEXT, token TEXT,
        machine INTEGER, PRIMARY KEY (session, server)) WITHOUT ROWID""",
    """CREATE TABLE running (call_id TEXT PRIMARY KEY, session TEXT, server TEXT, tool TEXT,
        at_us INTEGER) WITHOUT ROWID""",
    """CREATE TABLE tools (server TEXT, tool TEXT, first_us INTEGER, last_us INTEGER,
        PRIMARY KEY (server, tool)) WITHOUT ROWID""",
    f"PRAGMA user_version = {VERSION}",
)
_SUMS = ("hours", "denied", "tools_hours", "tools_days", "minutes", "connections", "running",
         "tools")  # fmt: skip
_CALLS_OF = f"""SELECT at_us / {MINUTE_US}, session, server, tool, agent, grant_name, project,
    effect, rule, count(*), min(at_us), max(at_us), max(seq), max(substr(call_id, 1, 16)),
    max(segment >> {MACHINE_BITS}) FROM events
    WHERE seq > ? AND seq <= ? AND {CALLS} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9"""  # noqa: S608
_ENDS_OF = """SELECT kind, effect, call_id, session, server, tool, at_us, duration_us FROM events
    WHERE seq > ? AND seq <= ? AND call_id <> '' AND (kind = 'outcome'
    OR kind IN ('decision', 'approval') AND effect = 'allow') ORDER BY seq"""
_ADD_HOUR = """INSERT INTO hours VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n"""
_ADD_DENIED = """INSERT INTO denied VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    n = n + excluded.n, last_us = max(last_us, excluded.last_us)"""
_ADD_MINUTE = """INSERT INTO minutes VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET n = n + excluded.n"""
_ADD_CONNECTION = """INSERT INTO connections VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET agent = excluded.agent, grant_name = excluded.grant_name,
    project = excluded.project, last_us = excluded.last_us, calls = calls + excluded.calls,
    denied = denied + excluded.denied, asked = asked + excluded.asked,
    last_seq = excluded.last_seq, last_tool = excluded.last_tool,
    last_effect = excluded.last_effect, token = max(token, excluded.token)"""
_ADD_TOOL = """INSERT INTO tools VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    first_us = min(first_us, excluded.first_us), last_us = max(last_us, excluded.last_us)"""


class HourOfEffect(msgspec.Struct, frozen=True):
    """The calls of one hour with one effect; `hour` counts from the epoch, in UTC."""

    hour: int
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


class ToolSums(msgspec.Struct, frozen=True):
    """The calls of a tool in each hour, and how many took how long, by bucket of duration."""

    server: str
    tool: str
    calls: Mapping[int, int]
    times: Mapping[int, int]

    @property
    def timed(self) -> int:
        """How many calls have a duration."""
        return sum(self.times.values())

    def quantile_us(self, percent: int) -> int:
        """Return the middle of the bucket in which that many in a hundred have ended."""
        wanted, seen = self.timed * percent, 0
        for bucket, n in sorted(self.times.items()):
            seen += n * 100
            if seen >= wanted:
                return round(2 ** ((bucket + 0.5) / BUCKETS_AN_OCTAVE))
        return 0


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
    seat: Seat
    """On which of a team's machines it is."""


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

    def hours(self, since_us: int) -> tuple[HourOfEffect, ...]:
        """Return the calls of each hour since then by effect, in time."""
        return self._read(
            HourOfEffect,
            "SELECT hour, effect, n FROM hours WHERE hour >= ? ORDER BY hour",
            (since_us // HOUR_US,),
        )

    def denials(self, since_us: int) -> tuple[Denials, ...]:
        """Return what was denied and hidden since then, by rule, tool and agent."""
        return self._read(
            Denials,
            "SELECT server, rule, tool, agent, sum(n), max(last_us) FROM denied WHERE hour >= ?"
            " GROUP BY 1, 2, 3, 4",
            (since_us // HOUR_US,),
        )

    def sums_of_tools(self, since_us: int) -> tuple[ToolSums, ...]:
        """Return the calls of each tool since the beginning of that hour.

        Whole days are read as days, so that a month of any number of calls costs some thousand
        rows.
        """
        hour = since_us // HOUR_US
        day = -(-hour // _DAY)
        sums: dict[tuple[str, str], tuple[dict[int, int], dict[int, int]]] = {}
        for server, tool, calls, times in self._rows(
            "SELECT server, tool, calls, times FROM tools_days WHERE at >= ? UNION ALL"
            " SELECT server, tool, calls, times FROM tools_hours WHERE at >= ? AND at < ?",
            (day, hour, day * _DAY),
        ):
            by_hour, by_time = sums.setdefault((server, tool), ({}, {}))
            by_hour.update(_decode(calls))  # no two rows have an hour in common
            for bucket, n in _decode(times).items():
                by_time[bucket] = by_time.get(bucket, 0) + n
        return tuple(ToolSums(*tool, *of) for tool, of in sums.items())

    def minutes(self, since_us: int) -> tuple[MinuteOfSession, ...]:
        """Return the calls of each minute since then, of the last three hours."""
        return self._read(
            MinuteOfSession, "SELECT * FROM minutes WHERE minute >= ?", (since_us // MINUTE_US,)
        )

    def connections(self, since_us: int) -> tuple[Connection, ...]:
        """Return the connections that called since then, the latest first."""
        machines = self._record().rows("SELECT n, person, name FROM machines")
        seats = {n: Seat(person, name) for n, person, name in machines}
        rows = self._rows(
            "SELECT * FROM connections WHERE last_us >= ? ORDER BY last_us DESC", (since_us,)
        )
        found: list[Row] = [(*row[:-1], seats.get(row[-1], Seat())) for row in rows]
        return tuple(Connection(*values) for values in found)

    def running(self) -> tuple[Running, ...]:
        """Return the calls that have not ended, oldest first."""
        return self._read(Running, "SELECT * FROM running ORDER BY at_us", ())

    def tools(self, since_us: int) -> tuple[ToolUse, ...]:
        """Return the use of every tool on record, with its calls since then."""
        sums = {(one.server, one.tool): one.calls for one in self.sums_of_tools(since_us)}
        rows = self._rows("SELECT server, tool, first_us, last_us FROM tools", ())
        return tuple(
            ToolUse(server, tool, first_us, last_us, sum(sums.get((server, tool), {}).values()))
            for server, tool, first_us, last_us in rows
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
            for table in _SUMS:
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
    hours: Counter[tuple[int, str]] = Counter()
    denied: dict[tuple[Any, ...], list[int]] = {}
    calls: dict[tuple[str, str], Counter[int]] = {}
    minutes: Counter[tuple[Any, ...]] = Counter()
    tools: dict[tuple[str, str], list[int]] = {}
    newest = max((group[0] for group in groups), default=0)
    for minute, session, server, tool, agent, _grant, _project, effect, rule, *of in groups:
        n, first_us, last_us, *_ = of
        hours[minute // 60, effect] += n
        if tool:
            calls.setdefault((server, tool), Counter())[minute // 60] += n
        if effect not in ("allow", "approve"):
            row = denied.setdefault((minute // 60, server, rule, tool, agent), [0, 0])
            row[:] = row[0] + n, max(row[1], last_us)
        if tool and effect != "refused":
            use = tools.setdefault((server, tool), [first_us, last_us])
            use[:] = min(use[0], first_us), max(use[1], last_us)
        if session and minute > newest - _MINUTES_KEPT:
            minutes[minute, session, server, effect] += n
    sums.executemany(_ADD_HOUR, ((*key, n) for key, n in hours.items()))
    sums.executemany(_ADD_DENIED, ((*key, *value) for key, value in denied.items()))
    sums.executemany(_ADD_MINUTE, ((*key, n) for key, n in minutes.items()))
    sums.executemany(_ADD_TOOL, ((*key, *value) for key, value in tools.items()))
    _add_tools(sums, {(hour, *tool): ({hour: n}, {}) for tool, of in calls.items()
                      for hour, n in of.items()})  # fmt: skip
    _add_connections(sums, groups)
    if newest:
        sums.execute("DELETE FROM minutes WHERE minute <= ?", (newest - _MINUTES_KEPT,))
        stale = newest * MINUTE_US - _CONNECTIONS_KEPT_US
        sums.execute("DELETE FROM connections WHERE last_us < ?", (stale,))


def _add_connections(sums: sqlite3.Connection, groups: Sequence[Row]) -> None:
    connections: dict[tuple[str, str], list[Any]] = {}
    for _minute, session, server, tool, agent, grant, project, effect, _rule, *of in groups:
        if not session:
            continue
        n, first_us, last_us, last_seq, token, machine = of
        row = connections.setdefault(
            (session, server), [agent, grant, project, first_us, last_us, 0, 0, 0, 0, "", "", "", 0]
        )
        row[3], row[4] = min(row[3], first_us), max(row[4], last_us)
        row[5] += n
        row[6] += n if effect not in ("allow", "approve") else 0
        row[7] += n if effect == "approve" else 0
        if last_seq > row[8]:
            row[8:11] = last_seq, tool, effect
        row[11:] = max(row[11], token), machine
    sums.executemany(_ADD_CONNECTION, ((*key, *value) for key, value in connections.items()))


def _add_ends(sums: sqlite3.Connection, rows: Sequence[Row]) -> None:
    times: dict[tuple[int, str, str], Counter[int]] = {}
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
            times.setdefault((at_us // HOUR_US, server, tool), Counter())[bucket] += 1
    _add_tools(sums, {key: ({}, of) for key, of in times.items()})
    sums.executemany("DELETE FROM running WHERE call_id = ?", ended)
    sums.executemany("INSERT OR REPLACE INTO running VALUES (?, ?, ?, ?, ?)", running.values())


_Counts = tuple[Mapping[int, int], Mapping[int, int]]


def _add_tools(
    sums: sqlite3.Connection,
    hours: Mapping[tuple[int, str, str], _Counts],
    *,
    days_only: bool = False,
) -> None:
    """Add calls and times by hour and tool to those of the hours and the days."""
    days: dict[tuple[int, str, str], tuple[Counter[int], Counter[int]]] = {}
    for (hour, server, tool), counts in hours.items():
        day = days.setdefault((hour // _DAY, server, tool), (Counter(), Counter()))
        for sum_, more in zip(day, counts, strict=True):
            sum_.update(more)
    if not days_only:
        _add_counts(sums, "tools_hours", hours)
    _add_counts(sums, "tools_days", days)


def _add_counts(
    sums: sqlite3.Connection, table: str, new: Mapping[tuple[int, str, str], _Counts]
) -> None:
    known = f"SELECT calls, times FROM {table} WHERE at = ? AND server = ? AND tool = ?"  # noqa: S608
    rows = []
    for key, counts in new.items():
        found = sums.execute(known, key).fetchone()
        merged = [Counter(_decode(blob)) for blob in found] if found else [Counter(), Counter()]
        for sum_, more in zip(merged, counts, strict=True):
            sum_.update(more)
        rows.append((*key, *map(_encode, merged)))
    sums.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?, ?)", rows)  # noqa: S608


def _forget(record: Database, sums: sqlite3.Connection, known_us: int) -> int:
    """Leave out what was pruned from the record; return the time of the oldest call on it."""
    row = record.row("SELECT min(call_us) FROM events WHERE call_us IS NOT NULL")
    oldest = int(row[0]) if row and row[0] else 0
    if oldest > known_us > 0:
        hour = oldest // HOUR_US
        for table, column in (("hours", "hour"), ("denied", "hour"), ("tools_hours", "at")):
            sums.execute(f"DELETE FROM {table} WHERE {column} < ?", (hour,))  # noqa: S608
        sums.execute("DELETE FROM tools_days WHERE at <= ?", (hour // _DAY,))
        of_day = sums.execute(
            "SELECT * FROM tools_hours WHERE at < ?", ((hour // _DAY + 1) * _DAY,)
        )
        left = {row[:3]: (_decode(row[3]), _decode(row[4])) for row in of_day.fetchall()}
        _add_tools(sums, left, days_only=True)
        for table in ("tools", "connections"):
            sums.execute(f"DELETE FROM {table} WHERE last_us < ?", (oldest,))  # noqa: S608
        sums.execute("DELETE FROM running WHERE at_us < ?", (oldest,))
    return oldest


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
