"""What a server answered, with a word to the agent: that a person changed what was asked.

Clients show their model the text of a result, or its structured content alone, so the word stands
in both: in the structured content only where the tool's output schema leaves room for it.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_BLOCKS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_encode: Final = msgspec.json.Encoder().encode
# Where the word stands in structured content.
MEMBER: Final = "pktui"
# What may forbid a further member, or say what it has to be.
_CLOSING: Final = frozenset(
    {
        *("$ref", "allOf", "anyOf", "const", "enum", "if", "maxProperties", "not", "oneOf"),
        *("patternProperties", "propertyNames", "unevaluatedProperties"),
    }
)


def with_note(line: bytes, note: str, definition: str) -> bytes:
    """Return the answer to a call with a note in front; what has no place for it stays as it is.

    `definition` is the tool's, JSON text.
    """
    try:
        members = _MEMBERS.decode(line)
        if "error" in members:
            error = _MEMBERS.decode(members["error"])
            said = f"{note} {msgspec.json.decode(error['message'])}"
            members["error"] = _raw({**error, "message": said})
        else:
            result = _MEMBERS.decode(members["result"])
            members["result"] = _raw(_noted(result, note, definition))
    except (msgspec.MsgspecError, KeyError):
        return line
    return _encode(members)


def _noted(result: dict[str, msgspec.Raw], note: str, definition: str) -> dict[str, msgspec.Raw]:
    if "content" in result:
        blocks = _BLOCKS.decode(result["content"])
        result["content"] = _raw([{"type": "text", "text": note}, *blocks])
    structured = bytes(result.get("structuredContent", b""))
    if structured.startswith(b"{") and _is_open(definition):
        content = _MEMBERS.decode(structured)
        if MEMBER not in content:
            result["structuredContent"] = _raw({MEMBER: note, **content})
    return result


def _is_open(definition: str) -> bool:
    """Tell whether a tool's results may have a member that its schema does not name."""
    try:
        tool = json.loads(definition)
    except (ValueError, RecursionError):
        return False
    schema = tool.get("outputSchema") if isinstance(tool, dict) else None
    if schema is None:
        return True
    return (
        isinstance(schema, dict)
        and not _CLOSING & schema.keys()
        and schema.get("additionalProperties", True) is True
    )


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(_encode(value))
