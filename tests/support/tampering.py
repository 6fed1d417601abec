"""Writing to a ledger past pktui, as another program of the same user could."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def tamper(file: Path, statement: str, *values: str | int) -> None:
    """Run one statement on the file and commit it."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(statement, values)
