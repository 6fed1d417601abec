"""A text given to the editor that a person has set, while the console steps aside."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from textual.app import SuspendNotSupported

from pktui.errors import PktuiError, UsageError
from pktui.files import open_private

if TYPE_CHECKING:
    from textual.app import App

VARIABLES = ("VISUAL", "EDITOR")


def editor_command(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the words of the command. Raises `UsageError` where none is set, or none can be read.

    `VISUAL` counts before `EDITOR`, and an empty one as none.
    """
    name = next((one for one in VARIABLES if environment.get(one, "").strip()), "")
    if not name:
        raise UsageError(
            "no editor is set: neither VISUAL nor EDITOR",
            "Set one before you start pktui, such as: export EDITOR=nano",
        )
    try:
        return shlex.split(environment[name])
    except ValueError as error:
        raise UsageError(
            f"{name} cannot be read as a command: {error}", "Close its quotes"
        ) from error


def edit(app: App[int], name: str, text: bytes) -> bytes:
    """Return the text as the person left it in their editor; `name` is what they see it called.

    They get a copy that nobody else reads, so that what is half done is in force nowhere. The
    event loop waits: the terminal is the editor's. Raises `PktuiError` where there is no editor,
    it cannot be started, or it ends with an error.
    """
    command = editor_command()
    with TemporaryDirectory(prefix="pktui-") as directory:
        file = Path(directory, name)
        with os.fdopen(open_private(file, os.O_WRONLY), "wb") as copy:
            copy.write(text)
        try:
            with app.suspend():  # nothing may be raised in there: the console would not come back
                problem = _run([*command, str(file)])
        except SuspendNotSupported as error:
            raise PktuiError("this terminal cannot be handed to an editor") from error
        if problem:
            raise PktuiError(problem, "Nothing was taken of what it left")
        try:
            return file.read_bytes()
        except OSError as error:
            raise PktuiError(
                f"{Path(command[0]).name} left no file to read: {error.strerror or error}"
            ) from error


def _run(command: list[str]) -> str:
    """Run it on the terminal, ctrl+c being its own; return what went wrong, empty where nothing."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        status = subprocess.run(command, check=False).returncode
    except (OSError, ValueError) as error:
        return f"the editor {command[0]} cannot be started: {error}"
    finally:
        signal.signal(signal.SIGINT, before)
    return f"{Path(command[0]).name} ended with status {status}" if status else ""
