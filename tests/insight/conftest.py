"""A ledger, paths and a clock of this test alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pktui.files import make_private_directory
from pktui.ledger import Ledger
from tests.ledger.conftest import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pktui.settings import Paths


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(paths: Paths, clock: Clock) -> Iterator[Ledger]:
    make_private_directory(paths.data_dir)
    make_private_directory(paths.policies_dir)
    opened = Ledger.open(paths.ledger_file, clock=clock)
    yield opened
    opened.close()
