"""`pktui grants`: tokens made, listed and revoked from a shell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pktui.cli.app import run
from pktui.ledger import Ledger, now_us

if TYPE_CHECKING:
    from pktui.settings import Paths

DAY_US = 24 * 60 * 60 * 1_000_000


def test_a_token_is_printed_alone_and_opens_the_grant(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["grants", "create", "ci", "--server", "memory", "-s", "files"]) == 0
    out, err = capsys.readouterr()
    ledger = Ledger.open(paths.ledger_file)
    grant = ledger.grants.find(out.strip())
    ledger.close()
    assert grant is not None
    assert grant.servers == ("memory", "files")
    assert "Grant ci opens memory, files." in err
    assert "shown this once" in err
    assert "Not configured yet: files." in err
    assert out.strip() not in err


def test_a_grant_is_made_with_its_time_and_its_policy(
    paths: Paths,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("strict.json").write_text('{"version": "1", "default": "deny"}')
    argv = ["grants", "create", "ci", "-s", "*", "--policy", "strict.json", "--expires", "30d"]
    assert run([*argv, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["token"].startswith("pktui_")
    assert shown["policy"] == str(tmp_path / "strict.json")
    assert shown["standing"] == "valid"
    assert abs(shown["expires_us"] - now_us() - 30 * DAY_US) < DAY_US / 24


@pytest.mark.parametrize(
    ("argv", "status", "words"),
    [
        (["ci"], 2, "--server"),
        (["c i", "-s", "*"], 1, "cannot be the name of a grant"),
        (["ci", "-s", "a/b"], 1, "server name 'a/b'"),
        (["ci", "-s", "*", "--expires", "soon"], 2, "--expires: soon is no time"),
        (["ci", "-s", "*", "--expires", "2001-01-01"], 1, "would have expired already"),
        (["ci", "-s", "*", "--policy", "none.json"], 1, "none.json"),
    ],
)
def test_what_cannot_be_a_grant_says_why(
    argv: list[str], status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["grants", "create", *argv]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err


def test_grants_are_listed_with_how_they_stand_and_without_tokens(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["grants", "list"]) == 0
    assert "There is no grant." in capsys.readouterr().err
    run(["grants", "create", "ci", "-s", "memory"])
    token = capsys.readouterr().out.strip()
    run(["grants", "create", "old", "-s", "*"])
    run(["grants", "revoke", "old"])
    assert "old revoked" in capsys.readouterr().out
    assert run(["grants", "list"]) == 0
    shown = capsys.readouterr().out
    assert [line.split()[:2] for line in shown.splitlines()[1:]] == [
        ["ci", "valid"],
        ["old", "revoked"],
    ]
    assert run(["grants", "list", "--json"]) == 0
    text = capsys.readouterr().out
    assert token not in shown + text
    assert [grant["name"] for grant in json.loads(text)] == ["ci", "old"]


def test_only_a_grant_that_stands_can_be_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["grants", "revoke", "ci"]) == 1
    assert "there is no grant ci" in capsys.readouterr().err
    run(["grants", "create", "ci", "-s", "*"])
    assert run(["grants", "revoke", "ci", "--json"]) == 0
    assert '"revoked"' in capsys.readouterr().out
    assert run(["grants", "revoke", "ci"]) == 1
    assert "was revoked before" in capsys.readouterr().err


def test_a_grant_says_where_its_agent_works(
    paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["grants", "create", "ci", "-s", "*", "--project"]
    assert run([*argv, str(tmp_path / "missing")]) == 2
    assert "is no directory" in capsys.readouterr().err
    assert run([*argv, str(tmp_path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["project"] == str(tmp_path)
    ledger = Ledger.open(paths.ledger_file)
    grant = ledger.grants.find(shown["token"])
    assert grant is not None
    assert grant.project == str(tmp_path)
    ledger.close()


def test_a_directory_that_no_record_can_name_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = tmp_path / "d\udce9"
    odd.mkdir()
    assert run(["grants", "create", "ci", "-s", "*", "--project", str(odd)]) == 2
    assert "not written in UTF-8" in capsys.readouterr().err
