"""A listening gateway that ends leaves nothing half done."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import msgspec

from pktui.gateway.enforcement.enforcer import Enforcer
from pktui.gateway.http.threads import LARGE, WorkerThreads
from pktui.gateway.relay.server_context import ServerContext
from pktui.settings import Settings
from tests.gateway.http.served import (
    PATIENCE,
    eventually,
    plain,
    request,
    served,
    write_policy,
    write_servers,
)

if TYPE_CHECKING:
    import pytest

    from pktui.settings import Paths


def test_a_call_that_is_being_decided_ends_on_record_before_the_ledger_is_closed(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, going_on, order = threading.Event(), threading.Event(), list[str]()
    decide_all, close, written = Enforcer.decide_all, ServerContext.__exit__, WorkerThreads.written

    def slow(enforcer: Enforcer, *given: Any, **named: Any) -> Any:
        begun.set()
        assert going_on.wait(PATIENCE)
        decided = decide_all(enforcer, *given, **named)
        order.append("decided")
        return decided

    def closing(context: ServerContext, *error: Any) -> None:
        order.append("closed")
        going_on.set()
        close(context, *error)

    async def waiting(threads: WorkerThreads) -> None:
        going_on.set()
        await written(threads)

    monkeypatch.setattr(Enforcer, "decide_all", slow)
    monkeypatch.setattr(ServerContext, "__exit__", closing)
    monkeypatch.setattr(WorkerThreads, "written", waiting)
    write_servers(paths, plain=plain())
    write_policy(paths, "plain")
    settings = Settings()
    hasty = msgspec.structs.replace(settings.gateway, grace_seconds=0)
    with served(paths, msgspec.structs.replace(settings, gateway=hasty)) as running:
        session = running.begin("plain")
        running.ask("plain", session, "tools/list")
        call = request("tools/call", 7, {"name": "echo", "arguments": {"text": "x" * LARGE}})
        poster = threading.Thread(
            target=running.send, args=("plain", call), kwargs={"mcp_session_id": session}
        )
        poster.start()
        assert begun.wait(PATIENCE)
        running.gateway.stop()
        poster.join(PATIENCE)
        assert eventually(lambda: "closed" in order)
        assert order == ["decided", "closed"]
        [row] = running.ledger.feed.page()
        assert (row.tool, row.outcome) == ("echo", "lost")
