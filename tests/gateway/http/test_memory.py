"""The built-in memory over HTTP, in both eras."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.gateway.http.served import served, text, write_policy, write_servers

if TYPE_CHECKING:
    from pktui.memory.client import MemoryClient
    from pktui.settings import Paths


def test_both_eras_reach_the_memory_under_its_policy(paths: Paths, memory: MemoryClient) -> None:
    write_servers(paths)
    write_policy(paths, "memory", hide=["delete_knowledge"])
    with served(paths) as gateway:
        session = gateway.begin("memory")
        tools = gateway.ask("memory", session, "tools/list")["result"]["tools"]
        assert len(tools) == 14
        said = {"role": "user", "content": "the lighthouse needs paint"}
        for name, arguments in (("start_logging_session", {}), ("log_message", said)):
            reply = gateway.ask("memory", session, "tools/call", 2, name=name, arguments=arguments)
            assert not reply["result"].get("isError"), reply
        listed = gateway.modern("memory", "tools/list")["result"]
        assert (len(listed["tools"]), listed["cacheScope"]) == (14, "private")
        found = gateway.modern(
            *("memory", "tools/call", 3),
            name="search_all_sessions",
            arguments={"query": "lighthouse"},
        )
        assert "lighthouse" in text(found)
        rows = gateway.ledger.feed.page()
    assert [(row.tool, row.agent, row.grant, row.outcome) for row in rows] == [
        ("start_logging_session", "tester", "tester", "ok"),
        ("log_message", "tester", "tester", "ok"),
        ("search_all_sessions", "tester", "tester", "ok"),
    ]
    [kept] = memory.sessions().items
    assert kept.agent == "tester"
