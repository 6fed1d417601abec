"""Another tool's SQLite file, read without leaving a trace beside it.

SQLite makes a `-wal` and a `-shm` file beside a database in write-ahead mode even for a reader, and
has a reader write to them. Without a log the file is read as one that nobody changes; with the
`-shm` file of a tool that runs, or that was killed, that file is read and not written; a log alone
is read in a private copy.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from errno import ENOENT
from pathlib import Path
from urllib.parse import quote

# Longer values are refused by SQLite before they are in our memory.
MAX_VALUE_BYTES = 32 * 1024 * 1024
_WAIT_S = 5.0


@contextmanager
def read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the database for reading, rows by name; raises `sqlite3.Error`, `OSError`."""
    path = path.resolve()
    if not path.is_file():  # SQLite would wait for a pipe's writer
        raise FileNotFoundError(ENOENT, "no plain file is there", str(path))
    log, shared = _beside(path, "-wal"), _beside(path, "-shm")
    if not _has_content(log):
        with closing(_open(path, "immutable=1")) as database:
            yield database
    elif shared.exists():
        with closing(_open(path, "readonly_shm=1")) as database:
            yield database
    else:
        with tempfile.TemporaryDirectory(prefix="pktui-import-") as directory:
            copy = Path(directory, "copy.db")
            shutil.copyfile(path, copy)
            shutil.copyfile(log, _beside(copy, "-wal"))
            with closing(_open(copy)) as database:
                yield database


def columns(database: sqlite3.Connection, table: str) -> frozenset[str]:
    """Return the names of a table's columns; empty where there is no such table, or a view is."""
    found = database.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)
    )
    if found.fetchone() is None:
        return frozenset()
    named = database.execute("SELECT name FROM pragma_table_info(?)", (table,))
    return frozenset(row["name"] for row in named)


def _open(path: Path, *options: str) -> sqlite3.Connection:
    address = f"file:{quote(os.fsencode(path.absolute()))}?{'&'.join(('mode=ro', *options))}"
    database = sqlite3.connect(address, uri=True, timeout=_WAIT_S)
    database.row_factory = sqlite3.Row
    database.text_factory = _lenient
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
    database.execute("PRAGMA trusted_schema = OFF")
    return database


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _lenient(raw: bytes) -> str:
    return raw.decode(errors="replace")
