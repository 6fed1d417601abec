"""Two machines and one PostgreSQL: one queue, one stop, exact limits, each its own journal."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from pktui.errors import (
    ApprovalError,
    LedgerError,
    LedgerUnavailable,
    SettingsError,
    TeamUnavailable,
)
from pktui.insight.now import NowReader
from pktui.ledger import FeedFilter, Ledger, NewApproval, args_hash
from pktui.ledger.approvals.finding import having
from pktui.ledger.approvals.standing import Wider
from pktui.ledger.chain.export import verify_lines
from pktui.ledger.journal.joints import read_joint
from pktui.ledger.journal.segment import CONTENT, bind, decode_row
from pktui.ledger.postgres.connection import TeamConnection
from pktui.ledger.postgres.replication import Copying
from pktui.ledger.postgres.tables import SCHEMA_VERSION
from pktui.ledger.results import Answered
from pktui.person import login_name
from pktui.settings import AuditSettings, LedgerSettings
from tests.ledger.conftest import CLAUDE, MINUTE, SECOND, Clock, Limit
from tests.support.charging import take
from tests.support.postgres import query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pktui.ledger import Approval
    from pktui.ledger.postgres.team import Team
    from pktui.ledger.records import Verification
    from tests.support.postgres import Server

ARGUMENTS = {"path": "/x"}
Open = Callable[..., Ledger]


@pytest.fixture
def uri(postgres: Server) -> str:
    return postgres.database()


@pytest.fixture
def machine(tmp_path: Path, uri: str) -> Iterator[Open]:
    """Open the ledger of a machine of that name; all are closed at the end."""
    opened: list[Ledger] = []

    def open_one(name: str, uri: str = uri, **more: Any) -> Ledger:
        path = tmp_path / name / "ledger.db"
        opened.append(Ledger.open(path, shared=LedgerSettings(uri, name), **more))
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.close()


def ask(ledger: Ledger, **more: object) -> Approval:
    given: dict[str, object] = {
        "caller": CLAUDE,
        "server": "files",
        "tool": "write",
        "arguments": ARGUMENTS,
        "args_hash": args_hash(ARGUMENTS),
        "expires_us": ledger.clock() + 10 * MINUTE,
    }
    return ledger.approvals.open(NewApproval(**{**given, **more}))  # type: ignore[arg-type]


def wait(until: Callable[[], bool]) -> None:
    """Wait for what the database tells at once."""
    ready = threading.Event()
    for _ in range(6000):
        if until():
            return
        ready.wait(0.01)
    pytest.fail("it was never told")


def test_what_one_machine_asks_another_answers(machine: Open) -> None:
    here, there = machine("here"), machine("there")
    asked = ask(here)
    before = here.data_version()
    assert [one.id for one in there.approvals.pending()] == [asked.id]
    there.approvals.decide(asked.id, True, by="bob", args_hash=asked.args_hash)
    wait(lambda: here.data_version() != before)
    answer = here.approvals.get(asked.id)
    assert answer is not None
    by = f"postgres ({login_name()}@there)"
    assert (answer.status, answer.decided_by) == ("allowed", by)
    assert here.stands("approvals", asked.id)
    assert here.approvals.spend(asked.id)
    assert not there.approvals.spend(asked.id)


def test_what_is_asked_and_decided_names_machine_person_and_role(machine: Open) -> None:
    here, there = machine("here"), machine("there")
    here.catalogue.saw("files", [{"name": "write"}])
    asked, other = ask(here), ask(there, tool="move")
    assert str(asked.seat) == f"{login_name()}@here"
    assert having(here.approvals.pending(), "machine:her?") == (asked,)
    assert having(here.approvals.pending(), "-machine:HERE") == (other,)
    assert having(here.approvals.pending(), "machine:he") == ()
    assert having(here.approvals.pending(), '"@there"') == (other,)
    by = f"postgres ({login_name()}@there)"
    _, made = there.standing.allow(asked.id, Wider(MINUTE), by="x", args_hash=asked.args_hash)
    there.standing.revoke(made.id, by="x")
    (stopped,) = there.approvals.stop(by="x")
    there.approvals.release(by="x")
    assert made.made_by == stopped.decided_by == by
    said = [json.loads(event.detail).get("by") for event in there.events.newest(20)]
    assert [one for one in said if one is not None] == [by] * 6


def test_nobody_decides_in_the_name_of_another(machine: Open, uri: str) -> None:
    import psycopg

    asked = ask(machine("here"))
    with pytest.raises(psycopg.errors.RaiseException, match="in the name of another"):
        query(
            uri,
            "UPDATE approvals SET status = 'allowed', decided_by = 'ada (ada@there)' WHERE id = %s",
            asked.id,
        )


def test_the_first_answer_wins(machine: Open) -> None:
    machines = [machine(f"m{n}") for n in range(4)]
    asked = ask(machines[0])
    answers: list[str] = []

    def decide(ledger: Ledger, n: int) -> None:
        with suppress(ApprovalError):
            ledger.approvals.decide(asked.id, n % 2 == 0, by="x", args_hash=asked.args_hash)
            answers.append(str(ledger.seat))

    threads = [
        threading.Thread(target=decide, args=(ledger, n)) for n, ledger in enumerate(machines)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = answers
    now = machines[3].approvals.get(asked.id)
    assert now is not None
    assert now.decided_by == f"postgres ({winner})"


def test_a_stop_stops_every_machine(machine: Open) -> None:
    here, there = machine("here"), machine("there")
    before = there.changes()
    ask(there)
    assert len(here.approvals.stop(by="ada")) == 1
    wait(lambda: there.changes() != before)
    assert there.approvals.stopped()
    assert there.approvals.release(by="bob")
    assert not here.approvals.stopped()


def test_a_tool_redefined_for_one_machine_is_held_for_all(machine: Open) -> None:
    here, there = machine("here"), machine("there")
    here.catalogue.saw("files", [{"name": "read", "description": "Reads."}])
    (seen,) = there.catalogue.saw("files", [{"name": "read", "description": "Reads all."}])
    assert seen.changed
    (again,) = here.catalogue.tools("files")
    assert again.changed
    assert here.stands("tools", "files", "read")


def test_a_limit_counts_the_calls_of_all_machines(machine: Open) -> None:
    machines = [machine(f"m{n}") for n in range(3)]
    limit = Limit(max=Decimal(25))
    let_through: list[str] = []

    def call(ledger: Ledger, name: str) -> None:
        for n in range(15):
            with ledger.transaction(rows=False):
                turn = ledger.transaction.turn()
                if ledger.counters.reserve((limit,), f"{name}{n}", turn) is None:
                    charges = ledger.counters.taken(turn, f"{name}{n}")
                    ledger.events.append("decision", effect="allow", charges=charges)
                    let_through.append(name)

    threads = [
        threading.Thread(target=call, args=(ledger, f"m{n}")) for n, ledger in enumerate(machines)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(let_through) == 25
    used, retry_us = machines[0].counters.usage(limit)
    assert used == 25
    assert 0 < retry_us - machines[0].clock() <= MINUTE
    (counter,) = machines[1].counters.in_use("memory")
    assert (counter.counter, counter.used) == ("calls", Decimal(25))


def test_all_charges_of_a_call_are_taken_or_none(machine: Open) -> None:
    ledger = machine("here")
    wide, narrow = Limit(counter="wide"), Limit(counter="narrow", max=Decimal(1))
    both = (wide, narrow)
    with ledger.transaction(rows=False):
        assert ledger.counters.reserve(both, "c1", ledger.transaction.turn()) is None
    with ledger.transaction(rows=False):
        assert ledger.counters.reserve(both, "c2", ledger.transaction.turn()) is narrow
    assert ledger.counters.used(both) == [1, 1]


def test_a_call_that_is_not_put_on_record_gives_back_what_it_took(machine: Open) -> None:
    ledger = machine("here")
    limit = Limit()

    def fail() -> None:
        with ledger.transaction(rows=False):
            ledger.counters.reserve((limit,), "c1", ledger.transaction.turn())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert ledger.counters.used((limit,)) == [0]


def test_what_is_given_back_is_given_back_once(machine: Open) -> None:
    ledger = machine("here")
    limit = Limit(amount=Decimal("1.5"))
    with ledger.transaction(rows=False):
        turn = ledger.transaction.turn()
        ledger.counters.reserve((limit,), "c1", turn)
        taken = ledger.counters.taken(turn, "c1")
    for expected in (1, 0):
        with ledger.transaction(rows=False):
            back = ledger.counters.release(taken, ledger.transaction.turn())
        assert len(back) == expected
    assert ledger.counters.used((limit,)) == [0]


@pytest.mark.parametrize("align", ["sliding", "calendar"])
def test_a_window_moves_on(machine: Open, uri: str, align: str) -> None:
    ledger = machine("here")
    limit = Limit(align=align, max=Decimal(1))
    with ledger.transaction(rows=False):
        assert ledger.counters.reserve((limit,), "c1", ledger.transaction.turn()) is None
    query(uri, "UPDATE charges SET at_us = at_us - %s", MINUTE + SECOND)
    assert ledger.counters.used((limit,)) == [0]
    with ledger.transaction(rows=False):
        assert ledger.counters.reserve((limit,), "c2", ledger.transaction.turn()) is None


def test_a_charge_larger_than_its_limit_never_fits(machine: Open) -> None:
    from pktui.ledger.counters import NEVER_US

    ledger = machine("here")
    assert ledger.counters.usage(Limit(amount=Decimal(4))) == (Decimal(0), NEVER_US)


def test_consoles_of_other_machines_are_known(machine: Open) -> None:
    here, there = machine("here"), machine("there", lasting=True)
    token = there.presence.announce("console")
    wait(lambda: bool(here.presence.alive("console")))
    (console,) = here.presence.alive("console")
    assert (console.machine, console.token) == ("there", token)
    assert here.presence.here() == ()
    there.presence.leave(token)
    wait(lambda: not here.presence.alive("console"))


def test_expiries_go_by_the_clock_of_the_database(machine: Open, tmp_path: Path, uri: str) -> None:
    from pktui.times import now_us

    right = machine("here")
    asked = ask(right)
    wrong = Ledger.open(
        tmp_path / "wrong" / "ledger.db",
        shared=LedgerSettings(uri, "wrong"),
        clock=lambda: now_us() + 3600 * SECOND,
    )
    try:
        assert [one.id for one in wrong.approvals.pending()] == [asked.id]
        assert abs(wrong.clock() - right.clock()) < 60 * SECOND
    finally:
        wrong.close()


def test_each_machine_keeps_its_own_journal(machine: Open) -> None:
    here, there = machine("here"), machine("there")
    asked = ask(here)
    there.approvals.decide(asked.id, True, by="bob", args_hash=asked.args_hash)
    assert [event.effect for event in here.events.tail()] == ["pending"]
    assert [event.effect for event in there.events.tail()] == ["allowed"]
    for ledger in (here, there):
        assert ledger.verify().ok


def test_a_journal_of_a_team_changes_nothing_of_this_machines_own_ledger(
    machine: Open, tmp_path: Path
) -> None:
    ledger = machine("here", own=True)
    ask(ledger)
    ledger.close()
    alone = Ledger.open(tmp_path / "here" / "ledger.db")
    assert alone.approvals.recent() == ()
    assert alone.verify().ok
    alone.close()


def pruned(ledger: Ledger) -> int:
    """Prune all that is due; return how many steps it took."""
    ledger.retention.announce()
    steps = 0
    while ledger.retention.step():
        steps += 1
    return steps


@pytest.mark.parametrize("away", [False, True], ids=["there", "away"])
def test_what_this_machine_decided_alone_stands_when_its_record_is_pruned(
    machine: Open, clock: Clock, uri: str, away: bool
) -> None:
    keeping = {"clock": clock, "audit": AuditSettings(keep_days=30)}
    alone = machine("here", uri="", **keeping)
    _, token = alone.grants.create("ci", ["*"])
    alone.close()
    with_team = machine(
        "here", uri="postgresql://ada@/none?host=/nowhere" if away else uri, **keeping
    )
    if not away:
        assert not with_team.approvals.stopped()
    clock.forward(31 * 24 * 3600)
    with_team.events.append("note")
    assert pruned(with_team) == 0
    if not away:
        copied(with_team)
        assert pruned(with_team) == 1
    assert with_team.verify().ok
    with_team.close()
    again = machine("here", uri="", **keeping)
    assert again.verify().ok
    assert again.grants.find(token) is not None


def test_what_tools_answered_stays_on_its_machine(machine: Open, uri: str) -> None:
    here = machine("ada")
    here.events.append("decision", call_id="a", server="s", tool="t", effect="allow")
    here.results.add([Answered("a", "s", "t", "ok", b'{"content":["a plan"]}', 1)])
    assert copied(here).verify().ok
    kinds = {kind for (kind,) in query(uri, "SELECT kind FROM events")}
    assert "decision" in kinds
    assert "result" not in kinds
    assert here.results.of(["a"])["a"].text == '{"content":["a plan"]}'


def test_what_is_not_copied_yet_is_not_pruned(machine: Open, uri: str, clock: Clock) -> None:
    here = machine("here", clock=clock, audit=AuditSettings(keep_days=30))
    calls(here, "a", 3)
    copied(here)
    calls(here, "b", 2)
    clock.forward(31 * 24 * 3600)
    calls(here, "c", 1)
    assert (pruned(here), here.retention.uncopied) == (0, 1)
    copied(here)
    query(uri, "ALTER TABLE copied RENAME TO away")
    assert (pruned(here), here.retention.uncopied) == (0, 1)
    query(uri, "ALTER TABLE away RENAME TO copied")
    assert (pruned(here), here.retention.uncopied) == (1, 0)
    (found,) = copied(here).verify().machines
    assert found.problem == ""
    assert [row.call_id for row in here.feed.page()] == ["c0"]


def test_what_was_pruned_before_it_was_copied_is_named(machine: Open, clock: Clock) -> None:
    keeping: dict[str, Any] = {"clock": clock, "audit": AuditSettings(keep_days=30)}
    here = machine("here", **keeping)
    calls(here, "a", 3)
    copied(here)
    here.close()
    here = machine("here", uri="", **keeping)
    calls(here, "b", 2)
    clock.forward(31 * 24 * 3600)
    calls(here, "c", 1)
    assert pruned(here) == 1
    here.close()
    here = machine("here", **keeping)
    (found,) = copied(here).verify().machines
    assert found.problem == "rows 1:7 to 1:10 were pruned before they were copied"
    assert found.rows == 9  # those that follow are looked at all the same


def edited(uri: str, asked: Approval) -> None:
    query(uri, "ALTER TABLE approvals DISABLE TRIGGER USER")
    query(uri, "UPDATE approvals SET status = 'allowed', decided_by = 'x' WHERE id = %s", asked.id)


def test_an_answer_that_no_event_says_does_not_decide(machine: Open, uri: str) -> None:
    ledger = machine("here")
    asked = ask(ledger)
    assert ledger.stands("approvals", asked.id)
    edited(uri, asked)
    assert not ledger.stands("approvals", asked.id)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET reason = 'another'",
        "DELETE FROM events",
        "TRUNCATE events",
        "UPDATE approvals SET arguments = '{}'",
        "UPDATE approvals SET expires_us = 0",
        "UPDATE approvals SET status = 'spent'",
        "UPDATE approvals SET server = 'mail', status = 'allowed'",
    ],
)
def test_the_database_itself_refuses_what_would_change_the_record(
    machine: Open, uri: str, statement: str
) -> None:
    import psycopg

    ask(machine("here"))
    with pytest.raises(psycopg.errors.RaiseException):
        query(uri, statement)


def test_a_gateways_role_records_and_decides_and_cannot_take_anything_back(
    machine: Open, postgres: Server, uri: str
) -> None:
    import psycopg

    machine("owner").approvals.stopped()
    query(uri, "DROP ROLE IF EXISTS gate")
    query(uri, "CREATE ROLE gate LOGIN IN ROLE pktui_gateway")
    as_gate = uri.replace("postgres@", "gate@")
    ledger = machine("here", uri=as_gate)
    ledger.catalogue.saw("files", [{"name": "write"}])
    asked = ask(ledger)
    ledger.approvals.decide(asked.id, True, by="ada", args_hash=asked.args_hash)
    assert ledger.approvals.spend(asked.id)
    _, token = ledger.grants.create("ci", ["*"])
    assert ledger.grants.find(token) is not None
    ledger.approvals.stop(by="ada")
    ledger.approvals.release(by="ada")
    with ledger.transaction(rows=False):
        turn = ledger.transaction.turn()
        assert ledger.counters.reserve((Limit(),), "c1", turn) is None
    for statement in (
        "DELETE FROM events",
        "UPDATE events SET reason = ''",
        "UPDATE approvals SET server = 'mail'",
        "DELETE FROM approvals",
        "DELETE FROM charges",
        "UPDATE counters SET used = 0",
        "UPDATE ledger SET version = 9",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            query(as_gate, statement)


def test_an_auditors_role_only_reads(machine: Open, uri: str) -> None:
    owner = machine("owner")
    asked = ask(owner)
    query(uri, "DROP ROLE IF EXISTS auditor")
    query(uri, "CREATE ROLE auditor LOGIN IN ROLE pktui_auditor")
    as_auditor = uri.replace("postgres@", "auditor@")
    owner_of_file = machine("desk", uri=as_auditor)
    owner_of_file.close()
    reading = machine("desk", uri=as_auditor, read_only=True)
    assert [one.id for one in reading.approvals.pending()] == [asked.id]
    with pytest.raises(LedgerUnavailable, match="read only"):
        reading.approvals.stop(by="mallory")


def test_a_database_that_is_not_there_denies_at_once_and_says_which(machine: Open) -> None:
    ledger = machine("here", uri="postgresql://ada:secret@/none?host=/nowhere", own=True)
    with pytest.raises(TeamUnavailable, match="none on /nowhere") as first:
        ledger.changes()
    with pytest.raises(TeamUnavailable) as second:
        ledger.approvals.stopped()
    assert "secret" not in f"{first.value}{second.value}"
    assert first.value is not second.value  # each keeps its own trace, and no other
    ledger.events.append("note")
    assert [event.kind for event in ledger.events.tail()] == ["note"]


def test_processes_of_a_machine_do_not_each_wait_for_a_connection(
    machine: Open, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    connect = TeamConnection._connect

    def counted(link: TeamConnection) -> Any:
        tried.append(link.address)
        return connect(link)

    monkeypatch.setattr(TeamConnection, "_connect", counted)
    monkeypatch.setattr("pktui.ledger.postgres.circuit._AGAIN_NS", 3600 * 10**9)
    for _ in range(4):  # each of them as a hook does
        with pytest.raises(TeamUnavailable, match="none on /nowhere"):
            machine("here", uri="postgresql://ada@/none?host=/nowhere").approvals.stopped()
    assert tried == ["none on /nowhere"]
    assert not machine("here", uri=uri).approvals.stopped()
    assert len(tried) == 2


def test_nobody_waits_while_a_connection_is_made_again(
    machine: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    connecting, answered = threading.Event(), threading.Event()

    def connect() -> None:
        connecting.set()
        answered.wait(20)  # as with a host that lets packets fall
        connecting.clear()
        raise LedgerUnavailable("still away", "")

    ledger = machine("here", uri="postgresql://ada@/none?host=/nowhere", own=True)
    with pytest.raises(TeamUnavailable):
        ledger.approvals.stopped()
    assert ledger.team is not None
    monkeypatch.setattr(ledger.team.database.connection, "_connect", connect)
    assert connecting.wait(60)
    try:
        with pytest.raises(TeamUnavailable), ledger.approvals._database.transaction():
            pytest.fail("it began")
        with pytest.raises(TeamUnavailable):
            ledger.changes()
        assert connecting.is_set()
    finally:
        answered.set()


def test_a_connection_that_broke_is_made_again(machine: Open, uri: str) -> None:
    ledger = machine("here", own=True)
    assert not ledger.approvals.stopped()
    query(uri, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
               " WHERE datname = current_database() AND pid <> pg_backend_pid()")  # fmt: skip

    def answers() -> bool:
        try:
            return not ledger.approvals.stopped()
        except TeamUnavailable:
            return False

    wait(answers)
    assert ask(ledger).status == "pending"


def test_what_breaks_in_mid_copy_is_raised_and_not_printed(
    machine: Open, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = machine("here")
    assert not ledger.approvals.stopped()
    assert ledger.team is not None
    end_itself = "SELECT pg_terminate_backend(pg_backend_pid()) WHERE %s > 0"
    with pytest.raises(TeamUnavailable):
        ledger.team.database.connection.run_all(end_itself, [(1,)] * 500)
    assert caplog.text == ""


def test_a_statement_too_large_for_the_server_does_not_count_as_its_absence(
    machine: Open, uri: str
) -> None:
    ledger = machine("here", own=True)
    name = "".join(map(chr, range(0x4E00, 0x4E00 + 3000)))
    assert not ledger.approvals.stopped()
    with pytest.raises(LedgerUnavailable, match="index row") as found:
        take(ledger, [Limit(holder=name)])
    assert not isinstance(found.value, TeamUnavailable)
    assert take(ledger, [Limit()]) is None
    assert len(query(uri, "SELECT key FROM counters")) == 1


def test_a_connection_that_could_not_be_greeted_is_not_used(
    machine: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = machine("here", own=True)
    assert ledger.team is not None
    with monkeypatch.context() as patch:
        patch.setattr(ledger.team.database.taking, "begin", lambda *_: 1 / 0)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                ledger.approvals.stopped()
    assert not ledger.approvals.stopped()


def test_every_name_of_a_limit_is_counted_by_itself(machine: Open) -> None:
    ledger = machine("here")
    names = ['"', "\\", "\0", "\n", "", "NULL", "{},", "ключ", "\U0010ffff", "\ud800", "a" * 2000]
    limits = [Limit(counter=name) for name in names]
    assert take(ledger, limits) is None
    assert [ledger.counters.usage(one)[0] for one in limits] == [1] * len(names)
    found = {one.counter for one in ledger.counters.in_use()}
    assert found == {*names, "\\ud800"} - {"\ud800"}


@pytest.mark.parametrize(("encoding", "holds"), [("LATIN1", False), ("SQL_ASCII", True)])
def test_a_database_that_cannot_hold_every_text_is_told_of_at_once(
    machine: Open, postgres: Server, encoding: str, holds: bool
) -> None:
    name = f"{encoding.lower()}_{os.getpid()}"
    query(
        postgres.uri(),
        f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0",
    )
    ledger = machine("ключ", uri=postgres.uri(name))
    if holds:
        assert str(ask(ledger).seat) == f"{login_name()}@ключ"
        return
    with pytest.raises(LedgerUnavailable, match=r"is in LATIN1.*createdb -E UTF8"):
        ledger.approvals.stopped()


def test_an_address_that_is_none_is_named(machine: Open) -> None:
    with pytest.raises(SettingsError, match=r"ledger\.uri"):
        machine("here", uri="postgresql://[")


def test_a_ledger_of_a_newer_pktui_is_left_alone(machine: Open, uri: str) -> None:
    machine("here").approvals.stopped()
    query(uri, "UPDATE ledger SET version = version + 1")
    with pytest.raises(LedgerUnavailable, match="made by a newer pktui"):
        machine("there").approvals.stopped()


def tables(uri: str) -> list[tuple[object, ...]]:
    """Return the columns, functions, triggers and rights of a team's ledger."""
    return query(
        uri,
        """SELECT table_name, column_name, data_type, column_default
            FROM information_schema.columns WHERE table_schema = 'pktui'
        UNION ALL SELECT 'function', proname, proacl::text, prosrc FROM pg_proc
            WHERE pronamespace = 'pktui'::regnamespace
        UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid)
            FROM pg_trigger WHERE NOT tgisinternal
                AND tgrelid::regclass::text IN (SELECT table_name::text
                FROM information_schema.tables WHERE table_schema = 'pktui')
        UNION ALL SELECT table_name, column_name, grantee, privilege_type
            FROM information_schema.column_privileges WHERE table_schema = 'pktui'
        ORDER BY 1, 2, 3, 4""",
    )


