"""What writers of a journal do: turns, segments, ends, and what is left by those that died."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from pktui.errors import LedgerError, LedgerUnavailable
from pktui.ledger import Ledger
from pktui.ledger.journal.joints import Joints
from pktui.ledger.journal.journal import charges_of
from pktui.ledger.records import Charged
from pktui.settings import AuditSettings
from tests.ledger.conftest import Limit, full_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.ledger.conftest import Clock

DAY = 24 * 3600
LARGE = "x" * 40_000


def kinds(ledger: Ledger) -> list[str]:
    return [event.kind for event in ledger.events.tail(0, 1000)]


def segments(file: Path) -> list[Path]:
    return sorted((file.parent / "journal").glob("0*.jsonl"))


def joints(file: Path, clock: Clock) -> Joints:
    found = Joints(file.parent / "journal", clock)
    found.refresh()
    return found


@pytest.fixture
def own(file: Path, clock: Clock) -> Iterator[Ledger]:
    ledger = Ledger.open(file, own=True, clock=clock)
    yield ledger
    ledger.close()


def test_rows_of_a_turn_go_out_in_one_write(own: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    own.events.append("note")
    sizes: list[int] = []
    write = os.write

    def counted(descriptor: int, data: bytes) -> int:
        sizes.append(len(data))
        return write(descriptor, data)

    monkeypatch.setattr("pktui.ledger.journal.segment.os.write", counted)
    with own.transaction(rows=False):
        for _ in range(5):
            own.events.append("note")
        assert not sizes
    assert len(sizes) == 1
    assert own.verify().rows == 6


def test_half_a_turn_that_cannot_be_taken_back_is_no_crash(
    own: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.events.append("note")
    write = os.write
    sizes = iter([3])

    def half(descriptor: int, data: bytes) -> int:
        for size in sizes:
            return write(descriptor, data[:size])
        raise OSError(errno.ENOSPC, "No space left on device")

    def refused(_descriptor: int, _size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "write", half)
    monkeypatch.setattr(os, "ftruncate", refused)
    with pytest.raises(LedgerUnavailable, match="Input/output error"):
        own.events.append("note")


def test_what_happened_needs_no_change_of_the_file(own: Ledger) -> None:
    version = own.data_version()
    changes = own._database._connection.total_changes
    own.events.append("decision", effect="allow")
    assert own._database._connection.total_changes == changes
    assert own.data_version() == version


def test_the_disk_is_waited_for_only_where_asked(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[int] = []
    monkeypatch.setattr("pktui.ledger.journal.segment.os.fdatasync", waited.append)
    for fsync, times in ((False, 0), (True, 1)):
        with closing(Ledger.open(file, audit=AuditSettings(fsync=fsync))) as ledger:
            ledger.events.append("note")
            assert len(waited) == times


def test_each_gateway_has_its_segment_and_the_others_share_one(file: Path) -> None:
    gateways = [Ledger.open(file, own=True) for _ in range(2)]
    commands = [Ledger.open(file) for _ in range(2)]
    for _ in range(2):
        for ledger in (*gateways, *commands):
            ledger.events.append("note")
    assert len(segments(file)) == 3
    assert commands[0].verify().rows == 8
    for ledger in (*gateways, *commands):
        ledger.close()


def test_what_was_refused_has_segments_of_its_own(own: Ledger, file: Path) -> None:
    own.events.append("decision", effect="allow")
    own.events.append("decision", effect="deny")
    own.events.append("refused")
    first, second = segments(file)
    assert b'"allow"' in first.read_bytes()
    assert b'"deny"' in second.read_bytes()
    assert b'"refused"' in second.read_bytes()


@pytest.mark.parametrize("mine", [True, False])
def test_a_segment_ends_by_its_size(file: Path, clock: Clock, mine: bool) -> None:
    audit = AuditSettings(max_megabytes=2)
    with closing(Ledger.open(file, own=mine, clock=clock, audit=audit)) as ledger:
        for _ in range(6):
            ledger.events.append("note", reason=LARGE)
        assert len(segments(file)) == 3
        sealed = [one.sealed is not None for one in joints(file, clock).segments.values()]
        assert sealed == [True, True, False]
        assert ledger.verify().ok


@pytest.mark.parametrize("mine", [True, False])
def test_a_segment_ends_after_a_day(file: Path, clock: Clock, mine: bool) -> None:
    with closing(Ledger.open(file, own=mine, clock=clock)) as ledger:
        for _ in range(3):
            ledger.events.append("note")
            clock.forward(DAY)
        assert len(segments(file)) == 3
        assert ledger.verify().ok


def test_a_segment_ends_with_its_writer(own: Ledger, file: Path, clock: Clock) -> None:
    own.events.append("note")
    own.close()
    (one,) = joints(file, clock).segments.values()
    assert one.sealed is not None
    assert (one.sealed.number, one.sealed.torn) == (1, 0)


def killed(file: Path, tail: bytes = b"", script: str = "") -> None:
    """Let a gateway write two rows and die; leave `tail` behind them."""
    code = (
        "import os, sys; from pathlib import Path; from pktui.ledger import Ledger\n"
        "ledger = Ledger.open(Path(sys.argv[1]), own=True)\n"
        f"{script}\n"
        "ledger.events.append('note'); ledger.events.append('note')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(file)], check=False)
    assert ended.returncode == -signal.SIGKILL
    if tail:
        with segments(file)[-1].open("ab") as torn:
            torn.write(tail)


def test_the_segment_of_a_writer_that_died_is_sealed_by_the_next(file: Path, clock: Clock) -> None:
    killed(file)
    (one,) = joints(file, clock).segments.values()
    assert one.sealed is None
    with closing(Ledger.open(file, clock=clock)) as ledger:
        (one,) = joints(file, clock).segments.values()
        assert one.sealed is not None
        assert ledger.verify().ok


def test_the_segment_of_a_writer_that_lives_is_left_to_it(own: Ledger, file: Path) -> None:
    own.events.append("note")
    with closing(Ledger.open(file)) as other:
        own.events.append("note")
        assert other.verify().rows == 2


@pytest.mark.parametrize("tail", [b'[3,17,"note"', b"x", b"[" * 70_000], ids=["row", "x", "long"])
def test_a_torn_row_is_found_named_and_kept_aside(file: Path, tail: bytes) -> None:
    killed(file, tail)
    with closing(Ledger.open(file, read_only=True)) as reader:
        found = reader.verify()
        assert found.ok
        assert found.notes == (
            f"segment 1 ends with {len(tail):,} bytes of a row that is not whole",
        )
    with closing(Ledger.open(file)) as ledger:
        found = ledger.verify()
        assert (found.ok, found.rows) == (True, 2)
        kept = f"segment 1 ended with {len(tail):,} bytes of a torn row, which are kept beside it"
        assert found.notes == (kept,)
        assert segments(file)[0].with_suffix(".torn").read_bytes() == tail
        ledger.events.append("note")
        assert ledger.verify().ok


def test_a_torn_row_of_a_shared_segment_is_kept_aside_by_the_next_writer(
    ledger: Ledger, file: Path
) -> None:
    ledger.events.append("note")
    with segments(file)[0].open("ab") as torn:
        torn.write(b"[2,5")
    ledger.events.append("note")
    assert (ledger.verify().ok, ledger.verify().rows) == (True, 2)
    assert segments(file)[0].with_suffix(".torn").read_bytes() == b"[2,5"


def test_a_torn_joint_is_kept_aside(ledger: Ledger, file: Path) -> None:
    ledger.events.append("note")
    path = file.parent / "journal" / "joints.jsonl"
    with path.open("ab") as torn:
        torn.write(b"[2,5")
    ledger.events.append("refused")
    assert ledger.verify().ok
    assert path.with_suffix(".torn").read_bytes() == b"[2,5"


@pytest.mark.parametrize("mine", [True, False])
def test_a_full_disk_denies_and_nothing_is_half_written(
    file: Path, clock: Clock, mine: bool
) -> None:
    with closing(Ledger.open(file, own=mine, clock=clock)) as ledger:
        ledger.events.append("note")
        (segment,) = segments(file)
        size = segment.stat().st_size
        with full_at(size + 100), pytest.raises(LedgerUnavailable, match="may not grow") as caught:
            ledger.events.append("note")
        assert "Free some space" in caught.value.cure
        assert segment.stat().st_size == size
        assert ledger.events.append("note") == 2
        assert ledger.verify().ok


def test_a_change_that_cannot_be_put_on_record_is_not_made(ledger: Ledger, file: Path) -> None:
    ledger.events.append("note")
    with (
        full_at(segments(file)[0].stat().st_size + 10),
        pytest.raises(LedgerUnavailable),
    ):
        ledger.approvals.stop(by="ada")
    assert not ledger.approvals.stopped()
    assert ledger.verify().ok


@pytest.mark.parametrize("mine", [True, False])
@pytest.mark.parametrize("replaced", [True, False])
def test_a_segment_that_is_gone_is_noticed(
    file: Path, clock: Clock, mine: bool, replaced: bool
) -> None:
    with closing(Ledger.open(file, own=mine, clock=clock)) as ledger:
        ledger.events.append("note")
        (segment,) = segments(file)
        kept = segment.read_bytes()
        segment.unlink()
        if replaced and mine:
            segment.write_bytes(kept)
        with pytest.raises(LedgerUnavailable, match="removed or replaced") as caught:
            ledger.events.append("note")
        assert str(segment) in caught.value.what


def test_a_file_in_the_way_of_a_new_segment_is_left_alone(file: Path) -> None:
    (file.parent / "journal").mkdir(parents=True, mode=0o700)
    there = file.parent / "journal" / "00000001.jsonl"
    there.write_bytes(b"something")
    with closing(Ledger.open(file, own=True)) as ledger:
        with pytest.raises(LedgerUnavailable, match="no joint of the journal names it"):
            ledger.events.append("note")
        assert there.read_bytes() == b"something"


def test_what_rows_took_from_limits_is_read_from_all_segments(file: Path, clock: Clock) -> None:
    with closing(Ledger.open(file, own=True, clock=clock)) as ledger:
        ledger.events.append("decision", effect="allow", charges=[Charged("a", 5, clock())])
        ledger.events.append("decision", effect="allow", reason="no charge]]")
        clock.forward(60)
        ledger.events.append("outcome", outcome="error", charges=[Charged("a", -5, clock())])
    with closing(Ledger.open(file, clock=clock)) as other:
        other.events.append("decision", effect="allow", charges=[Charged("b", 7, clock())])
    folder = file.parent / "journal"
    now = clock()
    then = now - 60_000_000
    assert sorted(charges_of(folder, clock)) == sorted(
        [Charged("a", 5, then), Charged("a", -5, now), Charged("b", 7, now)]
    )
    assert sorted(charges_of(folder, clock, now)) == [Charged("a", -5, now), Charged("b", 7, now)]


KEY = '["memory","grant:lab","calls",60000000,"sliding"]'
NO_ROWS: dict[str, Any] = {
    "no member": {},
    "few members": {"length": 10},
    "a number as text": {0: "x"},
    "a time as text": {1: "x"},
    "a time that is no integer": {1: 1.5},
    "a time beyond 64 bits": {1: 2**70},
    "no kind": {2: None},
    "a list as text": {5: ["x"]},
    "charges that are none": {20: 5},
    "charges without a time": {20: [[KEY, 1]]},
    "a charge of too much": {20: [[KEY, 2**63, 1]]},
    "a charge beyond 64 bits": {20: [[KEY, 1, 2**64]]},
    "a hash that is none": {-1: 5},
}
NO_COUNTERS = ["x", "5", '["memory"]', KEY.replace("60000000", "-5"), KEY.replace("sl", "x")]


def edit_second(file: Path, change: dict[Any, Any]) -> None:
    """Leave the second of three rows as someone might who edits the file."""
    (segment,) = segments(file)
    lines = segment.read_bytes().splitlines(keepends=True)
    row = json.loads(lines[1])[: change.get("length")] if change else {}
    for member, value in change.items():
        if member != "length":
            row[member] = value
    lines[1] = json.dumps(row, separators=(",", ":")).encode() + b"\n"
    segment.write_bytes(b"".join(lines))
    file.with_name("counters").unlink()


def charge_thrice(file: Path, clock: Clock) -> None:
    with closing(Ledger.open(file, clock=clock)) as ledger:
        for number in range(3):
            with ledger.transaction(rows=False):
                turn = ledger.transaction.turn()
                ledger.counters.reserve([Limit()], f"c{number}", turn)
                charges = ledger.counters.taken(turn, f"c{number}")
                ledger.events.append(
                    "decision", effect="allow", call_id=f"c{number}", charges=charges
                )


@pytest.mark.parametrize("change", NO_ROWS.values(), ids=NO_ROWS)
def test_a_row_that_is_none_harms_only_itself(
    file: Path, clock: Clock, change: dict[Any, Any]
) -> None:
    charge_thrice(file, clock)
    edit_second(file, change)
    with closing(Ledger.open(file, clock=clock)) as ledger:
        assert ledger.counters.usage(Limit())[0] == Decimal(2)
        assert [event.call_id for event in ledger.events.tail()] == ["c0", "c2"]
        assert [one.used for one in ledger.counters.in_use()] == [Decimal(2)]
        with pytest.raises(LedgerError, match="segment 1 of the journal has a line that is no row"):
            list(ledger.framed())
        assert ledger.verify().problem.startswith("row 1:2 was edited")


@pytest.mark.parametrize("name", NO_COUNTERS)
def test_a_counter_that_is_none_harms_no_other(file: Path, clock: Clock, name: str) -> None:
    charge_thrice(file, clock)
    edit_second(file, {20: [[name, 1_000_000, clock()]]})
    with closing(Ledger.open(file, clock=clock)) as ledger:
        assert ledger.counters.usage(Limit())[0] == Decimal(2)
        assert [one.used for one in ledger.counters.in_use()] == [Decimal(2)]
        charged = ledger.events.charged("c1")
        with ledger.transaction(rows=False):
            assert ledger.counters.release(charged, ledger.transaction.turn()) == ()
