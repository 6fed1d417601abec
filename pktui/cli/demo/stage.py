"""Where the demo plays: directories of its own, and nothing left of them or of any process."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pktui.errors import PktuiError
from pktui.files import make_private_directory
from pktui.memory import rendezvous
from pktui.settings import Paths, bundled

PROJECT = "storefront"
ASSETS = ("assets", "demo")
# The environment variable, inherited by every process of the demo, that names its directory.
MARK = "PKTUI_DEMO"
# How long processes get to end by themselves, then again after SIGTERM.
END_SECONDS = 4.0
_PAUSE_SECONDS = 0.05

_SETTINGS = """\
[memory]
idle_minutes = 5
session_timeout_minutes = 240

[approvals]
progress_seconds = 1
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """The throwaway directories; `project` is what the agent works on."""

    root: Path
    paths: Paths
    project: Path

    @property
    def log(self) -> Path:
        """What the agent and its gateways say on standard error."""
        return self.root / "agent.log"

    def environment(self) -> dict[str, str]:
        """Return what the demo's own processes find the stage by, and this very package."""
        from pktui.memory.starting import child_environment

        return child_environment(self.paths)


@contextlib.contextmanager
def set_stage() -> Iterator[Stage]:
    """Make the directories and fill them; in the end remove them and end every process on them.

    Raises `PktuiError` in the end where a process could not be ended.
    """
    root = Path(tempfile.mkdtemp(prefix="pktui-demo-"))
    stage = Stage(root, Paths.at(root / "config", root / "data"), root / PROJECT)
    try:
        with _variables({MARK: str(root), "TORCHINDUCTOR_CACHE_DIR": str(root / "torch")}):
            _furnish(stage)
            yield stage
    finally:
        left = clear(stage)
    if left:
        raise PktuiError(
            f"processes of the demo still run: {', '.join(map(str, left))}", "End them by hand"
        )


@contextlib.contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, for processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _furnish(stage: Stage) -> None:
    paths = stage.paths
    for directory in (paths.config_dir, paths.data_dir, paths.policies_dir):
        make_private_directory(directory)
    paths.settings_file.write_text(_SETTINGS)
    shutil.copytree(bundled(*ASSETS, "workshop"), stage.project)
    shutil.copy(bundled(*ASSETS, "policies", "workshop.json"), paths.policy_file("workshop"))
    shutil.copy(bundled("config", "policies", "memory.json"), paths.policy_file("memory"))
    arguments = ["-P", "-m", "pktui.cli.demo.server", str(stage.project)]
    entry = {"command": sys.executable, "args": arguments}
    paths.servers_file.write_bytes(msgspec.json.encode({"mcpServers": {"workshop": entry}}))


def clear(stage: Stage) -> tuple[int, ...]:
    """End what still runs on the stage and remove it; return the processes that would not end."""
    end_memory(stage.paths)
    gone = wait_for(lambda: not processes_on(stage), END_SECONDS)
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if not gone:
            for pid in processes_on(stage):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sign)
            gone = wait_for(lambda: not processes_on(stage), END_SECONDS)
    rendezvous.clear(stage.paths)  # the socket may lie elsewhere
    shutil.rmtree(stage.root, ignore_errors=True)
    return processes_on(stage)


def end_memory(paths: Paths) -> None:
    """Ask the memory service to end, where one listens."""
    from pktui.memory.client import MemoryClient

    with contextlib.suppress(PktuiError):
        if not rendezvous.listens(paths):
            return
    client = MemoryClient(paths, start=False, timeout=END_SECONDS)
    with contextlib.suppress(PktuiError):
        client.stop()
    client.close()


def processes_on(stage: Stage) -> tuple[int, ...]:
    """Return the processes that were started for this stage and still run."""
    mark = os.fsencode(f"{MARK}={stage.root}")
    if Path(f"/proc/{os.getpid()}/environ").exists():
        running = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        found = [pid for pid in running if mark in _environment_of(pid)]
    else:
        listed = subprocess.run(
            ["ps", "-A", "-E", "-ww", "-o", "pid=,command="], capture_output=True, check=False
        )
        lines = (line.split() for line in listed.stdout.splitlines())
        found = [int(words[0]) for words in lines if mark in words]
    return tuple(pid for pid in found if pid != os.getpid())


def _environment_of(pid: int) -> list[bytes]:
    """Return the variables a process was started with; none of one that ended."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def wait_for(happened: Callable[[], bool], seconds: float) -> bool:
    """Wait until something has happened; False where it did not in time."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True
