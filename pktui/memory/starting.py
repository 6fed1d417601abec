"""Start the memory service on demand and wait until it listens.

Any number of clients may ask at once: one of them starts the service, the others wait with it.
The service outlives who started it; its words go to `logs/memory.log`.

An owner that says of itself that it starts or ends is waited for. One that holds the lock, says
nothing of the kind and takes no connections will not: that is an error, soon.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pktui import lasting
from pktui.errors import MemoryUnavailable
from pktui.files import lock, make_private_directory, open_private
from pktui.memory import rendezvous
from pktui.memory.rendezvous import Meeting, listens

if TYPE_CHECKING:
    from pktui.settings import Paths

START_TIMEOUT_S = 30.0
# The first may meet the service before it, which took the lock a moment earlier.
ATTEMPTS = 2
# What an owner that does not answer gets: it may have taken the lock this very moment, or be about
# to notice that its socket is gone.
SILENCE_S = 2.0
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

    Raises `MemoryUnavailable` where what holds the data directory does not answer, or with the
    log's last line where the service does not come up in time; `SettingsError` where its
    directories are another user's.
    """
    if listens(paths):
        return
    make_private_directory(paths.data_dir)
    deadline = time.monotonic() + timeout_s
    silence = _Silence(paths)
    turn = open_private(paths.memory_start, os.O_RDWR)
    started: list[_Child] = []
    try:
        for pause in _pauses():
            if listens(paths):
                return
            owner = find_owner(paths)
            silence.check(owner)
            over = bool(started) and started[-1].process.poll() is not None and owner is None
            free = owner is None and _may_start(started, over=over)
            if free and lock(turn):
                started.append(_spawn(paths, turn))
            elif over or time.monotonic() > deadline:
                raise _did_not_start(paths, started, ended=over)
            time.sleep(pause)
    finally:
        os.close(turn)


def start_soon(paths: Paths) -> None:
    """Start the memory service where none is, and don't wait for it; what fails is in its log.

    Raises `MemoryUnavailable` where it cannot be started at all, `SettingsError`, `OSError`.
    """
    if listens(paths) or find_owner(paths) is not None:
        return
    make_private_directory(paths.data_dir)
    turn = open_private(paths.memory_start, os.O_RDWR)
    try:
        if lock(turn):
            _spawn(paths, turn)
    finally:
        os.close(turn)


@dataclass(frozen=True, slots=True)
class Owner:
    """What holds the lock of a data directory: the process id in it, 0 where it tells none."""

    pid: int
    meeting: Meeting | None

    @property
    def changing(self) -> bool:
        """Tell whether it says that it listens in a moment, or no more."""
        return self.meeting is not None and self.meeting.state != "listening"

    def silent(self, paths: Paths) -> MemoryUnavailable:
        """Return what is told to those who want something of it and get no answer."""
        who = f"process {self.pid}" if self.pid else "a process that is not known"
        if self.meeting is None:
            return MemoryUnavailable(
                f"a memory service of another version of pktui ({who}) has {paths.data_dir}",
                "End it with pktui memory stop, nothing is lost; then try again",
            )
        if self.changing:
            return MemoryUnavailable(
                f"the memory service ({who}) is {self.meeting.state}", "Try again in a moment"
            )
        return MemoryUnavailable(
            f"the memory service ({who}) has {paths.data_dir}, but does not answer at "
            f"{rendezvous.socket_of(paths, self.meeting)}",
            f"End it with pktui memory stop, then try again; its log is {memory_log(paths)}",
        )


def find_owner(paths: Paths) -> Owner | None:
    """Return what holds the data directory, None where nothing does."""
    try:
        held = os.open(paths.memory_lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if lock(held, shared=True):
            return None
        text = os.pread(held, 20, 0).strip()
    finally:
        os.close(held)
    pid = int(text) if text.isdigit() else 0
    said = rendezvous.read(paths)
    return Owner(pid, said if said is not None and (said.pid == pid or not pid) else None)


def end_owner(paths: Paths) -> bool:
    """Ask the process that holds the data directory to end where it cannot be asked by its socket.

    Returns whether there is one that is known for certain: its number may be of another machine's
    or container's process.
    """
    owner = find_owner(paths)
    if owner is None or not owner.pid or not _has_open(owner.pid, paths.memory_lock):
        return False
    os.kill(owner.pid, signal.SIGTERM)
    os.kill(owner.pid, signal.SIGCONT)  # one that was stopped hears nothing
    return True


def _has_open(pid: int, file: Path) -> bool:
    """Tell whether the process has the file open; false where the system does not tell."""
    try:
        wanted = file.stat()
        return any(
            os.path.samestat(wanted, descriptor.stat())
            for descriptor in Path(f"/proc/{pid}/fd").iterdir()
            if descriptor.exists()
        )
    except OSError:
        return False


class _Silence:
    """How long the same owner has neither answered nor said that it will."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._owner: Owner | None = None
        self._since = 0.0

    def check(self, owner: Owner | None) -> None:
        """Raise `MemoryUnavailable` where that is long enough."""
        now = time.monotonic()
        if owner is None or owner.changing or owner != self._owner:
            self._owner, self._since = owner, now
        elif now - self._since >= SILENCE_S:
            raise owner.silent(self._paths)


def _may_start(started: list[_Child], *, over: bool) -> bool:
    return not started or (over and len(started) < ATTEMPTS)


def wait_until_gone(paths: Paths, *, timeout_s: float = START_TIMEOUT_S) -> None:
    """Return once no service holds the data directory; raises `MemoryUnavailable` in the end."""
    deadline = time.monotonic() + timeout_s
    for pause in _pauses():
        if find_owner(paths) is None:
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


def _spawn(paths: Paths, turn: int) -> _Child:
    """Start a service, which keeps the turn for as long as it runs, whoever started it ends or not.

    Else the next client would start another one, to take over when the first is told to end.
    """
    make_private_directory(paths.logs_dir)
    log = open_private(memory_log(paths), os.O_WRONLY | os.O_APPEND)
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
    lasting.start("memory-service-reaper", process.wait)
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
