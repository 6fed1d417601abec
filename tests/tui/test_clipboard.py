from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from pktui.tui.clipboard import TERMINAL_BYTES, copy


def _tool(directory: Path, name: str, script: str) -> dict[str, str]:
    directory.mkdir(exist_ok=True)
    tool = directory / name
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o700)
    return {"PATH": str(directory), "DISPLAY": ":0"}


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pktui.tui.clipboard.TOOL_SECONDS", 60)


@pytest.fixture
def sent() -> list[str]:
    return []


def test_without_a_tool_it_goes_through_the_terminal(tmp_path: Path, sent: list[str]) -> None:
    said = copy("one\ntwo", sent.append, tmp_path, {"PATH": str(tmp_path)})
    assert sent == ["one\ntwo"]
    assert said == "copied 7 characters through the terminal"


def test_a_tool_on_this_machine_goes_first(
    tmp_path: Path, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = _tool(tmp_path / "bin", "xclip", f"/bin/cat > {shlex.quote(str(tmp_path))}/got")
    monkeypatch.setenv("PATH", environment["PATH"])
    assert copy("hello", sent.append, tmp_path, environment) == "copied 5 characters with xclip"
    assert (tmp_path / "got").read_text() == "hello"
    assert sent == []


def test_over_ssh_the_tool_is_left_alone(tmp_path: Path, sent: list[str]) -> None:
    environment = {**_tool(tmp_path / "bin", "xclip", "exit 0"), "SSH_CONNECTION": "x"}
    assert "through the terminal" in copy("hello", sent.append, tmp_path, environment)


def test_a_tool_that_fails_leaves_it_to_the_terminal(
    tmp_path: Path, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = _tool(tmp_path / "bin", "xclip", "exit 1")
    monkeypatch.setenv("PATH", environment["PATH"])
    assert "through the terminal" in copy("hello", sent.append, tmp_path, environment)
    assert sent == ["hello"]


def test_what_is_too_long_for_a_terminal_goes_into_a_private_file(
    tmp_path: Path, sent: list[str]
) -> None:
    text = "x" * (TERMINAL_BYTES + 1)
    said = copy(text, sent.append, tmp_path / "data", {"PATH": str(tmp_path)})
    file = tmp_path / "data" / "copied.txt"
    assert str(file) in said
    assert file.read_text() == text
    assert file.stat().st_mode & 0o777 == 0o600
    assert sent == []