def old_ledger(postgres: Server) -> str:
    """Make a ledger of the first schema; return where."""
    uri = postgres.database()
    query(uri, "CREATE SCHEMA pktui")
    query(uri, Path(__file__).with_name("team_schema_1.sql").read_text())
    query(uri, "INSERT INTO ledger VALUES (1, 'old', 1)")
    query(uri, "INSERT INTO machines (id, name, seen_us) VALUES ('m', 'before', 1)")
    return uri


def test_a_ledger_of_an_older_pktui_is_brought_up_once(
    machine: Open, uri: str, postgres: Server
) -> None:
    machine("here").approvals.stopped()
    old = old_ledger(postgres)
    asked = ask(machine("there", uri=old))
    assert machine("elsewhere", uri=old).approvals.get(asked.id) == asked
    assert tables(old) == tables(uri)
    assert query(old, "SELECT id, version FROM ledger") == [("old", SCHEMA_VERSION)]
    assert query(old, "SELECT name FROM machines ORDER BY n") == [
        ("before",),
        ("there",),
        ("elsewhere",),
    ]


def test_a_role_that_may_not_bring_an_old_ledger_up_says_who_does(
    machine: Open, postgres: Server
) -> None:
    old = old_ledger(postgres)
    query(old, "DROP ROLE IF EXISTS late")
    query(old, "CREATE ROLE late LOGIN IN ROLE pktui_gateway")
    late = machine("late", uri=old.replace("postgres@", "late@"))
    with pytest.raises(LedgerUnavailable, match=r"of an older pktui.*role owns its tables"):
        late.approvals.stopped()
    assert query(old, "SELECT version FROM ledger") == [(1,)]


