"""Servers that are set up somewhere, whether or not they ever ran, and a look at their tools."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pktui import jsonc
from pktui.agents.clients import Places
from pktui.agents.discovery import find_configs
from pktui.errors import PktuiError

if TYPE_CHECKING:
    from pktui.settings import Paths

# How long what was read is taken as it was.
FRESH_US = 10_000_000
SCAN_SECONDS = 60.0
_TABLES = ("mcpServers", "servers")


class Configured:
    """The names of servers in `servers.json` and in agents' configs; call it for them. Blocks."""

    def __init__(self, paths: Paths, clock: Callable[[], int]) -> None:
        self._file, self._clock = paths.servers_file, clock
        self._names: tuple[str, ...] = ()
        self._read_us = -FRESH_US

    def __call__(self) -> tuple[str, ...]:
        """Return the names; read again every few seconds."""
        now = self._clock()
        if now - self._read_us >= FRESH_US:
            self._read_us = now
            self._names = tuple(dict.fromkeys((*_entries(self._file), *_of_agents())))
        return self._names


def _entries(file: Path) -> Iterator[str]:
    """Yield the names in a file of servers; one that cannot be read is for `pktui doctor`."""
    try:
        document = jsonc.plain(file.read_bytes())
    except (OSError, ValueError, PktuiError):
        return
    for key in _TABLES:
        table = document.get(key) if isinstance(document, dict) else None
        yield from table if isinstance(table, dict) else ()


def _of_agents() -> Iterator[str]:
    for finding in find_configs(Places.here()):
        for server in finding.servers:
            if not (server.behind_pktui or server.disabled or server.problem):
                yield server.name


def scan(server: str) -> str:
    """Have a process of its own start a server and list its tools; say what came of it. Blocks.

    Raises `PktuiError`.
    """
    command = (sys.executable, "-P", "-m", "pktui", "servers", "scan", server)
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            timeout=SCAN_SECONDS, errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PktuiError(f"{server} could not be looked at: {error}") from error
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    said = lines[-1 if done.returncode == 0 else 0] if lines else "it said nothing"
    if done.returncode:
        raise PktuiError(f"{server} could not be looked at: {said}")
    return f"{server}: {said}"
