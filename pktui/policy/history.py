"""The last edits of a policy file, so that they can be taken back."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from pktui.errors import PolicyError
from pktui.files import make_directories, write_whole

# Edits that are kept.
DEPTH = 10


@dataclass(frozen=True, slots=True)
class Past:
    """One edit, with the whole file before and after it."""

    summary: str
    before: bytes
    after: bytes


class History:
    """A bounded stack, newest last; kept in `directory` where one is given, else in memory."""

    def __init__(self, path: Path, directory: Path | None) -> None:
        name = hashlib.sha256(os.path.realpath(path).encode(errors="surrogateescape")).hexdigest()
        self._file = directory / f"{name[:16]}.json" if directory else None
        self._past: list[Past] = []

    def last(self) -> Past | None:
        """Return the newest edit."""
        past = self._load()
        return past[-1] if past else None

    def add(self, summary: str, before: bytes, after: bytes) -> None:
        """Keep an edit, forget the oldest beyond `DEPTH`."""
        self._store([*self._load(), Past(summary, before, after)][-DEPTH:])

    def drop(self) -> None:
        """Forget the newest edit."""
        self._store(self._load()[:-1])

    def _load(self) -> list[Past]:
        if self._file is None:
            return self._past
        try:
            rows = json.loads(self._file.read_bytes())
            return [
                Past(row["summary"], row["before"].encode(), row["after"].encode()) for row in rows
            ]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return []

    def _store(self, past: list[Past]) -> None:
        self._past = past
        if self._file is None:
            return
        rows = [
            asdict(item) | {"before": item.before.decode(), "after": item.after.decode()}
            for item in past
        ]
        try:
            make_directories(self._file.parent)
            write_whole(self._file, json.dumps(rows).encode(), sync=False)
        except OSError as error:
            raise PolicyError(
                f"the edit was written, but cannot be undone: {error.strerror or error}",
                f"Make {self._file.parent} writable",
            ) from error
