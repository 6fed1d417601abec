"""The servers a person has configured: `servers.json`, in the layout of any MCP client.

`memory` is built in. A list can be moved here as another client has it: under `mcpServers`,
`servers` (VS Code), `mcp` (opencode), `mcp_servers` (Codex) or `context_servers` (Zed), with
comments, trailing commas and a byte order mark. An entry that no server can be made of harms
nothing but itself: it is a `Fault`, with its line and what to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui.errors import SettingsError, UnknownServer
from pktui.jsonc import Document, NotReadable, read
from pktui.policy.selection import EVERYTHING, Selection
from pktui.server_entry import BadEntry, ServerEntry, read_entry
from pktui.settings import Paths, check_server_name
from pktui.suggest import did_you_mean
from pktui.text import one_line

if TYPE_CHECKING:
    from pktui.policy.text.json import Member, Node

__all__ = [
    "KEYS", "MEMORY", "Fault", "ServerEntry", "Servers", "check_entry", "check_name",
    "find_server", "load_servers", "selection_of", "table_paths",
]  # fmt: skip

MEMORY: Final = "memory"
KEYS: Final = ("mcpServers", "servers", "mcp", "mcp_servers", "context_servers")
_SHAPE: Final = 'It should read {"mcpServers": {"NAME": {"command": "…", "args": ["…"]}}}'
_ANOTHER: Final = "Give that server another name"


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with an entry, or with the whole file: then `name` is empty.

    `line` counts from 1; 0 where there is no place.
    """

    file: Path
    name: str
    line: int
    what: str
    cure: str

    def error(self) -> SettingsError:
        """Return it as the error for whoever needs that server."""
        where = f"{self.file}, line {self.line}" if self.line else str(self.file)
        who = f"server {self.name!r}: " if self.name else ""
        return SettingsError(f"{where}: {who}{self.what}", self.cure)

    def __str__(self) -> str:
        """Return place, name, what and cure in one sentence or two."""
        return str(self.error())


class Servers(Mapping[str, ServerEntry]):
    """What `servers.json` comes to: every server by name, the built-in memory first, and `faults`.

    `whole` False: nothing of the file could be read.
    """

    def __init__(
        self,
        entries: Mapping[str, ServerEntry],
        faults: Sequence[Fault] = (),
        *,
        whole: bool = True,
    ) -> None:
        self._entries = entries
        self.faults = tuple(faults)
        self.whole = whole

    def __getitem__(self, name: str) -> ServerEntry:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, name: str, file: Path) -> ServerEntry:
        """Return the server of that name; raises `SettingsError` or `UnknownServer`.

        `file` is named where there is none, with the nearest name.
        """
        if name in self._entries:
            return self._entries[name]
        for fault in self.faults:
            if not self.whole or fault.name == name:
                raise fault.error()
        raise UnknownServer(
            f"no server {name!r} in {file}", did_you_mean(name, self._entries, none="Known: {}")
        )


def selection_of(paths: Paths, name: str) -> Selection:
    """Return which tools a server's entry leaves in; every one where there is no such entry."""
    entry = load_servers(paths).get(name)
    return EVERYTHING if entry is None else entry.tools


def load_servers(paths: Paths) -> Servers:
    """Read the list of servers. It never fails: what is wrong is among the faults."""
    file = paths.servers_file
    entries = {MEMORY: ServerEntry(MEMORY, builtin=True)}
    try:
        document = read(file.read_bytes())
    except FileNotFoundError:
        return Servers(entries)
    except OSError as error:
        why = f"it cannot be read: {error.strerror or error}"
        return Servers(entries, (Fault(file, "", 0, why, "Check its owner and mode"),), whole=False)
    except NotReadable as error:
        fault = Fault(file, "", error.line, error.what, error.cure)
        return Servers(entries, (fault,), whole=False)
    found, faults = _read(document, file)
    whole = bool(found) or all(fault.name for fault in faults)
    return Servers(entries | found, faults, whole=whole)


def find_server(paths: Paths, name: str) -> ServerEntry:
    """Return the server of that name, or raise `UnknownServer` with the nearest one.

    Raises `SettingsError` with file, line and cure where its entry or the file cannot be used.
    """
    return load_servers(paths).find(name, paths.servers_file)


