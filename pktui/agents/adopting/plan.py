"""What adopting or releasing would change, file by file; nothing is written here."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from pktui.agents.adopting.document import Document, NotEditable, follow, open_document
from pktui.agents.adopting.hooks import hook_groups, plugin_text
from pktui.agents.adopting.record import Adopted, AdoptedFile, Entry
from pktui.agents.adopting.servers import (
    directories,
    entry_through_pktui,
    free_name,
    problem_of,
)
from pktui.agents.clients import KNOWN_CLIENTS, ClientKind, Places
from pktui.agents.config_file import read_config
from pktui.agents.discovery import (
    command_of,
    gateway_words,
    is_here,
    server_tables,
    server_through_pktui,
)
from pktui.agents.hook_state import starts_hook
from pktui.errors import PktuiError, SettingsError
from pktui.settings import Paths, bundled

PLUGIN_MARK: Final = b"pktui stands between opencode and its own tools"
_SERVER_KEYS: Final = ("mcpServers", "servers", "mcp", "mcp_servers", "context_servers")
_DENIED: Final = "_paths.json"
# Where a gateway that is told of no directory looks, below a home that no variable moves.
_DEFAULT_CONFIG: Final = (
    "Library/Application Support/pktui" if sys.platform == "darwin" else ".config/pktui"
)

Way = Literal["adopt", "release"]


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file before and after; `after` None: it is removed. `client` None: it is pktui's own."""

    client: ClientKind | None
    path: Path
    before: bytes | None
    after: bytes | None

    @property
    def created(self) -> bool:
        """Tell whether there is no such file yet."""
        return self.before is None

    @property
    def diff(self) -> str:
        """The change as a unified diff."""
        old, new = (
            (text or b"").decode("utf-8-sig", "replace").splitlines(keepends=True)
            for text in (self.before, self.after)
        )
        names = (
            "/dev/null" if self.before is None else str(self.path),
            "/dev/null" if self.after is None else str(self.path),
        )
        lines = difflib.unified_diff(old, new, *names)
        return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written, and what a person should know of it."""

    paths: Paths
    places: Places
    way: Way
    clients: tuple[str, ...]
    hooks: bool
    project: bool
    changes: tuple[FileChange, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    record: Adopted = field(default_factory=Adopted)
    stores: Mapping[str, Path | None] = field(default_factory=dict)
    keeps: Mapping[str, bytes] = field(default_factory=dict)
    """Texts to go back to that stand in no file now, by the names of their backups."""

    @property
    def empty(self) -> bool:
        """Tell whether nothing is to be changed."""
        return not self.changes

    def again(self) -> Plan:
        """Return the same plan for what the files hold now; raises `PktuiError`."""
        made = plan_adoption if self.way == "adopt" else _plan_release
        return made(self.paths, self.places, self.clients, hooks=self.hooks, project=self.project)


def plan_adoption(
    paths: Paths,
    places: Places,
    clients: Sequence[str] = (),
    *,
    hooks: bool = True,
    project: bool = False,
) -> Plan:
    """Plan to put agents behind pktui, all that are here where none are named.

    `project`: the project's own files as well. A config that can't be understood is among the
    problems. Raises `PktuiError` where servers.json or the record of what was adopted can't be
    read, and for the name of an agent that is not known.
    """
    builder = _Adopting(paths, places, project=project)
    for client in _chosen(clients):
        if clients or is_here(client, places):
            builder.adopt(client, hooks=hooks)
    return builder.plan(tuple(clients), hooks=hooks)


def plan_release(
    paths: Paths, places: Places, clients: Sequence[str] = (), *, project: bool = False
) -> Plan:
    """Plan to put back what was there, of all agents where none are named; raises as above.

    `project` is of no account: what was adopted is taken back wherever it is.
    """
    return _plan_release(paths, places, clients, hooks=True, project=project)


def _plan_release(
    paths: Paths, places: Places, clients: Sequence[str], *, hooks: bool, project: bool
) -> Plan:
    chosen = [client.id for client in _chosen(clients)]
    builder = _Releasing(paths)
    for file, adopted in list(builder.record.files.items()):
        if adopted.agent in chosen:
            builder.release(Path(file), adopted)
    builder.release_servers()
    return Plan(
        paths,
        places,
        "release",
        tuple(clients),
        hooks,
        project,
        tuple(builder.changes),
        (),
        tuple(builder.problems),
        builder.record,
        dict.fromkeys(chosen),
    )


def _chosen(clients: Sequence[str]) -> list[ClientKind]:
    known = {client.id: client for client in KNOWN_CLIENTS}
    for name in clients:
        if name not in known:
            raise PktuiError(f"no agent {name!r} is known", f"Known are {', '.join(known)}")
    return [known[name] for name in clients] if clients else list(KNOWN_CLIENTS)


class _Open:
    """A file while its edits are collected."""

    def __init__(self, client: ClientKind, path: Path, before: bytes | None) -> None:
        self.client = client
        self.path = path
        self.before = before
        self.document: Document = open_document(path.name, before or b"")
        self.entries: list[Entry] = []
        self.servers: list[str] = []


class _Adopting:
    """Collects the edits that put agents behind pktui."""

    def __init__(self, paths: Paths, places: Places, *, project: bool) -> None:
        self._paths = paths
        self._places = places
        self._levels = ("user", "project") if project else ("user",)
        self._record = Adopted.load(paths)
        self._opened: dict[str, _Open] = {}
        self._plugins: list[FileChange] = []
        self._servers_before, self._servers = _open_servers(paths)
        self._table = _servers_table(self._servers)
        self._known: dict[str, Any] = dict(self._servers.get([self._table]) or {})
        self._notes: list[str] = []
        self._problems: list[str] = []
        self._stores: dict[str, Path | None] = {}
        self._keeps: dict[str, bytes] = {}

    def adopt(self, client: ClientKind, *, hooks: bool) -> None:
        for level, file in client.server_files(self._places):
            if level in self._levels and file.is_file():
                self._guarded(client, file, self._adopt_servers)
        if hooks and client.hook_files is not None:
            for level, file in client.hook_files(self._places):
                if level in self._levels:
                    self._guarded(client, file, self._adopt_hooks)
            self._note_hooks(client)
        if client.store is not None:
            self._stores[client.id] = client.store(self._places)

    def plan(self, clients: tuple[str, ...], *, hooks: bool) -> Plan:
        changes = [*self._own_changes()]
        for one in self._opened.values():
            after = one.document.encoded()
            if one.entries and after != (one.before or b""):
                changes.append(FileChange(one.client, one.path, one.before, after))
                self._remember(one, after)
        for change in self._plugins:
            changes.append(change)
            assert change.client is not None
            known = self._record.files.get(str(change.path))
            before = known.before if known is not None else _backup_name(change.before)
            self._record.files[str(change.path)] = AdoptedFile(
                change.client.id, before, digest(change.after or b"")
            )
        return Plan(
            self._paths,
            self._places,
            "adopt",
            clients,
            hooks,
            "project" in self._levels,
            tuple(changes),
            tuple(dict.fromkeys(self._notes)),
            tuple(self._problems),
            self._record,
            self._stores,
            self._keeps,
        )

    def _guarded(self, client: ClientKind, file: Path, act: Any) -> None:
        try:
            act(client, file)
        except (ValueError, OSError) as error:
            why = getattr(error, "strerror", None) or str(error)
            opened = self._opened.get(os.path.realpath(file))
            left = "gets no hooks" if opened is not None and opened.entries else "is left alone"
            self._problems.append(f"{client.title}: {file} {left}: {why}")

    def _open(self, client: ClientKind, file: Path) -> _Open:
        where = os.path.realpath(file)  # Path.resolve raises for links that go round
        if where not in self._opened:
            self._opened[where] = _Open(client, file, read_config(file))
        return self._opened[where]

    def _adopt_servers(self, client: ClientKind, file: Path) -> None:
        opened = self._open(client, file)
        for path, table in list(server_tables(opened.document.plain(), client)):
            for name, original in table.items():
                self._adopt_server(opened, (*path, name), original)

    def _adopt_server(self, opened: _Open, path: tuple[str, ...], original: Any) -> None:
        client, written = opened.client, path[-1]
        problem = problem_of(written, original)
        if problem:
            self._notes.append(f"{client.title}: server {written!r} stays as it is: {problem}")
            return
        if _is_off(original):
            return
        if server_through_pktui(written, original):
            self._name_directories(opened, path, original)
            return
        name = free_name(written, client.id, original, self._known)
        if name not in self._known:
            self._known[name] = original
            self._servers.set([self._table, name], original)
            self._record.servers[name] = original
        if any(original.get(key) for key in ("url", "httpUrl", "serverUrl")):
            self._notes.append(
                f"{client.title}: server {written!r} is reached by a URL: where {client.title}"
                " signed in to it for you, pktui can't; give it a header in servers.json, or"
                " release it."
            )
        ours = entry_through_pktui(client.id, original, name, self._paths)
        opened.document.set(path, ours)
        opened.entries.append(Entry(path, ours, original))
        opened.servers.append(name)

    def _name_directories(self, opened: _Open, path: tuple[str, ...], entry: Any) -> None:
        """Have an entry that leads through pktui already name the directories that are meant."""
        key = "environment" if opened.client.id == "opencode" else "env"
        told = entry.get(key) or {}
        wanted = directories(self._paths)
        if not entry.get("command") or not isinstance(told, dict) or told.items() >= wanted.items():
            return
        ours = {**entry, key: {**told, **wanted}}
        named = gateway_words(command_of(path[-1], entry))[2:3]
        if named and named != ("memory",) and not named[0].startswith("-"):
            name = self._carried_over(opened, named[0], told.get("PKTUI_CONFIG_DIR"))
            if not name:
                return
            for member in ("command", "args"):
                if isinstance(words := entry.get(member), list):
                    ours[member] = [name if word == named[0] else word for word in words]
        opened.document.set(path, ours)
        opened.entries.append(Entry(path, ours, entry))

    def _carried_over(self, opened: _Open, name: str, elsewhere: object) -> str:
        """Take a server over from the servers.json that an entry has led to; return its name here.

        Empty where there is none of that name.
        """
        directory = elsewhere if isinstance(elsewhere, str) else self._places.home / _DEFAULT_CONFIG
        file = Path(directory, self._paths.servers_file.name)
        document = open_document(file.name, read_config(file) or b"")
        original = document.get([_servers_table(document), name])
        if file == self._paths.servers_file or (original is None and name in self._known):
            return name
        title = opened.client.title
        if original is None:
            self._problems.append(f"{title}: {file} has no server {name}: its entry stays as it is")
            return ""
        taken = free_name(name, opened.client.id, original, self._known)
        if taken not in self._known:
            self._known[taken] = self._record.servers[taken] = original
            self._servers.set([self._table, taken], original)
        opened.servers.append(taken)
        self._notes.append(
            f"{title}: server {taken} is taken over from {file}, and its policy is not: it is among"
            f" those in {file.parent / 'policies'}."
        )
        return taken

    def _adopt_hooks(self, client: ClientKind, file: Path) -> None:
        if client.id == "opencode":
            self._adopt_plugin(client, file)
            return
        opened = self._open(client, file)
        groups = hook_groups(client.id, self._paths)
        for event, _ in groups:  # all before the first edit: some hooks without others are none
            if not isinstance(opened.document.get(("hooks", event)), list | None):
                raise NotEditable(f"hooks.{event} is no list")
        for event, group in groups:
            path = ("hooks", event)
            present = opened.document.get(path) or []
            if group in present:
                continue
            _take_out_hook(opened.document, path, lambda hook: starts_hook(hook, client.id))
            opened.document.append(path, group)
            opened.entries.append(Entry(path, group, item=True))

    def _adopt_plugin(self, client: ClientKind, file: Path) -> None:
        template = Path(__file__).parents[1] / "hooks" / "opencode_plugin.js"
        text = plugin_text(template.read_text(encoding="utf-8"), self._paths).encode()
        before = read_config(file)
        if before is not None and PLUGIN_MARK not in before:
            raise NotEditable("it is not pktui's")
        if before != text:
            self._plugins.append(FileChange(client, file, before, text))

    def _note_hooks(self, client: ClientKind) -> None:
        if client.id == "codex":
            self._notes.append(
                "Codex asks you to trust the new hooks in a screen of its own (Hooks need review):"
                " until then they do not run, and codex exec passes them by without a word. A hook"
                " that is put before them, or another time-out, makes it ask again."
            )
        if client.id == "opencode":
            self._notes.append(
                "opencode installs its plugin package at its next start. Without a network it tries"
                " again at each start, and answers some 75 s later."
            )

    def _own_changes(self) -> Iterator[FileChange]:
        after = self._servers.encoded()
        if after != (self._servers_before or b"") and self._record.servers:
            yield FileChange(None, self._paths.servers_file, self._servers_before, after)
        denied = self._paths.policies_dir / _DENIED
        if not denied.exists():
            document = json.loads(bundled("config", "policies", _DENIED).read_bytes())
            own = [f"{directory}/**" for directory in directories(self._paths).values()]
            document["deny"] = [*dict.fromkeys([*document["deny"], *own])]
            yield FileChange(None, denied, None, f"{json.dumps(document, indent=2)}\n".encode())

    def _remember(self, one: _Open, after: bytes) -> None:
        known = self._record.files.get(str(one.path))
        before, entries, servers = _backup_name(one.before), one.entries, one.servers
        if known is not None:
            if one.before is not None and digest(one.before) == known.after:
                before = known.before
            elif one.before is not None:
                former = taken_back(one.path.name, one.before, known)
                before = digest(former)
                self._keeps[before] = former
            first = {one.path: one for one in known.entries if not one.item}
            entries = [
                msgspec.structs.replace(one, original=first[one.path].original)
                if not one.item and one.path in first
                else one
                for one in entries
            ]
            places = {(entry.path, entry.item) for entry in entries if not entry.item}
            kept = [one for one in known.entries if (one.path, one.item) not in places]
            kept = [one for one in kept if one not in entries]
            entries, servers = [*kept, *entries], [*known.servers, *servers]
        self._record.files[str(one.path)] = AdoptedFile(
            one.client.id, before, digest(after), tuple(entries), tuple(dict.fromkeys(servers))
        )


class _Releasing:
    """Collects the edits that put back what was there."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self.record = Adopted.load(paths)
        self.changes: list[FileChange] = []
        self.problems: list[str] = []

    def release(self, file: Path, adopted: AdoptedFile) -> None:
        client = next((one for one in KNOWN_CLIENTS if one.id == adopted.agent), None)
        try:
            now = read_config(file)
            after = self._after(file, now, adopted)
        except (ValueError, OSError) as error:
            self.problems.append(f"{file} is left alone: {error}")
            return
        del self.record.files[str(file)]
        if now != after:
            self.changes.append(FileChange(client, file, now, after))

    def release_servers(self) -> None:
        """Take out of servers.json what was moved there and no adopted file refers to any more."""
        used = {name for adopted in self.record.files.values() for name in adopted.servers}
        unused = {name: entry for name, entry in self.record.servers.items() if name not in used}
        if not unused:
            return
        before, document = _open_servers(self._paths)
        table = _servers_table(document)
        for name, entry in unused.items():
            if document.get([table, name]) == entry:
                document.remove([table, name])
            del self.record.servers[name]
        after: bytes | None = document.encoded()
        if not self.record.servers and follow(document.plain(), [table]) == {}:
            after = None if set(document.plain()) == {table} else after
        if before is not None and after != before:
            self.changes.append(FileChange(None, self._paths.servers_file, before, after))

    def _after(self, file: Path, now: bytes | None, adopted: AdoptedFile) -> bytes | None:
        if now is None:
            return None
        if digest(now) == adopted.after:
            if not adopted.before:
                return None
            backup = self._paths.backups_dir / adopted.before
            try:
                return backup.read_bytes()
            except FileNotFoundError:
                pass
        if PLUGIN_MARK in now and file.suffix == ".js":
            return None
        return taken_back(file.name, now, adopted)


