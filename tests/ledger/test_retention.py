"""Old events go, the chain stays verifiable, and nothing that still counts is lost."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from pktui.errors import LedgerError
from pktui.ledger import Ledger, NewApproval, args_hash
from pktui.ledger.approvals.standing import Wider
from pktui.settings import AuditSettings
from tests.ledger.conftest import CLAUDE, MINUTE, Clock, Limit
from tests.support.charging import take

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DAY = 24 * 60 * 60


@pytest.fixture
def keeping(file: Path, clock: Clock) -> Iterator[Callable[..., Ledger]]:
    """Open the ledger with settings of its own; every one is closed at the end."""
    opened: list[Ledger] = []

    def open_with(**settings: Any) -> Ledger:
        opened.append(Ledger.open(file, clock=clock, audit=AuditSettings(**settings)))
        return opened[-1]

    yield open_with
    for one in opened:
        one.close()


def fill(ledger: Ledger, count: int, size: int = 10) -> None:
    for number in range(count):
        ledger.events.append("note", call_id=f"c{number}", reason="x" * size)


def prune(ledger: Ledger) -> int:
    """Prune all that is due; return how many pieces it took."""
    ledger.retention.announce()
    pieces = 0
    while ledger.retention.step():
        pieces += 1
    return pieces


def seqs(ledger: Ledger) -> list[int]:
    return [event.seq for event in ledger.events.tail(0, 100_000)]


def test_events_older_than_the_days_to_keep_go(
    keeping: Callable[..., Ledger], clock: Clock
) -> None:
    ledger = keeping(keep_days=30)
    fill(ledger, 10)
    clock.forward(10 * DAY)
    fill(ledger, 5)
    clock.forward(20 * DAY + 3601)
    assert prune(ledger) == 1
    kinds = [event.kind for event in ledger.events.tail()]
    assert kinds == ["note"] * 5 + ["prune"]
    verification = ledger.verify()
    assert (verification.ok, verification.rows) == (True, 6)


def test_a_prune_is_on_record_with_what_went(keeping: Callable[..., Ledger], clock: Clock) -> None:
    ledger = keeping(keep_days=30)
    fill(ledger, 10)
    last = ledger.events.newest(1)[0].hash
    clock.forward(31 * DAY)
    fill(ledger, 1)
    ledger.retention.announce(by="ada")
    event = ledger.events.newest(1)[0]
    assert event.kind == "prune"
    assert json.loads(event.detail) == {
        "segments": [[1, 10, last]],
        "rows": 10,
        "why": "age",
        "by": "ada",
        "until_us": event.at_us - 31 * DAY * 1_000_000,
    }


def test_few_prunes_go_on_record_however_often_one_looks(
    keeping: Callable[..., Ledger], clock: Clock
) -> None:
    ledger = keeping(keep_days=1)
    for _ in range(40):
        fill(ledger, 1)
        clock.forward(600)
    clock.forward(DAY - 600)
    for _ in range(12):
        clock.forward(599)
        prune(ledger)
    prunes = [event for event in ledger.events.tail(0, 1000) if event.kind == "prune"]
    assert len(prunes) <= 6
    assert ledger.verify().ok


def test_a_journal_that_is_too_large_loses_its_oldest(
    keeping: Callable[..., Ledger], file: Path
) -> None:
    ledger = keeping(max_megabytes=4)
    fill(ledger, 5000, 1000)
    assert ledger.retention.space().used > 5_000_000
    assert prune(ledger) > 1
    journal = sum(path.stat().st_size for path in (file.parent / "journal").glob("0*"))
    assert 3_000_000 < journal < 4_000_000
    assert not ledger.verify().problem
    assert ledger.retention.due() is None


def test_nothing_goes_where_nothing_is_set_or_due(
    keeping: Callable[..., Ledger], clock: Clock
) -> None:
    ledger = keeping(max_megabytes=0)
    fill(ledger, 100, 10_000)
    clock.forward(10_000 * DAY)
    assert prune(ledger) == 0
    assert prune(keeping(keep_days=20_000)) == 0
    assert seqs(ledger) == list(range(1, 101))


def test_an_empty_log_is_left_alone(keeping: Callable[..., Ledger], clock: Clock) -> None:
    ledger = keeping(keep_days=1, max_megabytes=0.001)
    clock.forward(3 * DAY)
    assert prune(ledger) == 0
    assert seqs(ledger) == []


def test_a_log_whose_every_row_is_old_keeps_the_word_of_it(
    keeping: Callable[..., Ledger], clock: Clock
) -> None:
    ledger = keeping(keep_days=1)
    fill(ledger, 3)
    clock.forward(3 * DAY)
    prune(ledger)
    (left,) = ledger.events.tail()
    assert left.kind == "prune"
    assert ledger.verify().ok
    fill(ledger, 1)
    assert ledger.verify().rows == 2


def test_appending_goes_on_while_a_log_is_pruned(
    keeping: Callable[..., Ledger], clock: Clock
) -> None:
    ledger, gateway = keeping(keep_days=1), keeping()
    fill(ledger, 1000)
    clock.forward(3 * DAY)
    ledger.retention.announce()
    while ledger.retention.step():
        fill(gateway, 1)
    assert gateway.verify().ok


def test_rows_that_a_window_counts_stay(
    keeping: Callable[..., Ledger], clock: Clock, file: Path
) -> None:
    ledger = keeping(keep_days=1)
    limit = Limit(max=Decimal(3), window_us=10 * DAY * 1_000_000)
    take(ledger, [limit], "c1")
    clock.forward(3 * DAY)
    assert prune(ledger) == 0
    file.with_name("counters").unlink()
    assert keeping().counters.usage(limit)[0] == 1
    clock.forward(8 * DAY)
    assert prune(ledger) == 1
    assert keeping().counters.usage(limit)[0] == 0


def test_open_approvals_and_grants_outlive_their_events(
    keeping: Callable[..., Ledger], clock: Clock
) -> None:
    ledger = keeping(keep_days=1)
    asked = {
        word: ledger.approvals.open(
            NewApproval(
                caller=CLAUDE,
                server="memory",
                tool="store",
                arguments={"word": word},
                args_hash=args_hash({"word": word}),
                expires_us=clock() + (90 * DAY * 1_000_000 if word != "expired" else MINUTE),
            )
        )
        for word in ("pending", "allowed", "denied", "expired")
    }
    for word in ("allowed", "denied"):
        ledger.approvals.decide(
            asked[word].id, word == "allowed", by="ada", args_hash=asked[word].args_hash
        )
    grant, token = ledger.grants.create("ci", ["*"])
    clock.forward(3600)
    ledger.approvals.expire()
    clock.forward(3 * DAY)
    prune(ledger)
    assert ledger.grants.find(token) == grant
    left = {one.arguments: one.status for one in ledger.approvals.recent()}
    assert left == {
        '{"word":"pending"}': "pending",
        '{"word":"allowed"}': "allowed",
        '{"word":"denied"}': "denied",
    }
    assert ledger.verify().ok
    clock.forward(100 * DAY)
    ledger.approvals.expire()
    fill(ledger, 1)
    clock.forward(3 * DAY)
    prune(ledger)
    assert ledger.approvals.recent() == ()
    assert ledger.verify().ok


def test_a_segment_that_was_tampered_with_is_not_pruned(
    keeping: Callable[..., Ledger], clock: Clock, file: Path
) -> None:
    ledger = keeping(keep_days=1)
    fill(ledger, 10)
    clock.forward(3 * DAY)
    segment = file.parent / "journal" / "00000001.jsonl"
    segment.write_bytes(segment.read_bytes().replace(b'"c6"', b'"c9"'))
    with pytest.raises(LedgerError, match=r"nothing is pruned from .*: row 1:7 is not as"):
        prune(ledger)
    assert segment.exists()
    assert ledger.verify().row == 7


def test_a_row_that_does_not_stand_as_its_event_says_keeps_its_event(
    keeping: Callable[..., Ledger], clock: Clock, file: Path
) -> None:
    ledger = keeping(keep_days=1)
    ledger.grants.create("ci", ["memory"])
    clock.forward(3 * DAY)
    with closing(sqlite3.connect(file, isolation_level=None)) as raw:
        raw.execute("UPDATE grants SET servers = '[\"*\"]'")
    with pytest.raises(LedgerError, match=r"nothing is pruned from .*: grant ci does not stand"):
        prune(ledger)
    assert "grant ci" in ledger.verify().problem


def test_a_segment_that_was_removed_and_not_pruned_is_missed(
    keeping: Callable[..., Ledger], clock: Clock, file: Path
) -> None:
    ledger = keeping(keep_days=1)
    for _ in range(3):
        fill(ledger, 10)
        clock.forward(2 * DAY)
    prune(ledger)
    assert ledger.verify().ok
    fill(ledger, 1)
    min((file.parent / "journal").glob("0*.jsonl")).unlink()
    assert "is missing" in ledger.verify().problem


def test_anchors_of_rows_that_went_no_longer_count(
    keeping: Callable[..., Ledger], clock: Clock, tmp_path: Path
) -> None:
    ledger = keeping(keep_days=1, anchor=str(tmp_path / "anchors"))
    fill(ledger, 10)
    ledger.anchors.write()
    clock.forward(3 * DAY)
    fill(ledger, 10)
    ledger.anchors.write()
    prune(ledger)
    verification = ledger.verify()
    assert (verification.ok, verification.anchors) == (True, 2)
    clock.forward(3 * DAY)
    prune(ledger)
    assert ledger.verify().ok


def test_what_went_leaves_the_disk(
    keeping: Callable[..., Ledger], clock: Clock, file: Path
) -> None:
    ledger = keeping(keep_days=1)
    fill(ledger, 400, 50_000)
    clock.forward(3 * DAY)
    fill(ledger, 10)
    before = ledger.retention.space().used
    prune(ledger)
    assert ledger.retention.space().used < before / 10
    assert not ledger.retention.wasteful()
    assert ledger.verify().ok


def test_what_is_unused_in_the_file_is_given_back(
    keeping: Callable[..., Ledger], file: Path
) -> None:
    ledger = keeping()
    with ledger.transaction():
        ledger._database.run("CREATE TABLE much AS SELECT zeroblob(20000000) AS x")
        ledger._database.run("DROP TABLE much")
    assert ledger.retention.wasteful()
    ledger.retention.compact()
    assert ledger.retention.space().free == 0
    assert file.stat().st_size < 1_000_000


def deciding(ledger: Ledger, clock: Clock) -> None:
    """Make one row of each kind that decides and is to outlive its events."""
    ledger.catalogue.saw("memory", [{"name": "store"}])
    ledger.pin.set("1234", by="ada")
    ledger.grants.create("ci", ["memory"])
    arguments = {"a": 1}
    for wider in (True, False):
        one = ledger.approvals.open(
            NewApproval(
                caller=CLAUDE,
                server="memory",
                tool="store",
                arguments=arguments,
                args_hash=args_hash(arguments),
                expires_us=clock() + 90 * DAY * 1_000_000,
            )
        )
        if wider:
            digest = one.args_hash
            for_us = 7 * DAY * 1_000_000
            ledger.standing.allow(
                one.id, Wider(for_us=for_us), by="ada", args_hash=digest, pin="1234"
            )
    ledger.approvals.stop(by="ada")
    ledger.approvals.release(by="ada", pin="1234")


EDITS = (
    "UPDATE grants SET servers = '[\"*\"]'",
    "UPDATE standing SET identity = 'mallory@/'",
    "UPDATE tools SET pinned_hash = 'x'",
    "UPDATE pin SET hash = zeroblob(32)",
    "DELETE FROM pin",
    "DELETE FROM grants",
    "INSERT INTO switches VALUES ('stopped', 'eve', 5, '')",
)


@pytest.mark.parametrize("statement", EDITS)
def test_what_decides_is_still_vouched_for_when_its_events_are_gone(
    keeping: Callable[..., Ledger], clock: Clock, file: Path, statement: str
) -> None:
    ledger = keeping(keep_days=1)
    deciding(ledger, clock)
    for _ in range(3):
        clock.forward(2 * DAY)
        fill(ledger, 10)
        prune(ledger)
        verification = ledger.verify()
        assert verification.ok, verification.problem
    effects = {event.effect for event in ledger.events.tail() if event.kind in ("grant", "pin")}
    assert effects == {"stands"}
    with closing(sqlite3.connect(file, isolation_level=None)) as raw:
        raw.execute(statement)
    assert not ledger.verify().ok


TICKS = 1_000_000_000


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What passes whatever the clock says."""
    clock = Clock(TICKS)
    monkeypatch.setattr("pktui.ledger.chain.retention.boot_ns", lambda: clock.now * 1000)
    return clock


