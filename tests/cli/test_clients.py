from __future__ import annotations

import json
from pathlib import Path

import pytest

from pktui.cli.app import run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("home", "project"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "home"


def test_servers_are_listed_with_whether_they_go_through_pktui(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(".mcp.json").write_text(
        '{"mcpServers": {"memory": {"command": "pktui", "args": ["gateway", "memory"]},'
        ' "files\\u001b[31m": {"command": "npx"}}}'
    )
    assert run(["clients", "list", "--json"]) == 0
    memory, files = json.loads(capsys.readouterr().out)
    assert (memory["client"], memory["server"], memory["behindPktui"]) == (
        "claude-code",
        "memory",
        True,
    )
    assert files["behindPktui"] is False
    assert run(["clients", "list"]) == 0
    assert "files␛[31m" in capsys.readouterr().out


def test_a_config_that_cannot_be_read_is_named_and_the_rest_is_shown(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / ".cursor").mkdir()
    (home / ".cursor" / "mcp.json").write_text("{oops")
    assert run(["clients", "list"]) == 0
    said = capsys.readouterr().err
    assert "Cursor" in said
    assert "cannot be understood" in said
