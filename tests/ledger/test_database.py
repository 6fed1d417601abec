"""Opening the file, and every way in which it cannot be used."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pktui.errors import LedgerUnavailable
from pktui.ledger import Ledger
from pktui.ledger.database import open_database
from pktui.ledger.schema import VERSION

if TYPE_CHECKING:
    from tests.ledger.conftest import Clock


def raw(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_the_file_and_its_directory_are_private(ledger: Ledger, file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    ledger.events.append("note")
    assert all(f.stat().st_mode & 0o077 == 0 for f in file.parent.iterdir())


def test_a_file_open_to_others_is_closed_to_them(ledger: Ledger, file: Path) -> None:
    ledger.close()
    file.chmod(0o644)
    Ledger.open(file).close()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_directory_that_cannot_be_written_is_said_at_once(
    ledger: Ledger, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.close()
    monkeypatch.setattr("pktui.ledger.database.os.access", lambda *_: False)
    with pytest.raises(LedgerUnavailable, match=f"{file.parent} cannot be written to"):
        Ledger.open(file)
    Ledger.open(file, read_only=True).close()


def test_what_was_written_is_there_when_opened_again(ledger: Ledger, file: Path) -> None:
    ledger.events.append("note", reason="kept")
    ledger.close()
    again = Ledger.open(file)
    assert [event.reason for event in again.events.tail()] == ["kept"]
    again.close()


@pytest.mark.parametrize(("fsync", "level"), [(False, 1), (True, 2)])
def test_a_commit_waits_for_the_disk_only_where_asked(file: Path, fsync: bool, level: int) -> None:
    database = open_database(file, fsync=fsync, read_only=False)
    assert database.row("PRAGMA synchronous") == (level,)
    assert database.row("PRAGMA journal_mode") == ("wal",)
    assert database.row("PRAGMA busy_timeout") == (5000,)
    database.close()


def test_the_log_beside_the_file_stays_small(ledger: Ledger, file: Path) -> None:
    for number in range(700):
        with ledger.transaction():
            values = (f"{number}", "x" * 60_000)
            ledger._database.run("INSERT INTO requests VALUES (?, ?, 0, 0, 0)", values)
    assert file.stat().st_size > 20 * 2**20
    assert Path(f"{file}-wal").stat().st_size < 20 * 2**20


def test_a_file_of_a_newer_pktui_is_refused(ledger: Ledger, file: Path) -> None:
    ledger.close()
    raw(file, f"PRAGMA user_version={VERSION + 1}")
    with pytest.raises(LedgerUnavailable, match="written by a newer pktui") as caught:
        Ledger.open(file)
    assert "Upgrade pktui" in caught.value.cure


def test_a_file_of_another_program_is_refused_and_left_alone(file: Path) -> None:
    file.parent.mkdir(mode=0o700)
    raw(file, "CREATE TABLE theirs (x)")
    with pytest.raises(LedgerUnavailable, match="another program"):
        Ledger.open(file)
    raw(file, "SELECT x FROM theirs")


def test_a_file_that_is_no_database_is_refused(file: Path) -> None:
    file.parent.mkdir(mode=0o700)
    file.write_bytes(b"this is not SQLite at all, " * 100)
    with pytest.raises(LedgerUnavailable, match="no SQLite file") as caught:
        Ledger.open(file)
    assert str(file) in caught.value.what


def test_a_damaged_file_says_so(ledger: Ledger, file: Path) -> None:
    for _ in range(200):
        ledger.events.append("note", reason="x" * 500)
    ledger.close()
    pages = bytearray(file.read_bytes())
    for start in range(4096, len(pages), 4096):
        pages[start : start + 4096] = b"\xff" * 4096
    file.write_bytes(pages)
    with pytest.raises(LedgerUnavailable, match="damaged"):
        Ledger.open(file).events.append("note")


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file in its place")
    with pytest.raises(LedgerUnavailable, match="cannot be") as caught:
        Ledger.open(tmp_path / "data" / "ledger.db")
    assert caught.value.cure


@pytest.mark.skipif(sys.platform != "linux", reason="needs a place nobody can write")
def test_a_place_nobody_can_write_is_named() -> None:
    with pytest.raises(LedgerUnavailable, match="/proc"):
        Ledger.open(Path("/proc/pktui/ledger.db"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_read_only_directory_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(LedgerUnavailable, match="ledger"):
        Ledger.open(tmp_path / "ledger.db")


def test_a_full_disk_denies_with_the_reason_and_recovers(ledger: Ledger) -> None:
    database = ledger._database
    pages = database.row("PRAGMA page_count")
    assert pages
    database.row(f"PRAGMA max_page_count={pages[0]}")
    ledger.events.append("note")

    def fill() -> None:
        for number in range(100):
            ledger.requests.count("files", f"{number}{'x' * 4000}")

    with pytest.raises(LedgerUnavailable, match="disk is full") as caught:
        fill()
    assert "Free some space" in caught.value.cure
    written = ledger.events.last_seq()
    database.row("PRAGMA max_page_count=1000000")
    assert ledger.events.append("note") == written + 1
    assert ledger.verify().ok


def test_a_failure_inside_a_transaction_undoes_all_of_it(ledger: Ledger) -> None:
    def fail_quietly() -> None:
        with ledger.transaction():
            ledger.events.append("note")
            with pytest.raises(LedgerUnavailable):
                ledger._database.run("INSERT INTO changes SELECT * FROM changes")

    with pytest.raises(LedgerUnavailable, match="could not keep a change"):
        fail_quietly()
    assert ledger.events.last_seq() == 0
    assert ledger.events.append("note") == 1


@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced"])
@pytest.mark.parametrize("part", ["", "-wal", "-shm"])
def test_a_file_that_is_gone_is_noticed(
    ledger: Ledger, file: Path, monkeypatch: pytest.MonkeyPatch, part: str, replaced: bool
) -> None:
    monkeypatch.setattr("pktui.ledger.database._LOOK_SECONDS", 0)
    ledger.events.append("note")
    gone = Path(f"{file}{part}")
    gone.unlink()
    if replaced:
        gone.write_bytes(b"")
    with pytest.raises(LedgerUnavailable, match="removed or replaced") as caught:
        ledger.events.append("note")
    assert f"{gone}, part of" in caught.value.what


def test_a_ledger_goes_on_with_the_file_that_is_there_now(ledger: Ledger, file: Path) -> None:
    ledger.events.append("note")
    for part in ("", "-wal", "-shm"):
        Path(f"{file}{part}").unlink()
    with pytest.raises(LedgerUnavailable, match="there is no ledger"):
        ledger.reopen()
    other = Ledger.open(file)
    other.events.append("policy", server="files")
    other.close()
    ledger.reopen()
    ledger.check_files()
    ledger.events.append("end")
    assert {event.kind for event in ledger.events.tail()} == {"note", "policy", "end"}
    assert ledger.verify().ok


def test_its_parts_stay_what_they_are_whoever_comes_and_goes(
    ledger: Ledger, file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.ledger.database._LOOK_SECONDS", 0)
    for _ in range(3):
        other = Ledger.open(file, clock=clock)
        other.events.append("note")
        other.close()
        ledger.events.append("note")
    ledger.retention.compact()
    assert ledger.events.append("note") == 7


def test_a_closed_ledger_cannot_be_used(ledger: Ledger) -> None:
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerUnavailable):
        ledger.events.tail()


def test_a_lock_held_too_long_is_named(
    ledger: Ledger, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger._database.row("PRAGMA busy_timeout=1")
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable, match="kept it locked"):
            ledger.events.append("note")


def test_reading_only_needs_a_file_and_changes_nothing(ledger: Ledger, file: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="no ledger"):
        Ledger.open(file.with_name("other.db"), read_only=True)
    ledger.events.append("note")
    reader = Ledger.open(file, read_only=True)
    assert reader.read_only
    assert reader.events.last_seq() == 1
    assert not reader.approvals.pending()
    assert not reader.presence.alive()
    with pytest.raises(LedgerUnavailable, match="read only"):
        reader.events.append("note")
    reader.close()


def test_reading_only_refuses_a_file_that_would_need_a_change(ledger: Ledger, file: Path) -> None:
    ledger.close()
    raw(file, "PRAGMA user_version=0")
    with pytest.raises(LedgerUnavailable, match="older pktui"):
        Ledger.open(file, read_only=True)


def test_the_version_changes_when_another_connection_writes(ledger: Ledger, file: Path) -> None:
    other = Ledger.open(file)
    before, state = ledger.data_version(), ledger.state()
    ledger.requests.count("files", "ping")
    assert ledger.data_version() == before
    other.events.append("note")
    assert ledger.data_version() == before
    assert ledger.state() != state
    other.requests.count("files", "ping")
    assert ledger.data_version() != before
    other.close()


def test_threads_share_one_ledger(ledger: Ledger) -> None:
    def work() -> None:
        for _ in range(50):
            with ledger.transaction():
                first = ledger.events.append("note")
                assert ledger.events.append("note") == first + 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.events.last_seq() == 400
    assert ledger.verify().ok


def test_each_change_is_told_to_others_by_a_word(file: Path) -> None:
    mine, theirs = Ledger.open(file), Ledger.open(file)
    theirs.changes()
    before = theirs.changes()
    assert theirs.changes() == before
    with mine.transaction():
        assert theirs.changes() != before, "a change is under way"
    assert theirs.changes() == before, "nothing was changed"
    mine.presence.announce("console")
    after = theirs.changes()
    assert after != before
    assert theirs.changes() == after
    mine.close()
    theirs.close()
