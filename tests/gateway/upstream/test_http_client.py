"""One connection to a server that answers well, badly, in pieces, or not to its end."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
import zlib
from collections.abc import Iterator

import pytest

from pktui.gateway.upstream.broken import ExchangeFailed
from pktui.gateway.upstream.http_client import connect
from tests.gateway.upstream.far import Asked, FarServer, Script

HEADERS = [(b"host", b"far"), (b"content-type", b"application/json")]
BODY = b'{"id":1,"method":"ping"}'
GZIPPED = gzip.compress(b"a" * 300_000, mtime=0)


@pytest.fixture
def far() -> Iterator[FarServer]:
    with FarServer(lambda asked: asked.answer(202)) as server:
        yield server


def raw(*pieces: bytes, hang_up: bool = True) -> Script:
    """Return the script of a server that writes just this, then closes the connection."""

    def script(asked: Asked) -> None:
        for piece in pieces:
            asked.handler.wfile.write(piece)
        if hang_up:
            asked.hang_up()

    return script


def ask(far: FarServer, *, times: int = 1, body: bytes = BODY) -> list[tuple[int, bytes, bool]]:
    """Return status and body of each answer on one connection, and whether it can be used again."""

    async def main() -> list[tuple[int, bytes, bool]]:
        found = []
        connection = await connect("127.0.0.1", far.port, None)
        headers = [*HEADERS, (b"content-length", b"%d" % len(body))]
        try:
            for _ in range(times):
                answer = await connection.ask("POST", "/mcp", headers, body)
                parts = [part async for part in answer.body()]
                found.append((answer.status, b"".join(parts), connection.rest()))
        finally:
            connection.end()
        return found

    return asyncio.run(main())


def failure(far: FarServer) -> str:
    with pytest.raises(ExchangeFailed) as failed:
        ask(far)
    return str(failed.value)


def test_requests_follow_each_other_on_one_connection(far: FarServer) -> None:
    far.script = lambda asked: asked.answer(body=asked.body)
    assert ask(far, times=3) == [(200, BODY, True)] * 3
    assert far.connections == 1
    assert far.asked[0].headers["content-type"] == "application/json"


def test_a_large_message_and_a_large_answer_arrive_whole(far: FarServer) -> None:
    large = bytes(range(256)) * 16_384
    far.script = lambda asked: asked.answer(body=asked.body)
    assert ask(far, times=2, body=large) == [(200, large, True)] * 2


@pytest.mark.parametrize(
    ("pieces", "body", "again"),
    [
        ((b"HTTP/1.1 200 OK\r\n", b"Content-Length: 2\r\n\r\no", b"k"), b"ok", True),
        (
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",),
            b"",
            True,
        ),
        ((b"HTTP/1.1 204 No\r\n\r\n",), b"", True),
        (
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                b"2\r\nok\r\n",
                b"0\r\n\r\n",
            ),
            b"ok",
            True,
        ),
        ((b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",), b"ok", False),
        ((b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",), b"ok", False),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokmore",), b"ok", False),
    ],
)
def test_an_answer_ends_where_http_says_so(
    far: FarServer, pieces: tuple[bytes, ...], body: bytes, *, again: bool
) -> None:
    far.script = raw(*pieces, hang_up=False)
    [(_, found, reusable)] = ask(far)
    assert (found, reusable) == (body, again)


def test_an_answer_without_a_length_ends_with_the_connection(far: FarServer) -> None:
    far.script = raw(b"HTTP/1.1 200 OK\r\n\r\nsome", b"thing")
    assert ask(far) == [(200, b"something", False)]


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ((), "the connection was closed"),
        ((b"HTTP/1.1 200",), "the connection was closed"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",), "the connection was closed"),
        (
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok",),
            "connection was closed",
        ),
        ((b"hello there\r\n\r\n",), "the answer is not HTTP as it should be"),
        ((b"HTTP/1.1 101 Switch\r\nUpgrade: x\r\n\r\n",), "the answer is not HTTP as it should be"),
        ((b"HTTP/1.1 200 OK\r\nX: " + b"x" * 400_000,), "the answer is not HTTP as it should be"),
    ],
    ids=["nothing", "half a head", "half a body", "half a chunk", "no HTTP", "a switch", "endless"],
)
def test_an_answer_that_breaks_off_or_is_none_is_an_error(
    far: FarServer, pieces: tuple[bytes, ...], said: str
) -> None:
    far.script = raw(*pieces)
    assert said in failure(far)


def test_an_answer_that_ends_with_a_reset_is_not_taken_for_whole(far: FarServer) -> None:
    def script(asked: Asked) -> None:
        asked.handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\nsome")
        linger = struct.pack("ii", 1, 0)
        asked.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        asked.handler.close_connection = True
        asked.handler.rfile.close()
        asked.handler.wfile.close()
        asked.handler.connection.close()

    far.script = script
    assert failure(far) == "the connection was closed"


@pytest.mark.parametrize(
    ("encoding", "body", "said"),
    [
        ("br", b"whatever", "compressed (br), which was not asked for"),
        ("gzip", b"not gzip at all", "its compressed answer is damaged"),
        ("gzip", GZIPPED[:-9], "its compressed answer breaks off"),
    ],
    ids=["unknown", "damaged", "cut"],
)
def test_a_compressed_answer_that_cannot_be_looked_into_is_an_error(
    far: FarServer, encoding: str, body: bytes, said: str
) -> None:
    far.script = lambda asked: asked.answer(body=body, headers={"Content-Encoding": encoding})
    assert said in failure(far)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", GZIPPED), ("X-Gzip", GZIPPED), ("deflate", zlib.compress(b"a" * 300_000))],
    ids=["gzip", "x-gzip", "deflate"],
)
def test_a_compressed_answer_is_unpacked_part_by_part(
    far: FarServer, encoding: str, body: bytes
) -> None:
    far.script = lambda asked: asked.answer(body=body, headers={"Content-Encoding": encoding})
    assert ask(far, times=2) == [(200, b"a" * 300_000, True)] * 2


def test_a_connection_that_the_server_has_closed_is_known_for_it(far: FarServer) -> None:
    async def main() -> bool:
        connection = await connect("127.0.0.1", far.port, None)
        answer = await connection.ask("GET", "/mcp", HEADERS, None)
        assert (answer.status, connection.rest()) == (202, True)
        await asyncio.to_thread(far.die)
        quiet = connection.quiet
        connection.end()
        return quiet

    assert asyncio.run(main()) is False


def test_a_server_that_is_not_there_cannot_be_connected_to() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        with pytest.raises(ExchangeFailed, match="the connection was refused"):
            asyncio.run(connect("127.0.0.1", port, None))
