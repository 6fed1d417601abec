"""Secrets taken out of what tools return, for servers that are set to be redacted.

Text and structured content are masked alike, because some clients show a model the one and some
the other. Bytes of images, sound and files stay as they are. Everything else in the message keeps
its bytes, and so does a result that holds no secret.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pktui.ledger.canonical import json_text
from pktui.ledger.secret_shapes import MASK, mask_text, names_secret

METHODS: Final = frozenset({"tools/call", "tasks/result", "tasks/get"})
"""Requests whose answers may hold what a tool returned."""
_BYTES: Final = frozenset({"data", "blob"})
_SECRETIVE: Final = frozenset({"content", "structuredContent", "statusMessage", "message", "data"})
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode


def redacted(line: bytes) -> bytes | None:
    """Return an answer with the secrets in its result, or in its error, masked.

    None where it cannot be looked into.
    """
    try:
        members = _MEMBERS.decode(line)
        changed = {part: _part(members[part]) for part in ("result", "error") if part in members}
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
    if all(changed[part] is members[part] for part in changed):
        return line
    return _encode({**members, **changed})


def _part(raw: msgspec.Raw) -> msgspec.Raw:
    """Return a result or an error with its secrets masked, as it was where it holds none."""
    try:
        members = _MEMBERS.decode(raw)
    except msgspec.ValidationError:
        return raw
    changed = {}
    for name in _SECRETIVE & members.keys():
        value = json.loads(bytes(members[name]))
        masked = _masked(value)
        if masked != value:
            changed[name] = msgspec.Raw(json_text(masked).encode())
    if "result" in members and (inner := _part(members["result"])) is not members["result"]:
        changed["result"] = inner
    return msgspec.Raw(_encode({**members, **changed})) if changed else raw


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return _masked_text(value)
    if isinstance(value, list):
        return [_masked(item) for item in value]
    if isinstance(value, dict):
        return {mask_text(name): _masked_member(name, item, value) for name, item in value.items()}
    return value


def _masked_member(name: str, value: Any, holder: Mapping[str, Any]) -> Any:
    if name in _BYTES and isinstance(value, str) and "mimeType" in holder:
        return value
    return _hidden(value) if names_secret(name) else _masked(value)


def _hidden(value: Any) -> Any:
    """Hide all of a value whose name says it is secret; its type stays, as schemas want."""
    if isinstance(value, str):
        return MASK if value else value
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    if isinstance(value, dict):
        return {name: _hidden(item) for name, item in value.items()}
    return 0


def _masked_text(text: str) -> str:
    """Mask a text; one that is JSON stays JSON and is masked like structured content."""
    if text[:1] in ("{", "["):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return mask_text(text)
        masked = _masked(value)
        if masked == value:
            return text
        written = json_text(masked)
        return msgspec.json.format(written) if "\n" in text else written
    return mask_text(text)
