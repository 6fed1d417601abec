"""Replaces a policy file whole, or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from pktui.errors import PolicyConflict, PolicyError
from pktui.files import PRIVATE_FILE, lock, make_directories, write_whole
from pktui.policy.document.policy import read_bytes

_PATIENCE_SECONDS = 5.0


def read_or_none(path: Path) -> bytes | None:
    """Return the file's bytes, None where there is no file; raises `PolicyError`."""
    try:
        return read_bytes(path)
    except PolicyError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise


def replace_file(path: Path, expected: bytes | None, new: bytes) -> None:
    """Write the file by renaming a synced temporary file over it, keeping its mode.

    `expected` is what it must hold now (None: it must not exist); raises `PolicyConflict` where
    it holds anything else, `PolicyError` where it cannot be written. A symbolic link stays one.
    """
    target = Path(os.path.realpath(path))
    try:
        make_directories(target.parent)
        with _locked(target.parent):
            if read_or_none(target) != expected:
                raise PolicyConflict(
                    f"{path} changed since it was read; nothing was written",
                    "Look at it again and repeat the change",
                )
            mode = target.stat().st_mode & 0o777 if target.exists() else PRIVATE_FILE
            write_whole(target, new, mode=mode)
    except OSError as error:
        raise PolicyError(
            f"policy {path} cannot be written: {error.strerror or error}",
            "Make the file and its directory writable",
        ) from error


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock, so that no lock file is left lying about.

    Raises `PolicyError` where somebody else keeps it for `_PATIENCE_SECONDS`.
    """
    handle = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if not lock(handle, seconds=_PATIENCE_SECONDS):
            raise PolicyError(
                f"another program keeps the policies in {directory} locked",
                "Wait for it, or end it",
            )
        yield
    finally:
        os.close(handle)