def test_the_tables_are_those_of_a_machine_alone(machine: Open, uri: str) -> None:
    from pktui.ledger.integrity.vouched_columns import BY_TABLE

    ledger = machine("here")
    ledger.approvals.stopped()
    for table in BY_TABLE:
        rows = query(
            uri,
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'pktui'"
            " AND table_name = %s",
            table,
        )
        own = ledger._database.rows(f"SELECT name FROM pragma_table_info('{table}')")
        assert {row[0] for row in rows} == {row[0] for row in own}, table


def calls(ledger: Ledger, name: str, count: int) -> None:
    """Put calls on record, with an end of each and a limit that they draw on."""
    for n in range(count):
        with ledger.transaction(rows=False):
            turn = ledger.transaction.turn()
            ledger.counters.reserve((Limit(max=Decimal(999)),), f"{name}{n}", turn)
            seq = ledger.events.append(
                *("decision",),
                call_id=f"{name}{n}",
                server="files",
                tool="rea\0d",
                effect="allow",
                arguments={"path": f"/\0/{n}"},
                charges=ledger.counters.taken(turn, f"{name}{n}"),
            )
        ledger.events.append("outcome", call_id=f"{name}{n}", outcome="ok", ref_seq=seq)


def copied(ledger: Ledger) -> Team:
    assert ledger.team is not None
    ledger.team.copy()
    return ledger.team


