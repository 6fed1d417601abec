"""`tools/list` answers: what is hidden leaves, every other byte of every member stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from pktui.strict_json import Doubt, Reader

DEEPEST: Final = 200
"""Objects and lists inside each other in a list of tools."""
_MESSAGE: Final = frozenset({"id", "method", "result", "error"})
_RESULT: Final = frozenset({"tools", "nextCursor"})
_TOOL: Final = frozenset({"name", "title", "description", "inputSchema", "annotations"})
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ENCODER: Final = msgspec.json.Encoder()
# Half a surrogate pair is how JavaScript cuts a long description; it is mended on its way.
_READER: Final = Reader(depth=DEEPEST, halves=True)


class Listing(msgspec.Struct, frozen=True):
    """An answer to `tools/list`: its tools as the server defines them, and what is in the line.

    `next_cursor` is what the client asks for the next page with, empty on the last one.
    """

    definitions: tuple[Mapping[str, Any], ...]
    next_cursor: str
    _line: Mapping[str, msgspec.Raw]
    _result: Mapping[str, msgspec.Raw]
    _tools: tuple[msgspec.Raw, ...]

    @property
    def names(self) -> list[str]:
        """The names of its tools."""
        return [str(definition.get("name", "")) for definition in self.definitions]

    def without(self, hidden: Callable[[str], bool], *, modern: bool) -> bytes | None:
        """Return the line without the hidden tools; None where nothing is hidden.

        On the modern era a shortened list says that it is this client's and not to be kept.
        """
        kept = [
            raw
            for raw, definition in zip(self._tools, self.definitions, strict=True)
            if not hidden(str(definition.get("name", "")))
        ]
        if len(kept) == len(self._tools):
            return None
        result: dict[str, Any] = {**self._result, "tools": kept}
        if modern:
            result |= {"ttlMs": 0, "cacheScope": "private"}
        return _ENCODER.encode({**self._line, "result": result})


class Doubtful(Exception):
    """A list of tools that readers may read differently, so that no pin could hold."""


def read_listing(line: bytes) -> Listing | None:
    """Read a response line that holds a list of tools; None where it holds none.

    Raises `Doubtful` where members are there twice, or differ in case only from those that count.
    """
    value = _strictly(line)
    result = value.get("result") if isinstance(value, dict) else None
    tools = result.get("tools") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(tools, list):
        return None
    for tool in tools:
        _refuse_case_variants(tool, _TOOL)
    members = _MEMBERS.decode(line)
    cursor = result.get("nextCursor")
    return Listing(
        tuple(tool if isinstance(tool, dict) else {} for tool in tools),
        cursor if isinstance(cursor, str) else "" if cursor is None else str(cursor),
        members,
        inner := _MEMBERS.decode(members["result"]),
        tuple(_ITEMS.decode(inner["tools"])),
    )


def _strictly(line: bytes) -> Any:
    try:
        value = _READER.read(line.decode())
    except Doubt as doubt:
        raise Doubtful(f"it {doubt}") from None
    except ValueError:
        raise Doubtful("it holds a number that is too long") from None
    _refuse_case_variants(value, _MESSAGE)
    _refuse_case_variants(value.get("result") if isinstance(value, dict) else None, _RESULT)
    return value


def _refuse_case_variants(members: Any, known: frozenset[str]) -> None:
    for name in members if isinstance(members, dict) else ():
        if name not in known and name.casefold() in {one.casefold() for one in known}:
            raise Doubtful(f"its member {name!r} differs in case only from one that counts")
