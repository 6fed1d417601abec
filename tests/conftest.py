"""Fixtures every room shares: throwaway directories, and no way to reach a person's own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from pktui.settings import Paths

if TYPE_CHECKING:
    from tests.support.postgres import Server

# what a terminal, a CI or a proxy around the tests says is not for what is tested; typer reads some
# of it as soon as it is imported
for name in tuple(os.environ):
    if name.startswith(("PKTUI_", "TEXTUAL", "TYPER_", "CLICOLOR", "TTY_")) and (
        name != "TEXTUAL_SNAPSHOT_TEMPDIR"
    ):
        del os.environ[name]
for name in (
    *("NO_COLOR", "FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "COLUMNS", "LINES"),
    *("TERMINAL_WIDTH", "SSH_CONNECTION", "XDG_RUNTIME_DIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
):
    os.environ.pop(name, None)

# the same examples in every run, and none judged by how long a busy machine took for it
settings.register_profile(
    "pktui", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("pktui")

# Beyond the processors: most tests wait for processes, clocks and the disk.
_MORE_WORKERS = 2


def pytest_xdist_auto_num_workers() -> int | None:
    """Return how many processes `-n auto` starts; None: what the environment says."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return (
        len(os.sched_getaffinity(0)) + _MORE_WORKERS if hasattr(os, "sched_getaffinity") else None
    )


@pytest.fixture(autouse=True)
def _own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PKTUI_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("PKTUI_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def ended_pid() -> int:
    """Return the pid of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture(autouse=True)
def _nobody_started_us(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tests decide and widen also where an agent runs them."""
    monkeypatch.setattr("pktui.person.ancestors", lambda: ())


@pytest.fixture(autouse=True)
def managed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put what is managed into a directory of this test, not there yet, in place of root's."""
    directory = tmp_path / "managed"
    monkeypatch.setattr("pktui.policy.managed.DIRECTORY", directory)
    return directory


@pytest.fixture
def _patient_discovery(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the SDK's client wait for a slow server before it takes it for one of the older era."""
    monkeypatch.setattr("mcp.client.session.DISCOVER_TIMEOUT_SECONDS", 60)


@pytest.fixture
def paths() -> Paths:
    """Directories of this test alone, the ones the environment names."""
    return Paths.from_environment()


@pytest.fixture(scope="session")
def postgres(testrun_uid: str) -> Iterator[Server]:
    """A PostgreSQL that all workers of this run share; it ends with the last of them."""
    from tests.support.postgres import Server

    server = Server(testrun_uid)
    yield server
    server.close()  # a worker that ends may have no time for it


@pytest.fixture
def in_zone() -> Iterator[Callable[[str], None]]:
    """Put this process in a time zone, such as Asia/Tokyo, until the test ends."""

    def put(zone: str) -> None:
        patch.setenv("TZ", zone)
        time.tzset()

    with pytest.MonkeyPatch.context() as patch:
        yield put
    time.tzset()