@pytest.mark.parametrize("days", [8, 31, 400, 40_000])
def test_a_clock_that_leaps_ages_nothing_until_it_has_gone_on_for_a_day(
    keeping: Callable[..., Ledger], clock: Clock, ticks: Clock, days: int
) -> None:
    ledger = keeping(keep_days=30)
    fill(ledger, 10)
    assert ledger.retention.witness() == 0
    clock.forward(days * DAY)
    fill(ledger, 10)
    for _ in range(25):
        assert ledger.retention.witness() > 7 * DAY * 1_000_000
        for one in (clock, ticks):
            one.forward(3500)
    for one in (clock, ticks):
        one.forward(3500)
    assert ledger.retention.witness() == 0


def test_what_one_process_witnessed_counts_for_the_next(
    keeping: Callable[..., Ledger], clock: Clock, ticks: Clock
) -> None:
    fill(keeping(keep_days=30), 1)
    clock.forward(400 * DAY)
    for hour in range(30):
        ledger = keeping(keep_days=30)
        leaps = [ledger.retention.witness()]
        for one in (clock, ticks):
            one.forward(3600)
        leaps.append(ledger.retention.witness())
        if hour < 23:
            assert all(leaps)
    assert not any(leaps)


def test_a_clock_that_leaps_and_comes_back_has_done_nothing(
    keeping: Callable[..., Ledger], clock: Clock, ticks: Clock
) -> None:
    ledger = keeping(keep_days=30)
    fill(ledger, 10)
    for _ in range(5):
        clock.forward(400 * DAY)
        assert ledger.retention.witness()
        clock.forward(-400 * DAY)
        assert not ledger.retention.witness()
        assert ledger.retention.due() is None


