"""Which MCP servers the agents on this machine have, and which of them go through pktui.

Reads only. A file that cannot be read or understood is reported, never guessed at.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pktui import jsonc
from pktui.agents.clients import KNOWN_CLIENTS, ClientKind, Level, Places
from pktui.agents.config_file import read_config
from pktui.agents.hook_state import NONE, OFF, UNTRUSTED, hook_directories, hook_state
from pktui.server_entry import BadEntry, read_entry

if TYPE_CHECKING:
    from pktui.settings import Paths

_SHELLS: Final = frozenset({"sh", "bash", "dash", "zsh"})
_PROGRAMS: Final = frozenset({"pktui", "pktui.exe"})
_INTERPRETER: Final = re.compile(r"python(3(\.\d+)?)?(\.exe)?")
_LAUNCHERS: Final = (("uvx",), ("uv", "run"), ("uv", "tool", "run"), ("pipx", "run"))
_MORE_THAN_WORDS: Final = re.compile(r"[;&|<>`\n()]")
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class ConfiguredServer:
    """One MCP server in one agent's config; `command` is empty for a remote one.

    `problem` says why no server can be made of the entry; then the name is all that is known.
    """

    name: str
    command: tuple[str, ...]
    url: str
    directory: str
    """The project an entry of the user's own file is for; empty: all."""
    disabled: bool = False
    problem: str = ""
    env: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def behind_pktui(self) -> bool:
        """Tell whether the agent reaches this server through `pktui gateway`."""
        return starts_gateway(self.command) or _is_listener(self.url)


def starts_gateway(words: Sequence[str]) -> bool:
    """Tell whether a command is `pktui gateway …`, itself or by a launcher or a shell's `-c`."""
    return bool(gateway_words(words))


