"""Writes what was planned: each file read again under a lock, kept, and replaced whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pktui.agents.adopting.document import NotEditable
from pktui.agents.adopting.plan import FileChange, Plan, digest, read_config
from pktui.agents.adopting.record import Adopted
from pktui.errors import SettingsError
from pktui.files import (
    PRIVATE_FILE,
    lock,
    make_directories,
    make_private_directory,
    open_private,
    write_whole,
)
from pktui.memory.followed import follow

if TYPE_CHECKING:
    from pktui.settings import Paths

# How often a file that an agent writes meanwhile is planned anew.
_ATTEMPTS: Final = 5
_PATIENCE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class FileDone:
    """A file that was written, or why not; `backup` holds what was there."""

    path: Path
    problem: str = ""
    backup: Path | None = None


def carry_out(plan: Plan) -> tuple[FileDone, ...]:
    """Write every change; one that cannot be written keeps none of the others from it.

    Raises `PktuiError` where another process adopts just now, or the record cannot be written.
    """
    with _alone(plan.paths):
        return tuple(_carry_out(plan))


def _carry_out(plan: Plan) -> Iterator[FileDone]:
    plan = _of_now(plan)
    paths, planned = plan.paths, plan.record.files
    make_private_directory(paths.backups_dir)
    for name, raw in plan.keeps.items():
        write_whole(paths.backups_dir / name, raw)
    record = Adopted.load(paths)
    former = dict(record.files)
    record.files |= planned
    record.servers = plan.record.servers
    record.save(paths)  # first, so that a file that was written can always be taken back
    failed: set[str] = set()
    for change in plan.changes:
        done = _written(paths, change)
        if done.problem:
            failed.add(str(change.path))
        yield done
    kept = failed & former.keys()
    record.files = {path: one for path, one in planned.items() if path not in failed}
    record.files |= {path: former[path] for path in kept}
    record.save(paths)
    follow(paths, plan.stores)


def _of_now(plan: Plan) -> Plan:
    """Return the plan for what the files hold now; agents rewrite theirs at any time."""
    for _ in range(_ATTEMPTS):
        if all(_is_as_planned(change) for change in plan.changes):
            return plan
        plan = plan.again()
    raise SettingsError("a file is rewritten all the time", "End the agent, try again")


def _written(paths: Paths, change: FileChange) -> FileDone:
    try:
        backup = _keep(paths, change)
        _write(change)
    except (OSError, SettingsError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return FileDone(change.path, f"cannot be written: {why}")
    return FileDone(change.path, backup=backup)


def _is_as_planned(change: FileChange) -> bool:
    try:
        return read_config(change.path) == change.before
    except (OSError, NotEditable):
        return False


def _keep(paths: Paths, change: FileChange) -> Path | None:
    """Keep what is there by the hash of it, so that each is kept once."""
    if change.before is None:
        return None
    backup = paths.backups_dir / digest(change.before)
    if not backup.exists():
        write_whole(backup, change.before)
    return backup


def _write(change: FileChange) -> None:
    target = Path(os.path.realpath(change.path))
    if change.after is None:
        target.unlink(missing_ok=True)
        return
    make_directories(target.parent)
    with _locked(target.parent):
        if read_config(target) != change.before:
            raise SettingsError("it was rewritten this very moment", "Try again")
        mode = target.stat().st_mode & 0o777 if target.exists() else PRIVATE_FILE
        write_whole(target, change.after, mode=mode)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    handle = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if not lock(handle, seconds=_PATIENCE_S):
            raise SettingsError(f"another program keeps {directory} locked", "Wait for it")
        yield
    finally:
        os.close(handle)


@contextmanager
def _alone(paths: Paths) -> Iterator[None]:
    make_private_directory(paths.data_dir)
    handle = open_private(paths.adopted_file.with_suffix(".lock"), os.O_RDWR)
    try:
        if not lock(handle, seconds=_PATIENCE_S):
            raise SettingsError("another pktui adopts or releases just now", "Wait for it")
        yield
    finally:
        os.close(handle)
