"""The log as lines that anyone can verify."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from pktui.errors import LedgerError
from pktui.ledger import Caller, Ledger
from pktui.ledger.chain.anchors.anchor import Anchor, Found, Head
from pktui.ledger.chain.export import verify_lines
from pktui.ledger.journal.segment import CONTENT, row_hash
from pktui.ledger.records import Charged
from pktui.settings import AuditSettings
from tests.ledger.conftest import CLAUDE, START_US, Clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_DEEP = b'{"row":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
HOSTILE = 'Grüße \N{SNOWMAN} \x1b[31m a\u202eb \x00\x7f\u2028 "quoted" \\ / \b\f\n\r\t \ud800 🎉'


def kept(anchor: Anchor, where: str = "line 1") -> Found:
    return Found(anchor, b"", where, proven_us=5)


def fill(ledger: Ledger, count: int = 10) -> None:
    for number in range(count):
        ledger.events.append(
            "decision",
            caller=CLAUDE,
            call_id=f"c{number}",
            server="memory",
            tool="search",
            effect="allow",
            arguments={"query": f"number {number}"},
        )


def lines(ledger: Ledger, **span: int) -> list[bytes]:
    """Return the events' lines without what is around them."""
    return [line for line in ledger.framed(**span) if line.startswith(b'{"segment"')]


def test_every_column_and_hash_is_exported(ledger: Ledger) -> None:
    fill(ledger, 3)
    found = [json.loads(line) for line in lines(ledger)]
    for line, event in zip(found, ledger.events.tail(), strict=True):
        assert line == {name: getattr(event, name) for name in event.__struct_fields__}


def test_an_outsider_verifies_it_with_a_few_lines_of_python(ledger: Ledger) -> None:
    fill(ledger, 3)
    ledger.events.append(
        "decision",
        caller=Caller(HOSTILE, HOSTILE, HOSTILE, HOSTILE),
        effect="allow",
        reason=HOSTILE,
        arguments={HOSTILE: HOSTILE},
        detail={"line": HOSTILE},
        charges=[Charged(HOSTILE.replace("\ud800", ""), 5, 7)],
    )
    fill(ledger, 3)
    previous = "00" * 32
    for line in lines(ledger):
        _, *content, charges, prev, digest = json.loads(line).values()
        if charges:
            content.append(json.loads(charges))
        array = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        assert prev == previous
        assert hashlib.sha256(bytes.fromhex(prev) + array.encode()).hexdigest() == digest
        previous = digest


def test_nothing_in_a_line_acts_on_a_terminal(ledger: Ledger) -> None:
    ledger.events.append("note", reason=HOSTILE, detail={"line": HOSTILE})
    (line,) = lines(ledger)
    text = line.decode()
    assert text.endswith("\n")
    assert text[:-1].isprintable()


def test_an_export_of_many_rows_is_whole(ledger: Ledger) -> None:
    with ledger.transaction():
        fill(ledger, 450)
    found = verify_lines(whole(ledger))
    assert (found.ok, found.rows, found.joint) == (True, 450, 1)


def test_an_export_holds_the_rows_there_were_when_it_began(ledger: Ledger) -> None:
    fill(ledger, 150)
    found = []
    for line in ledger.framed():
        found.append(line)
        fill(ledger, 1)
    assert verify_lines(found).rows == 150


@pytest.mark.parametrize(
    ("since", "until", "seqs"),
    [
        (0, 0, [1, 2, 3, 4]),
        (60, 0, [2, 3, 4]),
        (61, 0, [3, 4]),
        (0, 120, [1, 2]),
        (60, 121, [2, 3]),
        (1000, 0, []),
        (0, -5, []),
    ],
)
def test_a_part_is_exported_by_time_and_verifies(
    ledger: Ledger, clock: Clock, since: int, until: int, seqs: list[int]
) -> None:
    for _ in range(4):
        fill(ledger, 1)
        clock.forward(60)
    span = {
        "since_us": START_US + since * 1_000_000 if since else 0,
        "until_us": START_US + until * 1_000_000 if until else 0,
    }
    assert [json.loads(line)["number"] for line in lines(ledger, **span)] == seqs
    assert verify_lines(ledger.framed(**span)).ok is bool(seqs)


def test_a_pruned_log_is_exported_from_its_base(file: Path, clock: Clock) -> None:
    ledger = Ledger.open(file, clock=clock, audit=AuditSettings(keep_days=1))
    fill(ledger, 10)
    clock.forward(3 * 86_400)
    fill(ledger, 3)
    ledger.retention.announce()
    while ledger.retention.step():
        pass
    found = verify_lines(whole(ledger))
    assert (found.ok, found.rows) == (True, 4)
    ledger.close()


