"""The servers a person has configured, in the `mcpServers` layout that every MCP client uses.

`memory` is built in. An entry can be moved here as another client has it: the names that clients
give the same member (`url`, `httpUrl`, `serverUrl`) are all read, members that pktui has no use for
are left alone, and what it cannot do (`"type": "sse"`, `headersHelper`) is said where the server is
started.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from pktui.errors import SettingsError, UnknownServer, UsageError
from pktui.settings import Paths, check_server_name

MEMORY: Final = "memory"
_SPOKEN: Final = ("", "http", "streamable-http", "streamablehttp", "streamable_http", "stdio")

_LAUNCHER: Final = re.compile(
    r"python[0-9.]*|node|deno|bun|bunx|npx|pnpm|pnpx|yarn|tsx|uv|uvx|pipx|docker|podman|java|ruby"
)
_VERBS: Final = frozenset({"run", "exec", "dlx", "x", "tool"})
_STARTED: Final = re.compile(
    r"(?:[\w@.~+:-]*/)*@?(\w[\w.+-]{0,60}?)(?:\.(?:py|js|mjs|cjs|ts|jar|rb))?(?:[@:=]+[\w.+-]*)?",
    re.ASCII,
)
"""A path, or a package or an image with its version; what it is called comes first."""


class ServerEntry(msgspec.Struct, frozen=True):
    """How to reach one server: a command, a URL, or pktui's own memory.

    Texts are as written: `preparing.prepared` fills in what they refer to. `problem` says why the
    server cannot be used as its entry has it, and `cure` what to do; empty where nothing is wrong.
    """

    name: str
    command: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    cwd: Path | None = None
    url: str = ""
    headers: Mapping[str, str] = {}
    builtin: bool = False
    env_file: Path | None = None
    disabled: bool = False
    problem: str = ""
    cure: str = ""

    @property
    def transport(self) -> Literal["builtin", "stdio", "http"]:
        """How it is reached."""
        return "builtin" if self.builtin else "http" if self.url else "stdio"


class _Entry(msgspec.Struct, rename="camel"):
    command: str = ""
    args: list[str] = []
    env: dict[str, str] = {}
    cwd: str = ""
    env_file: str = ""
    url: str = ""
    http_url: str = ""
    server_url: str = ""
    headers: dict[str, str] = {}
    disabled: bool = False
    type: str = ""
    transport: Any = None
    headers_helper: Any = None

    def address(self) -> str:
        """Return the URL, under whichever name it was given."""
        return self.url or self.http_url or self.server_url

    def kind(self) -> str:
        """Return the transport as the entry names it, empty where it does not."""
        named = self.transport if isinstance(self.transport, str) else ""
        return (self.type or named).lower()


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


def check_entry(name: str, entry: msgspec.Struct, file: Path = Path("servers.json")) -> ServerEntry:
    """Return what an entry that is about to be written will be read as.

    Raises `SettingsError` where it could not be used; what `${NAME}` stands for is not known yet.
    """
    read = msgspec.convert(msgspec.to_builtins(entry), _Entry)
    server = _checked(name, read, file)
    if server.problem:
        raise SettingsError(f"server {name}: {server.problem}", server.cure)
    if server.url:
        from pktui.gateway.servers.endpoint import checked_headers, parse_endpoint

        checked_headers(server.headers, name)
        if "${" not in server.url:
            parse_endpoint(server.url, name)
    return server


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
    if bool(entry.command) == bool(entry.address()):
        raise SettingsError(
            f"{file}: server {name} needs a command or a url, and not both",
            f'Write "command": "…" or "url": "…" for {name}',
        )
    problem, cure = _problem(entry)
    return ServerEntry(
        name,
        entry.command,
        tuple(entry.args),
        entry.env,
        Path(entry.cwd).expanduser() if entry.cwd else None,
        entry.address(),
        entry.headers,
        env_file=Path(entry.env_file) if entry.env_file else None,
        disabled=entry.disabled,
        problem=problem,
        cure=cure,
    )


def _problem(entry: _Entry) -> tuple[str, str]:
    """Return what keeps an entry from being used and what to do; empty where nothing does."""
    if entry.address() and entry.kind() not in _SPOKEN:
        return (
            f"its type is {entry.kind()}, and with a URL pktui speaks streamable HTTP only",
            'Give it the URL of the server\'s streamable HTTP endpoint and "type": "http"',
        )
    if entry.headers_helper:
        return (
            "headersHelper is a command of Claude Code, which pktui does not run",
            'Write the header into "headers"; ${NAME} there is read from the environment',
        )
    return "", ""


def server_of_command(name: str, command: Sequence[str]) -> ServerEntry:
    """Return the entry for a command given by hand, named after its program where not named.

    Where the program only starts others, the name is that of what it starts: two servers of one
    name would share a policy, pins and approvals.
    """
    return ServerEntry(_chosen(name, _started(command)), command[0], tuple(command[1:]))


def server_of_url(name: str, url: str, headers: Mapping[str, str]) -> ServerEntry:
    """Return the entry for a URL given by hand, named after its host where not named."""
    host = re.search(r"//(?:[^/@]*@)?([^/:?#]+)", url)
    return ServerEntry(_chosen(name, host[1] if host else ""), url=url, headers=headers)


def read_headers(given: Sequence[str]) -> dict[str, str]:
    """Read headers given as `NAME: VALUE`; raises `UsageError`, without the value."""
    headers = {}
    for text in given:
        name, colon, value = text.partition(":")
        if not colon or not name.strip():
            raise UsageError(
                "a header needs a name and a value", "Write --header 'Authorization: Bearer …'"
            )
        headers[name.strip()] = value.strip()
    return headers


def _started(command: Sequence[str]) -> str:
    """Return the name of what a command starts: its program, or a launcher's package or script."""
    program = Path(command[0]).stem
    if _LAUNCHER.fullmatch(program) is None:
        return program
    image = program in ("docker", "podman")
    for word in command[1:]:
        if word[:1] == "-" or word in _VERBS or (image and word.find("/") < 1):
            continue
        found = _STARTED.fullmatch(word)
        if found is not None:
            return found[1]
    return program


def _chosen(name: str, suggested: str) -> str:
    usable = re.sub(r"[^A-Za-z0-9._-]+", "-", suggested).strip("._-")
    chosen = check_server_name(name or usable or "server")
    if chosen == MEMORY:
        raise SettingsError(
            f"the name {MEMORY} belongs to pktui's own memory", "Name this server otherwise"
        )
    return chosen
