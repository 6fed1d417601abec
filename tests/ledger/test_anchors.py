"""Anchors: what a chain alone does not show, a second file does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from pktui.errors import LedgerError
from pktui.ledger import Ledger
from pktui.ledger.chain.anchors.anchor import Anchor, Head
from pktui.ledger.chain.anchors.anchor_file import AnchorFile
from pktui.ledger.journal.segment import hash_of
from pktui.settings import AuditSettings
from tests.ledger.conftest import START_US, Clock, full_at

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def anchors(tmp_path: Path) -> Path:
    return tmp_path / "elsewhere.anchors"


@pytest.fixture
def ledger(file: Path, clock: Clock, anchors: Path) -> Iterator[Ledger]:
    audit = AuditSettings(anchor=str(anchors), anchor_events=5, anchor_minutes=1)
    opened = Ledger.open(file, clock=clock, audit=audit)
    yield opened
    opened.close()


def fill(ledger: Ledger, count: int) -> None:
    for number in range(count):
        ledger.events.append("note", reason=f"number {number}")


def look(ledger: Ledger) -> int:
    """Write an anchor where one is due; return the rows there were, 0 where none was."""
    written = ledger.anchors.write() if ledger.anchors.due() else None
    return written.rows if written else 0


def joint(file: Path) -> bytes:
    return (file.parent / "journal" / "joints.jsonl").read_bytes().splitlines()[-1]


def test_an_anchor_names_the_last_joint_the_newest_rows_and_the_time(
    ledger: Ledger, anchors: Path, file: Path
) -> None:
    fill(ledger, 3)
    ledger.anchors.write()
    assert json.loads(anchors.read_text()) == {
        "at_us": START_US,
        "hash": hash_of(joint(file).rstrip()).hex(),
        "joint": 1,
        "heads": [[1, 3, ledger.events.newest(1)[0].hash]],
        "rows": 3,
    }
    assert anchors.read_text().endswith("\n")
    assert anchors.stat().st_mode & 0o777 == 0o600


def test_an_anchor_is_due_after_so_many_events(ledger: Ledger) -> None:
    assert look(ledger) == 0
    fill(ledger, 1)
    assert look(ledger) == 1
    fill(ledger, 4)
    assert look(ledger) == 0
    fill(ledger, 1)
    assert look(ledger) == 6


def test_an_anchor_is_due_after_so_many_minutes_with_news(ledger: Ledger, clock: Clock) -> None:
    fill(ledger, 1)
    look(ledger)
    clock.forward(600)
    assert look(ledger) == 0
    fill(ledger, 1)
    assert look(ledger) == 2
    fill(ledger, 1)
    clock.forward(59)
    assert look(ledger) == 0
    clock.forward(1)
    assert look(ledger) == 3


def test_no_row_is_anchored_twice(ledger: Ledger, anchors: Path) -> None:
    fill(ledger, 1)
    assert ledger.anchors.write() is not None
    assert ledger.anchors.write() is None
    assert len(anchors.read_text().splitlines()) == 1


def test_nothing_is_written_where_no_file_is_named(file: Path, tmp_path: Path) -> None:
    ledger = Ledger.open(file)
    fill(ledger, 1)
    assert not ledger.anchors.due()
    assert ledger.anchors.write() is None
    ledger.close()
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_name_alone_lies_beside_the_ledger(file: Path) -> None:
    ledger = Ledger.open(file, audit=AuditSettings(anchor="heads"))
    fill(ledger, 1)
    ledger.anchors.write()
    ledger.close()
    assert (file.parent / "heads").exists()


def test_anchors_that_agree_are_counted(ledger: Ledger) -> None:
    for _ in range(3):
        fill(ledger, 5)
        ledger.anchors.write()
    fill(ledger, 2)
    verification = ledger.verify()
    assert (verification.ok, verification.rows, verification.anchors) == (True, 17, 3)


def test_an_end_that_was_cut_off_is_missed_only_by_an_anchor(ledger: Ledger, file: Path) -> None:
    fill(ledger, 9)
    ledger.anchors.write()
    segment = file.parent / "journal" / "00000001.jsonl"
    segment.write_bytes(b"".join(segment.read_bytes().splitlines(keepends=True)[:7]))
    plain = Ledger.open(file, read_only=True)
    assert plain.verify().ok
    plain.close()
    verification = ledger.verify()
    assert (verification.ok, verification.row) == (False, 9)
    assert verification.problem == (
        "row 1:9 was removed from the end: the anchor of line 1 names it"
    )


def test_a_log_written_anew_is_told_from_the_old_by_an_anchor(
    ledger: Ledger, file: Path, anchors: Path
) -> None:
    fill(ledger, 9)
    ledger.anchors.write()
    ledger.close()
    shutil.rmtree(file.parent)
    again = Ledger.open(file, audit=AuditSettings(anchor=str(anchors)))
    for number in range(20):
        again.events.append("note", reason=f"a better number {number}")
    verification = again.verify()
    again.close()
    assert not verification.ok
    assert "is not the one that the anchor of line 1 names" in verification.problem


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda text: text.replace("[[1,5,", "[[1,6,"), "row 1:6 is not the one that"),
        (lambda text: text.replace("[[1,5,", "[[1,50,"), "row 1:50 was removed from the end"),
        (lambda text: text.replace("[[1,5,", "[[9,5,"), "row 9:5 was removed from the end"),
        (lambda text: text.replace('"joint":1', '"joint":5'), "joint 5 was removed from the end"),
        (lambda text: text.replace('"hash":"', '"hash":"00'), "joint 1 is not the one that"),
    ],
)
def test_an_anchor_that_was_edited_disagrees(
    ledger: Ledger, anchors: Path, edit: object, words: str
) -> None:
    assert callable(edit)
    for _ in range(2):
        fill(ledger, 5)
        ledger.anchors.write()
    anchors.write_text(edit(anchors.read_text()))
    assert words in ledger.verify().problem


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be used: No such file"),
        ('{"at_us":1,"seq":1}\n', "line 1 of the anchors"),
        ('\n{"at_us":1,"seq":"1","hash":""}\n', "line 2 of the anchors"),
        ("\x00}", "line 1 of the anchors"),
    ],
)
def test_anchors_that_cannot_be_read_are_no_proof(
    ledger: Ledger, anchors: Path, text: str | None, words: str
) -> None:
    fill(ledger, 1)
    if text is not None:
        anchors.write_text(text)
    verification = ledger.verify()
    assert not verification.ok
    assert words in verification.problem
    assert str(anchors) in verification.problem
    assert (verification.rows, verification.proven) == (1, ())


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (0, "was emptied"),
        (1, "3 anchors were written to"),
        (2, ", the last of joint 1, and 2 are left"),
    ],
)
def test_anchors_that_were_taken_away_are_missed(
    ledger: Ledger, anchors: Path, left: int, words: str
) -> None:
    for _ in range(3):
        fill(ledger, 5)
        ledger.anchors.write()
    anchors.write_text("".join(anchors.read_text().splitlines(keepends=True)[:left]))
    verification = ledger.verify()
    assert not verification.ok
    assert words in verification.problem
    assert verification.rows == 15


def test_a_file_of_anchors_that_is_empty_is_named_once_one_was_due(
    ledger: Ledger, anchors: Path
) -> None:
    anchors.touch()
    fill(ledger, 4)
    assert ledger.verify().ok
    fill(ledger, 1)
    assert "was emptied" in ledger.verify().problem


def test_a_line_torn_by_a_crash_does_not_spoil_the_next(ledger: Ledger, anchors: Path) -> None:
    anchors.write_text('{"at_us":1,"se')
    fill(ledger, 1)
    ledger.anchors.write()
    torn, whole = anchors.read_text().splitlines()
    assert torn == '{"at_us":1,"se'
    assert json.loads(whole)["rows"] == 1
    assert ledger.verify().anchors == 1


def test_the_newest_is_found_however_many_segments_it_names(anchors: Path) -> None:
    many = Anchor(1, "ab", 1, tuple(Head(n, n, "cd" * 32) for n in range(1, 1000)), 7)
    store = AnchorFile(anchors)
    assert store.last() is None
    for anchor in (Anchor(1, "ab", 1), many):
        store.publish(msgspec.json.encode(anchor), anchor)
        assert store.last() == anchor


def test_an_anchor_that_the_disk_has_no_room_for_is_not_counted(
    ledger: Ledger, anchors: Path
) -> None:
    fill(ledger, 5)
    ledger.anchors.write()
    fill(ledger, 5)
    with (
        full_at(anchors.stat().st_size + 10),
        pytest.raises(LedgerError, match="No space left"),
    ):
        ledger.anchors.write()
    assert ledger.verify().ok


def test_a_file_that_cannot_be_written_is_named(file: Path, tmp_path: Path) -> None:
    there = tmp_path / "missing" / "anchors"
    ledger = Ledger.open(file, audit=AuditSettings(anchor=str(there)))
    fill(ledger, 1)
    with pytest.raises(LedgerError, match="cannot be used: No such file") as caught:
        ledger.anchors.write()
    ledger.close()
    assert "audit.anchors" in caught.value.cure
    assert not there.parent.exists()
