"""Server-sent events cut out of a stream of bytes (WHATWG HTML, "Server-sent events").

Line ends may be LF, CR LF or CR, and may fall between two chunks; what is kept between chunks is
bounded. A body of plain JSON, which some servers send under the type of a stream, is one event.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pktui.gateway.protocol.ids import NO_IDS, Ids, IdScan

_BOM: Final = b"\xef\xbb\xbf"
# Bytes of a field's name and what follows it, beyond its value.
_FIELD: Final = 16
_FIELDS: Final = (b"data", b"id", b"event", b"retry")
_MESSAGE: Final = "message"
# Bytes kept of an event that is too large.
_HEAD: Final = 4 * 1024
# How often it is looked whether a body is whole: each look reads all of it.
_LOOKS: Final = 64
_read_whole: Final = msgspec.json.Decoder(msgspec.Raw).decode


class Event(msgspec.Struct, frozen=True):
    """One event; `data` is its lines joined by newlines.

    `id` is None where the event names none. `retry_ms` is how long to wait before connecting again,
    milliseconds, None where it says nothing of it. `too_large`: the data was beyond the limit and
    is only its beginning; `ids` are those that were found in all of it.
    """

    data: bytes
    name: str = _MESSAGE
    id: str | None = None
    retry_ms: int | None = None
    too_large: bool = False
    ids: Ids = NO_IDS

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
    scan: IdScan | None = None

    @property
    def too_large(self) -> bool:
        """Tell whether its data is passed over."""
        return self.scan is not None

    def pass_over(self, part: bytes) -> None:
        """Take data of an event that is too large: only its beginning and its ids are kept."""
        if self.scan is None:
            self.scan = IdScan()
            for kept in self.data:
                self.scan.feed(kept)
            self.data = [b"\n".join((*self.data, part))[:_HEAD]]
        self.scan.feed(part)

    def event(self) -> Event | None:
        """Return what an empty line ends; None where nothing was said."""
        said = self.data or self.too_large or self.id is not None or self.retry_ms is not None
        if not said:
            return None
        data = b"\n".join(self.data)
        ids = self.scan.found if self.scan is not None else NO_IDS
        return Event(data, self.name or _MESSAGE, self.id, self.retry_ms, self.too_large, ids)


class _Body:
    """A body that is plain JSON: whole as soon as it can be read, at its end at the latest."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._looks = _LOOKS
        self._draft = _Draft()
        self._kept = bytearray()
        self._done = False

    def feed(self, chunk: bytes) -> list[Event]:
        if self._done or self._draft.too_large:
            self._draft.pass_over(chunk)
            return []
        self._kept += chunk
        if len(self._kept) > self._limit:
            self._draft.pass_over(bytes(self._kept))
            self._kept.clear()
            return []
        ends = chunk.rstrip()[-1:] in (b"}", b"]")
        self._looks -= ends
        return self._give() if ends and self._looks >= 0 and self._is_whole() else []

    def end(self) -> list[Event]:
        return [] if self._done else self._give()

    def _is_whole(self) -> bool:
        try:
            _read_whole(self._kept)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return False
        return True

    def _give(self) -> list[Event]:
        self._done = True
        if not self._draft.too_large:
            self._draft.data = [bytes(self._kept)]
        event = self._draft.event()
        return [event] if event is not None else []


class EventCutter:
    """Chunks in, whole events out; an event of more than `limit` bytes comes cut and marked."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._passing = b""
        self._after_return = False
        self._begun = False
        self._first = True
        self._body: _Body | None = None
        self._draft = _Draft()

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that this chunk completes."""
        if not self._begun:
            self._begin(chunk)
        if self._body is not None:
            return self._body.feed(chunk)
        events = []
        *ends, last = self._parts(chunk)
        for part in ends:
            line = self._end_line(part)
            if line:
                self._take(line)
            elif line is not None:
                event = self._draft.event()
                self._draft = _Draft()
                if event is not None:
                    events.append(event)
        self._keep(last)
        return events

    def end(self) -> list[Event]:
        """Return what is left where the body was no stream of events."""
        return self._body.end() if self._body is not None else []

    def _begin(self, chunk: bytes) -> None:
        head = chunk.removeprefix(_BOM).lstrip()
        self._begun = bool(head)
        if head[:1] in (b"{", b"["):
            self._body = _Body(self._limit)

    def _parts(self, chunk: bytes) -> list[bytes]:
        """Return what ends a line, each, and what follows the last line end."""
        if self._after_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._after_return = chunk.endswith(b"\r") if chunk else self._after_return
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return chunk.split(b"\n")

    def _end_line(self, part: bytes) -> bytes | None:
        """Return the line that this part ends; None for one that is passed over."""
        if self._passing:
            self._pass(part)
            self._passing = b""
            return None
        line = bytes(self._rest) + part
        self._rest.clear()
        return line

    def _keep(self, part: bytes) -> None:
        """Keep the beginning of a line; one beyond the limit is passed over."""
        if self._passing:
            self._pass(part)
            return
        self._rest += part
        if len(self._rest) > self._limit + _FIELD:
            self._passing, _, value = bytes(self._rest).partition(b":")
            self._passing = self._passing or b":"
            self._rest.clear()
            self._pass(value)

    def _pass(self, part: bytes) -> None:
        if self._passing == b"data":
            self._draft.pass_over(part)

    def _take(self, line: bytes) -> None:
        if self._first:
            self._first = False
            line = line.removeprefix(_BOM)
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        draft = self._draft
        if field != b"data":
            if field in _FIELDS:
                _note(draft, field, value.decode(errors="replace"))
            return
        draft.size += len(value) + 1
        if draft.too_large or draft.size > self._limit + 1:
            draft.pass_over(value)
        else:
            draft.data.append(value)


def _note(draft: _Draft, field: bytes, value: str) -> None:
    if field == b"id" and "\0" not in value:
        draft.id = value
    elif field == b"event":
        draft.name = value
    elif field == b"retry" and value.isascii() and value.isdigit():
        draft.retry_ms = int(value[:9])
