"""The titles of Codex's sessions, from the newest `state_N.sqlite` beside them."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pktui.memory.importers.sqlite import columns, read_only
from pktui.text import storable

if TYPE_CHECKING:
    from pktui.memory.importers.source import Rejects

_STATE: Final = re.compile(r"state_(\d{1,9})\.sqlite")
# Directories above a rollout, up to the one that holds the state: day, month, year, sessions.
_ABOVE: Final = 5
_LONGEST: Final = 200


def titles(path: Path, rejects: Rejects) -> dict[str, str]:
    """Return titles by session; empty where there is no such file, one that fails is named."""
    state = _state(path)
    if state is None:
        return {}
    try:
        with read_only(state) as database:
            known = columns(database, "threads")
            if not {"id", "title"} <= known:
                return {}
            given = "coalesce(nullif(trim(name), ''), title)" if "name" in known else "title"
            rows = database.execute(f"SELECT id, {given} AS title FROM threads")  # noqa: S608
            return {row["id"]: _line(row["title"]) for row in rows if _is_titled(row)}
    except (OSError, sqlite3.Error) as error:
        rejects.add(storable(state.name), f"cannot be read, so sessions have no titles: {error}")
        return {}


def _state(path: Path) -> Path | None:
    for directory in (path, *path.absolute().parents[:_ABOVE]):
        found = {
            int(name[1]): one
            for one in (directory.glob("state_*.sqlite") if directory.is_dir() else ())
            if (name := _STATE.fullmatch(one.name))
        }
        if found:
            return found[max(found)]
    return None


def _is_titled(row: sqlite3.Row) -> bool:
    return isinstance(row["id"], str) and isinstance(row["title"], str)


def _line(title: str) -> str:
    """Return a title's first line; it is the whole first prompt where nobody gave one."""
    return next(iter(title.strip().splitlines()), "")[:_LONGEST]
