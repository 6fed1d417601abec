"""A console in a real terminal: tmux draws it, and types what it is told in one write."""

from __future__ import annotations

import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.gateway import PATIENCE, PLAIN_SERVER, ROOT, RunningGateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pktui.settings import Paths

HAS_TMUX = shutil.which("tmux") is not None
LOOK_SECONDS = 0.02
ASKING = '{"version": "1", "default": "allow", "tools": {"write": {"action": "approve"}}}'
"""A policy under which a call of the plain server's `write` waits for a person."""
# nothing listens there: the console shows its memory as down and starts no service
NO_MEMORY = '[memory]\nservice = "http://127.0.0.1:9"\n'


class Terminal:
    """A tmux server of its own with the console in its one window."""

    def __init__(self, socket: Path, size: tuple[int, int], *command: str) -> None:
        settings = socket.with_suffix(".conf")
        settings.write_text("set -g remain-on-exit on\nset -g escape-time 0\n")
        self._tmux = ["tmux", "-f", str(settings), "-S", str(socket)]
        width, height = size
        place = ["-d", "-x", str(width), "-y", str(height)]
        self._status = socket.with_suffix(".status")
        told = f"trap : INT; {shlex.join(command)}; echo $? > {self._status}"
        self._run("new-session", *place, "sh", "-c", told)

    def keys(self, *keys: str) -> None:
        """Type keys by their tmux names, all in one write."""
        self._run("send-keys", *keys)

    def text(self, *texts: str) -> None:
        """Type texts as they stand, all in one write."""
        self._run("send-keys", "-l", "".join(texts))

    def paste(self, text: str, *, bracketed: bool = True) -> None:
        """Paste a text the way a terminal does, or as one that knows no bracketed paste."""
        self._run("set-buffer", "-b", "pasted", "--", text)
        self._run("paste-buffer", "-b", "pasted", *(["-p"] if bracketed else []))

    def screen(self) -> str:
        """Return what is on the screen."""
        return self._run("capture-pane", "-p")

    def status(self) -> int | None:
        """Return the command's exit status as a shell tells it, `None` while it runs."""
        return int(self._status.read_text() or -1) if self._status.exists() else None

    def until(self, holds: Callable[[str], object], seconds: float = PATIENCE) -> str:
        """Wait until it holds for the screen; return the screen."""
        end = time.monotonic() + seconds
        while True:
            screen = self.screen()
            if holds(screen):
                return screen
            assert time.monotonic() < end, f"not within {seconds} s:\n{screen}"
            time.sleep(LOOK_SECONDS)

    def close(self) -> None:
        """End the terminal and what runs in it."""
        subprocess.run([*self._tmux, "kill-server"], capture_output=True)

    def _run(self, *words: str) -> str:
        done = subprocess.run([*self._tmux, *words], capture_output=True, text=True)
        assert done.returncode == 0, f"tmux {words}: {done.stderr}"
        return done.stdout


def settle(paths: Paths, more: str = "") -> None:
    """Write the settings under which no memory is started, and `more`, where there are none."""
    paths.config_dir.mkdir(parents=True, exist_ok=True)
    token = paths.config_dir / "memory.token"
    if not paths.settings_file.exists():
        for file, text in ((paths.settings_file, NO_MEMORY + more), (token, secrets.token_hex())):
            file.write_text(text)
            file.chmod(0o600)


@contextmanager
def console(
    paths: Paths, size: tuple[int, int] = (120, 36), *, program: tuple[str, ...] = ()
) -> Iterator[Terminal]:
    """Open the console in a terminal on these directories."""
    settle(paths)
    words = (
        "env",
        "-u",
        "TMUX",
        f"PKTUI_CONFIG_DIR={paths.config_dir}",
        f"PKTUI_DATA_DIR={paths.data_dir}",
        f"PYTHONPATH={ROOT}",
    )
    terminal = Terminal(
        paths.config_dir.parent / "tmux",
        size,
        *words,
        *(program or (sys.executable, "-m", "pktui")),
    )
    try:
        yield terminal
    finally:
        terminal.close()


@contextmanager
def gateway(paths: Paths) -> Iterator[RunningGateway]:
    """Start a gateway in front of the plain server, whose `write` asks a person."""
    paths.policies_dir.mkdir(parents=True, exist_ok=True)
    policy = paths.policy_file("plain")
    if not policy.exists():
        policy.write_text(ASKING)
    command = ("--policy", str(policy), "--", sys.executable, str(PLAIN_SERVER))
    with RunningGateway("plain", *command) as running:
        running.ask("initialize", protocolVersion="2025-11-25", capabilities={},
                    clientInfo={"name": "claude-code", "version": "1"})  # fmt: skip
        running.ask("tools/list", 2)
        yield running
