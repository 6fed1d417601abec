"""Files and directories for their owner alone, files written whole or not at all, and locks.

Everything that pktui keeps is made here: directories with mode 0700, files with mode 0600.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from pktui.errors import PktuiError, SettingsError

PRIVATE_DIRECTORY: Final = 0o700
PRIVATE_FILE: Final = 0o600
OTHERS: Final = 0o077
# Seconds between two looks at a lock that somebody else holds, at first and at most: the holder of
# one that is waited for on a call's path lets it go within microseconds.
_FIRST_LOOK: Final = 20e-6
_LOOK_SECONDS: Final = 0.001


def make_directories(path: Path) -> None:
    """Make the directory, and those it is in, with mode 0700; raises `OSError`."""
    for directory in reversed((path, *path.parents)):
        if not directory.exists():
            directory.mkdir(exist_ok=True, mode=PRIVATE_DIRECTORY)


def make_private_directory(path: Path) -> Path:
    """Make the directory with mode 0700, parents too; refuse one that another user owns.

    Raises `SettingsError`.
    """
    try:
        make_directories(path)
        owner = path.stat().st_uid
    except OSError as error:
        raise SettingsError(
            f"directory {path} cannot be made: {error.strerror or error}",
            "Make it writable, or set PKTUI_DATA_DIR and PKTUI_CONFIG_DIR to another place",
        ) from error
    if owner != os.getuid():
        raise SettingsError(
            f"directory {path} belongs to another user (uid {owner})",
            "Remove it, or set PKTUI_DATA_DIR to a directory of your own",
        )
    return path


def check_own_directory(path: Path) -> None:
    """Raise `SettingsError` where others could have put the directory there, or could change it.

    It must be the user's alone, and the one around it the user's or the system's; what is missing
    is nobody's.
    """
    user = os.getuid()
    for directory, owners in ((path.parent, {user, 0}), (path, {user})):
        try:
            found = directory.stat()
        except OSError:
            continue
        if found.st_uid not in owners:
            raise SettingsError(
                f"directory {directory} belongs to another user (uid {found.st_uid})",
                "Remove it, or set PKTUI_DATA_DIR to a directory of your own with a shorter path",
            )
        if directory is path and found.st_mode & OTHERS:
            raise SettingsError(
                f"directory {path} is open to others (mode {stat.S_IMODE(found.st_mode):04o})",
                f"Run chmod {PRIVATE_DIRECTORY:o} {path}",
            )


def open_private(path: Path, flags: int) -> int:
    """Open the file, made with mode 0600 where it is missing; return its descriptor.

    `flags` are those of `os.open`, without `O_CREAT` and `O_CLOEXEC`. Raises `OSError`.
    """
    return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)


@contextmanager
def replacing(
    path: Path, *, mode: int = PRIVATE_FILE, sync: bool = True, one_writer: bool = False
) -> Iterator[BinaryIO]:
    """Give a file to write that takes the place of the one at `path` once the block ends well.

    It is a draft in the same directory until then. `sync` waits for the disk before and after the
    rename. With `one_writer` the draft has a name of its own, so that the next draft takes the
    place of one that a killed process left: for large files, of which nobody else writes this one.
    Raises `OSError`.
    """
    tail = "new" if one_writer else os.urandom(6).hex()
    draft = path.with_name(f".{path.name}.{tail}")
    if one_writer:
        draft.unlink(missing_ok=True)
    try:
        descriptor = open_private(draft, os.O_WRONLY | os.O_EXCL)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fchmod(descriptor, mode)
            if sync:
                os.fsync(descriptor)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if sync:
        sync_directory(path.parent)


def write_whole(path: Path, data: bytes, *, mode: int = PRIVATE_FILE, sync: bool = True) -> None:
    """Put the bytes in place of the file's, all of them or none; raises `OSError`."""
    with replacing(path, mode=mode, sync=sync) as file:
        file.write(data)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write that gets its name, mode 0600, once the block ends well.

    Raises `PktuiError` where there is a file of that name already or none can be made, `OSError`.
    """
    if os.path.lexists(path):
        raise PktuiError(f"{path} is there already", "Name a new file")
    with ExitStack() as draft:
        try:
            file = draft.enter_context(replacing(path))
        except OSError as error:
            raise PktuiError(
                f"{path} cannot be written: {error.strerror or error}",
                "Name a file in a directory that is there and that you may write to",
            ) from error
        yield file


def sync_directory(path: Path) -> None:
    """Wait until the names in the directory are on the disk; raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock(descriptor: int, *, shared: bool = False, seconds: float = 0.0) -> bool:
    """Take the kernel's lock of an open file, waiting so long for it; tell whether it was got.

    It ends with the descriptor, and so with the process however that ends.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    until, pause = 0.0, _FIRST_LOOK
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            now = time.monotonic()
            until = until or now + seconds
            if now >= until:
                return False
            time.sleep(pause)
            pause = min(_LOOK_SECONDS, pause * 1.5)
        else:
            return True


def unlock(descriptor: int) -> None:
    """Give the kernel's lock of an open file back."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
