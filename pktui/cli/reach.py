"""The memory, as the commands reach it: through its service, started where it does not run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pktui.settings import Paths

if TYPE_CHECKING:
    from pktui.memory.client import MemoryClient


@contextmanager
def memory(*, start: bool = True) -> Iterator[MemoryClient]:
    """Give a client of the memory for as long as the block runs."""
    from pktui.memory.client import MemoryClient
    from pktui.memory.records import Identity

    identity = Identity(agent="pktui", project=str(Path.cwd()))
    client = MemoryClient(Paths.from_environment(), identity, start=start)
    try:
        yield client
    finally:
        client.close()
