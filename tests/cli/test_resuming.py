"""`pktui sessions resume` against a running service, with programs in the place of the agents."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pktui.memory.client import MemoryClient
from pktui.memory.interchange import SessionRecord
from pktui.memory.records import Identity
from tests.support.memory_service import running_service

if TYPE_CHECKING:
    from pktui.settings import Paths

UUID = "01a227a9-a218-76d0-9207-d3d87a88a40b"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
AGENT = """#!/bin/sh
printf '%s\\n' "$(pwd)" "$PWD" "$#" "$@"
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A session's directory, with a program of an agent's name that must not be run."""
    place = tmp_path / "it's $(touch pwned)"
    place.mkdir()
    program(place, "#!/bin/sh\necho wrong\n")
    return place


@pytest.fixture
def kept(paths: Paths, place: Path) -> Iterator[None]:
    """A service with the sessions 1 and 2 of Codex, and session 3 of pktui's own."""
    with running_service(paths):
        memory = MemoryClient(paths, Identity("claude-code", "", "/home/ada"), start=False)
        memory.import_records(
            [
                SessionRecord("codex", UUID, NOON, project=str(place)),
                SessionRecord("codex", "--help", NOON, project=str(place)),
            ]
        )
        memory.start_session("own")
        memory.close()
        yield


def program(directory: Path, text: str = AGENT) -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "codex").write_text(text)
    (directory / "codex").chmod(0o700)
    return directory


def pktui(tmp_path: Path, *words: str, path: str = "") -> tuple[int, str, str]:
    """Run pktui as a program of its own, which `--exec` puts another in the place of."""
    done = subprocess.run(
        [sys.executable, "-m", "pktui", "sessions", "resume", *words],
        env={**os.environ, "PATH": f"{path}:/usr/bin:/bin"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.usefixtures("kept")
def test_the_command_is_printed_as_a_line_and_as_json(tmp_path: Path, place: Path) -> None:
    status, out, err = pktui(tmp_path, "1")
    quoted = str(place).replace("'", "'\"'\"'")
    assert (status, out, err) == (0, f"cd '{quoted}' && codex resume {UUID}\n", "")
    _, out, _ = pktui(tmp_path, "1", "--json")
    assert json.loads(out) == {"directory": str(place), "command": ["codex", "resume", UUID]}


@pytest.mark.usefixtures("kept")
def test_the_command_is_run_in_the_sessions_directory(tmp_path: Path, place: Path) -> None:
    agent = program(tmp_path / "bin")
    status, out, err = pktui(tmp_path, "1", "--exec", path=f"{agent}:.")
    assert (status, err) == (0, "")
    assert out.splitlines() == [str(place), str(place), "2", "resume", UUID]
    assert [one.name for one in place.iterdir()] == ["codex"]


@pytest.mark.usefixtures("kept")
def test_a_program_in_the_sessions_directory_is_not_run(tmp_path: Path) -> None:
    status, out, err = pktui(tmp_path, "1", "--exec", path=".")
    assert (status, out) == (1, "")
    assert "codex is not on the PATH" in err


@pytest.mark.usefixtures("kept")
def test_sessions_that_cannot_be_resumed_say_why(tmp_path: Path, place: Path) -> None:
    agent = str(program(tmp_path / "bin"))
    status, out, err = pktui(tmp_path, "2", "--exec", path=agent)
    assert (status, out) == (1, "")
    assert "--help is no id of a session that Codex resumes" in err
    assert "comes from mcp" in pktui(tmp_path, "3")[2]
    assert "no session has the id 9" in pktui(tmp_path, "9")[2]
    place.rename(tmp_path / "moved")
    status, _, err = pktui(tmp_path, "1", "--exec", path=agent)
    assert status == 1
    assert "is gone" in err
