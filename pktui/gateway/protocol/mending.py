"""Answers of servers that are written a little wrong, where what they mean is beyond doubt.

.NET and PowerShell begin their output with a byte order mark; older programs write text in Latin-1;
JavaScript cuts text between the two halves of a surrogate pair and writes the half as an escape
(`"\\ud83d"`). Strict readers refuse the whole message, and its request would wait for ever.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from pktui.gateway.protocol.ids import ids_in

_BOM: Final = b"\xef\xbb\xbf"
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_REPLACEMENT: Final = rb"\ufffd"
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_name: Final = msgspec.json.Encoder().encode


def mended(line: bytes) -> bytes | None:
    """Return the message without a mark at its head, with U+FFFD for what is no character.

    None where there is nothing to mend. The outermost object is written anew; every byte of its
    members stays otherwise.
    """
    whole = line.removeprefix(_BOM).decode(errors="replace").encode()
    if b"\\ud" in whole or b"\\uD" in whole:
        whole = _ESCAPE.sub(lambda match: _REPLACEMENT if match["half"] else match[0], whole)
    return _written_anew(whole) if whole != line else None


def _written_anew(message: bytes) -> bytes:
    """Return the message as a plain writer spaces it; as it is where it names several ids."""
    try:
        members = _MEMBERS.decode(message)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return message
    if ids_in(message).members > 1:
        return message
    return b"{%b}" % b", ".join(_name(name) + b": " + bytes(raw) for name, raw in members.items())