def test_the_record_of_all_machines_is_proven_and_a_row_changed_in_either_is_named(
    machine: Open, uri: str
) -> None:
    here, there = machine("here"), machine("there")
    asked = ask(here)
    calls(here, "h", 5)
    there.approvals.decide(asked.id, True, by="bob", args_hash=asked.args_hash)
    calls(there, "t", 3)
    copied(here)
    found = copied(there).verify()
    assert found.ok
    assert [(one.machine, one.rows) for one in found.machines] == [("here", 11), ("there", 7)]
    query(uri, "ALTER TABLE events DISABLE TRIGGER USER")
    for name, row in (("there", 3), ("here", 4)):
        query(
            uri,
            "UPDATE events SET reason = 'other' FROM machines"
            " WHERE machines.n = machine AND name = %s AND segment = 1 AND number = %s",
            *(name, row),
        )
        broken = copied(here).verify()
        problems = {one.machine: one.problem for one in broken.machines}
        assert f"row 1:{row} was edited" in problems[name]


def compared(ledger: Ledger) -> Verification:
    """Return what was found once the database answered in time."""
    found = ledger.verify()

    def is_compared() -> bool:
        nonlocal found
        found = ledger.verify() if found.notes else found
        return not found.notes

    wait(is_compared)
    return found


