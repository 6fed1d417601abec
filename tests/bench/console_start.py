"""From the start of the process to the console's first paint, in a terminal of its own.

    python -m tests.bench.console_start [RUNS]

The memory service runs already, as it does once any agent has used it; the console waits for it
neither way.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Mapping
from pathlib import Path

from pktui.errors import PktuiError
from pktui.memory.client import MemoryClient
from pktui.settings import Paths

BUDGET_S = 0.8
FRAME = b"Sessions"
LIST = b"hybrid"
SESSION = b"the session to be seen"
LIMIT_S = 30.0
ROWS, COLUMNS = 36, 120


def main(runs: int) -> None:
    """Print the median times of the frame, the list and the first session."""
    print(f"python alone            {_python_alone():.3f} s")
    with tempfile.TemporaryDirectory() as directory:
        paths = Paths.at(Path(directory, "config"), Path(directory, "data"))
        memory = MemoryClient(paths)
        paths.policies_dir.mkdir(parents=True)  # else it starts where agents are found
        paths.policy_file("files").write_text('{"version": "1", "default": "approve"}')
        try:
            memory.log("user", "hello", memory.start_session(SESSION.decode()).id)
            warm = [_one_run(paths, (FRAME, LIST, SESSION)) for _ in range(runs)]
        finally:
            with contextlib.suppress(PktuiError):
                memory.stop()
    names = ("frame painted", "list painted", "session painted", "processor time to that")
    for index, name in enumerate(names):
        median = statistics.median(times[index] for times in warm)
        print(f"{name:<24}{median:.3f} s   budget {BUDGET_S} s")


def _one_run(paths: Paths, marks: tuple[bytes, ...]) -> list[float]:
    environment = {
        **os.environ,
        "PKTUI_CONFIG_DIR": str(paths.config_dir),
        "PKTUI_DATA_DIR": str(paths.data_dir),
        "TERM": "xterm-256color",
    }
    began = time.perf_counter()
    pid, terminal = _start(environment)
    times: list[float] = []
    try:
        times = _watch(terminal, began, marks)
    finally:
        os.kill(pid, signal.SIGKILL)
        used = os.wait4(pid, 0)[2]
        os.close(terminal)
    return [*times, used.ru_utime + used.ru_stime]


def _start(environment: Mapping[str, str]) -> tuple[int, int]:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-m", "pktui"], environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    return pid, terminal


def _watch(terminal: int, began: float, marks: tuple[bytes, ...]) -> list[float]:
    seen = b""
    times: list[float] = []
    while time.perf_counter() - began < LIMIT_S:
        if select.select([terminal], [], [], 0.01)[0]:
            seen += os.read(terminal, 65536)
        while len(times) < len(marks) and marks[len(times)] in seen:
            times.append(time.perf_counter() - began)
        if len(times) == len(marks):
            return times
    raise SystemExit(f"not painted within {LIMIT_S} s: {marks[len(times)]!r} in {seen[-500:]!r}")


def _python_alone() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
