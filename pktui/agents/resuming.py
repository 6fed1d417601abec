"""Going on with a session where the agent that it is of left it: the agent's own command."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pktui.errors import PktuiError
from pktui.text import has_hidden, one_line

# Nothing else reaches a command: an id comes from files that anybody may have written.
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_OPENCODE_ID: Final = re.compile(r"ses_[0-9A-Za-z]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Agent:
    """An agent's name, the words before a session's id, and the form of one."""

    title: str
    words: tuple[str, ...]
    form: re.Pattern[str]


_AGENTS: Final = {
    "claude-code": _Agent("Claude Code", ("claude", "--resume"), _UUID),
    "codex": _Agent("Codex", ("codex", "resume"), _UUID),
    "gemini": _Agent("Gemini CLI", ("gemini", "--resume"), _UUID),
    "opencode": _Agent("opencode", ("opencode", "-s"), _OPENCODE_ID),
}


@dataclass(frozen=True, slots=True)
class Resumption:
    """An agent's command, as words, and the directory to run it in."""

    directory: str
    command: tuple[str, ...]

    def shell_line(self) -> str:
        """Return both as one line for a shell.

        Raises `PktuiError` where the directory has a name that a terminal would not show as it is.
        """
        if has_hidden(self.directory) or not self.directory.isprintable():
            raise PktuiError(
                f"the directory {one_line(self.directory)} has characters that cannot be shown",
                "Give --exec to run the command there",
            )
        return f"cd {shlex.quote(self.directory)} && {shlex.join(self.command)}"


def resumption(source: str, source_id: str, directory: str) -> Resumption:
    """Return how a session is resumed that is kept with that source, id and directory.

    Raises `PktuiError` where it is of no agent that can, where its id is of another form than the
    agent's, and where its directory is gone.
    """
    agent = _AGENTS.get(source)
    if agent is None:
        raise PktuiError(
            f"the session comes from {one_line(source) or 'nowhere'}, which resumes none",
            f"Sessions of {', '.join(one.title for one in _AGENTS.values())} can be resumed",
        )
    if not agent.form.fullmatch(source_id):
        raise PktuiError(
            f"{one_line(source_id) or 'nothing'} is no id of a session that {agent.title} resumes",
            "A subagent goes on with the session that it is of",
        )
    if not Path(directory).is_absolute():
        raise PktuiError(
            "the directory of the session is not known",
            f"Go there and run {shlex.join((*agent.words, source_id))}",
        )
    if not _is_there(directory):
        raise PktuiError(
            f"the session's directory {one_line(directory)} is gone",
            f"{agent.title} finds its sessions by their directory; make it again",
        )
    return Resumption(directory, (*agent.words, source_id))


def _is_there(directory: str) -> bool:
    try:
        return Path(directory).is_dir()
    except OSError:  # a name that is too long
        return False
