"""Which of an agent's own sessions an MCP call belongs to, as far as that is certain.

Codex says so with the call. Of the others the hook before the call knows it, and leaves a note
that the gateway takes: by the agent's id of the call (Claude Code), else by what both see of it,
which are the agent's process, the tool and the arguments (Gemini CLI, opencode). Where two sessions
of one process left such a note, neither is named.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui.files import make_directories, open_private
from pktui.ledger.presence import process_birth
from pktui.person import started_by
from pktui.text import storable

if TYPE_CHECKING:
    from pktui.settings import Paths

# What the agents' MCP clients call themselves.
_TELLS: Final = "codex-mcp-client"
_BY_ID: Final = "claude-code"
_BY_PROCESS: Final = frozenset({"gemini-cli-mcp-client", "opencode"})
# Members of a call's `_meta`.
_SESSION_KEY: Final = "sessionId"
_CALL_KEY: Final = "claudecode/toolUseId"
_LONGEST: Final = 200
# An agent may ask in its own screen between its hook and its call.
_LASTS_S: Final = 3600.0
# With so many, those of calls that never came are looked for.
_MOST: Final = 1000


class _Note(msgspec.Struct, array_like=True):
    session: str
    tool: str


class CallNotes:
    """Notes of hooks about calls that a gateway is about to get, each a file; raises `OSError`."""

    def __init__(self, paths: Paths) -> None:
        self._directory = paths.data_dir / "agents" / "calls"

    def leave_by_id(self, use_id: str, session: str, tool: str) -> None:
        """Note the session of the call that has this id."""
        self._leave(_key("id", use_id), session, tool)

    def leave_by_process(self, args_hash: str, session: str, tool: str) -> None:
        """Note the session of a call with these arguments by the agent that runs this process."""
        if agent := _agent_process():
            self._leave(_key(agent, args_hash), session, tool)

    def take_by_id(self, use_id: str, tool: str) -> str:
        """Return the session of the call that has this id, empty where none is noted."""
        return self._take(_key("id", use_id), tool)

    def take_by_process(self, agent: str, args_hash: str, tool: str) -> str:
        """Return the one session that such a call of that process may be of; empty: unknown."""
        return self._take(_key(agent, args_hash), tool) if agent else ""

    def _leave(self, key: str, session: str, tool: str) -> None:
        make_directories(self._directory)
        self._sweep()
        file = self._directory / f"{key}.{os.urandom(6).hex()}"
        draft = file.with_name(f".{file.name}")
        with os.fdopen(open_private(draft, os.O_WRONLY | os.O_EXCL), "wb") as written:
            written.write(msgspec.json.encode(_Note(storable(session), storable(tool))))
        draft.replace(file)

    def _take(self, key: str, tool: str) -> str:
        found: list[tuple[int, Path, str]] = []
        for file, left_ns in self._notes(key):
            with suppress(FileNotFoundError):  # taken meanwhile
                note = msgspec.json.decode(file.read_bytes(), type=_Note)
                if _plain(note.tool).endswith(_plain(tool)):
                    found.append((left_ns, file, note.session))
        if len({session for _, _, session in found}) != 1:
            return ""
        _, first, session = min(found)
        first.unlink(missing_ok=True)
        return session

    def _notes(self, key: str) -> list[tuple[Path, int]]:
        oldest = time.time() - _LASTS_S
        notes = []
        with suppress(FileNotFoundError), os.scandir(self._directory) as entries:
            for entry in entries:
                if entry.name.startswith(key):
                    with suppress(FileNotFoundError):  # taken meanwhile
                        left = entry.stat()
                        if left.st_mtime >= oldest:
                            notes.append((Path(entry.path), left.st_mtime_ns))
        return notes

    def _sweep(self) -> None:
        """Remove notes of calls that never came, once there are many."""
        names = os.listdir(self._directory)  # noqa: PTH208
        oldest = time.time() - _LASTS_S
        for name in names if len(names) >= _MOST else ():
            file = self._directory / name
            with suppress(FileNotFoundError):
                if file.stat().st_mtime < oldest:
                    file.unlink()


class AgentSessions:
    """Tells a gateway the session of each call; `child` tells whether an agent started it."""

    def __init__(self, paths: Paths, *, child: bool) -> None:
        self._notes = CallNotes(paths)
        self._child = child
        self._agent: str | None = None

    def of(self, client: str, tool: str, args_hash: str, meta: Mapping[str, Any]) -> str:
        """Return the session of a client's call, empty where it is not known for certain."""
        try:
            if client == _TELLS:
                return _told(meta.get(_SESSION_KEY))
            if client == _BY_ID:
                use_id = _told(meta.get(_CALL_KEY))
                return self._notes.take_by_id(use_id, tool) if use_id else ""
            if client in _BY_PROCESS and self._child:
                if self._agent is None:
                    self._agent = _agent_process()
                return self._notes.take_by_process(self._agent, args_hash, tool)
        except (OSError, ValueError):
            pass  # a note cannot be read: the call is decided and recorded without it
        return ""


def _told(value: object) -> str:
    return storable(value) if isinstance(value, str) and len(value) <= _LONGEST else ""


def _agent_process() -> str:
    """Return what the process of the agent is known by, empty where it cannot be told."""
    process = started_by()
    born = process_birth(process.pid) if process is not None else None
    return f"{process.pid} {born}" if process is not None and born else ""


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:24]


def _plain(tool: str) -> str:
    """Return a tool's name as agents write it: other characters than these become `_`."""
    return "".join(one if one.isalnum() or one in "_-" else "_" for one in tool)
