"""From the start of the process to the console's first paint, beside the smallest Textual app.

    python -m tests.bench.console_start [RUNS]

Both run in a terminal of their own, one after the other: warm, and cold, with the files of Python's
packages out of the page cache. Both find their bytecode, as installed packages do, whatever
PYTHONDONTWRITEBYTECODE says: else the console compiles itself at each start. The memory service
runs already, as it does once any agent has used it; the console waits for it neither way.
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
from collections.abc import Mapping, Sequence
from pathlib import Path

import textual

import pktui
from pktui.errors import PktuiError
from pktui.memory.client import MemoryClient
from pktui.settings import Paths

# First paint of the console, by that of the smallest app.
BUDGET = 2.0
SMALLEST = """
from textual.app import App
from textual.widgets import Static

class Smallest(App):
    def compose(self):
        yield Static("smallest app")

Smallest().run()
"""
PAINTED = b"smallest app"
FRAME = b"Sessions"
LIST = b"hybrid"
SESSION = b"the session to be seen"
LIMIT_S = 30.0
_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
ROWS, COLUMNS = 36, 120


def main(runs: int) -> None:
    """Print the median times of the frame, the list and the first session."""
    print(f"python alone             {_python_alone():.3f} s")
    with tempfile.TemporaryDirectory() as directory:
        paths = Paths.at(Path(directory, "config"), Path(directory, "data"))
        memory = MemoryClient(paths)
        paths.policies_dir.mkdir(parents=True)  # else it starts where agents are found
        paths.policy_file("files").write_text('{"version": "1", "default": "approve"}')
        bytecode = Path(directory, "bytecode")
        try:
            memory.log("user", "hello", memory.start_session(SESSION.decode()).id)
            for name, evicting in (("warm", False), ("cold", True)):
                _report(name, paths, bytecode, runs, evicting=evicting)
        finally:
            with contextlib.suppress(PktuiError):
                memory.stop()


def _report(name: str, paths: Paths, bytecode: Path, runs: int, *, evicting: bool) -> None:
    console: list[list[float]] = []
    smallest: list[list[float]] = []
    for _ in range(runs + 1):  # the first one compiles
        for times, arguments, marks in (
            (smallest, ("-c", SMALLEST), (PAINTED,)),
            (console, ("-m", "pktui"), (FRAME, LIST, SESSION)),
        ):
            if evicting:
                _evict(bytecode)
            times.append(_one_run(paths, bytecode, arguments, marks))
    del console[0], smallest[0]
    least = statistics.median(times[0] for times in smallest)
    print(f"{name}, smallest app           {least:.3f} s")
    figures = ("frame painted", "list painted", "session painted", "processor time to that")
    for index, figure in enumerate(figures):
        median = statistics.median(times[index] for times in console)
        bound = f"   budget {BUDGET}" if index == 0 else ""
        print(f"{name}, {figure:<22} {median:.3f} s   {median / least:.2f} times{bound}")


def _evict(bytecode: Path) -> None:
    """Let the kernel forget the files of Python's packages."""
    for package in {Path(pktui.__file__).parent, Path(textual.__file__).parents[1], bytecode}:
        for file in package.rglob("*"):
            if file.suffix in {".py", ".pyc", ".so", ".tcss"}:
                descriptor = os.open(file, os.O_RDONLY)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)


def _one_run(
    paths: Paths, bytecode: Path, arguments: Sequence[str], marks: tuple[bytes, ...]
) -> list[float]:
    kept = {name: set_to for name, set_to in os.environ.items() if name != _NO_BYTECODE}
    environment = {
        **kept,
        "PYTHONPYCACHEPREFIX": str(bytecode),
        "PKTUI_CONFIG_DIR": str(paths.config_dir),
        "PKTUI_DATA_DIR": str(paths.data_dir),
        "TERM": "xterm-256color",
    }
    began = time.perf_counter()
    pid, terminal = _start(environment, arguments)
    times: list[float] = []
    try:
        times = _watch(terminal, began, marks)
    finally:
        os.kill(pid, signal.SIGKILL)
        used = os.wait4(pid, 0)[2]
        os.close(terminal)
    return [*times, used.ru_utime + used.ru_stime]


def _start(environment: Mapping[str, str], arguments: Sequence[str]) -> tuple[int, int]:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, *arguments], environment)
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
