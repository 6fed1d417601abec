"""The list of servers is edited while a gateway listens."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from pktui.gateway.http.channels import Channel
from pktui.gateway.http.client_sessions import Sessions
from pktui.gateway.http.upstreams import StartedServers
from pktui.settings import Paths
from tests.gateway.http.served import (
    INITIALIZE,
    PATIENCE,
    Served,
    plain,
    request,
    served,
    write_policy,
    write_servers,
)
from tests.gateway.upstream.far import Asked, FarServer

if TYPE_CHECKING:
    from pktui.gateway.http.channels import Started
    from pktui.gateway.http.threads import WorkerThreads
    from pktui.gateway.relay.in_flight import Pending
    from pktui.gateway.relay.relay_session import RelaySession
    from pktui.gateway.relay.server_context import ServerContext


def has(tool: str) -> dict[str, Any]:
    """Return the entry of a server that has one tool, by which it can be told from others."""
    return plain("--tools", json.dumps([{"name": tool, "inputSchema": {"type": "object"}}]))


def says(word: str) -> Callable[[Asked], None]:
    """Return the script of a server behind a URL that answers everything with a word."""

    def script(asked: Asked) -> None:
        if "id" in (asked.message or {}):
            asked.result({"word": word}, {"Mcp-Session-Id": f"s-{word}"})
        else:
            asked.answer(202)

    return script


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("edits")
    paths = Paths.at(place / "config", place / "data")
    write_servers(paths, one=has("first"))
    for server in ("one", "two"):
        write_policy(paths, server)
    with served(paths) as gateway:
        yield gateway


def tools(running: Served, server: str, session: str) -> list[str]:
    listed = running.ask(server, session, "tools/list")["result"]["tools"]
    return [tool["name"] for tool in listed]


def refused(running: Served, server: str) -> int:
    return running.send(server, request("initialize", 0, INITIALIZE)).status_code


def test_a_server_that_is_added_can_be_reached_at_once(running: Served) -> None:
    assert refused(running, "two") == 404
    write_servers(running.paths, one=has("first"), two=has("other"))
    assert tools(running, "two", running.begin("two")) == ["other"]


def test_a_changed_entry_counts_for_new_sessions(running: Served) -> None:
    before = running.begin("one")
    write_servers(running.paths, one=has("second"))
    after = running.begin("one")
    assert tools(running, "one", before) == ["first"]
    assert tools(running, "one", after) == ["second"]
    assert running.end("one", before) == 200
    assert tools(running, "one", after) == ["second"]


def test_a_command_can_become_a_url_and_another_url(running: Served) -> None:
    started = running.begin("one")
    with FarServer(says("a")) as first, FarServer(says("b")) as second:
        write_servers(running.paths, one={"url": first.url})
        early = running.begin("one")
        write_servers(running.paths, one={"url": second.url})
        late = running.begin("one")
        assert tools(running, "one", started) == ["first"]
        assert running.ask("one", early, "ping")["result"] == {"word": "a"}
        assert running.ask("one", late, "ping")["result"] == {"word": "b"}


@pytest.mark.parametrize("entry", [None, {**plain(), "disabled": True}], ids=["out", "disabled"])
def test_a_server_that_is_taken_out_or_disabled_ends_its_sessions(
    running: Served, entry: dict[str, Any] | None
) -> None:
    session = running.begin("one")
    write_servers(running.paths, **({"one": entry} if entry else {}), two=plain())
    assert refused(running, "one") == 404
    write_servers(running.paths, one=has("first"))
    assert running.send("one", request("ping", 1, {}), mcp_session_id=session).status_code == 404
    assert tools(running, "one", running.begin("one")) == ["first"]


def test_a_broken_list_changes_nothing(running: Served) -> None:
    session = running.begin("one")
    running.paths.servers_file.write_text("{")
    assert tools(running, "one", session) == ["first"]
    assert tools(running, "one", running.begin("one")) == ["first"]


def test_a_broken_entry_stays_as_it_was_and_harms_no_other(running: Served) -> None:
    broken = {**has("second"), "env": "none"}
    write_servers(running.paths, one=broken, two=has("other"))
    assert tools(running, "one", running.begin("one")) == ["first"]
    assert tools(running, "two", running.begin("two")) == ["other"]
    write_servers(running.paths, one=has("second"))
    assert tools(running, "one", running.begin("one")) == ["second"]


def test_a_tool_that_an_entry_leaves_out_from_now_on_is_hidden_at_once(running: Served) -> None:
    session = running.begin("one")
    assert tools(running, "one", session) == ["first"]
    write_servers(running.paths, one={**has("first"), "excludeTools": ["first"]})
    assert tools(running, "one", session) == []
    assert tools(running, "one", running.begin("one")) == []


class _Lingering:
    """A server that takes until all others end to end."""

    full = False
    said = ""

    def __init__(self, together: threading.Barrier) -> None:
        self._together = together

    def end(self, patience: float) -> int:
        if patience:
            self._together.wait(PATIENCE)
        return 0


async def test_servers_that_nobody_uses_are_ended_side_by_side() -> None:
    now = [0.0]
    servers = StartedServers(
        "plain",
        lambda _caller, _room, _trace: cast("Started", None),
        Sessions(1, 1, lambda: now[0]),
        cast("WorkerThreads", None),
        lambda: "",
        capacity=4,
        idle_seconds=1,
        clock=lambda: now[0],
    )
    together = threading.Barrier(3)
    for _ in range(3):
        upstream = cast("Started", _Lingering(together))
        channel = Channel(
            upstream,
            "plain",
            cast("Pending", SimpleNamespace(in_flight=None)),
            cast("ServerContext", None),
            cast("WorkerThreads", None),
            log=print,
            state_given=lambda _state, _channel: None,
            clock=lambda: now[0],
        )
        channel.relay = cast("RelaySession", SimpleNamespace(server_lost=lambda _why: None))
        servers._channels[channel] = None
    now[0] = 2.0
    await servers.sweep()
    assert not servers._channels
