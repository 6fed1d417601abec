"""Fixtures every room shares: throwaway directories, and no way to reach a person's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from pktui.settings import Paths


@pytest.fixture(autouse=True)
def _own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PKTUI_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("PKTUI_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)


@pytest.fixture
def paths() -> Paths:
    """Directories of this test alone, the ones the environment names."""
    return Paths.from_environment()
