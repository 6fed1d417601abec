"""Start the memory service on demand and wait until it listens.

Any number of clients may ask at once: one of them starts the service, the others wait with it.
The service outlives who started it; its words go to `logs/memory.log`.
"""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pktui.errors import MemoryUnavailable
from pktui.settings import PRIVATE_FILE, Paths, check_own_directory, make_private_directory

START_TIMEOUT_S = 30.0
ATTEMPTS = 2
"""The first may meet the service before it, which has stopped listening and is about to end."""
_FIRST_PAUSE_S = 0.01
_LONGEST_PAUSE_S = 0.2
_LONGEST_LOG_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Child:
    """A service that was started here, and where in the log its own words begin."""

    process: subprocess.Popen[bytes]
    log_start: int


def ensure_service(paths: Paths, *, timeout_s: float = START_TIMEOUT_S) -> None:
    """Return once the memory service listens, starting it where none does.

    Raises `MemoryUnavailable` with the log's last line where it does not come up in time,
    `SettingsError` where its directories are another user's.
    """
    check_own_directory(paths.runtime_dir)
    if listens(paths.memory_socket):
        return
    make_private_directory(paths.data_dir)
    make_private_directory(paths.runtime_dir)
    deadline = time.monotonic() + timeout_s
    turn = os.open(paths.runtime_dir / "memory.start", os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    started: list[_Child] = []
    try:
        for pause in _pauses():
            if listens(paths.memory_socket):
                return
            over = bool(started) and started[-1].process.poll() is not None and not _owned(paths)
            if _may_start(started, over=over) and _locked(turn, fcntl.LOCK_EX):
                started.append(_spawn(paths, turn))
            elif over or time.monotonic() > deadline:
                raise _did_not_start(paths, started, ended=over)
            time.sleep(pause)
    finally:
        os.close(turn)


def listens(path: Path) -> bool:
    """Tell whether anything accepts connections on the Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _may_start(started: list[_Child], *, over: bool) -> bool:
    return not started or (over and len(started) < ATTEMPTS)


def wait_until_gone(paths: Paths, *, timeout_s: float = START_TIMEOUT_S) -> None:
    """Return once no service holds the data directory; raises `MemoryUnavailable` in the end."""
    deadline = time.monotonic() + timeout_s
    for pause in _pauses():
        if not _owned(paths):
            return
        if time.monotonic() > deadline:
            raise MemoryUnavailable(
                f"the memory service of {paths.data_dir} has not ended yet",
                f"See {memory_log(paths)}; its process id is in {paths.memory_lock}",
            )
        time.sleep(pause)


def memory_log(paths: Paths) -> Path:
    """Return the file that a service started on demand writes its words to."""
    return paths.logs_dir / "memory.log"


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE_S
    while True:
        yield pause
        pause = min(pause * 1.5, _LONGEST_PAUSE_S)


def _locked(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _spawn(paths: Paths, turn: int) -> _Child:
    """Start a service, which keeps the turn for as long as it runs, whoever started it ends or not.

    Else the next client would start another one, to take over when the first is told to end.
    """
    make_private_directory(paths.logs_dir)
    log = os.open(memory_log(paths), os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
    try:
        if os.fstat(log).st_size > _LONGEST_LOG_BYTES:
            os.ftruncate(log, 0)
        start = os.fstat(log).st_size
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pktui", "memory", "serve"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd=paths.data_dir,
            env=child_environment(paths),
            start_new_session=True,
            pass_fds=(turn,),
        )
    except OSError as error:
        raise MemoryUnavailable(
            f"the memory service cannot be started: {error.strerror or error}",
            "Start it by hand with pktui memory serve to see more",
        ) from error
    finally:
        os.close(log)
    threading.Thread(target=process.wait, name="memory-service-reaper", daemon=True).start()
    return _Child(process, start)


def child_environment(paths: Paths) -> dict[str, str]:
    """Name the directories, and this very package where it is not an installed one.

    The child runs with `-P`: nothing in a working directory may stand in for its modules.
    """
    import sysconfig

    environment = dict(os.environ)
    environment["PKTUI_CONFIG_DIR"] = str(paths.config_dir)
    environment["PKTUI_DATA_DIR"] = str(paths.data_dir)
    home = str(Path(sys.modules["pktui"].__file__ or "").parents[1])
    if home not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        known = [home, environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(part for part in known if part)
    return environment


def _owned(paths: Paths) -> bool:
    """Tell whether a service holds the data directory, listening or not yet."""
    try:
        file = os.open(paths.memory_lock, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _locked(file, fcntl.LOCK_SH)
    finally:
        os.close(file)


def _did_not_start(paths: Paths, started: list[_Child], *, ended: bool) -> MemoryUnavailable:
    log = memory_log(paths)
    try:
        words = log.read_bytes()[started[-1].log_start if started else 0 :].decode(errors="replace")
    except OSError:
        words = ""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    what = "the memory service ended at its start" if ended else "the memory service is not up yet"
    return MemoryUnavailable(
        f"{what}: {lines[-1]}" if lines else what, f"See {log}, then try again"
    )
