"""Bytes cut into lines."""

from __future__ import annotations

import os

import pytest

from pktui.gateway.lineio.lines import HEAD, LineCutter, TooLong, read_lines, write_all


def cut(chunks: list[bytes], limit: int = 100) -> list[bytes | TooLong]:
    cutter = LineCutter(limit)
    lines = [line for chunk in chunks for line in cutter.feed(chunk)]
    return lines + cutter.end()


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([b"one\ntwo\n"], [b"one", b"two"]),
        ([b"o", b"n", b"e\nt", b"wo\n"], [b"one", b"two"]),
        ([b"one\n\n\ntwo"], [b"one", b"", b"", b"two"]),
        ([b"windows\r\n"], [b"windows\r"]),
        ([b"\n"], [b""]),
        ([], []),
    ],
)
def test_chunks_become_the_lines_they_hold(chunks: list[bytes], lines: list[bytes]) -> None:
    assert cut(chunks) == lines


@pytest.mark.parametrize("chunks", [[b"x" * 101 + b"\n"], [b"x" * 60, b"x" * 60, b"\n"]])
def test_a_line_beyond_the_limit_is_dropped_and_the_next_one_read(chunks: list[bytes]) -> None:
    first, second = cut([*chunks, b"next\n"])
    assert isinstance(first, TooLong)
    assert second == b"next"


def test_a_line_of_exactly_the_limit_is_a_line() -> None:
    assert cut([b"x" * 100 + b"\n"]) == [b"x" * 100]


def test_no_more_than_the_head_of_an_endless_line_is_kept() -> None:
    cutter = LineCutter(100)
    for _ in range(1_000):
        assert cutter.feed(b"x" * 65_536) == []
    [line] = cutter.end()
    assert isinstance(line, TooLong)
    assert len(line.head) == HEAD


def test_a_pipe_is_read_until_it_ends() -> None:
    reading, writing = os.pipe()
    write_all(writing, b"one\ntw")
    write_all(writing, b"o\nlast")
    os.close(writing)
    lines = [line for batch in read_lines(reading, 100) for line in batch]
    os.close(reading)
    assert lines == [b"one", b"two", b"last"]
