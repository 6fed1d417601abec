"""What a path really leads to, once every symbolic link is followed."""

from __future__ import annotations

import os
import stat
from typing import Final

# Links that one path may lead through, as many as the kernel follows.
_MOST_LINKS: Final = 40


def home_directory() -> str:
    """Return this person's home, absolute, or an empty text where none is known."""
    home = os.path.expanduser("~")  # noqa: PTH111  a Path would fail without a home
    return home if home.startswith("/") else ""


def real_path(path: str) -> str | None:
    """Follow every symbolic link of an absolute path; what does not exist yet is kept as it is.

    None where it can't be told: a directory that may not be read, links that go round, a `..`
    behind something that does not exist or is no directory, links in /proc, which lead every
    process to another place.
    """
    todo = path.split("/")[::-1]
    done: list[str] = []
    links = 0
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            done = done[:-1]
            continue
        there = "/" + "/".join([*done, part])
        try:
            mode = os.lstat(there).st_mode
            if stat.S_ISLNK(mode):
                links += 1
                if links > _MOST_LINKS or there.startswith("/proc/"):
                    return None
                target = os.readlink(there)  # noqa: PTH115
                done = [] if target.startswith("/") else done
                todo += target.split("/")[::-1]
                continue
        except FileNotFoundError:
            return _unmade([*done, part], todo)
        except (OSError, ValueError):
            return None
        done.append(part)
        if todo and not stat.S_ISDIR(mode) and ".." in todo:
            return None
    return "/" + "/".join(done)


def _unmade(done: list[str], todo: list[str]) -> str | None:
    """Return a path whose last part, and what follows it, does not exist."""
    rest = [part for part in reversed(todo) if part not in ("", ".")]
    return None if ".." in rest else "/" + "/".join([*done, *rest])
