"""An agent's config file as text that is edited in place: JSON with comments, or TOML.

What is not edited keeps its bytes: comments, order, layout, line ends and a byte order mark.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pktui import jsonc
from pktui.policy.text.json import line_column, scan
from pktui.policy.text.json_edit import add_item, add_member, remove_item, remove_member

if TYPE_CHECKING:
    from pktui.policy.text.json import Node

Path = Sequence[str]


class NotEditable(ValueError):
    """The file can't be understood, so it is left alone; the message says why."""


class Document(Protocol):
    """A config file; each change raises `NotEditable` where the file has no place for it."""

    def plain(self) -> dict[str, Any]:
        """Return all of it."""

    def get(self, path: Path) -> Any:
        """Return what stands there, None where nothing does."""

    def set(self, path: Path, value: Any) -> None:
        """Put a value there; the objects around it are made where they are missing."""

    def remove(self, path: Path) -> None:
        """Take out what stands there, if anything does."""

    def append(self, path: Path, value: Any) -> None:
        """Append a value to the list there, which is made where it is missing."""

    def drop(self, path: Path, value: Any) -> None:
        """Take the first item out of the list there that is this value."""

    def encoded(self) -> bytes:
        """Return the file's bytes."""


def open_document(name: str, raw: bytes) -> Document:
    """Read a file by its name; an empty one is an empty document. Raises `NotEditable`."""
    return TomlDocument(raw) if name.endswith(".toml") else JsonDocument(raw)


def follow(value: Any, path: Path) -> Any:
    """Return what stands at a path of keys, None where nothing does."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


class JsonDocument:
    """JSON as people write it."""

    def __init__(self, raw: bytes) -> None:
        self._mark = BOM_UTF8 if raw.startswith(BOM_UTF8) else b""
        try:
            text = jsonc.decoded(raw)
        except jsonc.NotReadable as error:
            raise NotEditable(str(error)) from error
        self._become(text if text.strip() else "{}\n")

    def plain(self) -> dict[str, Any]:
        """Return all of it."""
        whole = _plain(self._root)
        assert isinstance(whole, dict)
        return whole

    def get(self, path: Path) -> Any:
        """Return what stands there, None where nothing does."""
        node = self._node(path)
        return None if node is None else _plain(node)

    def set(self, path: Path, value: Any) -> None:
        """Put a value there; the objects around it are made where they are missing."""
        node, at = self._root, 0
        for key in path:
            member = node.member(key) if node.kind == "object" else None
            if member is None:
                break
            node, at = member.value, at + 1
        if at == len(path):
            text = self._laid_out(value, node.start)
            whole = f"{self._text[: node.start]}{text}{self._text[node.end :]}"
        else:
            if node.kind != "object":
                raise NotEditable(f"{'.'.join(path[:at]) or 'it'} is no object")
            for key in reversed(path[at + 1 :]):
                value = {key: value}
            inner = node.members[-1].start if node.members else None
            text = self._laid_out(value, node.start if inner is None else inner, new=inner is None)
            whole = add_member(self._text, node, path[at], text, lines=self._has_lines())
        self._become(whole)

    def remove(self, path: Path) -> None:
        """Take out what stands there, if anything does."""
        around = self._node(path[:-1])
        if around is not None and around.kind == "object" and around.member(path[-1]) is not None:
            self._become(remove_member(self._text, around, path[-1]))

    def append(self, path: Path, value: Any) -> None:
        """Append a value to the list there, which is made where it is missing."""
        node = self._node(path)
        if node is None or node.plain() is None:
            self.set(path, [value])
            return
        if node.kind != "array":
            raise NotEditable(f"{'.'.join(path)} is no list")
        at = node.items[-1].start if node.items else node.start
        text = self._laid_out(value, at, new=not node.items)
        if not node.items and self._has_lines():
            self.set(path, [value])
            return
        self._become(add_item(self._text, node, text))

    def drop(self, path: Path, value: Any) -> None:
        """Take the first item out of the list there that is this value."""
        node = self._node(path)
        for index, item in enumerate(node.items if node is not None else ()):
            if _plain(item) == value:
                assert node is not None
                self._become(remove_item(self._text, node, index))
                return

    def encoded(self) -> bytes:
        """Return the file's bytes."""
        return self._mark + self._text.encode()

    def _become(self, text: str) -> None:
        """Take a text in place of what there is, which stays where it can't be understood."""
        root, slips = scan(text, comments=True)
        if slips or root is None:
            line, _ = line_column(text, slips[0].offset)
            raise NotEditable(f"line {line}: {slips[0].what}")
        if root.kind != "object":
            raise NotEditable("it is no object")
        self._text, self._root = text, root

    def _node(self, path: Path) -> Node | None:
        node = self._root
        for key in path:
            member = node.member(key) if node.kind == "object" else None
            if member is None:
                return None
            node = member.value
        return node

    def _has_lines(self) -> bool:
        return "\n" in self._text.strip() or not self._root.members

    def _laid_out(self, value: Any, at: int, *, new: bool = False) -> str:
        """Return a value as text for a place: on lines of its own where the file has such."""
        if not isinstance(value, dict | list) or not self._has_lines():
            return json.dumps(value, ensure_ascii=False)
        line = self._text[self._text.rfind("\n", 0, at) + 1 : at]
        outer = line[: len(line) - len(line.lstrip(" \t"))]
        unit = _unit(self._text)
        text = json.dumps(value, ensure_ascii=False, indent=unit)
        newline = "\r\n" if "\r\n" in self._text else "\n"
        return text.replace("\n", f"{newline}{outer}{unit if new else ''}")


