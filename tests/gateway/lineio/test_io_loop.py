"""One thread for both directions: every line whole and in order, and nothing without bound."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from pktui.gateway.lineio.io_loop import FULL, Loop, Outlet
from pktui.gateway.lineio.lines import CHUNK, TooLong

PATIENCE = 60.0
LIMIT = 1024 * 1024


@dataclass
class Pipe:
    """Both ends of a pipe."""

    out: int
    into: int
    closed: set[int] = field(default_factory=set)

    @classmethod
    def make(cls) -> Pipe:
        return cls(*os.pipe())

    def close(self, *ends: int) -> None:
        for end in ends or (self.out, self.into):
            if end not in self.closed:
                self.closed.add(end)
                os.close(end)

    def fill(self, outlet: Outlet) -> bytes:
        """Write numbered lines until the outlet is full and nobody takes any more of them.

        Returns what was taken.
        """
        os.set_blocking(self.into, False)
        room = select.poll()
        room.register(self.into, select.POLLOUT)
        written = bytearray()
        number = 0
        while (ready := room.poll(300)) or not outlet.full:
            if ready:
                number += 1
                written += (b"%07d " % number).ljust(511, b".") + b"\n"
                os.write(self.into, written[-512:])
        return bytes(written)

    def read(self, size: int) -> bytes:
        got = bytearray()
        while len(got) < size:
            got += os.read(self.out, size - len(got))
        return bytes(got)


@pytest.fixture
def pipes() -> Iterator[list[Pipe]]:
    made = [Pipe.make(), Pipe.make()]
    yield made
    for pipe in made:
        pipe.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.end()


def test_a_slow_reader_holds_its_writer_up_and_gets_every_byte(
    loop: Loop, pipes: list[Pipe]
) -> None:
    source, target = pipes
    outlet = Outlet(target.into, loop, broken=lambda: None)

    def pass_on(*lines: bytes | TooLong) -> None:
        outlet.send(*(line for line in lines if isinstance(line, bytes)))

    loop.read(source.out, LIMIT, pass_on, lambda: None)
    loop.start()
    written = source.fill(outlet)
    assert FULL < len(written) < 2 * FULL + 4 * CHUNK
    assert target.read(len(written)) == written
    assert outlet.drain(PATIENCE)


def test_a_server_is_read_while_it_does_not_read_itself(loop: Loop, pipes: list[Pipe]) -> None:
    source, target = pipes
    inlet = Outlet(target.into, loop, broken=lambda: None)
    came = threading.Event()
    loop.read(source.out, LIMIT, lambda *_: came.set(), lambda: None, regardless=inlet)
    loop.start()
    inlet.send(b"x" * 3 * FULL)
    assert inlet.full
    os.write(source.into, b"a line\n")
    assert came.wait(PATIENCE)


def test_lines_of_several_threads_stay_whole(loop: Loop, pipes: list[Pipe]) -> None:
    target = pipes[1]
    outlet = Outlet(target.into, loop, broken=lambda: None)
    loop.start()

    def send(mark: bytes) -> None:
        for number in range(300):
            outlet.send(b"%s %d " % (mark, number) + mark * 700)
            outlet.wait()

    threads = [threading.Thread(target=send, args=(mark,)) for mark in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    got = b""
    while got.count(b"\n") < 900:
        got += os.read(target.out, CHUNK)
    for thread in threads:
        thread.join(PATIENCE)
    for mark in (b"a", b"b", b"c"):
        mine = [line for line in got.splitlines() if line.startswith(mark)]
        assert mine == [b"%s %d " % (mark, number) + mark * 700 for number in range(300)]


def test_a_source_that_is_left_is_heard_once_more_and_then_no_more(
    loop: Loop, pipes: list[Pipe]
) -> None:
    source = pipes[0]
    taken: list[bytes | TooLong] = []
    begun, going_on = threading.Event(), threading.Event()

    def take(*lines: bytes | TooLong) -> None:
        begun.set()
        assert going_on.wait(PATIENCE)
        taken.extend(lines)

    loop.read(source.out, LIMIT, take, lambda: None)
    loop.start()
    os.write(source.into, b"under way\n")
    assert begun.wait(PATIENCE)
    os.write(source.into, b"already there\n")
    leaving = threading.Thread(target=loop.leave, args=(source.out,))
    leaving.start()
    going_on.set()
    leaving.join(PATIENCE)
    assert taken == [b"under way", b"already there"]
    os.write(source.into, b"later\n")
    loop.leave(source.out)
    assert taken == [b"under way", b"already there"]


def test_a_loop_that_does_not_run_is_left_at_once(loop: Loop, pipes: list[Pipe]) -> None:
    loop.leave(pipes[0].out)
    loop.start()
    loop.end()
    loop.leave(pipes[0].out)


def test_a_reader_that_is_gone_is_told_once_and_takes_the_rest(
    loop: Loop, pipes: list[Pipe]
) -> None:
    told: list[str] = []
    outlet = Outlet(pipes[1].into, loop, broken=lambda: told.append("gone"))
    loop.start()
    pipes[1].close(pipes[1].out)
    outlet.send(b"one")
    outlet.send(b"two")
    assert told == ["gone"]
    assert outlet.drain(0)


def test_a_reader_that_leaves_while_nothing_is_written_is_noticed(
    loop: Loop, pipes: list[Pipe]
) -> None:
    gone = threading.Event()
    outlet = Outlet(pipes[1].into, loop, broken=gone.set)
    loop.watch(outlet)
    loop.start()
    outlet.send(b"one")
    assert pipes[1].read(4) == b"one\n"
    assert not gone.is_set()
    pipes[1].close(pipes[1].out)
    assert gone.wait(PATIENCE)
    outlet.send(b"two")
    assert outlet.drain(0)


def test_what_a_stuck_reader_does_not_take_keeps_nobody_waiting(
    loop: Loop, pipes: list[Pipe]
) -> None:
    outlet = Outlet(pipes[1].into, loop, broken=lambda: None)
    loop.start()
    outlet.send(b"x" * 3 * FULL)
    assert not outlet.drain(0)
    outlet.close(0)
    os.fstat(pipes[1].into)


def test_the_end_of_a_source_is_told_after_its_last_line(loop: Loop, pipes: list[Pipe]) -> None:
    said: list[object] = []
    over = threading.Event()

    def end() -> None:
        said.append("ended")
        over.set()

    loop.read(pipes[0].out, LIMIT, lambda *lines: said.extend(lines), end)
    os.write(pipes[0].into, b"one\ntwo\nlast")
    pipes[0].close(pipes[0].into)
    loop.start()
    assert over.wait(PATIENCE)
    assert said == [b"one", b"two", b"last", "ended"]


def test_lines_that_their_taker_fails_on_do_not_end_the_loop(pipes: list[Pipe]) -> None:
    source, said, came = pipes[0], list[str](), threading.Event()
    loop = Loop(log=said.append)

    def take(*lines: bytes | TooLong) -> None:
        if lines[0] == b"bad":
            raise RuntimeError("nobody thought of this")
        came.set()

    loop.read(source.out, LIMIT, take, lambda: None)
    loop.start()
    os.write(source.into, b"bad\n")
    while not said:
        came.wait(0.01)
    os.write(source.into, b"good\n")
    assert came.wait(PATIENCE)
    assert "nobody thought of this" in said[0]
    loop.end()


def test_a_loop_that_cannot_go_on_tells_its_owner_before_its_sources_end(
    pipes: list[Pipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, ended, said = list[str](), threading.Event(), list[str]()
    loop = Loop(log=said.append, fatal=lambda: told.append("fatal"))

    def end() -> None:
        told.append("end")
        ended.set()

    def broken() -> None:
        raise RuntimeError("nobody thought of this")

    loop.read(pipes[0].out, LIMIT, lambda *_: None, end)
    monkeypatch.setattr(loop, "_turn", broken)
    loop.start()
    assert ended.wait(PATIENCE)
    loop.end()
    assert told == ["fatal", "end"]
    assert "the thread relay failed" in said[0]
