"""Whoever edits, removes, reorders, adds or cuts off rows behind pktui's back is found out."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from pktui.ledger import Ledger, NewApproval, args_hash
from pktui.ledger.approvals.standing import Wider
from pktui.ledger.chain import verify
from pktui.ledger.journal.segment import CONTENT, bind, decode_row
from pktui.settings import AuditSettings
from tests.ledger.conftest import CLAUDE, MINUTE, Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ARGUMENTS = {"title": "Shop", "amount": 5}
Lines = list[bytes]


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


class Attacker:
    """Edits the files of a journal of ten rows in one segment."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.segment = directory / "00000001.jsonl"
        self.joints = directory / "joints.jsonl"

    def lines(self) -> Lines:
        return self.segment.read_bytes().splitlines(keepends=True)

    def write(self, lines: Lines) -> None:
        self.segment.write_bytes(b"".join(lines))


@pytest.fixture
def attacker(ledger: Ledger, file: Path) -> Attacker:
    fill(ledger)
    ledger.events.tail()  # the index has them
    return Attacker(file.parent / "journal")


def found(ledger: Ledger) -> tuple[int, str]:
    verification = ledger.verify()
    assert verification.ok is (verification.problem == "")
    return verification.row, verification.problem


def edited(line: bytes, member: int, value: Any) -> bytes:
    row = json.loads(line)
    row[member] = value
    return json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


@pytest.mark.parametrize("member", range(len(CONTENT) + 1))
def test_an_edit_of_any_member_of_any_row_is_found_and_named(
    ledger: Ledger, attacker: Attacker, member: int
) -> None:
    whole = attacker.lines()
    for number in (1, 2, 5, 10):
        kept = decode_row(whole[number - 1])[member]
        for forged in forgeries(kept):
            lines = list(whole)
            lines[number - 1] = edited(whole[number - 1], member, forged)
            attacker.write(lines)
            row, problem = found(ledger)
            assert problem
            assert member == 0 or row == number
    attacker.write(whole)
    assert found(ledger) == (0, "")


def forgeries(kept: Any) -> list[Any]:
    if isinstance(kept, int):
        return [kept + 1, kept - 1, kept + 1000]
    return [f"{kept}x", f"{kept} ", *([""] if kept else ())]


@pytest.mark.parametrize("number", range(1, 11))
def test_a_row_that_was_removed_is_named(ledger: Ledger, attacker: Attacker, number: int) -> None:
    lines = attacker.lines()
    del lines[number - 1]
    attacker.write(lines)
    if number == 10:
        assert found(ledger) == (
            10,
            "rows from 1:10 on were removed from the end: the index has them",
        )
    else:
        gone = f"row 1:{number} was removed before row 1:{number + 1}"
        assert found(ledger) == (number + 1, gone)


@pytest.mark.parametrize(("one", "other"), [(1, 2), (3, 7), (4, 6), (9, 10), (1, 10)])
def test_rows_that_changed_places_are_named(
    ledger: Ledger, attacker: Attacker, one: int, other: int
) -> None:
    lines = attacker.lines()
    lines[one - 1], lines[other - 1] = lines[other - 1], lines[one - 1]
    attacker.write(lines)
    assert found(ledger)[1].startswith(f"row 1:{one}") or f"1:{one}" in found(ledger)[1]


def renumbered(lines: Lines, number: int) -> Lines:
    return [edited(line, 0, at) for at, line in enumerate(lines, number)]


def bound_anew(lines: Lines) -> Lines:
    """Return rows as pktui would have written them: numbers and hashes follow each other."""
    previous, rows = bytes(32), []
    for number, line in enumerate(lines, 1):
        content = [number, *decode_row(line)[1:-1]]
        made, previous = bind(content, previous)
        rows.append(made)
    return rows


@pytest.mark.parametrize(
    ("change", "row", "words"),
    [
        (lambda lines: lines[3:], 4, "rows 1:1 to 1:3 were removed before row 1:4"),
        (lambda lines: lines[:8], 9, "rows from 1:9 on were removed from the end"),
        (lambda lines: [], 1, "rows from 1:1 on were removed from the end"),
        (lambda lines: renumbered(lines, 2), 2, "row 1:1 was removed before row 1:2"),
        (
            lambda lines: [*lines[:4], *renumbered(lines[5:], 5)],
            5,
            "row 1:5 was edited, or another was put in its place",
        ),
        (
            lambda lines: [*lines[:5], *renumbered([lines[4], *lines[5:]], 6)],
            6,
            "row 1:6 was edited, or another was put in its place",
        ),
        (lambda lines: [*lines, *renumbered(lines[9:], 11)], 11, "row 1:11 was edited"),
        (lambda lines: [*lines[:6], b"\xff\n", *lines[7:]], 7, "row 1:7 was edited"),
        (lambda lines: [*lines[:6], b"\n", *lines[7:]], 7, "row 1:7 was edited"),
    ],
)
def test_tampering_is_found_and_named(
    ledger: Ledger,
    attacker: Attacker,
    change: Callable[[Lines], Lines],
    row: int,
    words: str,
) -> None:
    attacker.write(change(attacker.lines()))
    at, problem = found(ledger)
    assert (at, problem[: len(words)]) == (row, words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[:8], "rows 1:9 to 1:10 were removed from the end"),
        (
            lambda lines: bound_anew([edited(lines[0], 7, "eve"), *lines[1:]]),
            "row 1:10 is not the one that was written last",
        ),
        (
            lambda lines: bound_anew([*lines, lines[9]]),
            "row 1:11 was added behind the segment's seal",
        ),
    ],
)
def test_a_sealed_segment_that_was_written_anew_is_named(
    file: Path, change: Callable[[Lines], Lines], words: str
) -> None:
    with closing(Ledger.open(file, own=True)) as ledger:
        fill(ledger)
    attacker = Attacker(file.parent / "journal")
    attacker.write(change(attacker.lines()))
    file.with_name("index.db").unlink(missing_ok=True)
    with closing(Ledger.open(file)) as again:
        assert found(again)[1] == words


