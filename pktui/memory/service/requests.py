"""Requests and answers of `/v1`: typed structs in, typed structs out, failures in one shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec
from starlette.responses import Response

from pktui import lasting
from pktui.errors import InvalidRequest, MemoryUnavailable, NotFound, PktuiError, StoreError
from pktui.memory.envelope import (
    Failure,
    FailureDetail,
    FailureKind,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request


T = TypeVar("T")

MAX_BODY_BYTES = 16 * 1024 * 1024

_KINDS: tuple[tuple[type[PktuiError], FailureKind, int], ...] = (
    (NotFound, "not_found", 404),
    (InvalidRequest, "invalid", 400),
    (MemoryUnavailable, "unavailable", 503),
)


async def body_of(request: Request, kind: type[T]) -> T:
    """Return the JSON body as a struct, of at most `MAX_BODY_BYTES`."""
    received = await bytes_of(request, MAX_BODY_BYTES)
    try:
        return msgspec.json.decode(received, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body for {request.url.path} cannot be used: {error}") from error


async def bytes_of(request: Request, most: int) -> bytes:
    """Return the body; raises `InvalidRequest` for one that is larger."""
    received = bytearray()
    async for part in request.stream():
        received += part
        if len(received) > most:
            raise InvalidRequest(
                f"the body for {request.url.path} is larger than {most} bytes", "Send it in parts"
            )
    return bytes(received)


def answer(value: object) -> Response:
    """Return the record as a JSON answer."""
    return Response(msgspec.json.encode(value), media_type="application/json")


def crash(error: Exception, what: str, say: Callable[[str], None]) -> StoreError:
    """Return the failure of something that nobody foresaw; `say` has the details."""
    say(lasting.words(what, error))
    return StoreError(
        f"the memory service failed: {type(error).__name__}", "Its log has the details"
    )


def failure(error: PktuiError) -> Response:
    """Return the failure in the shape that the client turns into the same error again."""
    kind: FailureKind = "store"
    status = 500
    for error_type, its_kind, its_status in _KINDS:
        if isinstance(error, error_type):
            kind, status = its_kind, its_status
    body = Failure(FailureDetail(kind, error.what, error.cure))
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json")
