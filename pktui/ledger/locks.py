"""Whether the ledger can be written now, and who keeps others from it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pktui.errors import LedgerUnavailable
from pktui.ledger.database import unavailable

_WAIT_SECONDS: Final = 1.0
# The byte of the log's index that a writer locks (SQLite's walformat, "WAL Locks").
_WRITE_BYTE: Final = 120
_LOCKS: Final = Path("/proc/locks")


def check_writable(path: Path) -> None:
    """Take the right to write and give it back, changing nothing.

    Raises `LedgerUnavailable` with the cause, and with the process that holds it where known.
    """
    address = f"file:{quote(os.fsencode(path))}?mode=rw"
    try:
        with closing(
            sqlite3.connect(address, uri=True, timeout=_WAIT_SECONDS, isolation_level=None)
        ) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE changes SET n = n WHERE 0")  # fails where BEGIN does not
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise unavailable(error, path) from error
        pids = writers(path)
        who = f"process {', '.join(map(str, pids))}" if pids else "the process that holds it"
        raise LedgerUnavailable(
            f"the ledger {path} is locked by another process, so no call can go out",
            f"End {who}, or wait for it",
        ) from error
    journal = path.with_name("journal")
    if journal.exists() and not os.access(journal, os.W_OK):
        raise LedgerUnavailable(
            f"the journal {journal} cannot be written", "Check its owner and mode, and the mount"
        )


def writers(path: Path) -> tuple[int, ...]:
    """Return the processes that hold the right to write now; where that is not told, none."""
    found: list[int] = []
    with suppress(OSError, ValueError):
        inode = str(Path(f"{path}-shm").stat().st_ino)
        for line in _LOCKS.read_text().splitlines():
            kind, pid, place, start, end = line.split()[-5:]
            if kind == "WRITE" and place.endswith(f":{inode}"):
                last = _WRITE_BYTE if end == "EOF" else int(end)
                if int(start) <= _WRITE_BYTE <= last:
                    found.append(int(pid))
    return tuple(found)
