"""The servers a person has configured, in the `mcpServers` layout that every MCP client uses.

`memory` is built in. Members of an entry that other clients use and pktui has no use for
(`type`, `disabled`, …) are left alone, so that an entry can be moved here as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from pktui.errors import SettingsError, UnknownServer
from pktui.settings import Paths, check_server_name

MEMORY: Final = "memory"


class ServerEntry(msgspec.Struct, frozen=True):
    """How to reach one server: a command, a URL, or pktui's own memory."""

    name: str
    command: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    cwd: Path | None = None
    url: str = ""
    headers: Mapping[str, str] = {}
    builtin: bool = False


class _Entry(msgspec.Struct):
    command: str = ""
    args: list[str] = []
    env: dict[str, str] = {}
    cwd: str = ""
    url: str = ""
    headers: dict[str, str] = {}


class _File(msgspec.Struct, forbid_unknown_fields=True):
    servers: dict[str, _Entry] = msgspec.field(name="mcpServers")


def load_servers(paths: Paths) -> dict[str, ServerEntry]:
    """Return every server by name, the built-in memory first.

    Raises `SettingsError` with the file and the place where `servers.json` cannot be used.
    """
    servers = {MEMORY: ServerEntry(MEMORY, builtin=True)}
    for name, entry in _read(paths.servers_file).items():
        servers[name] = _checked(name, entry, paths.servers_file)
    return servers


def find_server(paths: Paths, name: str) -> ServerEntry:
    """Return the server of that name, or raise `UnknownServer` with the nearest one."""
    servers = load_servers(paths)
    if name in servers:
        return servers[name]
    import difflib

    near = difflib.get_close_matches(name, servers, n=1)
    raise UnknownServer(
        f"no server {name!r} in {paths.servers_file}",
        f"Did you mean {near[0]}?" if near else f"Known: {', '.join(servers)}",
    )


def _read(file: Path) -> dict[str, _Entry]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_File).servers
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(
            f"{file} cannot be read: {error.strerror or error}", "Check its owner and mode"
        ) from error
    except msgspec.MsgspecError as error:
        raise SettingsError(
            f"{file}: {error}",
            'It should read {"mcpServers": {"NAME": {"command": "…", "args": ["…"]}}}',
        ) from error


def _checked(name: str, entry: _Entry, file: Path) -> ServerEntry:
    check_server_name(name)
    if name == MEMORY:
        raise SettingsError(
            f"{file}: the name {MEMORY} belongs to pktui's own memory", "Give that server another"
        )
    if bool(entry.command) == bool(entry.url):
        raise SettingsError(
            f"{file}: server {name} needs a command or a url, and not both",
            f'Write "command": "…" or "url": "…" for {name}',
        )
    cwd = Path(entry.cwd).expanduser() if entry.cwd else None
    return ServerEntry(
        name, entry.command, tuple(entry.args), entry.env, cwd, entry.url, entry.headers
    )


def server_of_command(name: str, command: Sequence[str]) -> ServerEntry:
    """Return the entry for a command given by hand, named after its program where not named."""
    program = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(command[0]).stem).strip("._-")
    chosen = check_server_name(name or program or "server")
    if chosen == MEMORY:
        raise SettingsError(
            f"the name {MEMORY} belongs to pktui's own memory", "Name this server otherwise"
        )
    return ServerEntry(chosen, command[0], tuple(command[1:]))
