"""Server-sent events cut out of a stream of bytes (WHATWG HTML, "Server-sent events").

Line ends may be LF, CR LF or CR, and may fall between two chunks; what is kept between chunks is
bounded.
"""

from __future__ import annotations

from typing import Final

import msgspec

_BOM: Final = b"\xef\xbb\xbf"
_FIELD: Final = 16
"""Bytes of a field's name and what follows it, beyond its value."""
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


class _Draft(msgspec.Struct):
    """An event on its way."""

    data: list[bytes] = []
    size: int = 0
    name: str = ""
    id: str | None = None
    retry_ms: int | None = None
    too_large: bool = False

    def event(self) -> Event | None:
        """Return what an empty line ends; None where nothing was said."""
        said = self.data or self.too_large or self.id is not None or self.retry_ms is not None
        if not said:
            return None
        data = b"\n".join(self.data)
        return Event(data, self.name or _MESSAGE, self.id, self.retry_ms, self.too_large)


class EventCutter:
    """Chunks in, whole events out; an event of more than `limit` bytes comes cut and marked."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._after_return = False
        self._first = True
        self._draft = _Draft()

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that this chunk completes."""
        events = []
        lines, rest = self._lines(chunk)
        for line in lines:
            if not line:
                event = self._draft.event()
                self._draft = _Draft()
                if event is not None:
                    events.append(event)
            elif not self._draft.too_large:
                self._take(line)
        self._keep(rest)
        return events

    def _lines(self, chunk: bytes) -> tuple[list[bytes], bytes]:
        """Return the lines that end in this chunk, and what follows the last line end."""
        if not chunk:
            return [], b""
        if self._after_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._after_return = chunk.endswith(b"\r")
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *whole, last = chunk.split(b"\n")
        if whole:
            whole[0] = bytes(self._rest) + whole[0]
            self._rest.clear()
        return whole, last

    def _keep(self, part: bytes) -> None:
        """Keep the beginning of a line; of one beyond the limit, that it was there."""
        self._rest += part
        if len(self._rest) > self._limit + _FIELD:
            del self._rest[1:]
            self._draft.too_large = True

    def _take(self, line: bytes) -> None:
        if self._first:
            self._first = False
            line = line.removeprefix(_BOM)
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        draft = self._draft
        if field == b"data":
            draft.size += len(value) + 1
            draft.too_large = draft.size > self._limit + 1
            draft.data.append(value[: self._limit])
        elif field in _FIELDS:
            _note(draft, field, value.decode(errors="replace"))


def _note(draft: _Draft, field: bytes, value: str) -> None:
    if field == b"id" and "\0" not in value:
        draft.id = value
    elif field == b"event":
        draft.name = value
    elif field == b"retry" and value.isascii() and value.isdigit():
        draft.retry_ms = int(value[:9])
