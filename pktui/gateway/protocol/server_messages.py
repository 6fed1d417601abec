"""What the relay reads of a server's messages; everything else in them it leaves unread.

Some are written a little wrong, where what they mean is beyond doubt. .NET and PowerShell begin
their output with a byte order mark; older programs write text in Latin-1; JavaScript cuts text
between the two halves of a surrogate pair and writes the half as an escape (`"\\ud83d"`). Strict
readers refuse the whole message, and its request would wait for ever, so those are mended.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from pktui.gateway.protocol.ids import Ids, ids_in

_NONE: Final = (b"", b"null")
_HEAD: Final = 64

_BOM: Final = b"\xef\xbb\xbf"
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_REPLACEMENT: Final = rb"\ufffd"
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_name: Final = msgspec.json.Encoder().encode


class Answer(msgspec.Struct):
    """A message of the server. A member that is null is none: some writers write them all."""

    id: Any = None
    method: msgspec.Raw = msgspec.Raw()
    result: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()

    @property
    def asks(self) -> bool:
        """Tell whether it is a request or a notification."""
        return bool(self.method) and bytes(self.method) != b"null"

    @property
    def empty(self) -> bool:
        """Tell whether it carries nothing, as a response must."""
        return not (self.result or self.error)

    @property
    def carried(self) -> bytes:
        """Return what a response carries, empty for what is none."""
        return bytes(self.result) or bytes(self.error)

    @property
    def failed(self) -> bool:
        """Tell whether it is an error."""
        return bool(self.error) and bytes(self.error) != b"null"

    @property
    def doubtful(self) -> bool:
        """Tell whether some reader takes it for a response that another takes for a request."""
        answers = bytes(self.result) not in _NONE or self.failed
        return self.asks and (answers or not bytes(self.method).startswith(b'"'))


class Unanswered(msgspec.Struct, frozen=True):
    """Stands for the answer that a server did not give, and says why to whoever waits for it.

    `sent`: the server may have seen the request; false where it provably was never written.
    """

    request_id: Any
    why: str
    sent: bool


class Result(msgspec.Struct, rename="camel"):
    """The result of a tool call."""

    is_error: bool = False
    result_type: str = ""
    request_state: str = ""


read_answer: Final = msgspec.json.Decoder(Answer).decode
read_result: Final = msgspec.json.Decoder(Result).decode
read_batch: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_read_id: Final = msgspec.json.Decoder(str | int | float).decode


NOT_JSON: Final = "not JSON"
TOO_MUCH: Final = "too large or too deep to be looked at"
SEVERAL_IDS: Final = "of several ids, so that whose it is cannot be told"


def not_passed_on(why: str) -> str:
    """Return what a request is told whose answer the client does not get."""
    return f"the server answered, but its answer is {why}; what was asked for may have been done"


def ids_waited_for(ids: Ids) -> list[str | int | float]:
    """Return the ids of the requests that a message can only be the answer to."""
    return [_read_id(written) for written in ids.written] if ids.answers else []


def names_several(line: bytes) -> bool:
    """Tell at a glance whether a message may name several ids."""
    return line.count(b'"id"') > 1 or line.find(b"\\u006") >= 0  # `in` tries it as a number first


def around(line: bytes, carried: bytes) -> bytes:
    """Return a message with 0 in place of what it carries; as it is where it carries nothing.

    `bytes.replace` reads a large pattern several times before it looks for it.
    """
    at = line.find(carried[:_HEAD]) if carried else -1
    while at >= 0 and not line.startswith(carried, at):
        at = line.find(carried[:_HEAD], at + 1)
    return line[:at] + b"0" + line[at + len(carried) :] if at >= 0 else line


def ids_doubted(line: bytes, carried: bytes) -> Ids | None:
    """Return the ids of a message that names several; None for one that only seemed to.

    Readers take the first of them or the last. What the message carries, its result or error, is
    passed over, for the ids of records in it are none of its own.
    """
    ids = ids_in(around(line, carried))
    return ids if ids.members > 1 else None


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
