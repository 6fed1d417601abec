"""The LanceDB tables, typed: the one file that talks to lancedb.

Every failure of the library becomes a `StoreError` with the table, the reason and a cure. One
call is one commit; what was not committed leaves no trace that a reader could see.
"""

from __future__ import annotations

import contextlib
import errno
import re
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pktui.errors import StoreError
from pktui.memory.store.lance import lancedb
from pktui.memory.store_location import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pyarrow as pa

# Older versions go at once: this process is the only reader, and a read that raced is repeated.
_KEEP_VERSIONS = timedelta(milliseconds=1)
_READ_ATTEMPTS = 4
_BATCH_ROWS = 4096
_BUSY_LIMITS = 40, 5_000
# Commits that call for a compaction: at the least, and one for so many rows of the table.
_QUIET_LIMITS = 1, 25_000
# What the library adds for its own developers.
_SOURCE_LINE = re.compile(r", /\S+\.rs:\d+:\d+|^lance error: ")
# An error of the system as the library prints its own structures.
_STRUCTURES = re.compile(r'path: Some\("([^"]+)"\).*?message: "([^"]+)"')


class Table:
    """One table. Safe from several threads; rows go in and out as Arrow tables."""

    def __init__(self, inner: Any, name: str, database: Database) -> None:
        self.commits = 0
        """Commits since the last compaction; near enough to tell when one is due.

        Those of the last owner count too, who may have ended before there was one.
        """
        self._inner = inner
        self._name = name
        self._database = database

    def append(self, rows: pa.Table) -> None:
        """Commit the rows."""
        with self._writing():
            self._inner.add(rows)
        self.commits += 1

    def upsert(self, rows: pa.Table, key: str) -> None:
        """Commit the rows, each in place of the one with the same key, or new."""
        with self._writing():
            merge = self._inner.merge_insert(key).when_matched_update_all()
            merge.when_not_matched_insert_all().execute(rows)
        self.commits += 1

    def delete(self, where: str) -> None:
        """Commit the removal of the rows that the SQL condition holds for."""
        with self._writing():
            self._inner.delete(where)
        self.commits += 1

    def update(self, where: str, values: Mapping[str, str | int]) -> int:
        """Commit the values to the rows that the SQL condition holds for; returns how many.

        Of two processes that change the same row at once, the second finds what the first wrote.
        """
        with self._errors("could not be written"):
            changed = int(self._inner.update(where=where, values=dict(values)).rows_updated)
        self.commits += 1
        return changed

    def refresh(self) -> None:
        """See what other processes committed."""
        with self._errors("could not be read"):
            self._inner.checkout_latest()

    def add_text_column(self, name: str) -> None:
        """Commit a new column, empty in every row there is."""
        with self._writing():
            self._inner.add_columns({name: "''"})
        self.commits += 1

    def read(
        self, columns: list[str] | None = None, where: str = "", limit: int | None = None
    ) -> pa.Table:
        """Return the rows that the SQL condition holds for, in no particular order."""
        for attempt in range(1, _READ_ATTEMPTS + 1):
            try:
                return self._query(columns, where, limit).to_arrow()
            except (RuntimeError, OSError, ValueError) as error:
                # A compaction may remove the files of the version being read.
                if attempt == _READ_ATTEMPTS:
                    raise self._wrapped("could not be read", error) from error
        raise AssertionError

    def take(self, offsets: list[int]) -> pa.Table:
        """Return the rows at these places in the order of their commits, counted from 0."""
        with self._errors("could not be read"):
            return self._inner.take_offsets(offsets).to_arrow()

    def batches(self, columns: list[str], where: str = "") -> Iterator[pa.RecordBatch]:
        """Yield the rows in the order of their commits; only for the time nobody writes."""
        with self._errors("could not be read"):
            yield from self._query(columns, where, None).to_batches(_BATCH_ROWS)

    def count(self) -> int:
        """Return the number of rows."""
        with self._errors("could not be read"):
            return int(self._inner.count_rows())

    def wear(self, *, quiet: bool, weight: int) -> float:
        """Return how far the table is from having to be compacted, 1 and more: it has to be.

        A compaction writes most of a table anew, so that a large one is compacted more seldom, and
        one with wide rows, `weight` times as wide as others, more seldom still.
        """
        if not self.commits:
            return 0.0
        least, rows = _QUIET_LIMITS if quiet else _BUSY_LIMITS
        return self.commits / max(least, weight * self.count() // rows)

    def compact(self) -> None:
        """Merge small files, and remove what older versions alone refer to; if there is any.

        Where that fails, or a clock that was set back keeps an older version, it stays due.
        """
        commits = self.commits
        if not commits:
            return
        with self._errors("could not be compacted"):
            self._inner.optimize(cleanup_older_than=_KEEP_VERSIONS)
            if len(self._inner.list_versions()) > 1:
                # its own first version is of the same millisecond, and names what was deleted
                time.sleep(2 * _KEEP_VERSIONS.total_seconds())
                self._inner.optimize(cleanup_older_than=_KEEP_VERSIONS)
                if len(self._inner.list_versions()) > 1:
                    return
        self.commits -= commits

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema that the rows have on disk."""
        with self._errors("could not be read"):
            return self._inner.schema

    def _query(self, columns: list[str] | None, where: str, limit: int | None) -> Any:
        query = self._inner.search()
        if where:
            query = query.where(where)
        if limit is not None:
            query = query.limit(limit)
        return query.select(columns) if columns is not None else query

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        self._database.guard()
        with self._errors("could not be written"):
            yield

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, OSError, ValueError) as error:
            raise self._wrapped(what, error) from error

    def _wrapped(self, what: str, error: Exception) -> StoreError:
        place = self._database.place
        return StoreError(
            f"memory table {self._name} in {place.shown} {what}: {_reason(error, place)}",
            cure_of(error),
        )


@dataclass(frozen=True, slots=True)
class DiskUse:
    """Files, their bytes, and the versions of tables among them."""

    files: int
    bytes: int
    versions: int


class Database:
    """A place with tables: a directory or any other LanceDB URI."""

    def __init__(self, place: Place | str | Path) -> None:
        self.place = place if isinstance(place, Place) else Place(str(place))
        self.guard: Callable[[], None] = _unguarded
        """Called before every write; raises where this process may not write any more."""
        self.uri = self.place.uri
        try:
            self._inner = lancedb.connect(self.place.uri, **self.place.connection())
            self._names = set(self._inner.list_tables().tables)
        except (RuntimeError, OSError, ValueError) as error:
            raise self._unusable(error) from error

    def table(self, name: str, schema: pa.Schema, first: pa.Table | None = None) -> Table:
        """Open the table; make it where it is missing, with its `first` rows in one commit."""
        try:
            if name in self._names:
                inner = self._inner.open_table(name)
            else:
                inner = self._made(name, schema, first)
                self._names.add(name)
        except (RuntimeError, OSError, ValueError) as error:
            raise self._unusable(error, f"memory table {name} in") from error
        table = Table(inner, name, self)
        if self.place.directory is not None:  # elsewhere each version is a request
            with contextlib.suppress(RuntimeError, OSError, ValueError):  # a damaged old version
                table.commits = len(inner.list_versions()) - 1
        return table

    def _made(self, name: str, schema: pa.Schema, first: pa.Table | None) -> Any:
        try:
            return self._inner.create_table(name, first, schema=schema)
        except ValueError as error:
            if "already exists" not in str(error):
                raise
            return self._inner.open_table(name)  # another process was a moment before us

    def has(self, name: str) -> bool:
        """Tell whether the table exists."""
        return name in self._names

    def drop(self, name: str) -> None:
        """Remove the table with all its rows."""
        try:
            self._inner.drop_table(name)
        except (RuntimeError, OSError, ValueError) as error:
            raise self._unusable(error) from error
        self._names.discard(name)

    def size_on_disk(self) -> DiskUse:
        """Return what lies in the directory; zeros where the place is none."""
        root = self.place.directory
        sizes = []
        versions = 0
        for path in root.rglob("*") if root is not None and root.is_dir() else ():
            with contextlib.suppress(OSError):  # compaction may remove it meanwhile
                status = path.lstat()
                versions += path.suffix == ".manifest"
                sizes.append(status.st_size if path.is_file() else None)
        files = [size for size in sizes if size is not None]
        return DiskUse(len(files), sum(files), versions)

    def _unusable(self, error: Exception, what: str = "the memory at") -> StoreError:
        return StoreError(
            f"{what} {self.place.shown} cannot be used: {_reason(error, self.place)}",
            cure_of(error),
        )


def _unguarded() -> None:
    """Let every write pass: the lock of the data directory guards what lies in it."""


def _reason(error: Exception, place: Place) -> str:
    first = place.without_secrets(str(error)).strip().splitlines()
    found = _STRUCTURES.search(first[0]) if first else None
    if found is not None:
        return f"{found[1]}: {found[2]}"
    return _SOURCE_LINE.sub("", first[0])[:300] if first else type(error).__name__


def cure_of(error: Exception) -> str:
    """Return what to do about a failure of the disk or of the library."""
    text = str(error).lower()
    if "no space left" in text or getattr(error, "errno", None) == errno.ENOSPC:
        return "The disk is full: free some space, then try again"
    if "permission denied" in text or "read-only file system" in text:
        return "Make the directory readable and writable for you"
    return "Look at the disk and the directory; a damaged one is replaced by a backup or an export"
