"""A search index that is due is written once nothing changes, whatever made it due."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pktui.memory.client import MemoryClient
from pktui.memory.service import background
from pktui.memory.store import Store, saved_index
from tests.memory.service.test_lifetime import ADA, until
from tests.memory.store.conftest import embed_all, log
from tests.support.embedder import WordsEmbedder
from tests.support.memory_service import paths_in, running_service

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_index, "_WORTH_IT", 1)
    monkeypatch.setattr(background, "QUIET_S", 0.0)
    monkeypatch.setattr(background, "ROUND_S", 0.01)


def test_a_service_writes_what_an_earlier_one_left_due(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    with Store.open(paths.memory_dir, WordsEmbedder()) as store:
        log(store, store.start_session("kept", ADA).id, "one", "two")
        embed_all(store)
    file = paths.memory_dir / saved_index.NAME
    assert not file.exists()
    with running_service(paths):
        until(file.exists)


def test_a_deletion_leaves_it_unwritten_for_a_moment_only(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    file = paths.memory_dir / saved_index.NAME
    with running_service(paths):
        client = MemoryClient(paths, ADA, start=False)
        gone = client.start_session("gone")
        client.log("user", "goes")
        client.start_session("kept")
        client.log("user", "stays")
        until(file.exists)
        before = file.stat().st_ino
        client.delete_session(gone.id)
        until(lambda: file.exists() and file.stat().st_ino != before)
        assert b"goes" not in file.read_bytes()
        client.close()