def _plain(node: Node) -> Any:
    """Return a value that can be written again: the scanner's exact numbers can't."""
    return json.loads(json.dumps(node.plain(), default=float))


def _unit(text: str) -> str:
    for line in text.splitlines():
        inner = line[: len(line) - len(line.lstrip(" \t"))]
        if inner and inner != line:
            return inner
    return "  "


class TomlDocument:
    """TOML, by tomlkit."""

    def __init__(self, raw: bytes) -> None:
        import tomlkit
        from tomlkit.exceptions import TOMLKitError

        self._mark = BOM_UTF8 if raw.startswith(BOM_UTF8) else b""
        try:
            text = jsonc.decoded(raw)
            self._crlf = "\r\n" in text
            self._document = tomlkit.parse(text)
        except (jsonc.NotReadable, TOMLKitError) as error:
            raise NotEditable(str(error)) from error

    def plain(self) -> dict[str, Any]:
        """Return all of it."""
        whole: dict[str, Any] = self._document.unwrap()
        return whole

    def get(self, path: Path) -> Any:
        """Return what stands there, None where nothing does."""
        return follow(self.plain(), path)

    def set(self, path: Path, value: Any) -> None:
        """Put a value there; an object is changed key by key, so that its comments stay."""
        import tomlkit

        table: Any = self._document
        for key in path[:-1]:
            if key not in table:
                table[key] = tomlkit.table(is_super_table=True)
            table = table[key]
            if not hasattr(table, "items"):
                raise NotEditable(f"{key} is no table")
        last = path[-1]
        if isinstance(value, dict):
            if not hasattr(table.get(last), "items"):
                table[last] = tomlkit.table()
            _merge(table[last], value)
        else:
            table[last] = value
        self._document = tomlkit.parse(self._document.as_string())

    def remove(self, path: Path) -> None:
        """Take out what stands there, if anything does."""
        table: Any = self._document
        for key in path[:-1]:
            table = table.get(key)
            if not hasattr(table, "items"):
                return
        if path[-1] in table:
            del table[path[-1]]

    def append(self, path: Path, value: Any) -> None:
        """Append a value to the list there."""
        raise NotEditable(f"{'.'.join(path)}: lists of TOML are not edited")

    def drop(self, path: Path, value: Any) -> None:
        """Take the first item out of the list there that is this value."""
        raise NotEditable(f"{'.'.join(path)}: lists of TOML are not edited")

    def encoded(self) -> bytes:
        """Return the file's bytes."""
        text = self._document.as_string()
        if self._crlf:
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        return self._mark + text.encode()


def _merge(table: Any, value: dict[str, Any]) -> None:
    """Make a table hold these values; new ones stand behind those that are there.

    That is before its inner tables, and before comments at its end, which are about what follows.
    """
    import tomlkit
    from tomlkit.items import AoT, Table

    for key in [key for key in table if key not in value]:
        del table[key]
    new = {key for key in value if key not in table}
    for key, item in value.items():
        if key in table and table[key] == item:
            continue
        inline: Any = item
        if isinstance(item, dict):
            inline = tomlkit.inline_table()
            inline.update(item)
        table[key] = inline
    body = getattr(getattr(table, "value", None), "body", None)
    if body is None or not new:
        return
    added = [part for part in body if part[0] is not None and part[0].key in new]
    kept = [part for part in body if part[0] is None or part[0].key not in new]
    inner = (at for at, part in enumerate(kept) if isinstance(part[1], Table | AoT))
    end = next(inner, len(kept))
    while end and kept[end - 1][0] is None:
        end -= 1
    body[:] = [*kept[:end], *added, *kept[end:]]
