"""Who decides here: a person, as far as can be told, with the PIN where one is set."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pktui.errors import ApprovalError, PinError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pktui.ledger.ledger import Ledger

BY = "the command line"
"""Who decided, as the record and a later second decision name it."""

AGENTS = {
    "claude": "Claude Code",
    "claude-code": "Claude Code",
    "opencode": "opencode",
    "opencode-ai": "opencode",
    "codex": "Codex",
    "gemini": "Gemini CLI",
    "gemini-cli": "Gemini CLI",
    "cursor-agent": "Cursor",
    "copilot": "GitHub Copilot CLI",
    "aider": "aider",
    "crush": "Crush",
    "goose": "goose",
    "qwen": "Qwen Code",
}
"""Agents in a terminal, by the names of their programs and packages."""
_INTERPRETERS = ("node", "bun", "deno", "python", "ruby")
_GENERATIONS = 32


class Process(msgspec.Struct, frozen=True):
    """A process that this one comes from, and the words it was started with."""

    pid: int
    parent: int
    words: tuple[str, ...]


def check_person() -> None:
    """Refuse where an agent started this command.

    A courtesy that keeps an agent from answering its own question by mistake, and no wall: raises
    `ApprovalError` that says so.
    """
    for process in ancestors():
        agent = agent_of(process.words)
        if agent:
            raise ApprovalError(
                f"{agent} (process {process.pid}) started this command, and an agent does not"
                " decide about its own calls",
                "Decide in the console or in a terminal of your own. This keeps out mistakes, not"
                " intent: the README says what does",
            )


def ask_pin(ledger: Ledger, *, what: str = "PIN") -> str:
    """Return the PIN that the person types, or an empty text where none is wanted.

    Raises `PinError` where it is wanted and nobody can be asked.
    """
    return typed_pin(what) if ledger.pin.is_set() else ""


def typed_pin(what: str) -> str:
    """Return a PIN typed without being shown. It is no option, so that no process list has it."""
    if not sys.stdin.isatty():
        raise PinError("a PIN is needed and nobody can be asked here", "Run this in a terminal")
    import getpass

    return getpass.getpass(f"{what}: ", stream=sys.stderr)


def agent_of(words: tuple[str, ...]) -> str:
    """Return the agent that was started with these words, empty where it is none known."""
    if not words:
        return ""
    program = Path(words[0].split(" -")[0]).name.lower()
    if program in AGENTS:
        return AGENTS[program]
    if not program.startswith(_INTERPRETERS):
        return ""
    script = Path(next((word for word in words[1:] if not word.startswith("-")), ""))
    parts = script.parts[script.parts.index("node_modules") :] if _packaged(script) else ()
    names = (*parts, script.stem)
    return next((AGENTS[name.lower()] for name in names if name.lower() in AGENTS), "")


def _packaged(script: Path) -> bool:
    return "node_modules" in script.parts


def ancestors() -> Iterator[Process]:
    """Yield the processes this one comes from, the nearest first, as far as they can be seen."""
    import os

    linux = Path("/proc/self/stat").exists()
    pid = os.getppid()
    for _ in range(_GENERATIONS):
        process = (_from_proc if linux else _from_ps)(pid) if pid > 1 else None
        if process is None:
            return
        yield process
        pid = process.parent


def _from_proc(pid: int) -> Process | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    parent = int(stat[stat.rindex(b")") + 2 :].split()[1])
    return Process(pid, parent, _words(words.rstrip(b"\0").split(b"\0")))


def _from_ps(pid: int) -> Process | None:
    try:
        answer = subprocess.run(
            ["ps", "-ww", "-o", "ppid=,command=", "-p", str(pid)],
            capture_output=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    parent, *words = answer.stdout.split() or (b"",)
    return Process(pid, int(parent), _words(words)) if parent.isdigit() else None


def _words(words: list[bytes]) -> tuple[str, ...]:
    return tuple(word.decode(errors="replace") for word in words)