def gateway_words(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words of `pktui gateway …` that a command starts, empty where it is another."""
    left = tuple(words)
    name = PurePath(left[0]).name if left else ""
    if name in _SHELLS and left[1:2] == ("-c",):
        left = _shell_words(left[2]) if len(left) > 2 else ()
    elif _INTERPRETER.fullmatch(name) and left[1:2] == ("-m",):
        left = left[2:]
    else:
        for launcher in _LAUNCHERS:
            if (name, *left[1 : len(launcher)]) == launcher:
                left = left[len(launcher) :]
    is_ours = len(left) > 1 and PurePath(left[0]).name in _PROGRAMS and left[1] == "gateway"
    return left if is_ours else ()


def _shell_words(text: str) -> tuple[str, ...]:
    """Return the words of a shell's text, empty where it may be more than one simple command."""
    if _MORE_THAN_WORDS.search(text):
        return ()
    try:
        words = shlex.split(text)
    except ValueError:
        return ()
    return tuple(words[1:] if words[:1] == ["exec"] else words)


def _is_listener(url: str) -> bool:
    """Tell whether a URL is one that `pktui gateway --listen` serves on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return host in _LOOPBACK and parts.path.startswith("/mcp/")


@dataclass(frozen=True, slots=True)
class Finding:
    """A config file that exists: its agent, what it holds, or why it cannot be told."""

    client: ClientKind
    level: Level
    file: Path
    servers: tuple[ConfiguredServer, ...] = ()
    problem: str = ""


def find_configs(places: Places, *others: Places, only: str = "") -> tuple[Finding, ...]:
    """Look for every known agent's config files, or for those of `only`; missing ones are left out.

    A file is told once, where the project is the home directory as well, or of several places.
    """
    found: dict[tuple[str, Path], tuple[ClientKind, Level, Path]] = {}
    for client in KNOWN_CLIENTS:
        if only and client.id != only:
            continue
        for place in (places, *others):
            for level, file in client.server_files(place):
                if file.is_file():
                    found.setdefault((client.id, file.resolve()), (client, level, file))
    return tuple(_read(*where) for where in found.values())


def around_pktui(places: Places) -> tuple[str, ...]:
    """Name what goes around pktui of agents that go through it: servers, and their own tools."""
    direct: dict[str, list[str]] = {}
    through: set[str] = set()
    for finding in find_configs(places):
        for server in finding.servers:
            if server.behind_pktui:
                through.add(finding.client.title)
            elif not (server.disabled or server.problem):
                direct.setdefault(finding.client.title, []).append(server.name)
    around = [
        f"{client} reaches {', '.join(names)} around pktui: pktui adopt"
        for client, names in direct.items()
        if client in through
    ]
    for client in KNOWN_CLIENTS:
        state = hook_state(client, places)
        if state == UNTRUSTED:
            around.append(f"{client.title}'s own tools go around pktui: trust its hooks there")
        elif state.startswith(OFF):
            around.append(f"{client.title}'s own tools go around pktui: its hooks are {state}")
    return tuple(around)


@dataclass(frozen=True, slots=True)
class AgentFound:
    """An agent that is on this machine.

    `servers` counts those that pktui could stand before, `behind` those it does. `hooks` is as
    `hook_state` says. `seen_at` is when its hook ran last, in seconds of the epoch, 0 where never.
    `directories` are those of pktui that its entries and hooks name.
    """

    client: ClientKind
    files: tuple[Path, ...]
    servers: int
    behind: int
    hooks: str
    sessions: Path | None
    problems: tuple[str, ...]
    seen_at: float = 0.0
    directories: frozenset[str] = frozenset()

    @property
    def adopted(self) -> bool:
        """Tell whether all of it goes through pktui, as far as it can."""
        return (
            self.behind == self.servers and self.hooks != NONE and bool(self.hooks or self.servers)
        )


def find_agents(paths: Paths, places: Places) -> tuple[AgentFound, ...]:
    """Look for the agents that are on this machine."""
    findings = find_configs(places)
    return tuple(
        _found(client, [one for one in findings if one.client is client], paths, places)
        for client in KNOWN_CLIENTS
        if is_here(client, places)
    )


def _found(
    client: ClientKind, findings: Sequence[Finding], paths: Paths, places: Places
) -> AgentFound:
    servers = [server for finding in findings for server in finding.servers]
    usable = [server for server in servers if not (server.problem or server.disabled)]
    problems = [
        f"{one.file} {one.problem}" for one in _all_files(client, findings, places) if one.problem
    ]
    problems += [
        f"server {server.name!r}: {server.problem}" for server in servers if server.problem
    ]
    store = client.store(places) if client.store is not None else None
    try:
        seen_at = paths.agent_seen_file(client.id).stat().st_mtime
    except OSError:
        seen_at = 0.0
    return AgentFound(
        client,
        tuple(finding.file for finding in findings),
        len(usable),
        sum(server.behind_pktui for server in usable),
        hook_state(client, places),
        store if store is not None and store.exists() else None,
        tuple(problems),
        seen_at,
        frozenset(hook_directories(client, places) or ()).union(
            server.env[variable]
            for server in usable
            if server.behind_pktui
            for variable in ("PKTUI_CONFIG_DIR", "PKTUI_DATA_DIR")
            if variable in server.env
        ),
    )


def _all_files(
    client: ClientKind, findings: Sequence[Finding], places: Places
) -> Iterator[Finding]:
    """Yield an agent's files with servers, and those that hold its hooks alone."""
    yield from findings
    known = {one.file for one in findings}
    for level, file in client.hook_files(places) if client.hook_files is not None else ():
        if file not in known and file.suffix != ".js" and file.is_file():
            yield _read(client, level, file)


def _read(client: ClientKind, level: Level, file: Path) -> Finding:
    try:
        document = _parse(file)
    except OSError as error:
        return Finding(client, level, file, problem=f"cannot be read: {error.strerror or error}")
    except (ValueError, RecursionError) as error:
        first = str(error).partition("\n")[0] or "nested too deeply"
        return Finding(client, level, file, problem=f"cannot be understood: {first}")
    if not isinstance(document, Mapping):
        return Finding(client, level, file, problem="is not an object of settings")
    return Finding(client, level, file, tuple(_servers(document, client)))


def _parse(file: Path) -> Any:
    raw = read_config(file) or b""
    if file.suffix == ".toml":
        import tomllib

        return tomllib.loads(jsonc.decoded(raw))
    return jsonc.plain(raw)


def server_tables(
    document: Mapping[str, Any], client: ClientKind
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Yield the objects of a config that hold servers by name, each with its path."""
    paths: list[tuple[str, ...]] = [(client.key,)]
    projects = document.get("projects") if client.id == "claude-code" else None
    if isinstance(projects, Mapping):
        paths += [("projects", str(directory), client.key) for directory in projects]
    for path in paths:
        table: Any = document
        for key in path:
            table = table.get(key) if isinstance(table, Mapping) else None
        if isinstance(table, Mapping):
            yield path, table


def command_of(name: str, entry: Any) -> tuple[str, ...]:
    """Return the words of the command that an entry starts, empty where it starts none."""
    return _server(name, entry, "").command


def server_through_pktui(name: str, entry: Any) -> bool:
    """Tell whether an entry is one that leads through pktui."""
    return _server(name, entry, "").behind_pktui


def is_here(client: ClientKind, places: Places) -> bool:
    """Tell whether the agent has been used on this machine: some file of its own is there."""
    located = list(client.server_files(places))
    if client.hook_files is not None:
        located += client.hook_files(places)
    if client.store is not None:
        located.append(("user", client.store(places)))
    shared = {places.home, places.project, places.home / ".config"}
    return any(
        file.exists() or (level == "user" and file.parent not in shared and file.parent.is_dir())
        for level, file in located
    )


def _servers(document: Mapping[str, Any], client: ClientKind) -> Iterator[ConfiguredServer]:
    for path, table in server_tables(document, client):
        directory = path[1] if len(path) == 3 else ""
        for name, entry in table.items():
            yield _server(str(name), entry, directory)


def _server(name: str, entry: Any, directory: str) -> ConfiguredServer:
    try:
        found = read_entry(name, entry)
    except BadEntry as error:
        return ConfiguredServer(name, (), "", directory, problem=error.what)
    command = (found.command, *found.args) if found.command else ()
    return ConfiguredServer(
        name, command, found.url, directory, disabled=found.disabled, env=found.env
    )
