"""What the relay reads of a server's messages; everything else in them it leaves unread."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec


class Answer(msgspec.Struct):
    """A message of the server: a response where it has no method."""

    id: Any = None
    method: msgspec.Raw = msgspec.Raw()
    result: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class Result(msgspec.Struct, rename="camel"):
    """The result of a tool call."""

    is_error: bool = False
    result_type: str = ""
    request_state: str = ""


read_answer: Final = msgspec.json.Decoder(Answer).decode
read_result: Final = msgspec.json.Decoder(Result).decode
read_batch: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_HEAD_ID: Final = re.compile(rb'"id" ?: ?(-?[1-9][0-9]{0,15}|0|"[ !#-\[\]-~]*")')


def id_in(head: bytes) -> str | int | None:
    """Return the id that the beginning of a message shows, None where it shows none."""
    found = _HEAD_ID.search(head)
    return msgspec.json.decode(found[1], type=str | int) if found else None
