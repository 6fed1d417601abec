"""This machine's journal, copied into the team's database in order; twice adds nothing.

The journal stays the truth of what this machine did: rows keep their hashes, so that what is in the
database can be followed as the files can. A row that is there already is left as it is; where it is
another one, two data directories go by one machine's name, or somebody wrote there by other means.
What tools answered stays on the machine that they answered to.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pktui.errors import LedgerError
from pktui.ledger.journal.joints import Joints, Segment
from pktui.ledger.journal.segment import file_of, hash_of, lines_of, number_of
from pktui.ledger.postgres.database import ADD_EVENT, event_rows

if TYPE_CHECKING:
    from pktui.ledger.postgres.database import SharedDatabase

# Rows in one transaction: who decides meanwhile waits for no longer than those take.
_PIECE_ROWS: Final = 200
_CHECKPOINT_SECONDS: Final = 10.0
_COPIED: Final = "SELECT segment, number, size FROM copied WHERE machine = %s"
_LAST_JOINT: Final = "SELECT n, line FROM joints WHERE machine = %s ORDER BY n DESC LIMIT 1"
_ADD_JOINT: Final = "INSERT INTO joints VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
_REACHED: Final = """INSERT INTO copied VALUES (%s, %s, %s, %s)
    ON CONFLICT (machine, segment) DO UPDATE SET number = excluded.number, size = excluded.size"""
_IS_SAME: Final = """SELECT hash = %s FROM events
    WHERE machine = %s AND segment = %s AND number = %s"""
_CHECKPOINT: Final = "SELECT checkpoint(%s, %s)"


class Copying:
    """How far each segment is in the database; everything raises `LedgerUnavailable`."""

    def __init__(self, directory: Path, database: SharedDatabase, clock: Callable[[], int]) -> None:
        """`directory` is the journal's."""
        self._directory = directory
        self._database = database
        self._joints = Joints(directory, clock)
        self._machine = 0
        self._connection = (0, 0)
        self._joint = 0
        # Of each segment: the number and the end of the last row that is in the database.
        self._reached: dict[int, tuple[int, int]] = {}
        self._done: set[int] = set()
        self._heads: dict[int, str] = {}
        self._checked = 0.0

    def step(self) -> int:
        """Copy what is new, some hundred rows of each segment; return how many rows those were.

        Raises `LedgerError` where the database has another row in the place of one.
        """
        database = self._database
        database.connection.told()
        connection = database.machine_number, database.connection.connected
        if self._connection != connection:  # one that took over may lack what another had
            self._begin(database.machine_number)
            self._connection = connection
        self._joints.refresh()
        self._copy_joints()
        rows = sum(
            self._copy(segment)
            for segment in list(self._joints.segments.values())
            if segment.n not in self._done and segment.opened.shelf != "results"
        )
        now = time.monotonic()
        if self._heads and now - self._checked >= _CHECKPOINT_SECONDS:
            self._checked = now
            heads = " ".join(self._heads[n] for n in sorted(self._heads))
            database.connection.run(_CHECKPOINT, (self._machine, heads))
            self._heads.clear()
        return rows

    def _begin(self, machine: int) -> None:
        """Take up where this machine stood."""
        connection = self._database.connection
        self._reached = {
            segment: (number, size)
            for segment, number, size in connection.run(_COPIED, (machine,))[0]
        }
        last = connection.run(_LAST_JOINT, (machine,))[0]
        self._joint = -last[0][0] if last else 0  # to be compared with the file's
        self._machine = machine
        self._done.clear()

    def _copy_joints(self) -> None:
        """Copy the joints that are new; the last of them must be the one that is there then."""
        if self._joint == self._joints.n:
            return
        connection = self._database.connection
        lines = {number_of(line): line.decode() for _, line in lines_of(self._joints.path)}
        new = [(self._machine, n, line) for n, line in lines.items() if n > abs(self._joint)]
        if new:
            connection.run_all(_ADD_JOINT, new)
        for n, line in connection.run(_LAST_JOINT, (self._machine,))[0]:
            if lines.get(n) != line:
                raise _another(f"joint {n}")
            self._joint = n

    def _copy(self, segment: Segment) -> int:
        number, size = self._reached.get(segment.n, (segment.opened.number, 0))
        lines, end = _lines(file_of(self._directory, segment.n), size)
        if lines:
            last = lines[-1]
            self._add(segment.n, b"\n".join(lines), number_of(last), end, hash_of(last))
            self._heads[segment.n] = f"{segment.n}:{number_of(last)}:{hash_of(last).hex()}"
            number = number_of(last)
        ended = segment.pruned or segment.sealed
        if ended is not None and number >= ended.number:
            self._done.add(segment.n)
        elif segment.pruned is not None and not lines:
            self._done.add(segment.n)  # what was not copied is gone: `verify` says so of a part
        return len(lines)

    def _add(self, segment: int, lines: bytes, number: int, end: int, digest: bytes) -> None:
        connection, machine = self._database.connection, self._machine
        with connection.lock:
            connection.run("BEGIN")
            try:
                rows: list[Any] = list(event_rows(lines, machine, segment))
                connection.run_all(ADD_EVENT, rows)
                same = connection.run(_IS_SAME, (digest, machine, segment, number))[0]
                if not same or not same[0][0]:
                    raise _another(f"row {segment}:{number}")
                connection.run(_REACHED, (machine, segment, number, end))
                connection.run("COMMIT")
            finally:
                if connection.in_transaction():
                    connection.run("ROLLBACK")
        self._reached[segment] = number, end


def _another(what: str) -> LedgerError:
    return LedgerError(
        f"the team's ledger has another {what} of this machine",
        "Was its data directory copied? Remove the file machine in the copy;"
        " see pktui audit verify",
    )


def _lines(path: Path, offset: int) -> tuple[list[bytes], int]:
    """Return the next whole lines of a segment, and where they end."""
    lines: list[bytes] = []
    try:
        for begin, line in lines_of(path, offset):
            lines.append(line)
            offset = begin + len(line) + 1
            if len(lines) == _PIECE_ROWS:
                break
    except FileNotFoundError:
        pass
    return lines, offset
