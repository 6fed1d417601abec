"""An outcome nobody knows keeps its charge, by whichever way in; what never left does not."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from pktui.ledger.ledger import Ledger
from tests.gateway.http.served import (
    answer,
    eventually,
    plain,
    request,
    routed,
    served,
    stateless,
    text,
    write_policy,
    write_servers,
)
from tests.gateway.upstream.far import Asked, FarServer, session
from tests.support.gateway import RunningGateway, plain_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pktui.settings import Paths

ONCE = {"counter": "n", "window": "hour", "max": 1, "scope": "server"}
OVER = "The limit of"


@pytest.fixture(autouse=True)
def _limited(paths: Paths) -> None:
    write_policy(paths, "demo", tools={"silent": {"limits": [ONCE]}})


@pytest.fixture
def ledger(paths: Paths) -> Iterator[Ledger]:
    ledger = Ledger.open(paths.ledger_file)
    yield ledger
    ledger.close()


def outcomes(ledger: Ledger) -> list[str]:
    return [row.outcome for row in ledger.feed.page()]


@pytest.mark.parametrize("how", ["hang up", "SIGTERM", "SIGKILL", "server dies"])
def test_an_end_in_the_middle_of_a_call_does_not_give_its_quota_back(
    paths: Paths, ledger: Ledger, how: str
) -> None:
    del paths
    server = plain_server("--die-on", "silent") if how == "server dies" else plain_server()
    with RunningGateway("demo", "--", *server) as gateway:
        gateway.ask("tools/list", 0)
        gateway.call("silent", 1)
        assert eventually(lambda: len(ledger.feed.page()) == 1)
        if how == "hang up":
            gateway.hang_up()
        elif how == "SIGTERM":
            gateway.signal(signal.SIGTERM)
        elif how == "SIGKILL":
            gateway.signal(signal.SIGKILL)
        else:
            assert "error" in gateway.reply()
    ledger.settle_lost()
    assert outcomes(ledger) == ["lost"]
    with RunningGateway("demo", "--", *plain_server()) as gateway:
        gateway.call("silent", 1)
        assert OVER in text(gateway.reply())


def test_a_client_that_leaves_over_http_keeps_its_charge(paths: Paths) -> None:
    write_servers(paths, demo=plain())
    with served(paths) as running:
        session_id = running.begin("demo")
        running.ask("demo", session_id, "tools/list", 0)
        with pytest.raises(httpx2.TimeoutException):
            running.client.post(
                running.url("/mcp/demo"),
                json=call(1),
                headers=running.headers() | {"mcp-session-id": session_id},
                timeout=0.5,
            )
        again = running.ask("demo", session_id, "tools/call", 2, **call(2)["params"])
        assert OVER in text(again)
        assert running.end("demo", session_id) == 200


def never(asked: Asked) -> None:
    """Answer a call with a stream that ends without its answer."""
    if (asked.message or {}).get("method") == "tools/call":
        asked.stream(b": no answer\n\n", end=True)
    else:
        asked.result({"tools": [{"name": "silent", "inputSchema": {"type": "object"}}]})


def test_a_url_server_that_breaks_off_keeps_the_charge_over_http(paths: Paths) -> None:
    with FarServer(session(never)) as far:
        write_servers(paths, demo={"url": far.url})
        with served(paths) as running:
            session_id = running.begin("demo")
            broken = running.send("demo", call(1), mcp_session_id=session_id)
            assert "ended its stream" in answer(broken)["error"]["message"]
            again = running.ask("demo", session_id, "tools/call", 2, **call(2)["params"])
            assert OVER in text(again)


def test_a_url_server_that_breaks_off_keeps_the_charge_over_stdio(
    paths: Paths, ledger: Ledger
) -> None:
    del paths
    with FarServer(session(never)) as far, RunningGateway("demo", "--url", far.url) as gateway:
        begin(gateway)
        gateway.call("silent", 1)
        assert "may have been done all the same" in gateway.reply()["error"]["message"]
        gateway.call("silent", 2)
        assert OVER in text(gateway.reply())
        gateway.hang_up()
    assert outcomes(ledger) == ["lost", ""]


def test_a_call_that_could_not_be_sent_gives_its_quota_back_over_stdio(ledger: Ledger) -> None:
    with FarServer(session(never)) as far, RunningGateway("demo", "--url", far.url) as gateway:
        begin(gateway)
        gateway.ask("tools/list", 7)
        far.die()
        for number in range(3):
            gateway.call("silent", number)
            assert "can't be reached" in gateway.reply()["error"]["message"]
        gateway.hang_up()
    assert outcomes(ledger) == ["lost"] * 3


def test_a_call_that_could_not_be_sent_gives_its_quota_back_over_http(paths: Paths) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        write_servers(paths, demo={"url": f"http://127.0.0.1:{taken.getsockname()[1]}/mcp"})
        with served(paths) as running:
            name = {"name": "silent"}
            for number in range(3):
                asked = stateless("tools/call", number, {**name, "arguments": {}})
                reply = running.send("demo", asked, **routed("tools/call", name))
                assert "can't be reached" in answer(reply)["error"]["message"]


def call(number: int) -> dict[str, Any]:
    return request("tools/call", number, {"name": "silent", "arguments": {}})


def begin(gateway: RunningGateway) -> None:
    info = {"name": "t", "version": "1"}
    gateway.ask("initialize", 0, protocolVersion="2025-11-25", capabilities={}, clientInfo=info)
    gateway.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
