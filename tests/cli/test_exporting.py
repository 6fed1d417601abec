"""`pktui audit export`, and verifying what was exported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pktui.cli.app import run
from pktui.ledger import Ledger

if TYPE_CHECKING:
    from pktui.settings import Paths

ROOT = Path(__file__).resolve().parents[2]
PKTUI = [sys.executable, "-m", "pktui", "audit"]


@pytest.fixture(autouse=True)
def _filled(paths: Paths) -> None:
    ledger = Ledger.open(paths.ledger_file)
    with ledger.transaction():
        for number in range(250):
            ledger.events.append("note", reason=f"number {number} \x1b[31m")
    ledger.close()


def test_an_export_goes_to_a_private_file_and_verifies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "events.jsonl"
    assert run(["audit", "export", "-o", str(file)]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"250 events are in {file}.\n")
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.glob("*events*")] == ["events.jsonl"]
    assert run(["audit", "verify", str(file)]) == 0
    joint = json.loads(file.read_text().splitlines()[-2])["joint"]
    assert capsys.readouterr().out == (
        f"The chain holds: 250 rows.\nIt ends with joint 1, {joint[-1]}.\n"
    )


def test_an_export_that_cannot_be_written_names_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "nowhere" / "events.jsonl"
    assert run(["audit", "export", "-o", str(file)]) == 1
    told = capsys.readouterr().err
    assert f"{file} cannot be written: No such file or directory. Name a file in a" in told


def test_an_edited_export_is_found_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "events.jsonl"
    run(["audit", "export", "-o", str(file)])
    file.write_text(file.read_text().replace("number 41 ", "number 42 "))
    capsys.readouterr()
    assert run(["audit", "verify", str(file)]) == 1
    assert "broken after 41 good rows: row 1:42 was edited" in capsys.readouterr().out
    assert run(["audit", "verify", str(file), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["row"] == 42


def test_an_export_with_a_byte_order_mark_verifies(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    run(["audit", "export", "-o", str(file)])
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert run(["audit", "verify", str(file)]) == 0


def test_an_export_is_piped_into_its_verification() -> None:
    export = subprocess.Popen([*PKTUI, "export"], cwd=ROOT, stdout=subprocess.PIPE)
    verify = subprocess.run(
        [*PKTUI, "verify", "-", "--json"],
        cwd=ROOT,
        stdin=export.stdout,
        capture_output=True,
        check=False,
    )
    assert export.stdout is not None
    export.stdout.close()
    assert (export.wait(), verify.returncode) == (0, 0)
    assert json.loads(verify.stdout)["rows"] == 250


def test_a_part_is_exported_by_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "export", "--since", "1h", "--until", "2020-01-01"]) == 0
    begin, joint, end = map(json.loads, capsys.readouterr().out.splitlines())
    assert begin == {"export": {"at": "begin", "rows": [], "joints": 1}}
    assert joint["joint"][2] == "open"
    assert end == {"export": {"at": "end", "rows": [], "joints": 1}}
    assert run(["audit", "export", "--since", "soon"]) == 2
    assert "--since: soon is no time" in capsys.readouterr().err


def test_a_file_that_is_there_is_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text("mine")
    assert run(["audit", "export", "-o", str(file)]) == 1
    assert "is there already" in capsys.readouterr().err
    assert file.read_text() == "mine"


def test_an_export_that_fails_leaves_no_file(
    tmp_path: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(ledger: Ledger, **_: int) -> object:
        yield b"{}\n"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Ledger, "framed", half)
    (tmp_path / "to").mkdir()
    assert run(["audit", "export", "-o", str(tmp_path / "to" / "events.jsonl")]) == 1
    assert list((tmp_path / "to").iterdir()) == []


def test_an_export_is_compared_with_anchors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export, anchors = tmp_path / "events.jsonl", tmp_path / "anchors"
    run(["audit", "export", "-o", str(export)])
    run(["audit", "anchor", "--json"])
    anchors.write_text(json.dumps(json.loads(capsys.readouterr().out)))
    assert run(["audit", "verify", str(export), "--anchors", str(anchors)]) == 0
    assert "and 1 anchor agrees" in capsys.readouterr().out
    assert run(["audit", "verify", "--anchors", str(anchors)]) == 2


@pytest.mark.parametrize("named", [["--key", "A" * 43 + "="], ["--roots", "roots.pem"]])
def test_what_would_check_no_anchor_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], named: list[str]
) -> None:
    export = str(tmp_path / "events.jsonl")
    run(["audit", "export", "-o", export])
    assert run(["audit", "verify", export, *named]) == 2
    assert "and none are named" in capsys.readouterr().err
    assert run(["audit", "verify", *named]) == 2


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [(None, 1, "cannot be read"), ("", 1, "there is no event in it"), ("{}", 1, "line 1 is no")],
)
def test_what_is_no_export_says_so(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str | None,
    status: int,
    words: str,
) -> None:
    file = tmp_path / "events.jsonl"
    if content is not None:
        file.write_text(content)
    assert run(["audit", "verify", str(file)]) == status
    assert words in "".join(capsys.readouterr())
