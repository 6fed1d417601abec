"""Edits of `servers.json`: an entry is added or taken out, and everything else keeps every byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.errors import PolicyConflict, PolicyError, SettingsError
from pktui.files import make_private_directory
from pktui.gateway.servers.entries import KEYS, MEMORY, check_entry, table_paths
from pktui.policy.files import read_or_none, replace_file
from pktui.policy.text.json import line_column, scan
from pktui.policy.text.json_edit import add_member, remove_member, replace_value, write

if TYPE_CHECKING:
    from pktui.policy.text.json import Node

_EMPTY: Final = '{\n  "mcpServers": {}\n}\n'
_ATTEMPTS: Final = 3


class NewEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """An entry as it is written; what is empty is left out."""

    type: str = ""
    command: str = ""
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str = ""
    url: str = ""
    headers: dict[str, str] = {}


class ServerFile:
    """The list of servers. Each method raises `SettingsError` where it cannot be done."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, name: str, entry: NewEntry, *, replace: bool = False) -> None:
        """Add an entry at the end, or in the place of the one of that name where `replace`."""
        check_entry(name, entry)
        text = write(msgspec.to_builtins(entry))

        def edited(before: str) -> str:
            document, tables = self._read(before)
            if not tables:
                whole = write({name: msgspec.to_builtins(entry)})
                return add_member(before, document, KEYS[0], whole, lines=True)
            member = next((found for table in tables if (found := table.member(name))), None)
            if member is None:
                return add_member(before, tables[0], name, text, lines=True)
            if not replace:
                raise SettingsError(
                    f"{self._path} has a server {name} already",
                    "Give --replace to write over it, or choose another name",
                )
            return replace_value(before, member.value, text)

        self._edit(edited)

    def remove(self, name: str) -> None:
        """Take an entry out."""

        def edited(before: str) -> str:
            for table in self._read(before)[1]:
                if table.member(name) is not None:
                    return remove_member(before, table, name)
            raise self._missing(name)

        self._edit(edited)

    def _missing(self, name: str) -> SettingsError:
        if name == MEMORY:
            return SettingsError(f"{MEMORY} is built in and cannot be removed", "")
        return SettingsError(
            f"{self._path} has no server {name}", "List them with: pktui servers list"
        )

    def _edit(self, edited: Callable[[str], str]) -> None:
        """Write the edited text; begin again where somebody else wrote meanwhile."""
        make_private_directory(self._path.parent)
        for attempt in range(_ATTEMPTS):
            try:
                before = read_or_none(self._path)
                text = _EMPTY if before is None else before.decode()
                replace_file(self._path, before, edited(text).encode())
            except PolicyConflict as error:
                if attempt == _ATTEMPTS - 1:
                    raise SettingsError(
                        f"{self._path} is being written by somebody else", "Try again"
                    ) from error
            except UnicodeDecodeError as error:
                raise SettingsError(f"{self._path} is not UTF-8", "Mend it by hand") from error
            except PolicyError as error:
                raise SettingsError(
                    f"{self._path} cannot be read or written", "Check its owner and mode"
                ) from error
            else:
                return

    def _read(self, text: str) -> tuple[Node, list[Node]]:
        """Return the document and its objects of servers."""
        document, slips = scan(text, comments=True)
        if document is None or slips:
            line, _ = line_column(text, slips[0].offset)
            raise self._unusable(f"line {line}: {slips[0].what}")
        if document.kind != "object":
            raise self._unusable("it is no object")
        tables = []
        for path in table_paths(document.plain()):
            table = document
            for key in path:
                member = table.member(key)
                assert member is not None
                table = member.value
            if table.kind != "object":
                raise self._unusable(f"{path[-1]} is no object")
            tables.append(table)
        return document, tables

    def _unusable(self, why: str) -> SettingsError:
        return SettingsError(f"{self._path} cannot be edited: {why}", "Mend it by hand")