def taken_back(name: str, now: bytes, adopted: AdoptedFile) -> bytes:
    """Return a file's text without what was put in; what somebody changed since stays."""
    document = open_document(name, now)
    for entry in adopted.entries:
        if entry.item:
            ours = entry.ours["hooks"]
            _take_out_hook(document, entry.path, ours.__contains__)
            if document.get(entry.path) == []:
                document.remove(entry.path)
            if document.get(entry.path[:-1]) == {}:
                document.remove(entry.path[:-1])
        elif document.get(entry.path) == entry.ours or _goes_through_pktui(document, entry):
            if entry.original is None:
                document.remove(entry.path)
            else:
                document.set(entry.path, entry.original)
    return document.encoded()


def _take_out_hook(
    document: Document, path: tuple[str, ...], is_ours: Callable[[Any], bool]
) -> None:
    """Take a hook out of the groups of an event; others that somebody put beside it stay."""
    groups = document.get(path)
    for group in groups if isinstance(groups, list) else ():
        hooks = group.get("hooks") if isinstance(group, dict) else None
        if not isinstance(hooks, list):
            continue
        others = [hook for hook in hooks if not is_ours(hook)]
        if len(others) < len(hooks):
            document.drop(path, group)
            if others:
                document.append(path, {**group, "hooks": others})


def _goes_through_pktui(document: Document, entry: Entry) -> bool:
    """Tell whether an agent wrote our entry in other words."""
    return server_through_pktui(entry.path[-1], document.get(entry.path))


def digest(raw: bytes) -> str:
    """Return the SHA-256 in hex."""
    return hashlib.sha256(raw).hexdigest()


def _backup_name(raw: bytes | None) -> str:
    return "" if raw is None else digest(raw)


def _open_servers(paths: Paths) -> tuple[bytes | None, Document]:
    file = paths.servers_file
    try:
        before = read_config(file)
        return before, open_document(file.name, before or b"")
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file} cannot be used: {error}", "Mend it by hand") from error


def _servers_table(document: Document) -> str:
    whole = document.plain()
    return next((key for key in _SERVER_KEYS if isinstance(whole.get(key), dict)), "mcpServers")


def _is_off(original: Any) -> bool:
    return bool(original.get("disabled") is True or original.get("enabled") is False)
