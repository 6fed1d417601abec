"""A store of the test's own, with a clock that stands still and a small model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pktui.memory.records import Identity, Message, NewMessage, Role
from pktui.memory.store import Store
from tests.support.clock import Clock
from tests.support.embedder import WordsEmbedder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADA = Identity(agent="claude-code", project="/home/ada/shop")
BEN = Identity(agent="codex", project="/home/ben/api")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "memory"


@pytest.fixture
def store(place: Path, clock: Clock) -> Iterator[Store]:
    with Store.open(place, WordsEmbedder(), clock=clock) as opened:
        yield opened


def log(store: Store, session_id: int, *contents: str, role: Role = "user") -> tuple[Message, ...]:
    """Append messages with these contents."""
    return store.append([NewMessage(session_id, role, content) for content in contents])


def embed_all(store: Store) -> None:
    """Make every vector that waits."""
    while store.embed_pending():
        pass
