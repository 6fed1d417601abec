"""The bytes of an agent's config file, which in a project may be anything: a pipe, a device."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

# Claude Code keeps its history in the same file as its servers, so the limit is generous.
MAX_BYTES: Final = 64 * 1024 * 1024


def read_config(file: Path) -> bytes | None:
    """Return a file's bytes, None where there is none; never waits.

    Raises `OSError`, and `ValueError` for what is no file or too large for a config.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is no regular file")
        raw = opened.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ValueError(f"it has over {MAX_BYTES} bytes, more than a config can have")
    return raw
