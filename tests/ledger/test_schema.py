"""Two versions of pktui at one ledger: the older one changes nothing and says why."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pktui.errors import LedgerUnavailable
from pktui.ledger import Caller, Ledger, now_us
from pktui.ledger.journal.journal import charges_of
from pktui.ledger.journal.segment import CONTENT
from pktui.ledger.schema import MIGRATIONS, VERSION, migration_from

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FIRST_EDITION = 4
"""The schema of the first programs that were handed out."""


def raw(file: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(file, isolation_level=None))


def at_version(file: Path, version: int) -> None:
    """Make a file as a pktui of that schema left it."""
    file.parent.mkdir(mode=0o700, exist_ok=True)
    with raw(file) as old:
        old.execute("PRAGMA journal_mode=WAL")
        for step in MIGRATIONS[:version]:
            for statement in step:
                old.execute(statement)
        old.execute("PRAGMA application_id=0x706B7475")
        old.execute(f"PRAGMA user_version={version}")


def move_on(file: Path) -> None:
    """Do to the file what the next schema's migration does to every one."""
    with raw(file) as newer:
        for statement in migration_from(VERSION):
            newer.execute(statement.replace(f"<> {VERSION}", f"<> {VERSION + 1}"))
        newer.execute(f"PRAGMA user_version={VERSION + 1}")


@pytest.mark.parametrize("version", range(VERSION))
def test_every_migration_makes_the_guard_anew(file: Path, version: int) -> None:
    at_version(file, version)
    ledger = Ledger.open(file)
    ledger.events.append("note")
    assert ledger.verify().ok
    ledger.close()
    with raw(file) as other:
        (guard,) = other.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'changes_are_of_this_schema'"
        ).fetchone()
    assert f"NEW.schema <> {VERSION}" in guard


def test_a_program_of_the_first_edition_is_refused_once_the_file_has_moved_on(file: Path) -> None:
    at_version(file, FIRST_EDITION)
    marks = ", ".join("?" * 21)
    columns = ", ".join(("seq", *CONTENT[1:]))
    insert = f"INSERT INTO events ({columns}, hash) VALUES ({marks})"
    row = (1, 5, "note", "", 0, *("",) * 12, 0, "", "", bytes(32))
    with raw(file) as old:
        old.execute("BEGIN IMMEDIATE")
        old.execute(insert, row)
        old.execute("ROLLBACK")
        Ledger.open(file).close()
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            old.execute(insert, row)


def together(ledger: Ledger) -> None:
    with ledger.transaction(rows=False):
        ledger.requests.count("s", "ping")
        ledger.events.append("note")


CHANGES: dict[str, Callable[[Ledger], object]] = {
    "event": lambda ledger: ledger.events.append("note"),
    "events": lambda ledger: together(ledger),
    "presence": lambda ledger: ledger.presence.announce("console"),
    "request": lambda ledger: ledger.requests.count("s", "ping"),
    "grant": lambda ledger: ledger.grants.create("ci", ["*"]),
    "tools": lambda ledger: ledger.catalogue.saw("s", [{"name": "t"}]),
    "stop": lambda ledger: ledger.approvals.stop(by="ada"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_an_older_program_changes_nothing_and_says_what_to_do(
    ledger: Ledger, file: Path, change: Callable[[Ledger], object]
) -> None:
    ledger.events.append("note", caller=Caller("x"))
    move_on(file)
    with raw(file) as other:
        before = list(other.iterdump())
        for _ in range(2):
            with pytest.raises(LedgerUnavailable, match="newer pktui has moved") as caught:
                change(ledger)
            assert "Update this one" in caught.value.cure
        assert list(other.iterdump()) == before


def test_a_row_of_another_schema_is_refused_by_the_file_itself(ledger: Ledger, file: Path) -> None:
    """The version alone was not looked at again: the guard stands for itself."""
    move_on(file)
    with raw(file) as newer:
        newer.execute(f"PRAGMA user_version={VERSION}")
    with pytest.raises(LedgerUnavailable, match="newer pktui has moved"):
        ledger.approvals.stop(by="ada")
    assert ledger.events.last_seq() == 0
    assert not ledger.approvals.stopped()


def test_one_that_only_looks_on_is_told_too(ledger: Ledger, file: Path) -> None:
    reader = Ledger.open(file, read_only=True)
    reader.check_files()
    move_on(file)
    with pytest.raises(LedgerUnavailable, match="newer pktui has moved"):
        reader.check_files()
    reader.close()


def test_a_gateway_that_was_told_once_is_told_again(ledger: Ledger, file: Path) -> None:
    move_on(file)
    for _ in range(2):
        with pytest.raises(LedgerUnavailable, match="newer pktui has moved"):
            ledger.changes()


def test_whoever_writes_meanwhile_is_no_reason_to_stop(ledger: Ledger, file: Path) -> None:
    other = Ledger.open(file)
    for _ in range(3):
        other.events.append("note")
        ledger.events.append("note")
    assert len(ledger.events.tail()) == 6
    other.close()


def test_what_a_grant_known_by_its_name_was_given_stays_its_own(file: Path) -> None:
    at_version(file, FIRST_EDITION)
    with raw(file) as old:
        old.execute("INSERT INTO grants VALUES (1, x'0102', x'01', 'ci', '[\"*\"]', '', 5, 0, 0)")
        for n, (name, project) in enumerate((("ci", ""), ("ci", "/work"), ("", "/work"))):
            identity = name or f"agent@{project}"
            old.execute(
                "INSERT INTO approvals VALUES (?, ?, 7, 9, 'denied', 's', 't', '{}', '{}', 'h', '',"
                " '', '', 0, ?, 'agent', ?, '', ?, '', '', 0, '')",
                (n, str(n), identity, name, project),
            )
        key = '["s","grant:ci","n",60,"sliding"]'
        old.execute("INSERT INTO charges VALUES (?, 1, 1, 1, 1, 'c', 99)", (key,))
    ledger = Ledger.open(file)
    identities = [
        row[0] for row in ledger._database.rows("SELECT identity FROM approvals ORDER BY n")
    ]
    folder = file.parent / "journal"
    counted = {one.key for one in charges_of(folder, now_us)}
    grant = ledger.grants.list()[0]
    ledger.close()
    assert identities == [grant.identity, "ci", "agent@/work"] == ["ci#0102", "ci", "agent@/work"]
    assert counted == {key, key.replace("grant:ci", "grant:ci#0102")}
