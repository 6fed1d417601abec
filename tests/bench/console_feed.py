"""From a key to its paint in the Feed, over a long ledger and with calls arriving.

    python -m tests.bench.console_feed [--calls N] [--sessions N] [--rate EVENTS_A_SECOND]
                                       [--keys N] [--idle SECONDS] [--at DIR]

The console runs in a terminal of its own on a ledger of N calls while another process writes.
A key moves the cursor of the paused list; its paint is the first output with the cursor's sign.
Beside it stands the console's processor time for each key, and what the same keys take in the
smallest Textual app that paints one line at a key, which tells what the machine has to give.
Idle is the processor time of the console while nothing arrives and nothing is pressed, with each
view in front for so many seconds; eight agents are connected then and silent.
The memory service that the console starts is stopped at the end. `--at DIR` keeps ledger and
sessions there for the next run (`long_ledger`).
"""

from __future__ import annotations

import argparse
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
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pktui.errors import PktuiError
from pktui.ledger.ledger import Ledger
from pktui.memory.client import MemoryClient
from pktui.memory.interchange import MessageRecord, SessionRecord
from pktui.settings import Paths
from pktui.times import now_us
from tests.bench.long_ledger import AGENTS, SERVERS, append, long_ledger, paths_at

BUDGET_MS = 50
VIEWS = {
    "0": "Now",
    "1": "Sessions",
    "2": "Feed",
    "3": "Policies",
    "4": "Approvals",
    "5": "Insight",
}
FEED = "2"
CURSOR = "▌".encode()
ROWS, COLUMNS = 36, 120
LIMIT_S = 60.0
PAUSE_S = 0.05
# Numbers of the calls that arrive, apart from those that are there.
FIRST = 10_000_001
PROGRAM = (
    "from pktui.settings import Paths, Settings; from pktui.tui.app import run_console;"
    " raise SystemExit(run_console(Paths.from_environment(), Settings()))"
)
SMALLEST = """
from textual.app import App
from textual.widgets import Static

class Smallest(App):
    def compose(self):
        yield Static("live")

    def on_key(self, event):
        self.query_one(Static).update("▌ " + event.character * (2 + self._count % 2))
        self._count += 1

    _count = 0

Smallest().run()
"""
WRITER = "from tests.bench.console_feed import write; import sys; write(*sys.argv[1:])"


