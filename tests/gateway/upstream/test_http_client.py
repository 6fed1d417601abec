"""One connection to a server that answers well, badly, in pieces, or not to its end."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
import zlib
from collections.abc import Iterator

import pytest

from pktui.gateway.protocol.unpacking import Unreadable
from pktui.gateway.servers.url import parse_endpoint
from pktui.gateway.upstream.http_client import Exchange, ExchangeFailed, Pool, TooLarge
from tests.gateway.upstream.far import Asked, FarServer, Script

HEADERS = {"content-type": "application/json"}
LIMIT = 8 * 1024 * 1024
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
    """Return status and body of each answer, and whether its connection can be used again."""

    async def main() -> list[tuple[int, bytes, bool]]:
        found = []
        pool = Pool(parse_endpoint(far.url, "far"), {})
        try:
            for _ in range(times):
                exchange = Exchange(pool, "POST", HEADERS, body, limit=LIMIT)
                await exchange.ask()
                if exchange.failure is not None:
                    raise exchange.failure
                parts = [part async for part in exchange.chunks()]
                exchange.release()
                connection = pool.idle()
                if connection is not None:
                    pool.keep(connection)
                found.append((exchange.status, b"".join(parts), connection is not None))
        finally:
            pool.close()
        return found

    return asyncio.run(main())


def failure(far: FarServer) -> str:
    with pytest.raises((ExchangeFailed, Unreadable)) as failed:
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
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",), "the answer broke off"),
        (
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok",),
            "the answer broke off",
        ),
        ((b"hello there\r\n\r\n",), "the answer is not HTTP as it should be"),
        ((b"HTTP/1.1 101 Switch\r\nUpgrade: x\r\n\r\n",), "the answer is not HTTP as it should be"),
        ((b"HTTP/1.1 200 OK\r\nX: " + b"x" * 400_000,), "the answer's head is too large"),
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


def test_a_connection_that_the_server_has_closed_is_not_used_again(far: FarServer) -> None:
    async def main() -> bool:
        pool = Pool(parse_endpoint(far.url, "far"), {})
        exchange = Exchange(pool, "GET", HEADERS, None, limit=LIMIT)
        await exchange.ask()
        assert (exchange.status, [part async for part in exchange.chunks()]) == (202, [])
        await asyncio.to_thread(far.die)
        return pool.idle() is None

    assert asyncio.run(main())


def test_an_answer_beyond_the_limit_is_not_kept(far: FarServer) -> None:
    async def main() -> Exchange:
        pool = Pool(parse_endpoint(far.url, "far"), {})
        exchange = Exchange(pool, "POST", HEADERS, BODY, limit=10)
        await exchange.ask()
        return exchange

    far.script = lambda asked: asked.answer(body=b"x" * 11)
    assert isinstance(asyncio.run(main()).failure, TooLarge)


def test_requests_at_once_have_a_connection_each_and_leave_them_to_the_next(
    far: FarServer,
) -> None:
    async def main() -> list[bytes | None]:
        pool = Pool(parse_endpoint(far.url, "far"), {})
        found = []
        for _ in range(2):
            at_once = [Exchange(pool, "POST", HEADERS, BODY, limit=LIMIT) for _ in range(3)]
            await asyncio.gather(*(exchange.ask() for exchange in at_once))
            found += [exchange.body for exchange in at_once]
        pool.close()
        return found

    far.script = lambda asked: asked.answer(body=asked.body)
    assert asyncio.run(main()) == [BODY] * 6
    assert far.connections == 3


def test_a_request_that_is_ended_fails_at_once(far: FarServer) -> None:
    async def main() -> Exchange:
        pool = Pool(parse_endpoint(far.url, "far"), {})
        exchange = Exchange(pool, "POST", HEADERS, BODY, limit=LIMIT)
        asyncio.get_running_loop().call_soon(exchange.abort)
        await exchange.ask()
        return exchange

    failed = asyncio.run(main()).failure
    assert failed is not None
    assert not failed.sent


def test_a_server_that_is_not_there_cannot_be_connected_to() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        pool = Pool(parse_endpoint(f"http://127.0.0.1:{port}/", "far"), {})
        with pytest.raises(ExchangeFailed, match="the connection was refused"):
            asyncio.run(pool.connect())