def test_a_prune_that_overtakes_an_export_is_left_out(file: Path, clock: Clock) -> None:
    ledger = Ledger.open(file, clock=clock, audit=AuditSettings(keep_days=1))
    with ledger.transaction():
        fill(ledger, 450)
    clock.forward(3 * 86_400)
    fill(ledger, 1)
    export = ledger.framed()
    first = next(export)
    ledger.retention.announce()
    while ledger.retention.step():
        pass
    found = [first, *export]
    assert b'"rows":[[1,1,450]' in first
    verification = verify_lines(found)
    assert (verification.ok, verification.rows) == (True, 1), verification.problem
    assert not verify_lines([line for line in found if b'"prune",1,' not in line]).ok
    ledger.close()


def test_a_segment_that_was_removed_is_no_prune(file: Path, clock: Clock) -> None:
    ledger = Ledger.open(file, clock=clock)
    fill(ledger, 5)
    export = ledger.framed()
    next(export)
    (file.parent / "journal" / "00000001.jsonl").unlink()
    with pytest.raises(LedgerError, match="segment 1 of the journal is missing"):
        list(export)
    ledger.close()


def edited(member: str, value: Any) -> Callable[[list[bytes]], list[bytes]]:
    def edit(found: list[bytes]) -> list[bytes]:
        record = json.loads(found[5]) | {member: value}
        return [*found[:5], json.dumps(record).encode(), *found[6:]]

    return edit


@pytest.mark.parametrize(
    ("edit", "seq", "words"),
    [
        (edited("tool", "delete"), 5, "row 1:5 was edited"),
        (edited("arguments", "{}"), 5, "row 1:5 was edited"),
        (edited("charges", "[]"), 5, "row 1:5 was edited"),
        (edited("charges", "["), 5, "row 1:5 was edited"),
        (edited("hash", "00" * 32), 5, "row 1:5 was edited"),
        (edited("hash", ""), 5, "row 1:5 was edited"),
        (edited("prev", "no hex"), 5, "row 1:5 does not follow"),
        (edited("number", 50), 50, "row 1:50 follows row 1:4"),
        (edited("segment", 7), 5, "row 7:5 is of a segment it does not have"),
        (edited("number", "5"), 0, "line 6 is no event"),
        (lambda found: [*found[:5], *found[6:]], 6, "row 1:6 follows row 1:4"),
        (lambda found: [*found[:5], found[6], found[5], *found[7:]], 6, "row 1:6 follows"),
        (lambda found: [*found[:5], found[5][:50], *found[6:]], 0, "line 6 is no event"),
        (lambda found: [*found[:5], _DEEP, *found[6:]], 0, "line 6 is no event"),
        (lambda _: [], 0, "there is no event in it"),
    ],
)
def test_an_edited_export_is_found_out(
    ledger: Ledger, edit: Callable[[list[bytes]], list[bytes]], seq: int, words: str
) -> None:
    fill(ledger)
    found = verify_lines(edit(whole(ledger)))
    assert not found.ok
    assert (found.row, found.problem[: len(words)]) == (seq, words)


def test_an_export_is_compared_with_anchors(ledger: Ledger) -> None:
    fill(ledger)
    right = kept(Anchor(1, "", heads=(Head(1, 4, ledger.events.tail()[3].hash),)))
    assert verify_lines(whole(ledger), [right]).anchors == 1
    wrong = verify_lines(
        whole(ledger), [kept(Anchor(1, "", heads=(Head(1, 4, "00" * 32),)), "line 7")]
    )
    assert wrong.problem == "row 1:4 is not the one that line 7 anchors"


def test_an_export_that_lacks_what_an_anchor_names_is_not_proven_by_it(
    ledger: Ledger, file: Path, clock: Clock
) -> None:
    fill(ledger)
    early = ledger.anchors.head()
    clock.forward(60)
    fill(ledger)
    late = ledger.anchors.head()
    segment = file.parent / "journal" / "00000001.jsonl"
    segment.write_bytes(b"".join(segment.read_bytes().splitlines(keepends=True)[:15]))
    cut_off = verify_lines(whole(ledger), [kept(early), kept(late)])
    assert (cut_off.ok, cut_off.anchors, cut_off.proven[0].until_us) == (True, 1, 5)
    (note,) = cut_off.notes
    assert note.startswith("1 anchor names what is not in it, such as row 1:20")


