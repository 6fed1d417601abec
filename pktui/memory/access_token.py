"""The secret that lets other machines in: from the environment, or a file that its owner reads."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from pktui.errors import SettingsError
from pktui.files import OTHERS, make_private_directory, write_whole

if TYPE_CHECKING:
    from pktui.settings import Paths, Settings

VARIABLE = "PKTUI_MEMORY_TOKEN"
_BYTES = 32
_SHORTEST, _LONGEST = 16, 512
_TOKEN = re.compile(r"[\x21-\x7e]+")


def token_file(paths: Paths, settings: Settings) -> Path:
    """Return the file that the token is kept in."""
    named = settings.memory.token_file
    return Path(named).expanduser() if named else paths.config_dir / "memory.token"


def read_token(paths: Paths, settings: Settings) -> str:
    """Return the token; raises `SettingsError` where there is none or where others could read it.

    The environment variable `PKTUI_MEMORY_TOKEN` comes before the file.
    """
    given = os.environ.get(VARIABLE)
    if given is not None:
        return _checked(given, f"the environment variable {VARIABLE}")
    file = token_file(paths, settings)
    try:
        mode = file.stat().st_mode
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsError(
            f"the token of the memory service cannot be read from {file}: {why}",
            f"pktui memory token makes one where the service runs; put it there or in {VARIABLE}",
        ) from error
    if mode & OTHERS:
        raise SettingsError(
            f"{file} holds a secret and others can read it", f"Run chmod 600 {file}"
        )
    return _checked(text, str(file))


def make_token(paths: Paths, settings: Settings, *, anew: bool) -> str:
    """Return the token of the file; make one where there is none, or `anew`."""
    file = token_file(paths, settings)
    if file.exists() and not anew:
        return read_token(paths, settings)
    make_private_directory(file.parent)
    token = secrets.token_urlsafe(_BYTES)
    write_whole(file, f"{token}\n".encode())
    return token


def _checked(text: str, place: str) -> str:
    token = text.strip()
    if not (_SHORTEST <= len(token) <= _LONGEST and _TOKEN.fullmatch(token)):
        raise SettingsError(
            f"{place} holds no token: {_SHORTEST} to {_LONGEST} visible ASCII characters",
            "Make one with pktui memory token",
        )
    return token
