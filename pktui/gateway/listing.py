"""`tools/list` answers: what is hidden leaves, every other byte of every member stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ENCODER: Final = msgspec.json.Encoder()


class Listing(msgspec.Struct, frozen=True):
    """An answer to `tools/list`: its tools as the server defines them, and what is in the line.

    `complete` is false where the server has more pages.
    """

    definitions: tuple[Mapping[str, Any], ...]
    complete: bool
    _line: Mapping[str, msgspec.Raw]
    _result: Mapping[str, msgspec.Raw]
    _tools: tuple[msgspec.Raw, ...]

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


def read_listing(line: bytes) -> Listing | None:
    """Read a response line that holds a list of tools; None where it holds none."""
    try:
        members = _MEMBERS.decode(line)
        result = _MEMBERS.decode(members["result"])
        tools = _ITEMS.decode(result["tools"])
    except (KeyError, msgspec.MsgspecError):
        return None
    definitions = tuple(msgspec.json.decode(raw) for raw in tools)
    objects = all(isinstance(definition, dict) for definition in definitions)
    more = result.get("nextCursor", b"null")
    return Listing(
        definitions if objects else tuple(_as_object(definition) for definition in definitions),
        bytes(more) == b"null",
        members,
        result,
        tuple(tools),
    )


def _as_object(definition: Any) -> Mapping[str, Any]:
    return definition if isinstance(definition, dict) else {}