@pytest.mark.parametrize("sealed", [True, False])
def test_a_missing_segment_is_named(file: Path, sealed: bool) -> None:
    ledger = Ledger.open(file, own=sealed)
    fill(ledger)
    ledger.close()
    (file.parent / "journal" / "00000001.jsonl").unlink()
    with closing(Ledger.open(file)) as again:
        assert "00000001.jsonl, is missing" in found(again)[1]


def test_segments_that_changed_places_are_named(file: Path) -> None:
    for _ in range(2):
        with closing(Ledger.open(file, own=True)) as ledger:
            fill(ledger)
    one, two = sorted((file.parent / "journal").glob("0*.jsonl"))
    kept = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(kept)
    with closing(Ledger.open(file)) as again:
        assert found(again)[1].startswith("row 1:1 was edited")


@pytest.mark.parametrize("effect", ["allow", "deny"])
def test_what_is_pruned_or_opened_meanwhile_is_no_fault(
    file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, effect: str
) -> None:
    ledger = Ledger.open(file, clock=clock, audit=AuditSettings(max_megabytes=0.1))
    approval = asked(ledger, clock)
    for number in range(4):
        ledger.events.append(
            "decision", call_id=f"n{number}", effect=effect, arguments={"x": "y" * 65_000}
        )
    size = verify._size

    def overtaken(path: Path) -> int:
        if ledger.retention.announce() is not None:
            while ledger.retention.step():
                pass
            ledger.events.append("refused", reason="in a segment of its own")
        return size(path)

    monkeypatch.setattr(verify, "_size", overtaken)
    verification = ledger.verify()
    assert verification.ok, verification.problem
    pruned = (file.parent / "journal" / "joints.jsonl").read_text().count('"prune"')
    assert pruned >= 2
    assert approval in {one.id for one in ledger.approvals.pending()}
    ledger.close()


def test_a_segment_that_no_joint_names_is_named(ledger: Ledger, attacker: Attacker) -> None:
    (attacker.directory / "00000009.jsonl").write_bytes(attacker.segment.read_bytes())
    assert "00000009.jsonl lies in the journal, and no joint names it" in found(ledger)[1]


@pytest.mark.parametrize("at", [0, 1, 2])
def test_joints_that_were_edited_removed_or_cut_off_are_named(file: Path, at: int) -> None:
    for _ in range(2):
        with closing(Ledger.open(file, own=True)) as ledger:
            fill(ledger)
    joints = file.parent / "journal" / "joints.jsonl"
    whole = joints.read_bytes().splitlines(keepends=True)
    with closing(Ledger.open(file)) as again:
        assert found(again) == (0, "")
        joints.write_bytes(b"".join([*whole[:at], *whole[at + 1 :]]))
        assert f"joint {at + 1} of the journal was edited" in found(again)[1]
        joints.write_bytes(b"".join([*whole[:at], edited(whole[at], 1, 5), *whole[at + 1 :]]))
        assert f"joint {at + 1} of the journal was edited" in found(again)[1]
        joints.write_bytes(b"".join(whole[:2]))
        assert "no joint names it" in found(again)[1]
        joints.unlink()
        assert "the joints of the journal" in found(again)[1]


def test_the_rows_before_the_fault_are_counted(ledger: Ledger, attacker: Attacker) -> None:
    lines = attacker.lines()
    lines[7] = edited(lines[7], 16, "x")
    attacker.write(lines)
    assert ledger.verify().rows == 7


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (
            ["DROP TRIGGER changes_are_of_this_schema"],
            "changes_are_of_this_schema, which guards the ledger, was removed",
        ),
        (
            [
                "DROP TRIGGER changes_are_of_this_schema",
                (
                    "CREATE TRIGGER changes_are_of_this_schema BEFORE UPDATE ON changes"
                    " BEGIN SELECT 1; END"
                ),
            ],
            "changes_are_of_this_schema, which guards the ledger, is not as pktui made it",
        ),
        (
            ["CREATE TRIGGER sly AFTER INSERT ON approvals BEGIN UPDATE approvals SET n = 1; END"],
            "sly, which may act on the ledger, was added to the file",
        ),
        (
            ["ALTER TABLE changes ADD COLUMN note TEXT"],
            "changes, which guards the ledger, is not as pktui made it",
        ),
    ],
)
def test_guards_that_are_not_as_they_were_made_are_named(
    ledger: Ledger, raw: sqlite3.Connection, statements: list[str], words: str
) -> None:
    for statement in statements:
        raw.execute(statement)
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
    raw.execute("INSERT INTO pin VALUES (1, x'00', x'00', 2, 8, 1, 5, 0, 0, '')")
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


@pytest.mark.parametrize("members", [(), ("when", "approval"), (1, 2, 3)])
def test_a_row_that_follows_and_is_none_is_named(
    ledger: Ledger, attacker: Attacker, members: tuple[Any, ...]
) -> None:
    lines = attacker.lines()
    row, _ = bind([6, *members, '{"row":[]}'], bytes.fromhex(json.loads(lines[4])[-1]))
    attacker.write([*lines[:5], row, *lines[6:]])
    assert found(ledger) == (6, "row 1:6 is not one that pktui writes")