def test_rows_written_anew_here_are_told_by_their_copies(machine: Open, tmp_path: Path) -> None:
    here = machine("here")
    calls(here, "h", 4)
    copied(here)
    assert here.verify().ok
    here.close()
    file = tmp_path / "here" / "journal" / "00000001.jsonl"
    (opened,) = (tmp_path / "here" / "journal" / "joints.jsonl").read_bytes().splitlines()[:1]
    joint = read_joint(opened)
    assert joint is not None
    previous, lines = bytes.fromhex(joint.hash), file.read_bytes().splitlines()
    kept = list(lines)
    for at, line in enumerate(lines):
        *content, _ = decode_row(line)
        if at >= 2:
            content[CONTENT.index("reason")] = "a better one"
        whole, previous = bind(content, previous)
        lines[at] = whole.rstrip()
    for rows, problem in (
        (lines, "row 1:3 is not the one the team's ledger has"),
        (kept[:6], "row 1:7 was removed from the end: the team's ledger has it"),
    ):
        file.write_bytes(b"".join(line + b"\n" for line in rows))
        (tmp_path / "here" / "index.db").unlink()
        alone = machine("here", uri="")
        assert alone.verify().ok
        alone.close()
        again = machine("here")
        assert compared(again).problem == problem
        again.close()
    away = machine("here", uri="postgresql://ada@/none?host=/nowhere")
    assert "rows were not compared with the team's ledger" in away.verify().notes[0]


