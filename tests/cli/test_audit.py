"""`pktui audit`: the record, read and verified."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pktui.cli.app import run
from pktui.ledger import Caller, Ledger
from pktui.ledger.results import Answered
from pktui.settings import AuditSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pktui.settings import Paths

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def ledger(paths: Paths) -> Iterator[Ledger]:
    opened = Ledger.open(paths.ledger_file)
    for number in range(30):
        opened.events.append(
            "decision",
            caller=Caller("claude-code", project="/home/ada"),
            call_id=f"c{number}",
            server="memory",
            tool=["search", "store"][number % 2],
            effect=["allow", "deny"][number % 2],
            arguments={"text": f"number {number} \x1b[31m"},
        )
    yield opened
    opened.close()


def test_a_chain_of_one_is_told_as_one(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(Ledger.open(paths.ledger_file)) as opened:
        opened.events.append("note")
    assert run(["audit", "verify"]) == 0
    assert capsys.readouterr().out == "The chain holds: 1 row.\n"


def test_an_empty_record_is_not_anchored_and_says_so(
    paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths.config_dir.mkdir(parents=True)
    paths.settings_file.write_text(f'[audit]\nanchors = ["file:{tmp_path / "heads"}"]\n')
    Ledger.open(paths.ledger_file).close()
    assert run(["audit", "anchor"]) == 0
    assert "Nothing is on record yet" in capsys.readouterr().err
    assert not (tmp_path / "heads").exists()
    assert run(["doctor"]) == 1
    assert "someone or something" not in capsys.readouterr().out


def test_a_query_that_no_call_matches_says_so(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "tail", "tool:nothing_of_the_kind"]) == 0
    assert capsys.readouterr() == ("", "No call matches.\n")


def test_the_record_of_this_machine_is_read_while_the_teams_is_away(
    ledger: Ledger, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("psycopg", reason="the extra `team` is not installed")
    paths.settings_file.parent.mkdir(parents=True, exist_ok=True)
    paths.settings_file.write_text('[ledger]\nuri = "postgresql://ada@/none?host=/nowhere"\n')
    assert run(["audit", "tail", "-n", "2"]) == 0
    found = capsys.readouterr()
    assert len(found.out.splitlines()) == 2
    assert found.err.count("none on /nowhere") == 1


def test_nothing_is_on_record_before_the_first_use(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "tail"]) == 0
    assert "Nothing is on record yet" in capsys.readouterr().err
    assert run(["audit", "verify"]) == 1
    assert "there is no ledger" in capsys.readouterr().err


def test_the_newest_events_are_printed_oldest_first(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "tail", "-n", "2"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.split()[0] == "1:15"
    assert "claude-code  memory.store" in second
    assert "deny" in second
    assert "\x1b" not in second


def test_what_is_no_call_says_what_it_is(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.approvals.stop(by="the command line")
    assert run(["audit", "tail", "--number", "1"]) == 0
    assert "stopped: true, by: the command line" in capsys.readouterr().out


def test_json_lines_carry_the_whole_event(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "tail", "-n", "3", "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["segment"], one["number"]) for one in events] == [(2, 14), (1, 15), (2, 15)]
    assert events[2]["prev"] == events[0]["hash"]


def test_a_query_shows_only_calls_that_match(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "tail", "effect:denied", "number 2*", "--json"]) == 0
    assert capsys.readouterr().out == ""
    assert run(["audit", "tail", "effect:denied", '"number 2"', "--json"]) == 0
    calls = [json.loads(line)["call_id"] for line in capsys.readouterr().out.splitlines()]
    assert calls == ["c21", "c23", "c25", "c27", "c29"]


@pytest.mark.parametrize(
    "command",
    [["audit", "tail", '"number 28"', "--json"], ["feed", "--filter", '"number 28"', "--json"]],
)
def test_a_call_has_its_result(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    ledger.results.add([Answered("c28", "memory", "search", "ok", b'{"content":["found"]}', 1)])
    assert run(command) == 0
    (call,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert call["call_id"] == "c28"
    assert call["result"] == {"bytes": 21, "result": {"content": ["found"]}}


def test_a_result_of_which_only_the_hash_is_kept_is_json_too(
    ledger: Ledger, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(Ledger.open(paths.ledger_file, audit=AuditSettings(results="hash"))) as hashing:
        hashing.results.add([Answered("c28", "memory", "search", "ok", b"{}", 1)])
    assert run(["feed", "--filter", '"number 28"', "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["result"]
    assert told == {"bytes": 2, "sha256": hashlib.sha256(b"{}").hexdigest()}


def test_a_query_that_cannot_be_used_is_a_usage_error(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "tail", "effect:maybe"]) == 2
    assert "effect:maybe cannot be used: no effect maybe" in capsys.readouterr().err


@pytest.mark.parametrize("query", [[], ["tool:store"]], ids=["all", "filtered"])
def test_following_prints_what_comes(ledger: Ledger, query: list[str]) -> None:
    tail = subprocess.Popen(
        [sys.executable, "-m", "pktui", "audit", "tail", "-f", "-n", "1", "--json", *query],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert tail.stdout is not None
    try:
        assert json.loads(tail.stdout.readline())["call_id"] == "c29"
        ledger.events.append("decision", call_id="new", server="memory", tool="store")
        assert json.loads(tail.stdout.readline())["call_id"] == "new"
    finally:
        tail.kill()
        tail.stdout.close()
        tail.wait()


def test_an_untouched_chain_holds(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "verify"]) == 0
    assert "The chain holds: 30 rows." in capsys.readouterr().out
    assert run(["audit", "verify", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True


def test_an_edited_row_is_named(
    ledger: Ledger, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    segment = paths.data_dir / "journal" / "00000002.jsonl"
    segment.write_bytes(segment.read_bytes().replace(b'"deny"', b'"hide"', 1))
    assert run(["audit", "verify"]) == 1
    assert "broken after 15 good rows: row 2:1 was edited" in capsys.readouterr().out


def test_a_torn_row_is_named_and_the_chain_holds(
    ledger: Ledger, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    with (paths.data_dir / "journal" / "00000001.jsonl").open("ab") as segment:
        segment.write(b"[16,")
    assert run(["audit", "verify"]) == 0
    told = capsys.readouterr()
    assert "The chain holds: 30 rows." in told.out
    assert "Segment 1 ends with 4 bytes of a row that is not whole." in told.err


def test_the_index_is_made_anew(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "reindex"]) == 0
    assert capsys.readouterr().out == "The index was made anew: 30 rows.\n"
    assert run(["audit", "reindex", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"rows": 30}


def test_what_does_not_agree_with_the_chain_is_named(
    ledger: Ledger, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.grants.create("ci", ["memory"])
    with closing(sqlite3.connect(paths.ledger_file, isolation_level=None)) as raw:
        raw.execute("""UPDATE grants SET servers = '["*"]'""")
    assert run(["audit", "verify"]) == 1
    assert "The chain holds 31 rows, but grant ci: its scope is" in capsys.readouterr().out
