"""Bodies that a server compressed although it was asked not to: never passed on uninspected."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from pktui.text import one_line

_KNOWN: Final = ("gzip", "x-gzip", "deflate")
# Added to the size of the window: gzip or zlib, whichever the data begins like.
_EITHER: Final = 32
_LONGEST_NAME: Final = 40
_PART: Final = 64 * 1024


class Unreadable(Exception):
    """A body that is compressed as nobody asked for, damaged, or cut off; the text says which."""


class Unpacked:
    """Compressed bytes in, bytes out, a bounded part at a time."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | _EITHER)

    @classmethod
    def of(cls, encoding: str) -> Unpacked | None:
        """Return what decodes a `Content-Encoding`; None where nothing has to be.

        Raises `Unreadable` for one that is not known.
        """
        wanted = encoding.strip().lower()
        if wanted in ("", "identity"):
            return None
        if wanted not in _KNOWN:
            named = one_line(wanted, _LONGEST_NAME)
            raise Unreadable(f"its answer is compressed ({named}), which was not asked for")
        return cls()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the data stands for; raises `Unreadable`."""
        while data:
            try:
                part = self._stream.decompress(data, _PART)
            except zlib.error as error:
                raise Unreadable("its compressed answer is damaged") from error
            data = self._stream.unconsumed_tail
            if part:
                yield part
            elif not data:
                return

    def close(self) -> None:
        """Raise `Unreadable` where the end is missing."""
        if not self._stream.eof:
            raise Unreadable("its compressed answer breaks off")