def test_another_machines_record_is_exported_as_it_was_written(machine: Open, clock: Clock) -> None:
    keeping: dict[str, Any] = {"clock": clock, "audit": AuditSettings(keep_days=30)}
    here, there = machine("here"), machine("there", **keeping)
    assert not here.approvals.stopped()
    calls(there, "t", 3)
    clock.forward(31 * 24 * 3600)
    there.results.add([Answered("t0", "files", "read", "ok", b"{}", 1)])
    calls(there, "u", 2)
    copied(there)
    written = [line for line in there.framed() if line.startswith(b'{"segment":')]
    assert pruned(there) == 1
    copied(there)
    team = here.team
    assert team is not None
    lines = list(team.framed("there", since_us=0, until_us=0))
    exported = [line for line in lines if line.startswith(b'{"segment":')]
    assert set(exported) >= {line for line in written if b'"kind":"result"' not in line}
    found = verify_lines(lines)
    assert (found.problem, found.rows) == ("", len(exported))
    assert not verify_lines([line.replace(b'"t1"', b'"t9"') for line in lines]).ok
    with pytest.raises(LedgerError, match=r"no machine nowhere.*here, there"):
        list(team.framed("nowhere", since_us=0, until_us=0))


def made_anew(lines: list[bytes], at: int) -> list[bytes]:
    """Return rows of which one has another reason, and all are chained anew."""
    digest, found = bytes(32), []
    for n, line in enumerate(lines):
        content = list(decode_row(line)[:-1])
        if n == at:
            content[CONTENT.index("reason")] = "another"
        line, digest = bind(content, digest)
        found.append(line)
    return found


