"""Copying: through the system's tool where it is at hand, through the terminal, or into a file.

The terminal's way (OSC 52) never answers, so a tool on this machine goes first unless the
console runs over SSH, where the tool's clipboard is not the person's. What is too long for the
terminal goes into a file. `copy` blocks and is called from thread workers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from pktui.errors import SettingsError
from pktui.files import make_private_directory, write_whole

# More than this many terminals drop without a word.
TERMINAL_BYTES = 74_000
TOOL_SECONDS = 2.0
# The variable that must be set, and the command that reads the text from standard input.
_TOOLS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("", ("pbcopy",)),
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard")),
    ("DISPLAY", ("xsel", "--clipboard", "--input")),
)


def copy(
    text: str,
    through_terminal: Callable[[str], object],
    directory: Path,
    environment: Mapping[str, str] = os.environ,
) -> str:
    """Copy the text and return a sentence that says by which way.

    Raises `SettingsError` where only a file is left and it cannot be written.
    """
    size = f"{len(text):,} character" + ("" if len(text) == 1 else "s")
    data = text.encode("utf-8", "replace")
    tool = None if "SSH_CONNECTION" in environment else _tool(environment)
    if tool and _run(tool, data):
        return f"copied {size} with {tool[0]}"
    if len(data) <= TERMINAL_BYTES:
        through_terminal(text)
        return f"copied {size} through the terminal"
    return f"{size} are too many for the terminal: written to {_write(data, directory)}"


def _tool(environment: Mapping[str, str]) -> tuple[str, ...] | None:
    for variable, command in _TOOLS:
        needed = not variable or environment.get(variable)
        if needed and shutil.which(command[0], path=environment.get("PATH")):
            return command
    return None


def _run(command: tuple[str, ...], data: bytes) -> bool:
    try:
        done = subprocess.run(
            command,
            input=data,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=TOOL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _write(data: bytes, directory: Path) -> Path:
    file = make_private_directory(directory) / "copied.txt"
    try:
        write_whole(file, data, sync=False)
    except OSError as error:
        raise SettingsError(
            f"{file} cannot be written: {error.strerror or error}", "Make the directory writable"
        ) from error
    return file
