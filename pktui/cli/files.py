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

    Raises `PktuiError` where there is a file of that name already, `OSError`.
    """
    if target.exists():
        raise PktuiError(f"{target} is there already", "Name a new file")
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        with open(os.open(draft, flags, PRIVATE_FILE), "wb") as file:  # noqa: PTH123  a descriptor
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.rename(target)
    finally:
        draft.unlink(missing_ok=True)