def check_entry(name: str, entry: msgspec.Struct) -> ServerEntry:
    """Return what an entry that is about to be written will be read as.

    Raises `SettingsError` where it could not be used; what `${NAME}` stands for is not known yet.
    """
    check_name(name)
    try:
        written = msgspec.json.encode(entry)
    except UnicodeEncodeError as error:
        what = f"server {name}: {one_line(error.object)} is not UTF-8, and JSON can't name it"
        raise SettingsError(what, "Rename what it names, or start it by a script") from error
    try:
        server = read_entry(name, msgspec.json.decode(written))
    except BadEntry as error:
        raise SettingsError(f"server {name}: {error.what}", error.cure) from error
    if server.problem:
        raise SettingsError(f"server {name}: {server.problem}", server.cure)
    if server.url:
        from pktui.gateway.servers.url import checked_headers, parse_endpoint

        checked_headers(server.headers, name)
        if "${" not in server.url:
            parse_endpoint(server.url, name)
    return server


def check_name(name: str) -> str:
    """Return the name, or raise `SettingsError`: it is no file's name, or the memory's."""
    check_server_name(name)
    if name.lower() == MEMORY:
        raise SettingsError(f"the name {name} belongs to pktui's own memory", _ANOTHER)
    return name


def table_paths(document: Any) -> list[tuple[str, ...]]:
    """Return the paths of the objects in a document that hold servers."""
    return [
        (key, "servers") if key == "mcp" and _is_vs_codes(document[key]) else (key,)
        for key in document
        if key in KEYS
    ]


def _is_vs_codes(table: Any) -> bool:
    """Tell VS Code's `mcp.servers` from a server of opencode's that is called servers."""
    inner = table.get("servers") if isinstance(table, dict) else None
    return isinstance(inner, dict) and all(isinstance(one, dict) for one in inner.values())


def _read(document: Document, file: Path) -> tuple[dict[str, ServerEntry], list[Fault]]:
    if not isinstance(document.value, dict):
        return {}, [Fault(file, "", 1, "it is no object", _SHAPE)]
    paths = table_paths(document.value)
    if not paths:
        return {}, [Fault(file, "", 1, 'it has no "mcpServers"', _SHAPE)]
    reader = _Reader(document, file)
    for path in paths:
        reader.read(path)
    return reader.entries, reader.faults


class _Reader:
    """Reads the entries of one file, and finds the lines of those that are at fault."""

    def __init__(self, document: Document, file: Path) -> None:
        self._document = document
        self._file = file
        self._taken: dict[str, str] = {}
        self.entries: dict[str, ServerEntry] = {}
        self.faults: list[Fault] = []

    def read(self, path: tuple[str, ...]) -> None:
        if self._document.slips:
            for node in self._document.nodes(path):
                self._read_node(path, node)
            return
        table = self._document.value
        for key in path:
            table = table[key]
        if not isinstance(table, dict):
            self._no_table(path, self._document.root.find(path))
            return
        for name, value in table.items():
            try:
                self._check_name(name)
                self.entries[name] = read_entry(name, value)
            except BadEntry as error:
                steps = (*path, name, *error.steps)
                at = self._document.root.find(steps, on_key=not error.steps)
                self._fault(name, at, error.what, error.cure)

    def _read_node(self, path: tuple[str, ...], node: Node) -> None:
        """Read a table of a document in which something is doubtful."""
        if node.kind != "object":
            self._no_table(path, node.start)
        times = Counter(member.key for member in node.members)
        for member in node.members:
            try:
                self._check_name(member.key, times[member.key])
                self._check_slips(member)
                self.entries[member.key] = read_entry(member.key, member.value.plain())
            except BadEntry as error:
                at = member.value.find(error.steps) if error.steps else member.start
                self._fault(member.key, at, error.what, error.cure)

    def _check_slips(self, member: Member) -> None:
        for slip in self._document.slips:
            if member.value.start <= slip.offset < member.value.end:
                line = self._document.line(slip.offset)
                raise BadEntry(f"{slip.what} (line {line})", slip.cure)

    def _check_name(self, name: str, times: int = 1) -> None:
        if times > 1:
            raise BadEntry(f"there are {times} entries of this name", "Keep one of them")
        try:
            check_server_name(name)
        except SettingsError as error:
            raise BadEntry("this name cannot be that of a file", error.cure) from error
        if name.lower() == MEMORY:
            raise BadEntry("this name belongs to pktui's own memory", _ANOTHER)
        if name in self.entries:
            raise BadEntry("there is an entry of this name above", "Keep one of them")
        other = self._taken.setdefault(name.lower(), name)
        if other != name:
            raise BadEntry(f"only case tells its name from {other!r}", _ANOTHER)

    def _no_table(self, path: tuple[str, ...], offset: int) -> None:
        self._fault("", offset, f"{path[-1]} is no object", _SHAPE)

    def _fault(self, name: str, offset: int, what: str, cure: str) -> None:
        self.faults.append(Fault(self._file, name, self._document.line(offset), what, cure))
