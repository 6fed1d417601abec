"""The log as lines that anyone can verify."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from pktui.errors import LedgerError
from pktui.ledger import Caller, Ledger
from pktui.ledger.chain.anchors import Anchor
from pktui.ledger.chain.export import verify_lines
from pktui.settings import AuditSettings
from tests.ledger.conftest import CLAUDE, START_US, Clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOSTILE = 'Grüße \N{SNOWMAN} \x1b[31m a\u202eb \x00\x7f\u2028 "quoted" \\ / \b\f\n\r\t \ud800 🎉'


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
    return list(ledger.exported(**span))


def test_every_column_and_hash_is_exported(ledger: Ledger) -> None:
    fill(ledger, 3)
    found = [json.loads(line) for line in lines(ledger)]
    for line, event in zip(found, ledger.events.tail(), strict=True):
        assert line == {name: getattr(event, name) for name in event.__struct_fields__}


def test_an_outsider_verifies_it_with_a_few_lines_of_python(ledger: Ledger) -> None:
    fill(ledger, 3)
    ledger.events.append(
        "refused",
        caller=Caller(HOSTILE, HOSTILE, HOSTILE, HOSTILE),
        reason=HOSTILE,
        arguments={HOSTILE: HOSTILE},
        detail={"line": HOSTILE},
    )
    fill(ledger, 3)
    previous = "00" * 32
    for line in lines(ledger):
        *content, prev, digest = json.loads(line).values()
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


def test_more_than_one_page_is_exported_whole(ledger: Ledger) -> None:
    with ledger.transaction():
        fill(ledger, 450)
    found = verify_lines(lines(ledger))
    assert (found.ok, found.rows, found.base_seq, found.head_seq) == (True, 450, 0, 450)
    assert found.head_hash == ledger.events.newest(1)[0].hash


def test_an_export_holds_the_rows_there_were_when_it_began(ledger: Ledger) -> None:
    fill(ledger, 150)
    found = []
    for line in ledger.exported():
        found.append(line)
        fill(ledger, 1)
    assert len(found) == 150


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
    part = lines(
        ledger,
        since_us=START_US + since * 1_000_000 if since else 0,
        until_us=START_US + until * 1_000_000 if until else 0,
    )
    assert [json.loads(line)["seq"] for line in part] == seqs
    assert verify_lines(part).ok is bool(seqs)


def test_a_pruned_log_is_exported_from_its_base(file: Path, clock: Clock) -> None:
    ledger = Ledger.open(file, clock=clock, audit=AuditSettings(keep_days=1))
    fill(ledger, 10)
    clock.forward(3 * 86_400)
    fill(ledger, 3)
    ledger.retention.announce()
    while ledger.retention.step():
        pass
    found = verify_lines(lines(ledger))
    assert (found.ok, found.base_seq, found.rows) == (True, 10, 4)
    ledger.close()


def test_a_prune_that_overtakes_an_export_is_named(file: Path, clock: Clock) -> None:
    ledger = Ledger.open(file, clock=clock, audit=AuditSettings(keep_days=1))
    with ledger.transaction():
        fill(ledger, 450)
    clock.forward(3 * 86_400)
    export = ledger.exported()
    next(export)
    ledger.retention.announce()
    while ledger.retention.step():
        pass
    with pytest.raises(LedgerError, match="pruned while"):
        list(export)
    ledger.close()


def edited(member: str, value: Any) -> Callable[[list[bytes]], list[bytes]]:
    def edit(found: list[bytes]) -> list[bytes]:
        record = json.loads(found[4]) | {member: value}
        return [*found[:4], json.dumps(record).encode(), *found[5:]]

    return edit


@pytest.mark.parametrize(
    ("edit", "seq", "words"),
    [
        (edited("tool", "delete"), 5, "row 5 was edited"),
        (edited("arguments", "{}"), 5, "row 5 was edited"),
        (edited("hash", "00" * 32), 5, "row 5 was edited"),
        (edited("hash", ""), 5, "row 5 was edited"),
        (edited("prev", "no hex"), 5, "row 5 does not follow"),
        (edited("seq", 50), 50, "row 50 follows row 4"),
        (edited("seq", "5"), 0, "line 5 is no event"),
        (lambda found: [*found[:4], *found[5:]], 6, "row 6 follows row 4"),
        (lambda found: [*found[:4], found[5], found[4], *found[6:]], 6, "row 6 follows row 4"),
        (lambda found: [*found[:4], found[4][:50], *found[5:]], 0, "line 5 is no event"),
        (lambda _: [], 0, "there is no event in it"),
    ],
)
def test_an_edited_export_is_found_out(
    ledger: Ledger, edit: Callable[[list[bytes]], list[bytes]], seq: int, words: str
) -> None:
    fill(ledger)
    found = verify_lines(edit(lines(ledger)))
    assert not found.ok
    assert (found.seq, found.problem[: len(words)]) == (seq, words)


def test_the_first_row_ever_follows_nothing(ledger: Ledger) -> None:
    fill(ledger, 2)
    record = json.loads(lines(ledger)[0])
    record["prev"] = "11" * 32
    content = [record[name] for name in record if name not in ("prev", "hash")]
    array = json.dumps(content, separators=(",", ":")).encode()
    record["hash"] = hashlib.sha256(bytes.fromhex(record["prev"]) + array).hexdigest()
    assert verify_lines([json.dumps(record).encode()]).problem == "row 1 was edited"


def test_an_export_is_compared_with_anchors(ledger: Ledger) -> None:
    fill(ledger)
    right = Anchor(1, 4, ledger.events.tail()[3].hash, 1)
    assert verify_lines(lines(ledger), [right]).anchors == 1
    wrong = verify_lines(lines(ledger), [Anchor(1, 4, "00" * 32, 7)])
    assert wrong.problem == "row 4 is not the one that line 7 anchors"


def whole(ledger: Ledger) -> list[bytes]:
    return list(ledger.framed())


@pytest.mark.parametrize("gone", range(1, 12))
def test_an_end_that_was_cut_off_is_named(ledger: Ledger, gone: int) -> None:
    fill(ledger)
    found = verify_lines(whole(ledger)[:-gone])
    assert not found.ok
    assert found.problem == "its end is missing: it was written up to row 10"
    assert found.rows == 11 - gone


@pytest.mark.parametrize("gone", range(1, 11))
def test_a_beginning_that_was_cut_off_is_named(ledger: Ledger, gone: int) -> None:
    fill(ledger)
    found = verify_lines(whole(ledger)[gone:])
    assert not found.ok
    assert "its beginning is missing: it was written from row 1" in found.problem


def test_a_row_cut_off_inside_either_end_is_named(ledger: Ledger) -> None:
    fill(ledger)
    begin, *rows, end = whole(ledger)
    assert verify_lines([begin, *rows[1:], end]).problem.startswith("its beginning is missing")
    assert verify_lines([begin, *rows[:-1], end]).problem.startswith("its end is missing")
    assert verify_lines([begin, *rows[:4], *rows[5:], end]).problem.startswith("row 6 follows")
    assert verify_lines([begin, *rows[:4], b'{"export":5}\n']).problem == "line 6 is no event"


def test_exports_that_follow_each_other_verify_as_one(ledger: Ledger, clock: Clock) -> None:
    fill(ledger)
    clock.forward(60)
    first = list(ledger.framed(until_us=clock()))
    fill(ledger)
    second = list(ledger.framed(since_us=clock()))
    found = verify_lines([*first, *second])
    assert (found.ok, found.rows, found.head_seq) == (True, 20, 20)
    assert not verify_lines([*first[:-1], *second]).ok
    assert verify_lines(second).ok


def test_an_export_without_its_ends_verifies_as_ever(ledger: Ledger) -> None:
    fill(ledger)
    assert verify_lines(whole(ledger)[1:-1]).ok
