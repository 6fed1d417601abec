"""A ledger of the first edition, whose log was a table, opens and goes on in the journal."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pktui.ledger import Ledger
from pktui.ledger.database import Database
from pktui.ledger.integrity.vouched_columns import row_facts
from pktui.ledger.journal.segment import CONTENT
from pktui.ledger.schema import MIGRATIONS
from pktui.settings import AuditSettings

if TYPE_CHECKING:
    from pathlib import Path

START = 1_790_000_000_000_000
OLD = 11
"""The schema of the last program with a log in a table."""


class Old:
    """Writes a file as that program did."""

    def __init__(self, file: Path, *, base: int = 0) -> None:
        file.parent.mkdir(mode=0o700)
        self.raw = sqlite3.connect(file, isolation_level=None)
        for step in MIGRATIONS[:OLD]:
            for statement in step:
                self.raw.execute(statement)
        self.raw.execute("PRAGMA application_id=0x706B7475")
        self.raw.execute(f"PRAGMA user_version={OLD}")
        self.raw.execute("PRAGMA journal_mode=WAL")
        self.seq, self.hash = base, bytes(32)
        self.hashes = {base: self.hash}
        self.raw.execute("UPDATE chain SET base_seq = ?, seq = ?", (base, base))
        self.database = Database(self.raw, file, read_only=False)

    def append(self, kind: str, detail: dict[str, Any] | None = None, **members: Any) -> None:
        self.seq += 1
        text = json.dumps(detail, separators=(",", ":")) if detail else ""
        known = {"seq": self.seq, "at_us": START + self.seq, "kind": kind, "detail": text}
        known |= {"ref_seq": 0, "duration_us": 0} | members
        content = [known.get(name, "") for name in ("seq", *CONTENT[1:])]
        self.hash = hashlib.sha256(self.hash + msgspec.json.encode(content)).digest()
        self.hashes[self.seq] = self.hash
        marks = ", ".join("?" * 22)
        names = ", ".join(("seq", *CONTENT[1:]))
        values = (OLD, *content, self.hash)
        self.raw.execute(f"INSERT INTO events (schema, {names}, hash) VALUES ({marks})", values)
        self.raw.execute("UPDATE chain SET seq = ?, hash = ?", (self.seq, self.hash))

    def grant(self, name: str) -> None:
        key = name.encode() * 4
        self.raw.execute(
            "INSERT INTO grants (key, digest, name, servers, policy, created_us, expires_us,"
            " revoked_us) VALUES (?, ?, ?, '[\"*\"]', '', ?, 0, 0)",
            (key, key, name, START + self.seq),
        )
        facts = row_facts(self.database, "grants", key)
        self.append("grant", {"sha256": key.hex(), "servers": ["*"]} | facts, effect="created")


def filled(file: Path, *, base: int = 0) -> Old:
    old = Old(file, base=base)
    for number in range(5):
        call: dict[str, Any] = {"call_id": f"c{number}", "server": "s", "tool": "t"}
        old.append("decision", effect="allow", **call)
        old.append("outcome", outcome="ok", ref_seq=old.seq, **call)
    old.grant("ci")
    old.grant("dev")
    return old


def test_its_calls_are_read_and_its_chain_holds(file: Path) -> None:
    old = filled(file)
    old.raw.close()
    with closing(Ledger.open(file)) as ledger:
        assert [row.call_id for row in ledger.feed.page()] == [f"c{n}" for n in range(5)]
        assert {row.outcome for row in ledger.feed.page()} == {"ok"}
        events = ledger.events.tail()
        assert [event.seq for event in events[:12]] == list(range(1, 13))
        assert [event.hash for event in events[:12]] == [old.hashes[n].hex() for n in range(1, 13)]
        assert [event.effect for event in events[12:]] == ["stands", "stands"]
        verification = ledger.verify()
        assert verification.ok, verification.problem
        assert [grant.name for grant in ledger.grants.list()] == ["ci", "dev"]
        assert ledger.events.append("note")
        before = ledger.verify()
    with closing(Ledger.open(file)) as again:
        assert again.verify() == before
        assert again._database.row("SELECT 1 FROM sqlite_master WHERE name = 'events'") is None


def test_one_that_was_begun_and_not_ended_is_gone_on_with(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(file).raw.close()
    monkeypatch.setattr("pktui.ledger.chain.first_edition_import.MOST_BYTES", 500)
    written: list[object] = []
    from pktui.ledger.chain import first_edition_import

    write = first_edition_import._write_segment

    def die_late(*given: Any) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(given)
        write(*given)

    with monkeypatch.context() as patched:
        patched.setattr(first_edition_import, "_write_segment", die_late)
        with pytest.raises(KeyboardInterrupt):
            Ledger.open(file)
    with closing(Ledger.open(file)) as ledger:
        verification = ledger.verify()
        assert verification.ok, verification.problem
        assert verification.rows == 14
        assert [row.call_id for row in ledger.feed.page()] == [f"c{n}" for n in range(5)]


def test_one_that_was_pruned_goes_on_from_its_base(file: Path) -> None:
    filled(file, base=100).raw.close()
    with closing(Ledger.open(file)) as ledger:
        assert ledger.verify().ok
        assert [event.number for event in ledger.events.tail(0, 3)] == [101, 102, 103]


def test_one_whose_process_died_between_two_joints_has_each_row_once(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(file).raw.close()
    from pktui.ledger.journal.joints import Adding

    add = Adding.add

    def die_before_the_seal(self: Adding, what: Any, *rest: Any) -> None:
        if what == "seal":
            raise KeyboardInterrupt
        add(self, what, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(Adding, "add", die_before_the_seal)
        with pytest.raises(KeyboardInterrupt):
            Ledger.open(file)
    with closing(Ledger.open(file)) as ledger:
        verification = ledger.verify()
        assert verification.ok, verification.problem
        assert verification.rows == 14
        assert [row.call_id for row in ledger.feed.page()] == [f"c{n}" for n in range(5)]


def test_what_is_older_than_a_pruned_log_stands_also_where_it_was_begun_before(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = filled(file, base=100)
    old.raw.execute(
        "INSERT INTO grants (key, digest, name, servers, policy, created_us, expires_us,"
        " revoked_us) VALUES (x'01', x'02', 'older', '[\"*\"]', '', ?, 0, 0)",
        (START,),
    )
    old.raw.close()
    from pktui.ledger.chain import first_edition_import

    def die(*_given: Any, **_named: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(first_edition_import, "_say_again", die)
        with pytest.raises(KeyboardInterrupt):
            Ledger.open(file)
    with closing(Ledger.open(file)) as ledger:
        assert ledger.stands("grants", b"\x02")
        assert ledger.verify().ok


@pytest.mark.parametrize(("seq", "agrees"), [(3, True), (12, True), (3, False), (99, False)])
def test_its_anchors_go_on_to_hold(file: Path, tmp_path: Path, seq: int, agrees: bool) -> None:
    old = filled(file)
    old.raw.close()
    anchors = tmp_path / "anchors"
    digest = old.hashes.get(seq, bytes(32)) if agrees else bytes(32)
    anchors.write_text(json.dumps({"at_us": 1, "seq": seq, "hash": digest.hex()}) + "\n")
    with closing(Ledger.open(file, audit=AuditSettings(anchor=str(anchors)))) as ledger:
        verification = ledger.verify()
        assert verification.ok is agrees
        assert verification.anchors == int(agrees)
        assert ledger.anchors.due()
        ledger.anchors.write()
        assert ledger.verify().ok is agrees


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE grants SET policy = 'x' WHERE name = 'ci'", "grant ci: its scope is 'x'"),
        ("DELETE FROM grants WHERE name = 'ci'", "grant ci was removed"),
        (
            "INSERT INTO switches VALUES ('stopped', 'eve', 5)",
            "stop stopped is not in the log",
        ),
    ],
)
def test_what_was_tampered_with_before_is_found_after(
    file: Path, statement: str, words: str
) -> None:
    old = filled(file)
    old.raw.execute(statement)
    old.raw.close()
    for _ in range(2):
        with closing(Ledger.open(file)) as ledger:
            assert ledger.verify().problem.startswith(words)


def test_a_row_that_was_edited_before_is_found_after(file: Path) -> None:
    old = filled(file)
    old.raw.execute("DROP TRIGGER events_are_never_edited")
    old.raw.execute("UPDATE events SET tool = 'x' WHERE seq = 5")
    old.raw.close()
    with closing(Ledger.open(file)) as ledger:
        assert ledger.verify().problem.startswith("row 1:5 was edited")


def test_an_older_program_that_runs_on_writes_nothing_more(file: Path) -> None:
    old = filled(file)
    Ledger.open(file).close()
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        old.append("note")
    old.raw.close()
