from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pktui import __version__
from pktui.cli import app as cli
from pktui.cli.command_guard import EFFECTS
from pktui.errors import PktuiError, UsageError
from pktui.settings import Paths, Settings

PKTUI = [sys.executable, "-m", "pktui"]
LISTED = (
    "demo",
    "gateway",
    "hook",
    "sessions",
    "knowledge",
    "now",
    "insight",
    "status",
    "feed",
    "wait",
    "import",
    "memory",
    "policy",
    "approvals",
    "audit",
    "ledger",
    "grants",
    "servers",
    "adopt",
    "clients",
    "doctor",
)


def failing(error: BaseException) -> object:
    def command() -> None:
        raise error

    return command


def test_help_lists_every_command_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert tuple(room.name for room in cli.ROOMS) == LISTED
    for room in cli.ROOMS:
        assert any(line.split()[:1] == [room.name] for line in shown.splitlines())
        assert room.help in shown


@pytest.mark.parametrize(
    "group", ["sessions", "policy", "approvals", "approvals standing", "audit", "servers"]
)
def test_help_of_a_group_cuts_no_sentence(
    group: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.run([*group.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert "..." not in shown.replace("[ARGS]...", "")
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_version_is_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr() == (f"pktui {__version__}\n", "")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["docter"], "Did you mean 'doctor'?"),
        (["--colour"], "No such option '--colour'"),
        (["doctor", "extra"], "unexpected extra argument"),
        (["--read-only", "doctor"], "--read-only is for the console"),
    ],
)
def test_a_wrong_command_line_is_usage(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (PktuiError("it broke", "Mend it"), 1, "pktui: it broke. Mend it\n"),
        (UsageError("no such word"), 2, "pktui: no such word\n"),
        (KeyboardInterrupt(), 130, "\n"),
        (BrokenPipeError(32, "Broken pipe"), 1, ""),
    ],
)
def test_an_error_has_its_exit_status_and_one_sentence(
    error: BaseException,
    status: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("pktui.cli.doctor.doctor", failing(error))
    with capfd.disabled():
        before = (sys.stdout, sys.stderr)
    try:
        assert cli.run(["doctor"]) == status
    finally:
        sys.stdout, sys.stderr = before
    assert capfd.readouterr() == ("", said)


def test_the_console_says_in_one_sentence_that_it_needs_a_terminal() -> None:
    ended = subprocess.run(
        PKTUI, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith("pktui: the console needs a terminal")
    assert ended.stderr.count("\n") == 1


def test_a_reader_that_leaves_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        ended = subprocess.run(
            [*PKTUI, "--help"], stdout=write, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(write)
    assert (ended.returncode, ended.stderr) == (1, "")


def test_help_imports_no_room() -> None:
    code = (
        "import sys\nfrom pktui.cli.app import run\n"
        "run(['--help'])\nprint(*sys.modules, file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ended.stderr.split())
    heavy = {"textual", "lancedb", "mcp", "torch", "sentence_transformers", "rich.markdown"}
    assert not heavy & loaded
    rooms = ("policy", "ledger", "memory", "gateway", "agents", "tui")
    assert not [name for name in loaded if name.startswith(tuple(f"pktui.{r}" for r in rooms))]


@pytest.mark.parametrize("room", cli.ROOMS, ids=[room.name for room in cli.ROOMS])
def test_a_command_is_ready_to_run_without_anything_heavy(room: cli.Room) -> None:
    code = (
        "import sys\nfrom pktui.cli.app import ROOMS, load\n"
        f"load(next(room for room in ROOMS if room.name == {room.name!r}))\n"
        "print(*sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = ended.stdout.split()
    heavy = ("textual", "lancedb", "mcp", "torch", "sentence_transformers", "starlette", "numpy")
    assert not set(heavy) & set(loaded)
    rooms = ("pktui.tui", "pktui.memory.", "pktui.ledger.", "pktui.gateway.")
    assert not [name for name in loaded if name.startswith(rooms)]


@pytest.mark.parametrize("room", cli.ROOMS, ids=[room.name for room in cli.ROOMS])
def test_every_command_explains_itself(room: cli.Room) -> None:
    ended = subprocess.run(
        [*PKTUI, room.name, "--help"], capture_output=True, text=True, check=True
    )
    assert ended.stdout.lower().startswith(f"usage: pktui {room.name} ")
    assert ended.stderr == ""


@pytest.mark.parametrize(("argv", "read_only"), [([], False), (["--read-only"], True)])
def test_without_a_command_the_console_opens(
    argv: list[str], read_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def run_console(
        paths: Paths, settings: Settings, *, read_only: bool = False, **_at: str
    ) -> int:
        opened.append((paths, settings, read_only))
        return 7

    monkeypatch.setattr("pktui.tui.app.run_console", run_console)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert cli.run(argv) == 7
    assert opened == [(Paths.from_environment(), Settings(), read_only)]


def test_a_terminal_that_cannot_draw_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    assert cli.run([]) == 1
    assert "TERM" in capsys.readouterr().err


def test_an_encoding_without_the_signs_is_no_error() -> None:
    ended = subprocess.run(
        [*PKTUI, "doctor"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.startswith("\\u2713 ok")


def test_the_readme_names_every_command() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    listed = readme.partition("## For scripts")[2].partition("Exit status")[0]
    named = {
        " ".join([*room, verb])
        for *room, verbs in (
            spoken.split() for spoken in re.findall(r"`([^`]*)`", listed.replace("`--json`", ""))
        )
        for verb in verbs.split("|")
    }
    assert named == {" ".join(command.split()[:2]) for command in EFFECTS}
