"""A file that is there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pktui.errors import PktuiError
from pktui.settings import PRIVATE_FILE


@contextmanager
def whole_file(target: Path) -> Iterator[BinaryIO]:
    """Give a file to write that gets its name, mode 0600, once the block has ended well.

    Raises `PktuiError` where there is a file of that name already or none can be made, `OSError`.
    """
    if target.exists():
        raise PktuiError(f"{target} is there already", "Name a new file")
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with open(_made(draft, target), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.rename(target)
    finally:
        draft.unlink(missing_ok=True)


def _made(draft: Path, target: Path) -> int:
    try:
        return os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
    except OSError as error:
        raise PktuiError(
            f"{target} cannot be written: {error.strerror or error}",
            "Name a file in a directory that is there and that you may write to",
        ) from error
