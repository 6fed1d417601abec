"""Events whose change was not committed: their process died in between, or the disk failed."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from pktui.errors import LedgerUnavailable
from pktui.ledger import Ledger, NewApproval, args_hash, now_us
from pktui.ledger.journal.segment import bind
from tests.ledger.conftest import CLAUDE, MINUTE

if TYPE_CHECKING:
    from pathlib import Path

ARGUMENTS = {"title": "Shop"}

# Dies between the event and the commit of its change.
SCRIPT = """
import os, sys
from pathlib import Path
from pktui.ledger import Ledger
ledger = Ledger.open(Path(sys.argv[1]), own=sys.argv[2] == "own")
ledger.events.append("note")
def die(): os.kill(os.getpid(), 9)
ledger._database.commit = die
{act}
"""


def dies(file: Path, act: str, *, own: bool = True) -> None:
    code = SCRIPT.format(act=act)
    ended = subprocess.run(
        [sys.executable, "-c", code, str(file), "own" if own else "shared"], check=False
    )
    assert ended.returncode == -signal.SIGKILL


@pytest.fixture
def asked(file: Path) -> str:
    """A question that was allowed, in a ledger of one tool."""
    with closing(Ledger.open(file)) as ledger:
        ledger.catalogue.saw("memory", [{"name": "store"}])
        ledger.grants.create("old", ["memory"])
        ledger.pin.set("1234", by="ada")
        ledger.pin.clear("1234", by="ada")
        one = ledger.approvals.open(
            NewApproval(
                caller=CLAUDE,
                server="memory",
                tool="store",
                arguments=ARGUMENTS,
                args_hash=args_hash(ARGUMENTS),
                expires_us=now_us() + 10 * MINUTE,
            )
        )
    return one.id


@pytest.mark.parametrize("own", [True, False])
def test_an_answer_is_given_and_an_approval_is_used(file: Path, asked: str, own: bool) -> None:
    digest = args_hash(ARGUMENTS)
    decide = f"ledger.approvals.decide('{asked}', True, by='ada', args_hash='{digest}')"
    dies(file, decide, own=own)
    with closing(Ledger.open(file)) as ledger:
        found = ledger.approvals.get(asked)
        assert found is not None
        assert (found.status, found.decided_by) == ("allowed", "ada")
        assert ledger.stands("approvals", asked)
        assert ledger.verify().ok
    dies(file, f"ledger.approvals.spend('{asked}')", own=own)
    with closing(Ledger.open(file)) as ledger:
        found = ledger.approvals.get(asked)
        assert found is not None
        assert found.status == "spent"
        assert not ledger.approvals.spend(asked)
        verification = ledger.verify()
        assert verification.ok, verification.problem
        before = ledger.events.tail(0, 1000)
    with closing(Ledger.open(file)) as again:
        assert again.events.tail(0, 1000) == before, "once is enough"


@pytest.mark.parametrize(
    ("act", "table", "left"),
    [
        ("ledger.approvals.stop(by='ada')", "switches", 1),
        ("ledger.grants.revoke('old')", "grants WHERE revoked_us > 0", 1),
        ("ledger.grants.create('new', ['*'])", "grants WHERE name = 'new'", 1),
        ("ledger.pin.set('1234', by='ada')", "pin", 0),
        ("ledger.catalogue.saw('memory', [{'name': 'other'}])", "tools WHERE name = 'other'", 0),
        (
            "ledger.catalogue.saw('memory', [{'name': 'store', 'description': 'x'}])",
            "tools WHERE hash <> pinned_hash",
            0,
        ),
    ],
)
def test_every_change_is_made_or_said_never_to_have_been(
    file: Path, asked: str, act: str, table: str, left: int
) -> None:
    dies(file, act)
    with closing(Ledger.open(file)) as ledger:
        assert ledger._database.rows(f"SELECT count(*) FROM {table}") == [(left,)]
        verification = ledger.verify()
        assert verification.ok, verification.problem


def test_a_question_that_was_not_kept_never_was(file: Path, asked: str) -> None:
    open_it = (
        "from pktui.ledger import NewApproval, now_us; from tests.ledger.conftest import CLAUDE\n"
        "ledger.approvals.open(NewApproval(caller=CLAUDE, server='s', tool='t', arguments={},"
        " args_hash='x', expires_us=now_us() + 10**9))"
    )
    dies(file, open_it)
    with closing(Ledger.open(file)) as ledger:
        assert [one.id for one in ledger.approvals.recent()] == [asked]
        assert json.loads(ledger.events.newest(1)[0].detail)["row"][2] is None
        assert ledger.verify().ok


def test_a_row_that_names_no_event_keeps_no_change_from_being_made(file: Path, asked: str) -> None:
    dies(file, f"ledger.approvals.decide('{asked}', True, by='ada',"
         f" args_hash='{args_hash(ARGUMENTS)}')")  # fmt: skip
    with closing(sqlite3.connect(file, isolation_level=None)) as raw:
        raw.execute("UPDATE approvals SET event = 'x'")
    with closing(Ledger.open(file)) as ledger:
        found = ledger.approvals.get(asked)
        assert found is not None
        assert found.status == "allowed"
        assert ledger.stands("approvals", asked)


def test_a_change_made_meanwhile_is_not_undone(file: Path, asked: str) -> None:
    """The one that died is looked at after another has gone on."""
    living = Ledger.open(file, own=True)
    digest = args_hash(ARGUMENTS)
    dies(file, f"ledger.approvals.decide('{asked}', True, by='eve', args_hash='{digest}')")
    living.approvals.decide(asked, False, by="ada", args_hash=digest)
    living.close()
    with closing(Ledger.open(file)) as ledger:
        found = ledger.approvals.get(asked)
        assert found is not None
        assert (found.status, found.decided_by) == ("denied", "ada")


def test_a_commit_that_failed_is_made_up_for_by_the_next_change(
    file: Path, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Ledger.open(file, own=True)) as ledger:

        def fail() -> None:
            raise LedgerUnavailable("the disk is full", "Free some space")

        with monkeypatch.context() as patched:
            patched.setattr(ledger._database, "commit", fail)
            with pytest.raises(LedgerUnavailable, match="disk is full"):
                ledger.approvals.withdraw(asked)
        assert [one.status for one in ledger.approvals.recent()] == ["pending"]
        ledger.events.append("note")
        assert [one.status for one in ledger.approvals.recent()] == ["withdrawn"]
        verification = ledger.verify()
        assert verification.ok, verification.problem


def test_a_file_made_anew_beside_its_journal_is_found_out(file: Path, asked: str) -> None:
    with closing(Ledger.open(file, own=True)) as ledger:
        ledger.grants.create("ci", ["*"])
    for part in file.parent.glob("ledger.db*"):
        part.unlink()
    with closing(Ledger.open(file)) as ledger:
        assert "was removed" in ledger.verify().problem


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE approvals SET status = 'allowed', decided_by = 'eve'",
        "UPDATE approvals SET event = ''",
        "UPDATE approvals SET event = '1:1:0:9'",
        "UPDATE approvals SET event = 'x'",
        "UPDATE approvals SET event = '²:1:0:9'",
        f"UPDATE approvals SET event = '1:1:{10**30}:9'",
    ],
)
def test_a_row_that_is_not_as_its_event_says_does_not_stand(
    file: Path, asked: str, statement: str
) -> None:
    with closing(Ledger.open(file)) as ledger:
        assert ledger.stands("approvals", asked)
        with closing(sqlite3.connect(file, isolation_level=None)) as raw:
            raw.execute(statement)
        assert not ledger.stands("approvals", asked)
        assert not ledger.stands("approvals", "nobody-1")
        assert ledger.verify().ok is ("event" in statement)


@pytest.mark.parametrize(
    "row",
    [
        ["nothing", ["1"], None],
        ["pin", ["x"], None],
        ["tools", ["memory"], None],
        ["grants", ["no hex"], None],
        ["switches", ["stopped"], {}],
        ["switches", ["stopped"], {"name": "stopped", "by_whom": "eve"}],
    ],
)
def test_an_event_that_says_no_change_keeps_nobody_out(
    file: Path, asked: str, row: list[Any]
) -> None:
    segment = max((file.parent / "journal").glob("0*.jsonl"))
    last = json.loads(segment.read_bytes().splitlines()[-1])
    detail = json.dumps({"row": row, "change": 10_000}, separators=(",", ":"))
    content = [last[0] + 1, last[1], "note", "", 0, *[""] * 12, 0, "", detail]
    line, _ = bind(content, bytes.fromhex(last[-1]))
    with segment.open("ab") as opened:
        opened.write(line)
    with closing(Ledger.open(file)) as ledger:
        assert not ledger.approvals.stopped()
        assert ledger.approvals.get(asked) is not None
        assert ledger.events.newest(1)[0].detail == detail