@pytest.mark.parametrize("where", ["database", "journal"])
def test_a_chain_made_anew_in_one_place_differs_from_the_other(
    machine: Open, uri: str, where: str
) -> None:
    here = machine("here")
    calls(here, "h", 3)
    team = copied(here)
    journal = here.path.parent / "journal"
    (file,) = [one for one in journal.iterdir() if one.name.endswith("1.jsonl")]
    lines = file.read_bytes().splitlines()
    forged = made_anew(lines, 2)
    if where == "journal":
        file.write_bytes(b"".join(forged))
    else:
        query(uri, "ALTER TABLE events DISABLE TRIGGER USER")
        for line in map(bytes.rstrip, forged):
            row = decode_row(line)
            query(
                uri,
                "UPDATE events SET reason = %s, hash = %s WHERE number = %s",
                *(row[CONTENT.index("reason")], bytes.fromhex(row[-1]), row[0]),
            )
    (found,) = team.verify().machines
    assert found.problem == "row 1:3 is not the one in this machine's own journal"
    assert found.rows == 2


def test_a_row_removed_from_the_shared_record_is_named(machine: Open, uri: str) -> None:
    here = machine("here")
    calls(here, "h", 4)
    team = copied(here)
    query(uri, "ALTER TABLE events DISABLE TRIGGER USER")
    query(uri, "DELETE FROM events WHERE number = 8")
    (found,) = team.verify().machines
    assert found.problem == "row 1:8 was removed from the end"
    query(uri, "UPDATE copied SET number = 7")
    assert "row 1:8 of here" in team.verify().problem  # a checkpoint names it
    query(uri, "DELETE FROM events WHERE number = 3")
    (found,) = team.verify().machines
    assert found.problem == "row 1:3 was removed"


def test_a_checkpoint_that_was_edited_is_named(machine: Open, uri: str) -> None:
    here = machine("here")
    calls(here, "h", 1)
    team = copied(here)
    assert team.verify().checkpoints == 1
    query(uri, "ALTER TABLE checkpoints DISABLE TRIGGER USER")
    query(uri, "UPDATE checkpoints SET at_us = at_us + 1")
    assert team.verify().problem == "checkpoint 1 was edited, or one before it was removed"


@pytest.mark.parametrize("heads", ["", "1", "1:x:y", "9" * 40 + ":1:" + "0" * 64, "1:1:zz"])
def test_a_checkpoint_that_names_no_row_is_named(machine: Open, uri: str, heads: str) -> None:
    here = machine("here")
    calls(here, "h", 1)
    team = copied(here)
    query(uri, "SELECT checkpoint(1, %s)", heads)
    assert team.verify().problem == "checkpoint 2 names no row"


def test_an_answer_edited_in_the_database_is_named(machine: Open, uri: str) -> None:
    here = machine("here")
    asked = ask(here)
    team = copied(here)
    assert team.verify().ok
    edited(uri, asked)
    assert "its state is 'allowed', and 'pending' in the log" in team.verify().problem


def test_a_question_removed_from_the_database_is_named(machine: Open, uri: str) -> None:
    here = machine("here")
    asked = ask(here)
    query(uri, "DELETE FROM approvals")
    assert copied(here).verify().problem == f"approval {asked.id} was removed"


def test_a_segment_copied_twice_adds_nothing(machine: Open, uri: str) -> None:
    here = machine("here")
    ask(here)
    calls(here, "h", 250)
    copied(here)
    before = query(uri, "SELECT count(*), max(seq) FROM events")
    query(uri, "DELETE FROM copied")
    copied(here)
    (after,) = query(uri, "SELECT count(*) FROM events")
    assert after == (501,) == before[0][:1]
    assert copied(here).verify().ok


