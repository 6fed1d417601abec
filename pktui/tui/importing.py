"""An agent's own sessions brought into the memory, by the command that does it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.errors import PktuiError
from pktui.memory.interchange import ImportProgress
from pktui.text import one_line

if TYPE_CHECKING:
    from pktui.settings import Paths

AGENTS: Final = {
    "claude-code": "Claude Code",
    "codex": "Codex",
    "gemini": "Gemini CLI",
    "opencode": "opencode",
}
_LONGEST: Final = 300


class Import:
    """One run of `pktui import`. The importers are no part of the console's own process."""

    def __init__(self, paths: Paths, agent: str) -> None:
        self._words = [sys.executable, "-P", "-m", "pktui", "import", agent, "--progress"]
        self._environment = {
            **os.environ,
            "PKTUI_CONFIG_DIR": str(paths.config_dir),
            "PKTUI_DATA_DIR": str(paths.data_dir),
        }
        self._lock = Lock()
        self._process: subprocess.Popen[str] | None = None
        self._cancelled = False

    def run(self, tell: Callable[[ImportProgress | str], object]) -> str:
        """Run to its end, telling how far it is and each line it says; returns the last line.

        Blocks. Raises `PktuiError` where it fails.
        """
        with self._lock:
            if self._cancelled:
                return "cancelled"
            try:
                process = self._process = subprocess.Popen(
                    self._words,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                    errors="replace",
                    env=self._environment,
                )
            except OSError as error:
                raise PktuiError(f"the import cannot be started: {error.strerror}") from error
        said = ""
        with process:
            assert process.stderr is not None
            for line in process.stderr:
                if far := _progress(line):
                    tell(far)
                elif line.strip():
                    said = one_line(line.strip(), _LONGEST)
                    tell(said)
        status = process.returncode
        if self._cancelled:
            return "cancelled; what was taken in stays, and another run goes on"
        if status:
            raise PktuiError(said or f"the import ended with status {status}")
        return said or "nothing new"

    def cancel(self) -> None:
        """End it."""
        with self._lock:
            self._cancelled = True
            if self._process is not None and self._process.poll() is None:
                self._process.terminate()


def _progress(line: str) -> ImportProgress | None:
    if not line.startswith("{"):
        return None
    try:
        return msgspec.json.decode(line, type=ImportProgress)
    except msgspec.MsgspecError:
        return None
