"""Bodies that a server compressed although it was asked not to: never passed on uninspected."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from pktui.gateway.http.outward.broken import ExchangeFailed

_KNOWN: Final = ("gzip", "x-gzip", "deflate")
_EITHER: Final = 32
"""Added to the size of the window: gzip or zlib, whichever the data begins like."""
_PART: Final = 64 * 1024


class Unpacked:
    """Compressed bytes in, bytes out, a bounded part at a time."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | _EITHER)

    @classmethod
    def of(cls, encoding: str) -> Unpacked | None:
        """Return what decodes a `Content-Encoding`; None where nothing has to be.

        Raises `ExchangeFailed` for one that is not known.
        """
        wanted = encoding.strip().lower()
        if wanted in ("", "identity"):
            return None
        if wanted not in _KNOWN:
            raise ExchangeFailed("its answer is compressed in a way that was not asked for")
        return cls()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the data stands for; raises `ExchangeFailed`."""
        while data:
            try:
                part = self._stream.decompress(data, _PART)
            except zlib.error as error:
                raise ExchangeFailed("its compressed answer is damaged") from error
            data = self._stream.unconsumed_tail
            if part:
                yield part
            elif not data:
                return

    def close(self) -> None:
        """Raise `ExchangeFailed` where the end is missing."""
        if not self._stream.eof:
            raise ExchangeFailed("its compressed answer breaks off")
