"""`tools/list` answers: what is hidden leaves, every other byte of every member stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from pktui.gateway.protocol.jsonrpc import plainly_written
from pktui.gateway.protocol.server_messages import around
from pktui.strict_json import Doubt, Reader, depth_of

# Objects and lists inside each other in a list of tools.
DEEPEST: Final = 200
# The message, its result, and the list in that.
_AROUND_A_TOOL: Final = 3
_MESSAGE: Final = frozenset({"id", "method", "result", "error"})
_RESULT: Final = frozenset({"tools", "nextCursor"})
_TOOL: Final = frozenset({"name", "title", "description", "inputSchema", "annotations"})
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ENCODER: Final = msgspec.json.Encoder()
_FOLDED: Final = {
    names: {name.casefold() for name in names} for names in (_MESSAGE, _RESULT, _TOOL)
}
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

    def without(self, shows: Callable[[str], bool], *, modern: bool) -> bytes | None:
        """Return the result with the tools that are shown alone; None where all are.

        On the modern era a shortened list says that it is this client's and not to be kept.
        """
        kept = [
            raw
            for raw, definition in zip(self._tools, self.definitions, strict=True)
            if shows(str(definition.get("name", "")))
        ]
        if len(kept) == len(self._tools):
            return None
        result: dict[str, Any] = {**self._result, "tools": kept}
        if modern:
            result |= {"ttlMs": 0, "cacheScope": "private"}
        return _ENCODER.encode(result)

    def with_result(self, result: bytes) -> bytes:
        """Return the line with another result."""
        return _ENCODER.encode({**self._line, "result": msgspec.Raw(result)})


class Doubtful(Exception):
    """A list of tools that readers may read differently, so that no pin could hold."""


def read_listing(line: bytes) -> Listing | None:
    """Read a response line that holds a list of tools; None where it holds none.

    Raises `Doubtful` where members are there twice, or differ in case only from those that count.
    """
    value = plainly_written(line)
    quick = value is not None
    if not quick:
        value = _strictly(line)
    _refuse_case_variants(value, _MESSAGE)
    result = value.get("result") if isinstance(value, dict) else None
    _refuse_case_variants(result, _RESULT)
    tools = result.get("tools") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(tools, list):
        return None
    for tool in tools:
        _refuse_case_variants(tool, _TOOL)
    members = _MEMBERS.decode(line)
    inner = _MEMBERS.decode(members["result"])
    raws = tuple(_ITEMS.decode(inner["tools"]))
    if quick and _may_be_deeper(line, raws) and depth_of(value) > DEEPEST:
        raise Doubtful("it is nested too deep")
    cursor = result.get("nextCursor")
    return Listing(
        tuple(tool if isinstance(tool, dict) else {} for tool in tools),
        cursor if isinstance(cursor, str) else "" if cursor is None else str(cursor),
        members,
        inner,
        raws,
    )


def declaring_changes(line: bytes) -> bytes:
    """Return an answer to `initialize` that says that the list of tools may change.

    One that offers no tools, or that can't be read, stays as it is.
    """
    try:
        members = _MEMBERS.decode(line)
        result = _MEMBERS.decode(members["result"])
        capabilities = _MEMBERS.decode(result["capabilities"])
        tools = _MEMBERS.decode(capabilities["tools"])
    except (KeyError, msgspec.MsgspecError):
        return line
    if bytes(tools.get("listChanged", b"")) == b"true":
        return line
    for outer, name, inner in (
        (capabilities, "tools", {**tools, "listChanged": True}),
        (result, "capabilities", capabilities),
        (members, "result", result),
    ):
        outer[name] = msgspec.Raw(_ENCODER.encode(inner))
    return _ENCODER.encode(members)


def with_result(line: bytes, carried: bytes, result: bytes | None) -> bytes | None:
    """Return a response with another result for the one that it carries; None: with its own.

    Nothing is read of what it carries. None comes back where what stands around that is in doubt.
    """
    rest = around(line, carried)
    try:
        value = _strictly(rest)
        _refuse_case_variants(value, _MESSAGE)
    except Doubtful:
        return None
    if not isinstance(value, dict) or value.get("result") != 0:
        return None
    if result is None:
        return line
    return _ENCODER.encode({**_MEMBERS.decode(rest), "result": msgspec.Raw(result)})


def _may_be_deeper(line: bytes, tools: tuple[msgspec.Raw, ...]) -> bool:
    """Tell whether what is opened in any tool, or beside them, could nest too deep."""
    opened = line.count(b"{") + line.count(b"[")
    if opened <= DEEPEST:
        return False
    for tool in map(bytes, tools):
        inside = tool.count(b"{") + tool.count(b"[")
        if inside > DEEPEST - _AROUND_A_TOOL:
            return True
        opened -= inside
    return opened > DEEPEST


def _strictly(line: bytes) -> Any:
    try:
        return _READER.read(line.decode())
    except Doubt as doubt:
        raise Doubtful(f"it {doubt}") from None
    except ValueError:
        raise Doubtful("it holds a number that is too long") from None


def _refuse_case_variants(members: Any, known: frozenset[str]) -> None:
    for name in members if isinstance(members, dict) else ():
        if name not in known and name.casefold() in _FOLDED[known]:
            raise Doubtful(f"its member {name!r} differs in case only from one that counts")
