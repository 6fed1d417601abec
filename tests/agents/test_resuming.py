"""The command with which an agent goes on with a session, from what an import kept of it."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pktui.agents.resuming import resumption
from pktui.errors import PktuiError

UUID = "01a227a9-a218-76d0-9207-d3d87a88a40b"
AGENTS = {
    "claude-code": (UUID, ("claude", "--resume", UUID)),
    "codex": (UUID, ("codex", "resume", UUID)),
    "gemini": (UUID, ("gemini", "--resume", UUID)),
    "opencode": ("ses_dff01", ("opencode", "-s", "ses_dff01")),
}


@pytest.mark.parametrize("source", AGENTS)
def test_each_agent_has_its_own_command(source: str, tmp_path: Path) -> None:
    number, command = AGENTS[source]
    way = resumption(source, number, str(tmp_path))
    assert (way.command, way.directory) == (command, str(tmp_path))
    assert way.shell_line() == f"cd {tmp_path} && {shlex.join(command)}"


@pytest.mark.parametrize("source", AGENTS)
@pytest.mark.parametrize(
    "number",
    [
        "",
        "-s",
        "--help",
        f"--{UUID}",
        f"-{UUID}",
        f"{UUID}\n",
        f"{UUID} --yolo",
        f"{UUID}/agent-a1",
        "latest",
        "ses_$(id)",
        "ses_",
        "ses_é",
        "ses_" + "a" * 65,
        UUID.replace("0", "\u0660"),
        "sha256:" + "0" * 64,
    ],
)
def test_an_id_of_another_form_is_refused(source: str, number: str, tmp_path: Path) -> None:
    with pytest.raises(PktuiError, match="is no id of a session"):
        resumption(source, number, str(tmp_path))


@given(source=st.sampled_from(sorted(AGENTS)), number=st.text())
def test_whatever_becomes_a_word_of_a_command_is_plain(source: str, number: str) -> None:
    try:
        way = resumption(source, number, "/")
    except PktuiError:
        return
    assert number.isascii()
    assert number.replace("-", "").replace("_", "").isalnum()
    assert not number.startswith("-")
    assert way.command[-1] == number


@pytest.mark.parametrize("source", ["", "mcp", "opencode-pk", "Codex", "\x1b[31m"])
def test_a_session_from_elsewhere_is_refused(source: str, tmp_path: Path) -> None:
    with pytest.raises(PktuiError, match="can be resumed") as refused:
        resumption(source, UUID, str(tmp_path))
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize("directory", ["", "relative", "."])
def test_a_session_without_a_directory_says_what_to_type(directory: str) -> None:
    with pytest.raises(PktuiError, match=f"Go there and run codex resume {UUID}"):
        resumption("codex", UUID, directory)


def test_a_directory_that_is_gone_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("gone", "file", "nul\0", "x" * 5_000):
        with pytest.raises(PktuiError, match="is gone"):
            resumption("codex", UUID, str(tmp_path / name))


def test_the_line_for_a_shell_takes_a_directory_as_it_is(tmp_path: Path) -> None:
    place = tmp_path / 'it\'s $(touch pwned) `x`; "é" -- &'
    place.mkdir()
    line = resumption("codex", UUID, str(place)).shell_line()
    shown = line.replace("codex resume", "printf '%s|%s' \"$PWD\"")
    done = subprocess.run(["/bin/sh", "-c", shown], capture_output=True, check=True, cwd=tmp_path)
    assert done.stdout.decode() == f"{place}|{UUID}"
    assert [one.name for one in tmp_path.iterdir()] == [place.name]


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "a\x1b[2Jb", "a\u202eb"])
def test_a_directory_that_cannot_be_shown_is_not_printed(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    place.mkdir()
    way = resumption("codex", UUID, str(place))
    with pytest.raises(PktuiError, match="Give --exec"):
        way.shell_line()
