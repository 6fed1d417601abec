"""Reading what a client posts, within limits."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from pktui.gateway.http.errors import Refusal
from pktui.gateway.http.protocol import JSON
from pktui.httpserver.serving import BodyTooLarge, read_body

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import Receive

_CLOSE: Final = {"Connection": "close"}


def check_body_headers(headers: Headers, limit: int) -> None:
    """Raise `Refusal` for a body that is no JSON, is compressed, or says that it is too large."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send the message as {JSON}", _CLOSE)
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "send the message uncompressed",
            {**_CLOSE, "Accept-Encoding": "identity"},
        )
    if int(headers.get("content-length", "0")) > limit:
        raise _too_large(limit)


async def read_message(
    receive: Receive, limit: int, seconds: float, take: Callable[[int], None]
) -> bytes:
    """Return the whole body; raises `Refusal` (413, 408) and `ClientGone`.

    `take` is told how many bytes came, and may raise `Refusal`.
    """
    try:
        return await read_body(receive, limit, seconds, take)
    except BodyTooLarge:
        raise _too_large(limit) from None
    except TimeoutError:
        why = f"the message did not come within {seconds:g} s"
        raise Refusal(HTTPStatus.REQUEST_TIMEOUT, why, _CLOSE) from None


def _too_large(limit: int) -> Refusal:
    why = f"the message is larger than {limit} bytes"
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, why, _CLOSE)
