"""Fixtures every room shares: throwaway directories, and no way to reach a person's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from pktui.settings import Paths

# the same examples in every run, and none judged by how long a busy machine took for it
settings.register_profile(
    "pktui", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("pktui")


@pytest.fixture(autouse=True)
def _own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PKTUI_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("PKTUI_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)


@pytest.fixture
def _patient_discovery(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the SDK's client wait for a slow server before it takes it for one of the older era."""
    monkeypatch.setattr("mcp.client.session.DISCOVER_TIMEOUT_SECONDS", 60)


@pytest.fixture
def paths() -> Paths:
    """Directories of this test alone, the ones the environment names."""
    return Paths.from_environment()
