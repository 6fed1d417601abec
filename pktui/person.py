"""Who started this process: a person, or an agent somewhere above it in the process tree.

A courtesy that keeps an agent from answering its own question, and no wall: a process that leaves
its parents behind is not seen any more.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.errors import ApprovalError
from pktui.text import storable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Agents in a terminal, by the names of their programs and packages.
AGENTS: Final = {
    "aider": "aider",
    "aider-chat": "aider",
    "amp": "Amp",
    "auggie": "Auggie",
    "claude": "Claude Code",
    "claude-code": "Claude Code",
    "claude-code-acp": "Claude Code",
    "cline": "Cline",
    "codebuff": "Codebuff",
    "codex": "Codex",
    "codex-acp": "Codex",
    "copilot": "GitHub Copilot CLI",
    "crush": "Crush",
    "cursor-agent": "Cursor",
    "droid": "Droid",
    "gemini": "Gemini CLI",
    "gemini-cli": "Gemini CLI",
    "goose": "goose",
    "gptme": "gptme",
    "iflow": "iFlow",
    "kilocode": "Kilo Code",
    "kimi": "Kimi CLI",
    "kimi-cli": "Kimi CLI",
    "kiro-cli": "Kiro",
    "open-interpreter": "Open Interpreter",
    "opencode": "opencode",
    "opencode-ai": "opencode",
    "openhands": "OpenHands",
    "plandex": "Plandex",
    "qwen": "Qwen Code",
    "qwen-code": "Qwen Code",
    "vibe": "Mistral Vibe",
}
_SHELLS: Final = ("sh", "bash", "dash", "zsh", "ksh", "ash", "fish")
_INTERPRETERS: Final = ("node", "bun", "deno", "python", "ruby", "electron", "tsx")
# Options of interpreters that take the next word.
_VALUED: Final = ("-r", "--require", "--import", "--loader", "-C", "--conditions", "-W", "-X")
# Words before the program in the text of `sh -c`.
_BEFORE_PROGRAM: Final = ("exec", "env", "nohup", "command", "time")
# What releases and packagers put around a program's name; the kernel cuts it to 15 bytes.
_RELEASED: Final = re.compile(
    r"\.?([a-z][a-z-]*?)"
    r"(?:[-_.](?:x86_64|x86|x64|amd64|aarch64|arm64|linux|darwin|macos|windows)[-_.a-z0-9]*"
    r"|[-.](?:bin|real|wrapped|unwrapped|orig|wrap|wra|wr))"
)
# Longer chains are those of a program that wants to hide what stands above it.
_GENERATIONS: Final = 4096


def login_name() -> str:
    """Return what the system calls the user that this process is of."""
    import pwd

    try:
        return storable(pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:
        return str(os.getuid())


class Process(msgspec.Struct, frozen=True):
    """A process this one comes from: the words it was started with, and the kernel's name for it.

    `name` is empty where the system does not tell; Linux cuts it to 15 bytes.
    """

    pid: int
    parent: int
    words: tuple[str, ...]
    name: str = ""


def check_person() -> None:
    """Refuse where an agent, or a server behind a gateway, started this command.

    Raises `ApprovalError` that says so, also where nothing can be told of the parent.
    """
    for process in ancestors():
        agent = agent_of(process.words, process.name)
        if agent:
            raise ApprovalError(
                f"{agent} (process {process.pid}) started this command, and an agent does not"
                " decide what agents may do",
                "Decide in the console or in a terminal of your own. This keeps out mistakes, not"
                " intent: the README says what does",
            )


def agent_of(words: tuple[str, ...], name: str = "") -> str:
    """Return the agent that was started with these words, empty where it is none known.

    A script counts by its own name and by its package, whatever interpreter runs it.
    """
    found = AGENTS.get(name.lower()) or _released(name.lower())
    if found or not words:
        return found
    program = _base(words[0].split(" -")[0])
    if found := AGENTS.get(program) or _released(program):
        return found
    if _is_gateway(words):
        return "an MCP server or agent behind pktui gateway"
    if program.lstrip("-") in _SHELLS:
        return _agent_of_shell(words[1:])
    return _agent_of_script(words[1:]) if program.startswith(_INTERPRETERS) else ""


def _agent_of_shell(words: tuple[str, ...]) -> str:
    """Look into `sh -c TEXT` for the program it begins with, and at `sh SCRIPT` for the script."""
    for index, word in enumerate(words):
        if not word.startswith(("-", "+")):
            return _known(word)
        if not word.startswith("--") and word.endswith("c"):
            return _agent_of_text(words[index + 1]) if index + 1 < len(words) else ""
    return ""


def _agent_of_text(text: str) -> str:
    import shlex

    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    while words and (words[0] in _BEFORE_PROGRAM or "=" in words[0]):
        words = words[1:]
    return agent_of(tuple(words)) if words else ""


def _agent_of_script(words: tuple[str, ...]) -> str:
    if "-m" in words and words.index("-m") + 1 < len(words):
        module = words[words.index("-m") + 1].partition(".")[0]
        return AGENTS.get(module.lower().replace("_", "-"), "")
    before = ""
    for word in words:
        if not word.startswith("-") and before not in _VALUED:
            return _known(word)
        before = word
    return ""


def _known(path: str) -> str:
    """Return the agent a script belongs to: by its name, or by the package it is in."""
    script = Path(path)
    parts = script.parts
    packaged = parts[parts.index("node_modules") :] if "node_modules" in parts else ()
    names = (*packaged, script.name, script.stem)
    return next((AGENTS[name.lower()] for name in names if name.lower() in AGENTS), "")


def _is_gateway(words: tuple[str, ...]) -> bool:
    """Tell `pktui gateway` and `pktui hook`: what stands below them are servers and agents."""
    for index, word in enumerate(words[:-1]):
        if words[index + 1] in ("gateway", "hook") and _base(word) == "pktui":
            return True
    return False


def _released(program: str) -> str:
    """Return the agent whose program is named as releases and packagers name it, if it is one.

    `codex-x86_64-unknown-linux-musl`, `.claude-wrapped`, `opencode.bin`.
    """
    plain = _RELEASED.fullmatch(program)
    return AGENTS.get(plain[1], "") if plain else ""


def _base(path: str) -> str:
    return Path(path).name.lower().removesuffix(".exe")


def ancestors() -> Iterator[Process]:
    """Yield the processes this one comes from, the nearest first, up to process 1.

    Raises `ApprovalError` where not even the nearest can be looked at.
    """
    look = _from_proc if Path("/proc/self/stat").exists() else _from_ps
    process = _parent(look)
    seen: set[int] = set()
    while process is not None and process.pid not in seen and len(seen) < _GENERATIONS:
        yield process
        seen.add(process.pid)
        process = look(process.parent) if process.parent > 0 else None


def started_by() -> Process | None:
    """Return what started this command: the nearest process that is no shell and not pktui itself.

    None where that cannot be told.
    """
    try:
        return next((one for one in ancestors() if not _passes_on(one.words)), None)
    except ApprovalError:
        return None


def _passes_on(words: tuple[str, ...]) -> bool:
    """Tell whether a process only starts another: a shell, or what `pktui` was started with."""
    return bool(words) and (_base(words[0]).lstrip("-") in _SHELLS or _is_gateway(words))


def parent_of(pid: int) -> int:
    """Return the process that started this one, 0 where that cannot be told."""
    found = (_from_proc if Path("/proc/self/stat").exists() else _from_ps)(pid)
    return found.parent if found is not None else 0


def _parent(look: Callable[[int], Process | None]) -> Process | None:
    """Return the process that started this one; None where it is outside of what can be seen.

    A parent that ended this moment leaves another one in its place, so it is asked for twice.
    """
    for _ in range(2):
        pid = os.getppid()
        if pid == 0:
            return None
        found = look(pid)
        if found is not None:
            return found
    raise ApprovalError(
        "who started this command cannot be told", "See that ps or /proc can be read here"
    )


def _from_proc(pid: int) -> Process | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    end = stat.rindex(b")")
    name = stat[stat.index(b"(") + 1 : end].decode(errors="replace")
    parent = int(stat[end + 2 :].split()[1])
    return Process(pid, parent, _words(words.rstrip(b"\0").split(b"\0")), name)


def _from_ps(pid: int) -> Process | None:
    import subprocess

    try:
        answer = subprocess.run(
            ["ps", "-ww", "-o", "ppid=,command=", "-p", str(pid)],
            capture_output=True,
            timeout=5,
            check=False,
            env={"PATH": "/bin:/usr/bin"},  # not what the caller calls ps
        )
    except (OSError, subprocess.SubprocessError):
        return None
    parent, *words = answer.stdout.split() or (b"",)
    return Process(pid, int(parent), _words(words)) if parent.isdigit() else None


def _words(words: list[bytes]) -> tuple[str, ...]:
    return tuple(word.decode(errors="replace") for word in words)
