"""A new window of the tmux that the console runs in."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

_SECONDS = 5.0


def open_window(
    directory: str, command: Sequence[str], environment: Mapping[str, str] = os.environ
) -> bool:
    """Run a command in a new window; false where there is no tmux, or it would not.

    Blocks: call it from a thread.
    """
    socket = environment.get("TMUX", "").split(",")[0]
    if not socket:
        return False
    # The words are a program's, and no shell reads them. The window begins where tmux is run: what
    # -c names is a format of tmux's, and a directory may be called #{...} or #(...).
    words = ["tmux", "-S", socket, "new-window", "--", "env", *command]
    try:
        done = subprocess.run(
            words, cwd=directory, capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