def test_days_of_use_with_pauses_are_no_leap(
    keeping: Callable[..., Ledger], clock: Clock, ticks: Clock
) -> None:
    for days in (0, 1, 3, 6, 1, 7, 20):
        clock.forward(days * DAY)
        ledger = keeping(keep_days=30)
        fill(ledger, 1)
        assert bool(ledger.retention.witness()) is (days == 20)


def test_a_person_can_say_that_the_clock_is_right(
    keeping: Callable[..., Ledger], clock: Clock, ticks: Clock
) -> None:
    ledger = keeping(keep_days=30)
    fill(ledger, 1)
    clock.forward(400 * DAY)
    assert ledger.retention.witness()
    ledger.retention.believe()
    assert not ledger.retention.witness()


def test_a_leap_keeps_nothing_from_being_pruned_for_its_size(
    keeping: Callable[..., Ledger], clock: Clock
) -> None:
    ledger = keeping(keep_days=1, max_megabytes=1)
    fill(ledger, 2000, 1000)
    clock.forward(400 * DAY)
    prune = ledger.retention.announce(by_age=False)
    assert prune is not None
    assert (prune.why, prune.rows < 2000) == ("size", True)
    words = "whatever their age: the record is larger than audit.max_megabytes"
    assert words in str(prune)
    assert words in ledger.retention.pruned_for_size()
    clock.forward(31 * DAY)
    assert ledger.retention.pruned_for_size() == ""