@dataclass(frozen=True, slots=True)
class Terminal:
    """The console's terminal, seen from outside."""

    pid: int
    file: int

    def read(self, seconds: float) -> bytes:
        """Return what is painted within this time, as soon as there is anything."""
        if select.select([self.file], [], [], seconds)[0]:
            return os.read(self.file, 1 << 20)
        return b""

    def wait_for(self, text: bytes) -> None:
        """Read until the text is painted."""
        began, seen = time.perf_counter(), b""
        while text not in seen:
            seen = seen[-4096:] + self.read(0.05)
            if time.perf_counter() - began > LIMIT_S:
                raise SystemExit(f"{text!r} was not painted within {LIMIT_S} s")

    def settle(self, seconds: float) -> None:
        """Read on for this long."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self.read(left)

    def press(self, key: str) -> float:
        """Press a key and return the seconds until the cursor is painted."""
        began, seen = time.perf_counter(), b""
        os.write(self.file, key.encode())
        while CURSOR not in seen:
            seen += self.read(0.05)
            if time.perf_counter() - began > LIMIT_S:
                raise SystemExit(f"key {key} was not painted within {LIMIT_S} s")
        return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser()
    options.add_argument("--calls", type=int, default=100_000)
    options.add_argument("--rate", type=int, default=500)
    options.add_argument("--sessions", type=int, default=0)
    options.add_argument("--keys", type=int, default=200)
    options.add_argument("--idle", type=float, default=0)
    options.add_argument("--at", type=Path)
    wanted = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="pktui-bench-") as temporary:
        paths = paths_at(wanted.at or Path(temporary))
        long_ledger(paths, wanted.calls)
        if wanted.sessions and not (paths.data_dir / "memory").exists():
            _fill_memory(paths, wanted.sessions)
        terminal = _open(paths)
        try:
            terminal.wait_for(b"memory ")
            terminal.settle(1)
            os.write(terminal.file, FEED.encode())
            terminal.wait_for(b"live")
            terminal.settle(2)
            if wanted.idle:
                _report_idle(terminal, paths, wanted.idle)
            _report("nothing arriving", *_measure(terminal, wanted.keys))
            with _writer(paths, wanted.rate):
                terminal.settle(2)
                _report(f"{wanted.rate} events/s", *_measure(terminal, wanted.keys))
                _report_smallest(paths, wanted.keys)
                _report_following(terminal)
                print(f"resident          {_resident_mb(terminal.pid):.0f} MB")
        finally:
            _end(terminal, paths)


def _fill_memory(paths: Paths, sessions: int) -> None:
    """Bring in so many sessions of one message each."""
    at, began = datetime.now(UTC), time.perf_counter()

    def records() -> Iterator[SessionRecord | MessageRecord]:
        for number in range(sessions):
            name, then = f"s{number}", at - timedelta(minutes=number)
            yield SessionRecord("bench", name, then, project="/home/me/shop", agent="bench")
            yield MessageRecord("bench", name, "m", "user", f"question {number}", then)

    MemoryClient(paths, timeout=LIMIT_S).import_records(records())
    print(f"{sessions:,} sessions brought in in {time.perf_counter() - began:.1f} s")


def write(config: str, data: str, rate: str) -> None:
    """Append events at this rate until ended; one call is two events."""
    ledger = Ledger.open(Paths.at(Path(config), Path(data)).ledger_file)
    began, number = time.perf_counter(), 0
    while True:
        due = int((time.perf_counter() - began) * int(rate) / 2)
        while number < due:
            append(ledger, number + FIRST)
            number += 1
        time.sleep(0.005)


def _open(paths: Paths, program: str = PROGRAM) -> Terminal:
    environment = {
        **os.environ,
        "PKTUI_CONFIG_DIR": str(paths.config_dir),
        "PKTUI_DATA_DIR": str(paths.data_dir),
        "TERM": "xterm-256color",
    }
    pid, file = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-c", program], environment)
    fcntl.ioctl(file, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    return Terminal(pid, file)


@contextlib.contextmanager
def _writer(paths: Paths, rate: int) -> Iterator[None]:
    command = [sys.executable, "-c", WRITER, str(paths.config_dir), str(paths.data_dir), str(rate)]
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _measure(terminal: Terminal, keys: int) -> tuple[list[float], float]:
    """Press up and down in a paused list; each waits until the last is painted.

    Returns the seconds of each, and the console's processor time for all.
    """
    os.write(terminal.file, b"k")
    terminal.settle(0.5)
    measured, busy = [], _processor_seconds(terminal.pid)
    for number in range(keys):
        measured.append(terminal.press("k" if number % 4 < 2 else "j"))
        terminal.settle(PAUSE_S)
    busy = _processor_seconds(terminal.pid) - busy
    os.write(terminal.file, b"G")
    terminal.settle(0.5)
    return measured, busy


def _report_smallest(paths: Paths, keys: int) -> None:
    smallest = _open(paths, SMALLEST)
    smallest.wait_for(b"live")
    _report("the smallest app", *_measure(smallest, keys))
    _close(smallest)


def _report_following(terminal: Terminal) -> None:
    """Let the list follow what arrives."""
    before = _processor_seconds(terminal.pid)
    terminal.settle(5)
    share = (_processor_seconds(terminal.pid) - before) / 5 * 100
    print(f"following it      {share:.0f}% of a core")


def _report(what: str, seconds: list[float], busy: float) -> None:
    p50 = statistics.median(seconds) * 1000
    p95 = statistics.quantiles(seconds, n=20)[-1] * 1000
    each = busy / len(seconds) * 1000
    print(
        f"{what:<18}key to paint p50 {p50:.1f} ms, p95 {p95:.1f} ms, {each:.1f} ms of processor"
        f" each   budget {BUDGET_MS} ms p95",
        flush=True,
    )


def _report_idle(terminal: Terminal, paths: Paths, seconds: float) -> None:
    with _silent_agents(paths):
        for key, view in VIEWS.items():
            os.write(terminal.file, key.encode())
            terminal.settle(5)
            before = _processor_seconds(terminal.pid)
            terminal.settle(seconds)
            share = (_processor_seconds(terminal.pid) - before) / seconds * 100
            load = os.getloadavg()[0]
            print(
                f"{view:<10}idle for {seconds:.0f} s   {share:.2f}% of a core   budget 0.5%"
                f"   load {load:.0f}",
                flush=True,
            )
    os.write(terminal.file, FEED.encode())
    terminal.settle(2)


@contextlib.contextmanager
def _silent_agents(paths: Paths) -> Iterator[None]:
    """Be eight gateways that came an hour ago."""
    ledger = Ledger.open(paths.ledger_file, clock=lambda: now_us() - 3_600_000_000)
    tokens = [
        ledger.presence.announce("gateway", server=server, agent=AGENTS[at % len(AGENTS)])
        for at, server in enumerate(SERVERS)
    ]
    try:
        yield
    finally:
        for token in tokens:
            ledger.presence.leave(token)
        ledger.close()


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def _close(terminal: Terminal) -> None:
    os.kill(terminal.pid, signal.SIGKILL)
    os.waitpid(terminal.pid, 0)
    os.close(terminal.file)


def _end(terminal: Terminal, paths: Paths) -> None:
    _close(terminal)
    with contextlib.suppress(PktuiError):
        MemoryClient(paths, start=False).stop()


if __name__ == "__main__":
    main()
