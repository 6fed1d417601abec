"""What comes back: messages out of bodies and streams, as lines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui.gateway.protocol.sse import Event, EventCutter
from pktui.gateway.upstream.http_client import TooLarge

if TYPE_CHECKING:
    from pktui.gateway.protocol.jsonrpc import Id
    from pktui.gateway.upstream.http_client import Exchange

EVENTS: Final = "text/event-stream"


class Place(msgspec.Struct):
    """How far a stream was read, and when to come back for the rest."""

    last_id: str = ""
    retry_ms: int | None = None


class _Head(msgspec.Struct):
    jsonrpc: Any = None
    id: Any = None
    method: Any = None
    error: msgspec.Raw = msgspec.Raw()


class _Error(msgspec.Struct):
    code: int


class _Result(msgspec.Struct, rename="camel", frozen=True):
    protocol_version: str = ""
    next_cursor: str | None = None


class _Answer(msgspec.Struct, frozen=True):
    result: _Result = _Result()


_HEAD: Final = msgspec.json.Decoder(_Head)
_HEADS: Final = msgspec.json.Decoder(list[_Head])
_ERROR: Final = msgspec.json.Decoder(_Error)
_ANSWER: Final = msgspec.json.Decoder(_Answer)


def as_line(data: bytes) -> bytes:
    """Return JSON on one line; between its tokens a line end is but space, and inside none is."""
    data = data.strip()
    if b"\n" in data or b"\r" in data:
        data = data.replace(b"\r", b" ").replace(b"\n", b" ")
    return data


async def messages(exchange: Exchange, limit: int, place: Place) -> AsyncIterator[bytes]:
    """Yield the messages of a stream as they come, and note in `place` how far it was read.

    Raises `TooLarge` at a message of more than `limit` bytes, `ExchangeFailed` and `Unreadable`.
    """
    cutter = EventCutter(limit)
    async for chunk in exchange.chunks():
        for event in cutter.feed(chunk):
            for line in _message(event, place):
                yield line
    for event in cutter.end():
        for line in _message(event, place):
            yield line


def _message(event: Event, place: Place) -> Iterator[bytes]:
    if event.retry_ms is not None:
        place.retry_ms = event.retry_ms
    if event.is_message and not event.too_large:
        yield as_line(event.data)
    if event.id is not None:
        place.last_id = event.id if event.id.isascii() and event.id.isprintable() else ""
    if event.too_large:
        raise TooLarge("a message of it is too large")


def answers(line: bytes, request_id: Id | None) -> bool:
    """Tell whether the line, a message or a batch of them, holds the answer to a request."""
    try:
        heads = _HEADS.decode(line) if line.startswith(b"[") else [_HEAD.decode(line)]
    except (msgspec.MsgspecError, RecursionError):
        return False
    return any(head.method is None and _same(head.id, request_id) for head in heads)


def error_in(body: bytes) -> tuple[int, bytes] | None:
    """Return the code and the JSON text of the JSON-RPC error that a body holds, None if none.

    What proxies answer with (`{"error": {"code": 504, …}}`) is none: the server may have done what
    it was asked.
    """
    try:
        head = _HEAD.decode(body)
        if head.jsonrpc != "2.0":
            return None
        error = bytes(head.error)
        return _ERROR.decode(error).code, as_line(error)
    except (msgspec.MsgspecError, RecursionError):
        return None


def version_in(line: bytes) -> str:
    """Return the protocol version that an answer to `initialize` settles, empty where none."""
    return _result(line).protocol_version


def next_cursor_in(line: bytes) -> str:
    """Return where the next page of a list begins, empty where this was the last."""
    return _result(line).next_cursor or ""


def _result(line: bytes) -> _Result:
    try:
        return _ANSWER.decode(line).result
    except (msgspec.MsgspecError, RecursionError):
        return _Result()


def _same(one: object, other: object) -> bool:
    return (
        not isinstance(one, bool)
        and one == other
        and isinstance(one, str) == isinstance(other, str)
    )
