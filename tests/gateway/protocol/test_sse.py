"""Server-sent events, however the stream is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pktui.gateway.protocol.sse import Event, EventCutter

LIMIT = 1000


def cut(stream: bytes, *, limit: int = LIMIT) -> list[Event]:
    return EventCutter(limit).feed(stream)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_an_event_is_its_fields_up_to_an_empty_line(end: bytes) -> None:
    lines = [b"event: message", b"id: 7", b"retry: 250", b'data: {"a":', b"data:1}", b"", b""]
    assert cut(end.join(lines)) == [Event(b'{"a":\n1}', "message", "7", 250)]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b": a comment\n\n", []),
        (b"data: x\n", []),
        (b"data\n\n", [Event(b"")]),
        (b"id: 1\ndata:\n\n", [Event(b"", id="1")]),
        (b"id: 1\n\n", [Event(b"", id="1")]),
        (b"retry: 20\n\n", [Event(b"", retry_ms=20)]),
        (b"retry: soon\ndata: x\n\n", [Event(b"x")]),
        (b"id: a\0b\ndata: x\n\n", [Event(b"x")]),
        (b"event: endpoint\ndata: /x\n\n", [Event(b"/x", "endpoint")]),
        (b"\xef\xbb\xbfdata: x\n\n", [Event(b"x")]),
        (b"data:  two spaces\n\n", [Event(b" two spaces")]),
        (b"unknown: x\ndata: y\n\n\n\n", [Event(b"y")]),
        (b"\n\ndata: 1\n\ndata: 2\n\n", [Event(b"1"), Event(b"2")]),
    ],
)
def test_streams_are_read_as_the_standard_says(stream: bytes, expected: list[Event]) -> None:
    assert cut(stream) == expected


def test_only_events_with_data_and_the_usual_name_are_messages() -> None:
    assert Event(b"{}").is_message
    assert not Event(b"").is_message
    assert not Event(b"/x", "endpoint").is_message


def test_data_at_the_limit_is_whole_and_beyond_it_is_marked() -> None:
    [at] = cut(b"data: " + b"x" * LIMIT + b"\n\n")
    [beyond] = cut(b"data: " + b"x" * (LIMIT + 1) + b"\n\n")
    assert (at.too_large, len(at.data)) == (False, LIMIT)
    assert beyond.too_large


def test_a_line_that_never_ends_keeps_little() -> None:
    cutter = EventCutter(LIMIT)
    for _ in range(100):
        assert cutter.feed(b"data: " + b"x" * LIMIT) == []
    assert len(cutter._rest) <= LIMIT * 2
    [event] = cutter.feed(b"\n\n")
    assert event.too_large
    assert cutter.feed(b"data: next\n\n") == [Event(b"next")]


@given(st.data())
def test_how_a_stream_is_cut_into_chunks_does_not_matter(data: st.DataObject) -> None:
    end = st.sampled_from(["\n", "\r\n", "\r"])
    line = st.sampled_from(["data: {}", "data:x", "id: 1", "retry: 5", ": c", "event: message", ""])
    stream = "".join(
        data.draw(line) + data.draw(end) for _ in range(data.draw(st.integers(0, 12)))
    ).encode()
    cutter = EventCutter(LIMIT)
    events, rest = [], stream
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        events += cutter.feed(rest[:size])
        rest = rest[size:]
    assert events == cut(stream)
