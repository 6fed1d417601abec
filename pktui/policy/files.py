"""Replaces a policy file whole, or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from pktui.errors import PolicyConflict, PolicyError
from pktui.policy.document import read_bytes

_PRIVATE_FILE = 0o600
_PRIVATE_DIRECTORY = 0o700
_PATIENCE_SECONDS = 5.0
_LOOK_SECONDS = 0.01


def read_or_none(path: Path) -> bytes | None:
    """Return the file's bytes, None where there is no file; raises `PolicyError`."""
    try:
        return read_bytes(path)
    except PolicyError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise


def make_directory(path: Path) -> None:
    """Make the directory, and those it is in, for its owner alone; raises `OSError`."""
    for directory in reversed((path, *path.parents)):
        if not directory.exists():
            directory.mkdir(exist_ok=True, mode=_PRIVATE_DIRECTORY)


def replace_file(path: Path, expected: bytes | None, new: bytes) -> None:
    """Write the file by renaming a synced temporary file over it, keeping its mode.

    `expected` is what it must hold now (None: it must not exist); raises `PolicyConflict` where
    it holds anything else, `PolicyError` where it cannot be written. A symbolic link stays one.
    """
    target = Path(os.path.realpath(path))
    try:
        make_directory(target.parent)
        with _locked(target.parent) as directory:
            if read_or_none(target) != expected:
                raise PolicyConflict(
                    f"{path} changed since it was read; nothing was written",
                    "Look at it again and repeat the change",
                )
            _write_over(target, new)
            os.fsync(directory)
    except OSError as error:
        raise PolicyError(
            f"policy {path} cannot be written: {error.strerror or error}",
            "Make the file and its directory writable",
        ) from error


def _write_over(target: Path, new: bytes) -> None:
    import tempfile

    mode = target.stat().st_mode & 0o777 if target.exists() else _PRIVATE_FILE
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(new)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(temporary, target)  # noqa: PTH105  the temporary name is a string
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)  # noqa: PTH108
        raise


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[int]:
    """Hold the directory's lock, so that no lock file is left lying about.

    Raises `PolicyError` where somebody else keeps it for `_PATIENCE_SECONDS`.
    """
    handle = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not _try_lock(handle):
            if time.monotonic() > deadline:
                raise PolicyError(
                    f"another program keeps the policies in {directory} locked",
                    "Wait for it, or end it",
                )
            time.sleep(_LOOK_SECONDS)
        yield handle
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
