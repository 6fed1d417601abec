"""What a server is called that was given by hand, so that two never share a name.

Policy, pins and answers are kept by name. A server is named by what distinguishes it: a script by
its path, a package by its registry and scope, an image by its registry, a URL by host, port and
path. All that it is told counts as well, since it may be what it starts or reaches: secrets,
versions and the options of `npx`, `docker run` and the like apart. A name that was given is the
identity.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pktui.errors import PktuiError
from pktui.gateway.servers.entries import check_name, load_servers
from pktui.gateway.servers.expand import prepared
from pktui.gateway.servers.launchers import TOLD, Parts, program_of, started, told
from pktui.server_entry import ServerEntry

if TYPE_CHECKING:
    from pktui.settings import Paths

_LOSSLESS: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
_UNSHOWN: Final = re.compile(r"[^a-z0-9.-]+")
_LONGEST: Final = 64
_MARK: Final = "__"
# Base 32 digits, 60 bits: who wants the name of another server has to try for a long time.
_DIGITS: Final = 12
_PORTS: Final = {"http": 80, "https": 443}


def server_of_command(name: str, command: Sequence[str], cwd: Path | None = None) -> ServerEntry:
    """Return the entry for a command given by hand; relative paths begin at `cwd`, else here."""
    chosen = name or name_of(identity(command, cwd or Path.cwd()))
    return ServerEntry(check_name(chosen), command[0], tuple(command[1:]))


def server_of_url(name: str, url: str, headers: Mapping[str, str]) -> ServerEntry:
    """Return the entry for a URL given by hand."""
    chosen = name or name_of([address(url)])
    return ServerEntry(check_name(chosen), url=url, headers=headers)


def name_by_itself(entry: ServerEntry, environ: Mapping[str, str]) -> str:
    """Return the name that what an entry starts would have without the one it was given.

    Empty where that can't be told, as of an entry that cannot be started.
    """
    try:
        ready = prepared(entry, environ)
    except PktuiError:
        return ""
    if ready.builtin:
        return ready.name
    if ready.url:
        return name_of([address(ready.url)])
    return name_of(identity((ready.command, *ready.args), ready.cwd or Path.cwd()))


def started_name(paths: Paths, server: str) -> str:
    """Return the name that what a configured server starts has by itself, empty of no such one."""
    try:
        entry = load_servers(paths).get(server)
    except PktuiError:
        return ""
    return "" if entry is None else name_by_itself(entry, os.environ)


def identity(command: Sequence[str], cwd: Path) -> list[Parts]:
    """Return what distinguishes a command: what it starts, and which addresses it is told."""
    found = started(command, cwd)
    if found is None:
        return _unknown(command, cwd)
    return found + [address(word) for word in command[1:] if "://" in word]


def name_of(groups: Sequence[Parts]) -> str:
    """Return the one name of what these parts identify: safe as a file's name.

    Where there is one group and a name can hold its parts, they stand in it, joined by `_`; else it
    is what can be read of them, `__`, and a hash of all. No two identities have one name.
    """
    plain = "_".join(groups[0])
    simple = len(groups) == 1 and all(map(_LOSSLESS.fullmatch, groups[0]))
    if simple and len(plain) <= _LONGEST:
        return plain
    exact = json.dumps(groups).encode()
    digits = base64.b32encode(hashlib.sha256(exact).digest()).decode().lower()[:_DIGITS]
    shown = [
        _UNSHOWN.sub("-", part.lower()).strip("-.")
        for group in groups
        for part in group
        if group[0] != TOLD and not part.startswith("?")
    ]
    kind, *words = [part for part in shown if part] or ["server"]
    room = _LONGEST - _DIGITS - len(_MARK) - len(kind) - 1
    said = "_".join(words)[-room:].strip("_-.") if room > 0 else ""
    return "_".join(filter(None, (kind[:_DIGITS], said))) + _MARK + digits


def address(url: str) -> Parts:
    """Return what tells a URL from others: its scheme, host, port, path and query."""
    try:
        found = urlsplit(url)
        host, port = found.hostname, found.port
    except ValueError:
        return ["url", url]
    if not host:
        return ["url", url]
    at = host if port in (None, _PORTS.get(found.scheme)) else f"{host}:{port}"
    path = found.path.split("/")[1:] if found.path not in ("", "/") else []
    return [found.scheme, at, *path, *([f"?{found.query}"] if found.query else [])]


def _unknown(command: Sequence[str], cwd: Path) -> list[Parts]:
    """Return the identity of a program of which nothing is known but its name."""
    program = command[0]
    if "/" in program:
        return [["program", *(cwd / Path(program).expanduser()).parts[1:]], *told(command[1:], cwd)]
    return [["program", program_of(program)], *told(command[1:], cwd)]
