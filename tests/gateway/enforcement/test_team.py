"""Calls while a team's database is away: denied at once and on record, but for reading."""

from __future__ import annotations

import itertools
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from pktui.errors import LedgerUnavailable
from pktui.gateway.enforcement.decision import Ruling, ToolCall
from pktui.gateway.enforcement.enforcer import Enforcer
from pktui.gateway.enforcement.policy_file import ServerPolicy
from pktui.ledger import Caller, Ledger
from pktui.ledger.postgres import connection as link_module
from pktui.ledger.postgres.database import _DECIDING_LOCK
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

    def __init__(self, directory: Path, uri: str, *, see: bool = True, **policy: object) -> None:
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
        if see:
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

    def make(**policy: Any) -> House:
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
    assert here.ledger.team.database.connection.away is None


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


FULL = """CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'could not extend file "base/1": No space left' USING ERRCODE = '53100';
END $$"""


def fill_up(uri: str, *tables: str) -> None:
    """Let the server answer as it does where its disk is full."""
    query(uri, FULL)
    for table in tables:
        query(
            uri,
            f"CREATE TRIGGER a_full_disk BEFORE INSERT ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION full_disk()",
        )


def make_room(uri: str) -> None:
    query(uri, "DROP FUNCTION full_disk CASCADE")


def test_nothing_goes_out_while_the_databases_disk_is_full(house: Any) -> None:
    here = house(tools={**TOOLS, "write_file": {"action": "approve"}})
    assert here.decide("list_files").ruling is Ruling.FORWARD
    fill_up(here.uri, "charges", "events", "approvals")
    for tool in ("list_files", "write_file"):
        decision = here.decide(tool)
        assert decision.ruling not in (Ruling.FORWARD, Ruling.HOLD)
        assert "No space left" in decision.reason
    assert here.decide("read_file").ruling is Ruling.FORWARD  # nothing of it is to be kept there
    with pytest.raises(LedgerUnavailable, match=r"No space left.*Give the database room"):
        here.ledger.team.copy()
    make_room(here.uri)
    assert here.decide("list_files").ruling is Ruling.FORWARD
    here.ledger.team.copy()
    (found,) = here.ledger.team.verify().machines
    assert (found.problem, here.ledger.verify().ok) == ("", True)
    assert query(here.uri, "SELECT used FROM counters") == [(2_000_000,)]
    assert query(here.uri, "SELECT count(*) FROM approvals") == [(0,)]
    decided = query(here.uri, "SELECT count(*), count(DISTINCT call_id) FROM events"
                              " WHERE kind = 'decision' AND effect = 'allow'")  # fmt: skip
    assert decided == [(3, 3)]


def test_a_role_without_rights_lets_nothing_through_and_is_told_what_it_lacks(house: Any) -> None:
    here = house()
    query(here.uri, "DROP ROLE IF EXISTS bare")
    query(here.uri, "CREATE ROLE bare LOGIN")
    bare = House(
        here.ledger.path.parent.parent / "bare", here.uri.replace("postgres@", "bare@"), see=False
    )
    try:
        decision = bare.decide("read_file")
        assert decision.ruling is not Ruling.FORWARD
        assert "permission denied" in decision.reason
        assert "pktui_gateway" in decision.reason
    finally:
        bare.ledger.close()


def test_a_database_that_another_keeps_locked_denies_in_time_and_goes_on(house: Any) -> None:
    import psycopg

    here = house(tools={**TOOLS, "write_file": {"action": "approve"}})
    assert here.decide("read_file").ruling is Ruling.FORWARD
    here.ledger.team.database.connection.run("SET lock_timeout = 50")
    with psycopg.connect(here.uri) as other:
        other.execute(f"SELECT pg_advisory_xact_lock({_DECIDING_LOCK})")
        decision = here.decide("write_file")
        assert decision.ruling not in (Ruling.FORWARD, Ruling.HOLD)
        assert "kept it locked" in decision.reason
        assert here.decide("list_files").ruling is Ruling.FORWARD
    assert here.decide("write_file").ruling is Ruling.WAITING


def test_a_database_that_does_not_answer_opens_the_circuit(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = house()
    assert here.decide("list_files").ruling is Ruling.FORWARD
    query(
        here.uri,
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM pg_sleep(60); RETURN NEW; END $$",
    )
    query(here.uri, "CREATE TRIGGER slow BEFORE INSERT ON charges FOR EACH ROW"
                    " EXECUTE FUNCTION slow()")  # fmt: skip
    here.ledger.team.database.connection.run("SET statement_timeout = 400")
    monkeypatch.setattr(link_module, "ANSWER_SECONDS", 0.1)
    decision = here.decide("list_files")
    assert decision.ruling is Ruling.AWAY
    assert "did not answer" in decision.reason
    monkeypatch.undo()
    query(here.uri, "DROP TRIGGER slow ON charges")
    until(here, "list_files", Ruling.FORWARD)
    allowed = [row for row in here.ledger.feed.page(limit=100) if row.effect == "allow"]
    assert query(here.uri, "SELECT used / 1000000 FROM counters") == [(len(allowed),)]
