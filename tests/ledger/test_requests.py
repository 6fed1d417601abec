"""Requests besides tool calls, counted by server and method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pktui.ledger.requests import RequestCount
from tests.ledger.conftest import SECOND, START_US

if TYPE_CHECKING:
    from pktui.ledger import Ledger
    from tests.ledger.conftest import Clock


def test_requests_are_counted_by_server_and_method(ledger: Ledger, clock: Clock) -> None:
    for _ in range(3):
        ledger.requests.count("files", "ping")
    clock.forward(1)
    ledger.requests.count("files", "prompts/get", denied=True)
    ledger.requests.count("files", "prompts/get")
    ledger.requests.count("web", "ping")
    assert ledger.requests.counts("files") == (
        RequestCount("files", "ping", 3, 0, START_US),
        RequestCount("files", "prompts/get", 2, 1, START_US + SECOND),
    )
    assert [count.server for count in ledger.requests.counts()] == ["files", "files", "web"]
    assert ledger.requests.counts("other") == ()
