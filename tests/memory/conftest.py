"""One running service for the tests of a file that only need one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pktui.memory.client import MemoryClient
from pktui.memory.records import Identity
from tests.support.memory_service import paths_in, running_service

if TYPE_CHECKING:
    from pktui.settings import Paths

ADA = Identity(agent="claude-code", project="/home/ada/ünïcode shop")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Paths]:
    """Directories that a service with a small model serves."""
    paths = paths_in(tmp_path_factory.mktemp("served"))
    with running_service(paths):
        yield paths


@pytest.fixture
def memory(served: Paths) -> Iterator[MemoryClient]:
    """A client of that service, seen as Ada's agent."""
    client = MemoryClient(served, ADA, start=False)
    yield client
    client.close()