def test_what_was_pruned_is_missed_by_no_anchor(ledger: Ledger, file: Path, clock: Clock) -> None:
    fill(ledger)
    head = ledger.anchors.head()
    clock.forward(40 * 86_400)
    ledger.events.append("note")
    ledger.close()
    pruning = Ledger.open(file, clock=clock, audit=AuditSettings(keep_days=30))
    pruning.retention.believe()
    pruning.retention.announce()
    while pruning.retention.step():
        pass
    found = verify_lines(whole(pruning), [kept(head)])
    pruning.close()
    assert (found.ok, found.anchors, found.notes) == (True, 1, ())


def whole(ledger: Ledger) -> list[bytes]:
    return list(ledger.framed())


@pytest.mark.parametrize("gone", range(1, 13))
def test_an_end_that_was_cut_off_is_named(ledger: Ledger, gone: int) -> None:
    fill(ledger)
    found = verify_lines(whole(ledger)[:-gone])
    assert not found.ok
    assert found.problem == "its end is missing"
    assert found.rows == min(10, 12 - gone)


@pytest.mark.parametrize("gone", range(1, 12))
def test_a_beginning_that_was_cut_off_is_named(ledger: Ledger, gone: int) -> None:
    fill(ledger)
    found = verify_lines(whole(ledger)[gone:])
    assert not found.ok
    assert "its beginning is missing" in found.problem


def test_a_row_cut_off_inside_either_end_is_named(ledger: Ledger) -> None:
    fill(ledger)
    begin, *rows, joint, end = whole(ledger)
    for lines, words in (
        ([begin, *rows[1:], joint, end], "rows of segment 1 are missing, from 1 on"),
        ([begin, *rows[:-1], joint, end], "rows of segment 1 are missing, up to 10"),
        ([begin, *rows[:4], *rows[5:], joint, end], "row 1:6 follows"),
        ([begin, *rows, end], "joints are missing at its end"),
        ([begin, *rows, joint.replace(b"open", b"seal"), end], "joint 1 was edited"),
        ([begin, *rows[:4], b'{"export":5}\n'], "line 6 is no event"),
    ):
        assert verify_lines(lines).problem.startswith(words)


def test_exports_that_follow_each_other_verify_as_one(ledger: Ledger, clock: Clock) -> None:
    fill(ledger)
    clock.forward(60)
    first = list(ledger.framed(until_us=clock()))
    fill(ledger)
    second = list(ledger.framed(since_us=clock()))
    found = verify_lines([*first, *second])
    assert (found.ok, found.rows) == (True, 20)
    assert not verify_lines([*first[:-1], *second]).ok
    assert verify_lines(second).ok


def of_the_first_edition(count: int = 5) -> list[bytes]:
    """Return an export as the first edition wrote it."""
    rows, previous = [], bytes(32)
    for seq in range(1, count + 1):
        content = [seq, START_US, "note", "", 0, *("",) * 11, "", 0, "", ""]
        digest = row_hash(previous, content)
        names = ("seq", *CONTENT[1:8], "grant", *CONTENT[9:])
        record = dict(zip(names, content, strict=True))
        record |= {"prev": previous.hex(), "hash": digest.hex()}
        rows.append(json.dumps(record, separators=(",", ":")).encode() + b"\n")
        previous = digest
    begin, end = (
        b'{"export":{"at":"%b","first":1,"last":%d}}\n' % (at, count) for at in (b"begin", b"end")
    )
    return [begin, *rows, end]


def test_exports_of_the_first_edition_verify_as_they_did() -> None:
    begin, *rows, end = of_the_first_edition()
    for lines in ([begin, *rows, end], rows):
        found = verify_lines(lines)
        assert (found.ok, found.rows, found.joint) == (True, 5, 5)
        assert found.hash == json.loads(rows[-1])["hash"]
    for lines, words in (
        ([begin, *rows[:-1]], "its end is missing: it was written up to row 5"),
        ([begin, *rows[1:], end], "its beginning is missing: it was written from row 1"),
        ([*rows[:2], *rows[3:]], "row 4 follows row 2"),
        ([rows[0].replace(b"note", b"pins"), *rows[1:]], "row 1 was edited"),
        ([rows[0], b"{}\n"], "line 2 is no event"),
    ):
        assert verify_lines(lines).problem.startswith(words)
    anchor = kept(Anchor(1, json.loads(rows[2])["hash"], seq=3))
    assert verify_lines(rows, [anchor]).anchors == 1
    assert not verify_lines(rows, [kept(Anchor(1, "00" * 32, seq=3))]).ok
