"""What the relay reads of a server's messages; everything else in them it leaves unread."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

_NONE: Final = (b"", b"null")


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
_HEAD_ID: Final = re.compile(rb'"id" ?: ?(-?[1-9][0-9]{0,15}|0|"[ !#-\[\]-~]*")')


def id_in(head: bytes) -> str | int | None:
    """Return the id that the beginning of a message shows, None where it shows none."""
    found = _HEAD_ID.search(head)
    return msgspec.json.decode(found[1], type=str | int) if found else None
