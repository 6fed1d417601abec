"""Server-sent events cut out of a stream of bytes (WHATWG HTML, "Server-sent events").

Line ends may be LF, CR LF or CR, and may fall between two chunks; what is kept between chunks is
bounded.
"""

from __future__ import annotations

from typing import Final

import msgspec

_BOM: Final = b"\xef\xbb\xbf"
_FIELDS: Final = (b"data", b"id", b"event", b"retry")
_MESSAGE: Final = "message"


class Event(msgspec.Struct, frozen=True):
    """One event; `data` is its lines joined by newlines.

    `id` is None where the event names none. `retry_ms` is how long to wait before connecting again,
    milliseconds, None where it says nothing of it. `too_large`: the data was beyond the limit and
    is only its beginning.
    """

    data: bytes
    name: str = _MESSAGE
    id: str | None = None
    retry_ms: int | None = None
    too_large: bool = False

    @property
    def is_message(self) -> bool:
        """Tell whether it carries a message: other kinds and empty ones do not."""
        return self.name == _MESSAGE and bool(self.data)


class EventCutter:
    """Chunks in, whole events out; an event of more than `limit` bytes comes cut and marked."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._after_return = False
        self._first = True
        self._begin()

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that this chunk completes."""
        events = []
        for line in self._lines(chunk):
            if not line:
                if (event := self._finish()) is not None:
                    events.append(event)
            elif not self._too_large:
                self._take(line)
        return events

    def _lines(self, chunk: bytes) -> list[bytes]:
        """Return the lines that end in this chunk; keep what follows the last line end."""
        if not chunk:
            return []
        if self._after_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._after_return = chunk.endswith(b"\r") if chunk else False
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *whole, last = chunk.split(b"\n")
        if whole:
            whole[0] = bytes(self._rest) + whole[0]
            self._rest.clear()
        self._rest += last
        if len(self._rest) > self._limit:
            self._too_large = True
            del self._rest[1:]
        return whole

    def _take(self, line: bytes) -> None:
        if self._first:
            self._first = False
            line = line.removeprefix(_BOM)
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._size += len(value) + 1
            self._too_large = self._size > self._limit + 1
            self._data.append(value[: self._limit])
        elif field in _FIELDS:
            self._note(field, value.decode(errors="replace"))

    def _note(self, field: bytes, value: str) -> None:
        if field == b"id" and "\0" not in value:
            self._id = value
        elif field == b"event":
            self._name = value
        elif field == b"retry" and value.isascii() and value.isdigit():
            self._retry_ms = int(value[:9])

    def _finish(self) -> Event | None:
        """Return the event that an empty line ends; None where nothing was said."""
        said = self._data or self._too_large or self._id is not None or self._retry_ms is not None
        event = None
        if said:
            data = b"\n".join(self._data)
            event = Event(data, self._name or _MESSAGE, self._id, self._retry_ms, self._too_large)
        self._begin()
        return event

    def _begin(self) -> None:
        self._data: list[bytes] = []
        self._size = 0
        self._too_large = False
        self._name = ""
        self._id: str | None = None
        self._retry_ms: int | None = None
