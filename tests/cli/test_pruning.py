"""`pktui audit prune` and `pktui audit anchor`: what a person does for the record by hand."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pktui.cli.app import run
from pktui.ledger import Ledger, now_us

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.settings import Paths

DAY_US = 86_400_000_000


@pytest.fixture
def old(paths: Paths) -> Paths:
    """A ledger of ten rows from the day before yesterday and five from an hour ago."""
    now = now_us()
    for count, at_us in ((10, now - 2 * DAY_US), (5, now - DAY_US // 20)):
        ledger = Ledger.open(paths.ledger_file, clock=lambda at_us=at_us: at_us)  # type: ignore[misc]
        for _ in range(count):
            ledger.events.append("note")
        ledger.close()
    return paths


def rows(paths: Paths) -> int:
    ledger = Ledger.open(paths.ledger_file, read_only=True)
    verification = ledger.verify()
    ledger.close()
    assert verification.ok
    return verification.rows


def test_nothing_goes_unless_the_settings_or_options_say_so(
    old: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "prune"]) == 0
    assert "0 rows removed" in capsys.readouterr().out
    assert rows(old) == 15


def test_a_dry_run_says_what_would_go(old: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "prune", "--keep-days", "1", "--dry-run"]) == 0
    assert "10 rows would be removed" in capsys.readouterr().out
    assert rows(old) == 15


def test_what_is_too_old_goes_once_a_person_has_said_so(
    old: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "prune", "--keep-days", "1"]) == 1
    assert "Give --yes" in capsys.readouterr().err
    assert rows(old) == 15
    assert run(["audit", "prune", "--keep-days", "1", "--yes", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["segments"]) == (10, [1])
    assert rows(old) == 6
    assert run(["audit", "tail", "-n", "1", "--json"]) == 0
    event = json.loads(capsys.readouterr().out)
    assert event["kind"] == "prune"
    assert json.loads(event["detail"])["by"] == "the command line"


def test_after_a_leap_of_the_clock_yes_alone_removes_nothing(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    now = now_us()
    with closing(Ledger.open(paths.ledger_file, clock=lambda: now - 2 * DAY_US)) as ledger:
        ledger.events.append("note")
    assert run(["audit", "prune", "--keep-days", "1", "--yes"]) == 1
    assert "nothing is removed for its age" in capsys.readouterr().err
    assert rows(paths) == 1


def test_the_settings_say_what_goes(old: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    old.config_dir.mkdir(parents=True)
    old.settings_file.write_text("[audit]\nkeep_days = 1\n")
    assert run(["audit", "prune", "--yes"]) == 0
    assert "10 rows removed" in capsys.readouterr().out


def test_the_head_is_printed_and_kept_where_a_file_is_named(
    old: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "anchor"]) == 0
    out, err = capsys.readouterr()
    assert "audit.anchors is not set" in err
    file = tmp_path / "anchors"
    old.config_dir.mkdir(parents=True)
    old.settings_file.write_text(f'[audit]\nanchor = "{file}"\n')
    assert run(["audit", "verify"]) == 1
    assert "pktui audit anchor" in capsys.readouterr().out
    assert run(["audit", "anchor", "--json"]) == 0
    told, err = capsys.readouterr()
    assert json.loads(told) == json.loads(file.read_text())
    assert out.split()[:2] == [str(json.loads(told)["joint"]), json.loads(told)["hash"]]
    assert f"Written to {file}" in err
    assert run(["audit", "verify"]) == 0
    assert "15 rows, and 1 anchor agrees" in capsys.readouterr().out


def test_doctor_says_where_the_anchors_disagree(
    old: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "anchors"
    file.write_text('{"at_us":1,"seq":40,"hash":"00"}\n')
    old.config_dir.mkdir(parents=True)
    old.settings_file.write_text(f'[audit]\nanchor = "{file}"\n')
    run(["doctor"])
    assert "row 1:40 was removed from the end" in capsys.readouterr().out