def test_two_who_copy_one_machine_at_once_add_each_row_once(machine: Open, uri: str) -> None:
    here = machine("here")
    calls(here, "h", 150)
    copiers = [machine("here") for _ in range(3)]
    threads = [threading.Thread(target=copied, args=(one,)) for one in copiers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert query(uri, "SELECT count(*), count(DISTINCT number) FROM events") == [(300, 300)]
    (found,) = copied(here).verify().machines
    assert (found.problem, found.rows) == ("", 300)


def test_rows_that_a_standby_lacks_are_copied_again(machine: Open, uri: str) -> None:
    here = machine("here")
    calls(here, "h", 3)
    assert here.team is not None
    copying = Copying(here.path.parent / "journal", here.team.database, here.clock)
    while copying.step():
        pass
    query(uri, "ALTER TABLE events DISABLE TRIGGER USER")
    query(uri, "DELETE FROM events WHERE number > 0")
    query(uri, "DELETE FROM copied")
    query(uri, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
               " WHERE datname = current_database() AND pid <> pg_backend_pid()")  # fmt: skip

    def has_all() -> bool:
        with suppress(LedgerUnavailable):
            copying.step()
        return query(uri, "SELECT count(*) FROM events") == [(6,)]

    wait(has_all)
    (found,) = copied(here).verify().machines
    assert (found.problem, found.rows) == ("", 6)


def test_two_directories_that_go_by_one_machine_are_told_apart(
    machine: Open, tmp_path: Path
) -> None:
    here = machine("here")
    calls(here, "h", 1)
    copied(here)
    there = machine("there")
    (tmp_path / "there" / "machine").write_text((tmp_path / "here" / "machine").read_text())
    there.close()
    there = machine("there")
    calls(there, "t", 2)
    with pytest.raises(LedgerError, match="has another joint"):
        copied(there)


def test_a_gateway_copies_its_journal_up_while_it_runs(machine: Open, uri: str) -> None:
    here = machine("here", own=True)
    calls(here, "h", 3)
    wait(lambda: query(uri, "SELECT count(*) FROM events") == [(6,)])


def test_what_a_gateways_role_copies_is_proven_to_an_auditor(machine: Open, uri: str) -> None:
    machine("owner").approvals.stopped()
    for role, group in (("gate2", "pktui_gateway"), ("auditor2", "pktui_auditor")):
        query(uri, f"DROP ROLE IF EXISTS {role}")
        query(uri, f"CREATE ROLE {role} LOGIN IN ROLE {group}")
    here = machine("here", uri=uri.replace("postgres@", "gate2@"))
    ask(here)
    calls(here, "h", 2)
    copied(here)
    machine("desk").close()
    desk = machine("desk", uri=uri.replace("postgres@", "auditor2@"), read_only=True)
    assert desk.team is not None
    assert desk.team.verify().ok


def feed(ledger: Ledger, words: str = "") -> list[tuple[str, str, str]]:
    wanted, problems = FeedFilter.parse(words, now_us=ledger.clock())
    assert not problems
    page = ledger.feed.page(wanted)
    assert ledger.feed.count(wanted) == len(page)
    return [(row.machine, row.call_id, row.outcome) for row in page]


def seen_by(ledger: Ledger) -> int:
    assert ledger.team is not None
    return ledger.team.take_in(ledger.index)


def test_the_feed_shows_the_calls_of_all_machines(machine: Open) -> None:
    here, there = machine("here"), machine("there")
    calls(here, "h", 2)
    calls(there, "t", 2)
    copied(there)
    assert seen_by(here) == 4
    mine = [("here", "h0", "ok"), ("here", "h1", "ok")]
    theirs = [("there", "t0", "ok"), ("there", "t1", "ok")]
    assert sorted(feed(here)) == mine + theirs
    assert feed(here, "machine:there") == theirs
    assert feed(here, "machine:th*") == theirs
    assert feed(here, "-machine:there") == mine
    assert feed(here, "machine:nobody") == []
    assert [row.tool for row in here.feed.page()] == ["rea\0d"] * 4
    assert there.verify().ok
    assert here.verify().ok


def test_a_row_is_taken_in_once_and_comes_later_too(machine: Open) -> None:
    here, there = machine("here"), machine("there")
    calls(there, "t", 1)
    copied(there)
    assert [seen_by(here), seen_by(here)] == [2, 0]
    calls(there, "u", 1)
    calls(here, "h", 1)
    copied(here)
    copied(there)
    assert seen_by(here) == 2
    assert {name for name, _, _ in feed(here)} == {"here", "there"}
    here.index.rebuild()
    assert seen_by(here) == 4
    assert len(feed(here)) == 3


def test_an_open_console_takes_in_what_others_do(machine: Open) -> None:
    here, there = machine("here", lasting=True), machine("there", own=True)
    here.presence.announce("console")
    calls(there, "t", 1)
    wait(lambda: feed(here) == [("there", "t0", "ok")])


def test_now_shows_who_works_on_which_machine(machine: Open) -> None:
    here, there = machine("here", own=True), machine("there", own=True)
    for ledger, session in ((here, "h1"), (there, "t1")):
        token = ledger.presence.announce(
            "gateway", server="files", agent=CLAUDE.agent, project=CLAUDE.project
        )
        caller = structs.replace(CLAUDE, session=session)
        ledger.events.append(
            "decision", caller=caller, call_id=f"{token}-1", server="files", effect="allow"
        )
        copied(ledger)
    ask(there)
    wait(lambda: len(here.presence.alive("gateway")) == 2)
    seen_by(here)
    now = NowReader(here, here.clock).read()
    person = login_name()
    assert {str(one.seat): one.calls for one in now.agents} == {
        f"{person}@here": 1,
        f"{person}@there": 1,
    }
    assert [str(need.approval.seat) for need in now.needs] == [f"{person}@there"]


def test_what_is_asked_elsewhere_and_ends_is_followed(machine: Open) -> None:
    here, there = machine("here"), machine("there")
    there.events.append("decision", call_id="t0", effect="allow", server="files", tool="read")
    copied(there)
    seen_by(here)
    assert feed(here) == [("there", "t0", "")]
    there.events.append("outcome", call_id="t0", outcome="tool_error")
    copied(there)
    seen_by(here)
    assert feed(here, "outcome:tool_error") == [("there", "t0", "tool_error")]
