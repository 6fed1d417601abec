"""Writes what was planned: each file read again under a lock, kept, and replaced whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pktui.agents.adopting.plan import FileChange, Plan, digest
from pktui.agents.adopting.record import Adopted
from pktui.agents.config_file import read_config
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

_PATIENCE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class FileDone:
    """A file that was written, or why not; `backup` holds what was there."""

    path: Path
    problem: str = ""
    backup: Path | None = None


def carry_out(plan: Plan) -> tuple[FileDone, ...]:
    """Plan again for what is there now, and write it; returns what became of each file.

    A file that cannot be written keeps no other from it, but for servers.json: no agent is led to
    a server that did not get there, and none is taken out of it while a file may still name it.

    Raises `PktuiError` where another process adopts just now, or the record cannot be written.
    """
    with _alone(plan.paths):
        # Whatever the plan was made of may have changed while a person read it: the agents write
        # their files, and another pktui the record.
        return tuple(_carry_out(plan.again()))


def _carry_out(plan: Plan) -> Iterator[FileDone]:
    paths, planned = plan.paths, plan.record
    make_private_directory(paths.backups_dir)
    for name, raw in plan.keeps.items():
        write_whole(paths.backups_dir / name, raw)
    former = Adopted.load(paths)
    # First, so that whatever was written when the process dies can be taken back.
    Adopted(former.files | planned.files, former.servers | planned.servers).save(paths)
    failed: list[str] = []
    servers_file = str(paths.servers_file)
    for change in plan.changes:
        path = str(change.path)
        if failed and servers_file in (path, *failed):
            done = FileDone(change.path, f"left as it is, for {failed[0]} could not be written")
        else:
            done = _written(paths, change)
        if done.problem:
            failed.append(path)
        yield done
    files = {path: one for path, one in planned.files.items() if path not in failed}
    files |= {path: one for path, one in former.files.items() if path in failed}
    servers = former.servers if servers_file in failed else planned.servers
    Adopted(files, servers).save(paths)
    follow(paths, plan.stores)


def _written(paths: Paths, change: FileChange) -> FileDone:
    try:
        backup = _keep(paths, change)
        _write(change)
    except (OSError, ValueError, SettingsError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return FileDone(change.path, f"cannot be written: {why}")
    return FileDone(change.path, backup=backup)


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
    make_directories(target.parent)
    with _locked(target.parent):
        if read_config(target) != change.before:
            raise SettingsError("it was rewritten this very moment", "Try again")
        if change.after is None:
            target.unlink()
            return
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
