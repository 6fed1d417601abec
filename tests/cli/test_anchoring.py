"""`pktui audit anchor`, `status` and `key`, and what `verify` says of anchors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pktui.cli.app import run
from pktui.ledger import Ledger
from pktui.settings import AuditSettings
from tests.support.time_authority import TimeAuthority, running

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.settings import Paths

pytest.importorskip("rfc3161_client", reason="the extra `anchors` is not installed")
authority = pytest.fixture(running)


@pytest.fixture
def anchored(paths: Paths, tmp_path: Path, authority: TimeAuthority) -> Path:
    """A ledger with two rows, anchored to a file and an authority, signed; returns the file."""
    roots = authority.write_root(tmp_path / "roots.pem")
    file = tmp_path / "heads"
    paths.config_dir.mkdir(parents=True)
    paths.settings_file.write_text(
        f'[audit]\nanchor = "{file}"\nanchors = ["rfc3161:{authority.url}"]\n'
        f'anchor_roots = "{roots}"\nkey = "{tmp_path / "anchors.key"}"\n'
    )
    ledger = Ledger.open(paths.ledger_file)
    ledger.events.append("note")
    ledger.events.append("note")
    ledger.close()
    assert run(["audit", "key"]) == 0
    return file


def test_the_head_goes_to_every_place_that_is_set_and_each_says_until_when(
    anchored: Path, authority: TimeAuthority, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "anchor"]) == 0
    said = capsys.readouterr().err
    assert f"Written to {anchored}." in said
    assert f"Written to rfc3161:{authority.url}." in said
    assert run(["audit", "verify"]) == 0
    first, *proven = capsys.readouterr().out.splitlines()
    assert first == "The chain holds: 2 rows, and 2 anchors agree."
    moment = authority.now.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    assert proven[0].endswith(f" by file:{anchored} (1 anchor).")
    assert proven[1] == f"Proven until {moment} by rfc3161:{authority.url} (1 anchor)."


def test_with_due_only_what_fails_is_said(
    anchored: Path, authority: TimeAuthority, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run(["audit", "anchor", "--due"]) == 0
    assert run(["audit", "anchor", "--due"]) == 0
    assert capsys.readouterr() == ("", "")
    assert authority.asked == 1
    assert len(anchored.read_text().splitlines()) == 1


def test_what_one_place_refuses_the_others_get(
    anchored: Path, authority: TimeAuthority, capsys: pytest.CaptureFixture[str]
) -> None:
    authority.refuses = f"on holiday until {'the end of ' * 9}May"
    assert run(["audit", "anchor"]) == 1
    assert "gives no time stamp: it was not granted: on holiday" in capsys.readouterr().err
    assert len(anchored.read_text().splitlines()) == 1
    assert run(["audit", "status"]) == 0
    shown = capsys.readouterr().out
    assert "  fails\n" in shown
    assert f"it was not granted: {authority.refuses}" in shown
    assert run(["audit", "status", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["behind"] for one in told["stores"]] == [0, 2]
    assert len(told["keys"]) == 1


def test_an_auditor_needs_the_export_the_receipts_the_roots_and_the_key(
    anchored: Path,
    paths: Paths,
    tmp_path: Path,
    authority: TimeAuthority,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(["audit", "anchor"])
    export = tmp_path / "events.jsonl"
    run(["audit", "export", "-o", str(export)])
    (receipts,) = (paths.data_dir / "anchors").glob("rfc3161-*.jsonl")
    receipts = receipts.rename(tmp_path / "receipts.jsonl")
    public = (tmp_path / "anchors.key.pub").read_text().strip()
    roots = str(tmp_path / "roots.pem")
    words = ["audit", "verify", str(export), "--anchors", str(receipts), "--roots", roots]
    capsys.readouterr()
    assert run([*words, "--key", public]) == 0
    assert f"by rfc3161:{receipts} (1 anchor)" in capsys.readouterr().out
    assert run([*words, "--key", str(tmp_path / "anchors.key.pub")]) == 0
    assert run([*words[:-2], "--key", public]) == 1
    assert run([*words, "--key", "A" * 43 + "="]) == 1
    assert "is signed by another key" in capsys.readouterr().out
    assert run(["audit", "verify", str(export), "--anchors", str(anchored), "--key", public]) == 0
    assert "may sign anchors" not in capsys.readouterr().err
    assert run(["audit", "verify", str(export), "--anchors", str(anchored)]) == 0
    assert f"othing here says whether {public} may sign anchors" in capsys.readouterr().err
    anchored.write_bytes(b"")
    assert run(["audit", "verify", str(export), "--anchors", str(anchored)]) == 1
    assert f"but there is no anchor in {anchored}." in capsys.readouterr().out


def test_a_key_has_a_place_apart_from_the_data(
    paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "key"]) == 2
    assert "audit.key is not set" in capsys.readouterr().err
    assert run(["audit", "key", str(paths.data_dir / "key")]) == 1
    assert "beside what it signs" in capsys.readouterr().err
    assert run(["audit", "key", str(tmp_path / "key")]) == 0
    made, said = capsys.readouterr()
    assert "Made" in said
    assert run(["audit", "key", str(tmp_path / "key")]) == 0
    assert capsys.readouterr().out == made


def test_doctor_says_where_an_anchor_is_late_or_refused(
    anchored: Path, paths: Paths, authority: TimeAuthority, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["audit", "anchor"])
    authority.status = 503
    ledger = Ledger.open(paths.ledger_file, audit=AuditSettings())
    ledger.events.append("note")
    ledger.close()
    assert run(["audit", "anchor"]) == 1
    capsys.readouterr()
    run(["doctor", "--json"])
    checks = {one["found"]: one for one in json.loads(capsys.readouterr().out)}
    assert checks[f"file:{anchored}, 0 rows since the newest"]["state"] == "ok"
    (refused,) = [one for found, one in checks.items() if "it answers 503" in found]
    assert refused["state"] == "fail"


def test_verify_names_the_times_of_which_a_gateway_put_nothing_on_record(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [1_800_000_000_000_000]
    ledger = Ledger.open(paths.ledger_file, clock=lambda: now[0])
    for pid, minutes, effect in (
        (11, 0, "open"),
        (11, 480, "close"),
        (12, 490, "open"),
        (13, 500, "open"),
        (13, 501, "close"),
        (14, 510, "open"),
    ):
        now[0] = 1_800_000_000_000_000 + minutes * 60_000_000
        detail = {"pid": pid, "born": "never", "beat_us": 300_000_000}
        ledger.events.append(
            "gateway", call_id=str(pid), server="files", effect=effect, detail=detail
        )
    ledger.events.append("end", server="files", detail={"lost_pid": 12, "by_pid": 1})
    ledger.close()
    assert run(["audit", "verify"]) == 0
    held, *gaps = capsys.readouterr().out.splitlines()
    assert held == "The chain holds: 7 rows."
    slept, killed, unclosed = gaps
    assert "gateway files (pid 11) wrote nothing until" in slept
    assert "gateway files (pid 12) was ended by force (kill -9, a crash, no power)" in killed
    assert "; the next one opened at " in killed
    assert "gateway files (pid 14) neither closed nor went on" in unclosed
    assert run(["audit", "verify", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [gap["how"] for gap in told["gaps"]] == ["silent", "killed", "unclosed"]
