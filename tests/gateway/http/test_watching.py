"""`/healthz` and `/metrics`."""

from __future__ import annotations

import re

from tests.gateway.http.served import Served, request


def figure(text: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0


def test_both_need_a_token(running: Served) -> None:
    for path in ("/healthz", "/metrics"):
        assert running.client.get(running.url(path)).status_code == 401
        assert running.client.get(running.url(path), headers=running.headers()).status_code == 200


def test_calls_are_counted_by_server_tool_and_effect(running: Served) -> None:
    def scrape() -> str:
        return running.client.get(running.url("/metrics"), headers=running.headers()).text

    echoed = 'pktui_calls_total{server="plain",tool="echo",effect="allow"}'
    made_up = 'pktui_calls_total{server="plain",tool="(others)",effect="deny"}'
    took = 'pktui_call_duration_seconds_count{server="plain"}'
    session = running.begin("plain")
    running.ask("plain", session, "tools/list")
    before = scrape()
    for tool in ("echo", "echo", 'made "up"\\'):
        running.ask("plain", session, "tools/call", 2, name=tool, arguments={})
    running.ask("plain", session, "tools/call", 3, name="write", arguments={})
    after = scrape()
    assert figure(after, echoed) - figure(before, echoed) == 2
    assert figure(after, made_up) - figure(before, made_up) == 1
    assert figure(after, took) - figure(before, took) == 2
    assert figure(after, "pktui_approvals_pending") == 1
    ends = [line for line in after.splitlines() if 'server="plain",le="+Inf"' in line]
    assert float(ends[0].split()[-1]) == figure(after, took)


def test_health_needs_no_session(running: Served) -> None:
    reply = running.client.get(running.url("/healthz"), headers=running.headers())
    assert reply.json()["status"] == "ok"
    assert running.send("plain", request("ping", 1, {})).status_code == 400
