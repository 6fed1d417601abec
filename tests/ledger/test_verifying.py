"""Whoever edits, removes, reorders, adds or cuts off rows behind pktui's back is found out."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from pktui.ledger import Ledger, NewApproval, args_hash
from pktui.ledger.approvals.standing import Wider
from pktui.ledger.chain.log import CONTENT
from tests.ledger.conftest import CLAUDE, MINUTE, Clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ARGUMENTS = {"title": "Shop", "amount": 5}


def fill(ledger: Ledger, count: int = 10) -> None:
    """Put calls on record: each decision followed by its outcome."""
    for number in range(count // 2):
        seq = ledger.events.append(
            "decision",
            caller=CLAUDE,
            call_id=f"c{number}",
            server="memory",
            tool="search",
            effect="allow",
            arguments={"query": f"number {number}"},
        )
        ledger.events.append("outcome", call_id=f"c{number}", outcome="ok", ref_seq=seq)


@pytest.fixture
def attacker(ledger: Ledger, file: Path) -> Iterator[sqlite3.Connection]:
    """A raw connection to a ledger of ten rows whose triggers are out of the way."""
    fill(ledger)
    with closing(sqlite3.connect(file, isolation_level=None)) as raw:
        for (sql,) in raw.execute(
            "SELECT sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            raw.execute(f"DROP TRIGGER {sql.split()[2]}")
        yield raw


def put_triggers_back(ledger: Ledger, raw: sqlite3.Connection) -> None:
    from pktui.ledger.schema import migration_from

    for statement in migration_from(0):
        if statement.startswith("CREATE TRIGGER"):
            raw.execute(statement)


def found(ledger: Ledger) -> tuple[int, str]:
    verification = ledger.events.verify()
    assert verification.ok is (verification.problem == "")
    return verification.seq, verification.problem


@pytest.mark.parametrize("column", [*CONTENT[1:], "hash", "call_us", "call_tool"])
def test_an_edit_of_any_column_of_any_row_is_found_and_named(
    ledger: Ledger, attacker: sqlite3.Connection, column: str
) -> None:
    for seq in (1, 2, 5, 10):
        (kept,) = attacker.execute(f"SELECT {column} FROM events WHERE seq = {seq}").fetchone()
        for forged in forgeries(kept):
            attacker.execute(f"UPDATE events SET {column} = ? WHERE seq = ?", (forged, seq))
            assert found(ledger) == (seq, f"row {seq} was edited, or another was put in its place")
        attacker.execute(f"UPDATE events SET {column} = ? WHERE seq = ?", (kept, seq))
    put_triggers_back(ledger, attacker)
    assert found(ledger) == (0, "")


def forgeries(kept: Any) -> list[Any]:
    if isinstance(kept, int):
        return [kept + 1, kept - 1, -kept - 1]
    if isinstance(kept, bytes):
        return [bytes(32), kept[:-1], kept + b"\0", bytes([kept[0] ^ 1]) + kept[1:]]
    if kept is None:
        return []
    return [f"{kept}x", f"{kept} ", *([""] if kept else ())]


@pytest.mark.parametrize("seq", range(1, 11))
def test_a_row_that_was_removed_is_named(
    ledger: Ledger, attacker: sqlite3.Connection, seq: int
) -> None:
    attacker.execute("DELETE FROM events WHERE seq = ?", (seq,))
    if seq == 10:
        assert found(ledger) == (10, "row 10 was removed from the end")
    else:
        assert found(ledger) == (seq + 1, f"row {seq} was removed before row {seq + 1}")


@pytest.mark.parametrize(("one", "other"), [(1, 2), (3, 7), (4, 6), (9, 10), (1, 10)])
def test_rows_that_changed_places_are_named(
    ledger: Ledger, attacker: sqlite3.Connection, one: int, other: int
) -> None:
    for old, new in ((one, -1), (other, one), (-1, other)):
        attacker.execute("UPDATE events SET seq = ? WHERE seq = ?", (new, old))
    assert found(ledger) == (one, f"row {one} was edited, or another was put in its place")


@pytest.mark.parametrize(
    ("statements", "seq", "words"),
    [
        (["DELETE FROM events WHERE seq < 4"], 4, "rows 1 to 3 were removed before row 4"),
        (["DELETE FROM events WHERE seq > 8"], 9, "rows 9 to 10 were removed from the end"),
        (["DELETE FROM events"], 1, "rows 1 to 10 were removed from the end"),
        (
            ["UPDATE events SET seq = seq + 100", "UPDATE events SET seq = seq - 99"],
            2,
            "row 1 was removed before row 2",
        ),
        (
            [
                "DELETE FROM events WHERE seq = 5",
                "UPDATE events SET seq = seq + 100 WHERE seq > 5",
                "UPDATE events SET seq = seq - 101 WHERE seq > 100",
                "UPDATE chain SET seq = 9",
            ],
            5,
            "row 5 was edited, or another was put in its place",
        ),
        (
            [
                "UPDATE events SET seq = seq + 100 WHERE seq > 5",
                "UPDATE events SET seq = seq - 99 WHERE seq > 100",
                "CREATE TABLE copy AS SELECT * FROM events WHERE seq = 5",
                "UPDATE copy SET seq = 6",
                "INSERT INTO events SELECT * FROM copy",
                "UPDATE chain SET seq = 11",
            ],
            6,
            "row 6 was edited, or another was put in its place",
        ),
        (
            [
                "CREATE TABLE copy AS SELECT * FROM events WHERE seq = 10",
                "UPDATE copy SET seq = 11",
                "INSERT INTO events SELECT * FROM copy",
            ],
            11,
            "row 11 was added from outside",
        ),
        (
            [
                "CREATE TABLE copy AS SELECT * FROM events WHERE seq = 10",
                "UPDATE copy SET seq = -3",
                "INSERT INTO events SELECT * FROM copy",
            ],
            -3,
            "row -3 was added from outside, before the chain's first",
        ),
        (
            ["DELETE FROM events WHERE seq = 10", "UPDATE chain SET seq = 9"],
            9,
            "row 9 is not the one that was written last",
        ),
        (["DELETE FROM chain"], 0, "the record of the chain's head was removed"),
        (
            ["UPDATE chain SET hash = zeroblob(32)"],
            10,
            "row 10 is not the one that was written last",
        ),
        (["UPDATE chain SET seq = 11"], 11, "row 11 was removed from the end"),
        (["UPDATE chain SET seq = 8"], 8, "row 8 is not the one that was written last"),
        (
            ["UPDATE chain SET base_seq = 3"],
            1,
            "row 1 was added from outside, before the chain's first",
        ),
        (
            ["UPDATE chain SET base_hash = randomblob(32)"],
            1,
            "row 1 was edited, or another was put in its place",
        ),
        (
            [
                (
                    "UPDATE chain SET base_seq = 3,"
                    " base_hash = (SELECT hash FROM events WHERE seq = 3)"
                ),
                "DELETE FROM events WHERE seq <= 3",
            ],
            0,
            "rows up to 3 were removed, and no prune is on record that removed them",
        ),
        (
            ["UPDATE events SET reason = CAST(x'ff' AS TEXT) WHERE seq = 7"],
            7,
            "row 7 cannot be read: ",
        ),
    ],
)
def test_tampering_is_found_and_named(
    ledger: Ledger, attacker: sqlite3.Connection, statements: list[str], seq: int, words: str
) -> None:
    for statement in statements:
        attacker.execute(statement)
    at, problem = found(ledger)
    assert (at, problem[: len(words)]) == (seq, words)


def test_the_rows_before_the_fault_are_counted(
    ledger: Ledger, attacker: sqlite3.Connection
) -> None:
    whole = ledger.events.newest(4)[0]
    attacker.execute("UPDATE events SET outcome = 'x' WHERE seq = 8")
    verification = ledger.events.verify()
    assert (verification.rows, verification.head_seq) == (7, 7)
    assert verification.head_hash == whole.hash


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("SELECT 1", "events_are_never_edited, which guards the log, was removed"),
        (
            "CREATE TRIGGER events_are_never_edited BEFORE UPDATE ON events BEGIN SELECT 1; END",
            "events_are_never_edited, which guards the log, is not as pktui made it",
        ),
        (
            (
                "CREATE TRIGGER sly AFTER INSERT ON approvals BEGIN"
                " UPDATE approvals SET status = 'allowed'; END"
            ),
            "sly, which may act on the log, was added to the file",
        ),
        (
            "ALTER TABLE chain ADD COLUMN note TEXT",
            "chain, which guards the log, is not as pktui made it",
        ),
    ],
)
def test_guards_that_are_not_as_they_were_made_are_named(
    ledger: Ledger, attacker: sqlite3.Connection, statement: str, words: str
) -> None:
    if statement != "SELECT 1":
        put_triggers_back(ledger, attacker)
        if statement.startswith("CREATE TRIGGER events"):
            attacker.execute("DROP TRIGGER events_are_never_edited")
    attacker.execute(statement)
    at, problem = found(ledger)
    assert (at, problem[: len(words)]) == (0, words)


def asked(ledger: Ledger, clock: Clock) -> str:
    return ledger.approvals.open(
        NewApproval(
            caller=CLAUDE,
            server="memory",
            tool="store",
            arguments=ARGUMENTS,
            args_hash=args_hash(ARGUMENTS),
            expires_us=clock() + 10 * MINUTE,
        )
    ).id


@pytest.fixture
def raw(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        yield connection


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            "UPDATE approvals SET status = 'allowed'",
            "its state is 'allowed', and 'pending' in the log",
        ),
        ("UPDATE approvals SET tool = 'delete'", "its tool is 'delete', and 'store' in the log"),
        ("UPDATE approvals SET server = 'files'", "its server is 'files'"),
        ("UPDATE approvals SET agent = 'x'", "its agent is 'x'"),
        ("UPDATE approvals SET project = 'x'", "its directory is 'x'"),
        ("UPDATE approvals SET args_hash = 'x'", "its arguments' hash is 'x'"),
        ("UPDATE approvals SET decided_by = 'ada'", "its decider is 'ada', and '' in the log"),
        (
            """UPDATE approvals SET arguments = '{"title":"Shop","amount":6}'""",
            "its arguments are not those that were asked about",
        ),
        ("UPDATE approvals SET identity = 'mallory@/'", "its identity is 'mallory@/'"),
        ("UPDATE approvals SET definition_hash = 'x'", "its definition's hash is 'x'"),
        ("UPDATE approvals SET once = 1 - once", "its once is 1, and 0 in the log"),
        ("UPDATE approvals SET expires_us = expires_us * 2", "its scope is"),
        ("UPDATE approvals SET masked = '{}'", "its masked are not those on record"),
        ("DELETE FROM approvals", "was removed"),
        ("UPDATE approvals SET id = 'other-10'", "approval other-10 is not in the log"),
    ],
)
def test_an_approval_that_was_not_decided_here_is_named(
    ledger: Ledger, clock: Clock, raw: sqlite3.Connection, statement: str, words: str
) -> None:
    asked(ledger, clock)
    assert found(ledger) == (0, "")
    raw.execute(statement)
    at, problem = found(ledger)
    assert at == 0
    assert problem.startswith("approval ")
    assert words in problem


def test_every_way_an_approval_goes_agrees_with_the_log(
    ledger: Ledger, clock: Clock, raw: sqlite3.Connection
) -> None:
    approvals = ledger.approvals
    digest = args_hash(ARGUMENTS)
    for allow in (True, False, True):
        one = asked(ledger, clock)
        approvals.decide(one, allow, by="ada", args_hash=digest, words="because")
    approvals.spend(one)
    approvals.withdraw(asked(ledger, clock))
    asked(ledger, clock)
    assert found(ledger) == (0, "")
    clock.forward(3600)
    approvals.expire()
    assert found(ledger) == (0, "")
    asked(ledger, clock)
    approvals.stop(by="ada")
    assert found(ledger) == (0, "")
    raw.execute("DELETE FROM switches")
    assert found(ledger) == (0, "stop stopped was removed")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE standing SET expires_us = expires_us * 2", "its scope is"),
        ("UPDATE standing SET identity = 'mallory@/'", "its identity is 'mallory@/'"),
        ("UPDATE standing SET definition_hash = 'x'", "its definition's hash is 'x'"),
        ("UPDATE standing SET args_hash = 'x'", "its arguments' hash is 'x'"),
        ("UPDATE standing SET made_by = 'eve'", "its maker is 'eve', and 'ada' in the log"),
        ("UPDATE standing SET tool = 'delete'", "its tool is 'delete', and 'store' in the log"),
        ("UPDATE standing SET session = ''", "its session is ''"),
        ("UPDATE standing SET ended = 'revoked'", "its state is 'revoked'"),
        ("DELETE FROM standing", "was removed"),
    ],
)
def test_a_standing_approval_that_was_widened_is_named(
    ledger: Ledger, clock: Clock, raw: sqlite3.Connection, statement: str, words: str
) -> None:
    ledger.catalogue.saw("memory", [{"name": "store"}])
    one = asked(ledger, clock)
    ledger.standing.allow(one, Wider(), by="ada", args_hash=args_hash(ARGUMENTS))
    assert found(ledger) == (0, "")
    raw.execute(statement)
    _, problem = found(ledger)
    assert problem.startswith("standing approval ")
    assert words in problem


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("""UPDATE grants SET servers = '["*"]' WHERE name = 'ci'""", "grant ci: its scope is"),
        ("UPDATE grants SET expires_us = 5 WHERE name = 'ci'", "grant ci: its scope is"),
        ("UPDATE grants SET policy = ''", "grant ci: its scope is"),
        ("UPDATE grants SET key = zeroblob(8) WHERE name = 'ci'", "grant ci: its key is"),
        ("UPDATE grants SET digest = zeroblob(32) WHERE name = 'ci'", "grant ci is not in the log"),
        ("UPDATE grants SET revoked_us = 0", "grant old: its state is 'created', and 'revoked'"),
        ("DELETE FROM grants WHERE name = 'ci'", "grant ci was removed"),
    ],
)
def test_a_grant_that_was_not_made_here_is_named(
    ledger: Ledger, raw: sqlite3.Connection, statement: str, words: str
) -> None:
    ledger.grants.create("old", ["memory"])
    ledger.grants.revoke("old")
    ledger.grants.create("ci", ["memory", "files"], "/p.json")
    assert found(ledger) == (0, "")
    raw.execute(statement)
    _, problem = found(ledger)
    assert problem.startswith(words)


def test_a_detail_nobody_can_read_does_not_stop_the_way(ledger: Ledger) -> None:
    ledger.events.append("grant", detail={"servers": 5})
    ledger.events.append("approval", detail={"status": {"a": 1}})
    assert found(ledger) == (0, "")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE pin SET hash = zeroblob(32)", "the PIN: its hash are not those on record"),
        ("UPDATE pin SET salt = zeroblob(16)", "the PIN: its salt are not those on record"),
        ("UPDATE pin SET n = 2", "the PIN: its n is 2"),
        ("DELETE FROM pin", "PIN 1 was removed"),
    ],
)
def test_a_pin_that_was_not_set_here_is_named(
    ledger: Ledger, raw: sqlite3.Connection, statement: str, words: str
) -> None:
    ledger.pin.set("1234", by="ada")
    assert found(ledger) == (0, "")
    raw.execute(statement)
    assert found(ledger)[1].startswith(words)


def test_a_pin_that_was_put_there_or_brought_back_is_named(
    ledger: Ledger, raw: sqlite3.Connection
) -> None:
    raw.execute("INSERT INTO pin VALUES (1, x'00', x'00', 2, 8, 1, 5, 0, 0)")
    assert found(ledger) == (0, "the PIN is not in the log")
    raw.execute("DELETE FROM pin")
    ledger.pin.set("1234", by="ada")
    (row,) = raw.execute("SELECT * FROM pin").fetchall()
    ledger.pin.clear("1234", by="ada")
    assert found(ledger) == (0, "")
    raw.execute(f"INSERT INTO pin VALUES ({', '.join('?' * len(row))})", row)
    assert found(ledger) == (0, "the PIN is not in the log")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE tools SET pinned_hash = hash", "pinned tool s.get: its pinned hash is"),
        ("UPDATE tools SET hash = pinned_hash WHERE name = 'get'", "pinned tool s.get: its hash"),
        (
            "UPDATE tools SET definition = pinned_definition WHERE name = 'get'",
            "pinned tool s.get: its definition is not the one its hash is of",
        ),
        (
            "UPDATE tools SET pinned_definition = '{}' WHERE name = 'get'",
            "pinned tool s.get: the definition it is pinned at is another one",
        ),
        ("UPDATE tools SET is_new = 0", "pinned tool s.pay: its state is 0"),
        ("UPDATE tools SET flags = '[1]'", "pinned tool s.get: its flags are not those on record"),
        ("DELETE FROM tools WHERE name = 'pay'", "pinned tool s.pay was removed"),
        ("UPDATE tools SET name = 'x' WHERE name = 'pay'", "pinned tool s.x is not in the log"),
    ],
)
def test_a_pin_of_a_tool_that_was_moved_is_named(
    ledger: Ledger, raw: sqlite3.Connection, statement: str, words: str
) -> None:
    ledger.catalogue.saw("s", [{"name": "get"}, {"name": "old", "n": 1.5, "\u00e4": [2**70]}])
    ledger.catalogue.saw("s", [{"name": "get", "description": "Gets more."}, {"name": "pay"}])
    ledger.catalogue.saw("s", [{"name": "long", "text": "x" * 300_000}, {"name": "long"}])
    assert found(ledger) == (0, "")
    raw.execute(statement)
    assert found(ledger)[1].startswith(words)


def test_a_tool_that_changed_and_was_accepted_agrees_with_the_log(ledger: Ledger) -> None:
    ledger.catalogue.saw("s", [{"name": "get"}])
    for description in ("a", "b", None):
        ledger.catalogue.saw("s", [{"name": "get", "description": description}])
        assert found(ledger) == (0, "")
    ledger.catalogue.accept("s", "get", by="ada")
    assert found(ledger) == (0, "")
