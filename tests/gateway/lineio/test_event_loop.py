"""Lines in an event loop: all of them, in their order, and no more than can be taken."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from pktui.gateway.lineio.event_loop import EventLoop
from pktui.gateway.lineio.io_loop import Outlet

if TYPE_CHECKING:
    from pktui.gateway.lineio.lines import TooLong

Pipe = tuple[int, int]
LIMIT = 1_000_000


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """Give a pipe; who is tested closes its reading end."""
    ends = os.pipe()
    yield ends
    os.close(ends[1])


class Reader:
    """Takes what one descriptor has to say."""

    def __init__(self, descriptor: int) -> None:
        self.lines: list[bytes | TooLong] = []
        self.came = asyncio.Condition()
        self.free = asyncio.Event()
        self.free.set()
        self.over = threading.Event()
        self.loop = asyncio.get_running_loop()
        self.carrier = EventLoop(self.loop, threading.get_ident(), self.room, lambda _said: None)
        self.descriptor = descriptor

    async def room(self) -> None:
        await self.free.wait()

    def begin(self) -> None:
        self.carrier.read(self.descriptor, LIMIT, self.take, self.ended)
        self.carrier.start()

    def take(self, *lines: bytes | TooLong) -> None:
        self.lines += lines
        self.loop.create_task(self.tell())

    async def tell(self) -> None:
        async with self.came:
            self.came.notify_all()

    async def until(self, count: int) -> None:
        async with self.came:
            await self.came.wait_for(lambda: len(self.lines) >= count)

    def ended(self) -> None:
        os.close(self.descriptor)
        self.over.set()


async def test_lines_come_whole_and_in_their_order(pipe: Pipe) -> None:
    reader = Reader(pipe[0])
    reader.begin()
    os.write(pipe[1], b"one\ntw")
    await reader.until(1)
    os.write(pipe[1], b"o\nthree\n")
    await reader.until(3)
    assert reader.lines == [b"one", b"two", b"three"]
    await asyncio.to_thread(reader.carrier.end)
    assert await asyncio.to_thread(reader.over.wait, 20)


async def test_what_ends_is_told_in_another_thread_after_its_last_line() -> None:
    out, into = os.pipe()
    reader = Reader(out)
    told: list[int] = []

    def ended() -> None:
        told.append(threading.get_ident())
        reader.over.set()

    reader.ended = ended  # type: ignore[method-assign]
    reader.begin()
    os.write(into, b"last words")
    os.close(into)
    assert await asyncio.to_thread(reader.over.wait, 20)
    assert reader.lines == [b"last words"]
    assert told != [threading.get_ident()]
    os.close(out)
    await asyncio.to_thread(reader.carrier.end)  # once more does no harm
    assert len(told) == 1


async def test_a_source_is_not_read_while_nobody_takes_more(pipe: Pipe) -> None:
    reader = Reader(pipe[0])
    reader.free.clear()
    reader.begin()
    data, at = (b"x" * 65_000 + b"\n") * 64, 0
    os.set_blocking(pipe[1], False)
    while at < len(data):
        try:
            at += os.write(pipe[1], data[at:])
        except BlockingIOError:
            if reader.carrier.waits:
                break
        await asyncio.sleep(0)
    assert at < len(data), "it was read without an end"
    reader.free.set()
    while at < len(data):
        with suppress(BlockingIOError):
            at += os.write(pipe[1], data[at:])
        await asyncio.sleep(0)
    await reader.until(64)
    await asyncio.to_thread(reader.carrier.end)


async def test_what_a_slow_reader_does_not_take_is_written_later(pipe: Pipe) -> None:
    reader = Reader(pipe[0])
    out, into = os.pipe()
    outlet = Outlet(into, reader.carrier, broken=lambda: None)
    line = b"y" * 300_000
    outlet.send(line)
    assert outlet.kept
    got = b""
    while len(got) <= len(line):
        got += await asyncio.to_thread(os.read, out, 65536)
    assert got == line + b"\n"
    assert await asyncio.to_thread(outlet.drain, 20)
    outlet.close()
    os.close(out)
    os.close(pipe[0])
