"""Calls while a team's database is away: denied at once and on record, but for reading."""

from __future__ import annotations

import itertools
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from pktui.gateway.enforcement.decision import Ruling, ToolCall
from pktui.gateway.enforcement.enforcer import Enforcer
from pktui.gateway.enforcement.policy_file import ServerPolicy
from pktui.ledger import Caller, Ledger
from pktui.settings import ApprovalSettings, LedgerSettings
from tests.support.postgres import query

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pktui.gateway.enforcement.decision import Decision
    from tests.support.postgres import Server

READ = {"name": "read_file", "description": "Reads a file."}
WRITE = {"name": "write_file", "description": "Writes a file."}
COUNTED = {"name": "list_files", "description": "Lists files."}
LIMITS = [{"counter": "lists", "window": "minute", "max": 9}]
TOOLS = {"list_files": {"action": "allow", "limits": LIMITS}}


class House:
    """The Enforcer of a machine of a team."""

    def __init__(self, directory: Path, uri: str, **policy: object) -> None:
        self.uri = uri
        directory.mkdir()
        file = directory / "files.json"
        file.write_text(json.dumps({"version": "1", "default": "allow", "tools": TOOLS, **policy}))
        self.ledger = Ledger.open(
            directory / "ledger.db", own=True, shared=LedgerSettings(uri, directory.name)
        )
        self.enforcer = Enforcer(
            *(self.ledger, ServerPolicy("files", file, needed=True, changed=lambda *_: None)),
            *(ApprovalSettings(), "files"),
            clock=self.ledger.clock,
            log=lambda _sentence: None,
        )
        self.enforcer.saw([READ, WRITE, COUNTED])
        self.numbers = itertools.count()

    def decide(self, tool: str, caller: Caller = Caller("claude", "", "s", "/p")) -> Decision:  # noqa: B008
        return self.enforcer.decide(ToolCall(f"c{next(self.numbers)}", tool, {}, caller))

    def away(self, name: str = "away") -> None:
        """Let the database be gone for whoever asks."""
        database = self.uri.partition("@/")[2].partition("?")[0]
        admin = self.uri.replace(database, "postgres", 1)
        query(admin, f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
        query(
            admin,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            database,
        )

    def back(self) -> None:
        database = self.uri.partition("@/")[2].partition("?")[0]
        admin = self.uri.replace(database, "postgres", 1)
        query(admin, f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")


@pytest.fixture
def house(tmp_path: Path, postgres: Server) -> Iterator[Any]:
    made: list[House] = []

    def make(**policy: object) -> House:
        made.append(House(tmp_path / f"m{len(made)}", postgres.database(), **policy))
        return made[-1]

    yield make
    for one in made:
        one.ledger.close()


def until(house: House, tool: str, ruling: Ruling) -> Decision:
    ready = threading.Event()
    for _ in range(3000):
        decision = house.decide(tool)
        if decision.ruling is ruling:
            return decision
        ready.wait(0.02)
    pytest.fail(f"{tool} was never {ruling}")


def test_calls_are_denied_with_the_reason_and_that_is_on_record(house: Any) -> None:
    here = house()
    assert here.decide("read_file").ruling is Ruling.FORWARD
    here.away()
    decision = until(here, "read_file", Ruling.AWAY)
    assert "cannot be used" in decision.reason
    (row,) = here.ledger.feed.page(limit=1)
    assert (row.effect, row.rule) == ("deny", "(team away)")
    assert here.decide("list_files").ruling is Ruling.AWAY
    assert here.ledger.verify().ok


def test_calls_go_on_once_the_database_is_back(house: Any) -> None:
    here = house()
    here.away()
    until(here, "list_files", Ruling.AWAY)
    here.back()
    until(here, "list_files", Ruling.FORWARD)
    assert here.ledger.team.database.link.away is None


def test_reading_goes_on_where_the_policy_says_so(house: Any) -> None:
    here = house(on_outage="allow")
    for tool in ("read_file", "write_file", "list_files"):
        assert here.decide(tool).ruling is Ruling.FORWARD
    here.away()
    until(here, "list_files", Ruling.AWAY)  # a limit counts it
    assert here.decide("write_file").ruling is Ruling.AWAY
    decision = here.decide("read_file")
    assert (decision.ruling, decision.rule) == (Ruling.FORWARD, "(team away)")
    (row,) = here.ledger.feed.page(limit=1)
    assert (row.effect, "reading go on" in row.reason) == ("allow", True)


def test_reading_does_not_go_on_after_a_stop(house: Any) -> None:
    here = house(on_outage="allow")
    here.ledger.approvals.stop(by="ada")
    assert here.decide("read_file").ruling is Ruling.STOPPED
    here.away()
    until(here, "read_file", Ruling.AWAY)


def test_a_grant_cannot_be_asked_about_so_its_calls_do_not_go_on(house: Any) -> None:
    here = house(on_outage="allow")
    assert here.decide("read_file").ruling is Ruling.FORWARD
    here.away()
    until(here, "write_file", Ruling.AWAY)
    granted = Caller("claude", "ci", "s", "/p", "k1")
    assert here.decide("read_file", granted).ruling is Ruling.AWAY


def test_what_a_call_took_stays_taken_while_its_end_is_recorded(house: Any) -> None:
    here = house()
    call = ToolCall("c-1", "list_files", {}, Caller("claude", "", "s", "/p"))
    decision = here.enforcer.decide(call)
    here.away()
    until(here, "read_file", Ruling.AWAY)
    here.enforcer.settle(call, "error", 10, seq=decision.seq)
    assert here.ledger.feed.call("c-1").outcome == "error"
