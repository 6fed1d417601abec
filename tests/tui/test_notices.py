"""What a person is told who looks elsewhere, and how."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from pktui.insight.now import Odd
from pktui.settings import NoticeSettings, Settings, load_settings
from pktui.tui import notices, notifier
from pktui.tui.console import NOTICE_TICKS
from pktui.tui.notices import Edges, Notice, Outside, terminal_sequence
from pktui.tui.notifier import Telling
from tests.gateway.stdio.test_stdio import alive, eventually
from tests.tui.house import AGENT, HOSTILE, START_US, House, desk, quiet_settings

if TYPE_CHECKING:
    from pktui.settings import Paths

SECOND = 1_000_000
ODD = Odd("burst", "shell.run was denied 5x in 2 min", START_US, "shell", "run", "codex", 5)


@pytest.fixture
def house(paths: Paths) -> Iterator[House]:
    house = House(paths)
    yield house
    house.close()


def kinds(notices: list[Notice]) -> list[str]:
    return [notice.kind for notice in notices]


def test_only_the_first_call_that_waits_is_told(house: House) -> None:
    edges, first = Edges(), house.ask()
    assert kinds(edges.look(START_US, (first,), ())) == ["waiting"]
    other = replace(house.ask("end_session"), agent="codex")
    assert edges.look(START_US + SECOND, (first, other), ()) == []
    assert edges.look(START_US + 2 * SECOND, (), ()) == []
    assert kinds(edges.look(START_US + 90 * SECOND, (other,), ())) == ["waiting"]


def test_a_minute_before_it_expires_a_call_is_told_once(house: House) -> None:
    edges, asked = Edges(), house.ask()
    edges.look(START_US, (asked,), ())
    assert edges.look(START_US + 500 * SECOND, (asked,), ()) == []
    assert kinds(edges.look(START_US + 545 * SECOND, (asked,), ())) == ["expiring"]
    assert edges.look(START_US + 599 * SECOND, (asked,), ()) == []


def test_what_is_odd_is_told_when_it_becomes_so() -> None:
    edges = Edges()
    assert edges.look(START_US, (), (ODD,)) == []
    new = Odd("first", "first call ever of a.b", START_US, "a", "b")
    assert [one.text for one in edges.look(START_US, (), (ODD, new))] == [new.words]
    assert edges.look(START_US, (), (replace_words(new), ODD)) == []


def replace_words(odd: Odd) -> Odd:
    return Odd(odd.kind, f"{odd.words}, again", odd.at_us, odd.server, odd.tool)


def test_no_agent_is_told_of_twice_within_a_minute(house: House) -> None:
    edges, asked = Edges(), replace(house.ask(), agent="codex")
    edges.look(START_US, (), ())
    assert kinds(edges.look(START_US, (asked,), (ODD,))) == ["waiting"]
    other = Odd("again", "codex did it again", START_US, "x", "y", "codex")
    assert edges.look(START_US + 30 * SECOND, (asked,), (ODD, other)) == []


@pytest.mark.parametrize(
    ("quiet", "told"), [("", True), ("00:00-23:59", False), ("00:00-00:00", True)]
)
def test_quiet_hours_are_quiet(house: House, quiet: str, told: bool) -> None:
    # One minute of the day is outside of the long span; the clock of the test is not in it.
    assert bool(Edges(quiet).look(START_US, (house.ask(),), ())) is told


@pytest.mark.parametrize(
    ("environment", "starts"),
    [
        ({}, "\x1b]9;pktui: "),
        ({"TERM": "xterm-kitty"}, "\x1b]99;e=1;"),
        ({"TERM": "foot"}, "\x1b]777;notify;pktui;"),
        ({"TMUX": "/tmp/t", "TERM": "screen"}, "\x1bPtmux;\x1b\x1b]9;"),
    ],
)
def test_a_terminal_gets_the_sequence_that_it_knows(
    environment: dict[str, str], starts: str
) -> None:
    sequence = terminal_sequence(HOSTILE.replace("\ud800", ""), environment)
    assert sequence.startswith(starts)
    assert sequence.endswith("\x1b\\")
    inner = sequence.removeprefix("\x1bPtmux;").removesuffix("\x1b\\").replace("\x1b\x1b", "\x1b")
    assert inner.removesuffix("\x1b\\").count("\x1b") == 1
    assert "\x07" not in inner


def test_a_command_gets_the_notice_on_its_standard_input(tmp_path: Path) -> None:
    file = tmp_path / "said.json"
    code = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_bytes(sys.stdin.buffer.read())"
    settings = NoticeSettings(by="command", command=(sys.executable, "-c", code, str(file)))
    notice = Notice("waiting", "codex: a.b waits for you", "codex", "babe-12", START_US)
    assert Outside(settings).tell(notice) == ""
    assert json.loads(file.read_text()) == {
        "kind": "waiting", "text": "codex: a.b waits for you", "agent": "codex",
        "approval": "babe-12", "at_us": START_US,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("command", "said"),
    [((), "no command is set"), (("/no/such/program",), "/no/such/program: "),
     ((sys.executable, "-c", "exit(3)"), f"{Path(sys.executable).name} ended with status 3")],
)  # fmt: skip
def test_a_command_that_fails_says_why(command: tuple[str, ...], said: str) -> None:
    assert said in Outside(NoticeSettings(by="command", command=command)).tell(Notice("odd", "x"))


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Put a program of that name and these lines of shell first on the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def make(name: str, lines: str) -> Path:
        file = folder / name
        file.write_text(f"#!/bin/sh\n{lines}\n")
        file.chmod(0o755)
        return file

    return make


DESKTOP = NoticeSettings(by="desktop")
SAID = Notice("waiting", "--codex <b>: a.b & c waits for you", "codex")


def test_the_desktop_is_told_by_notify_send(
    tmp_path: Path, program: Callable[[str, str], Path]
) -> None:
    program("notify-send", f'printf "%s\\n" "$@" > {tmp_path}/said')
    assert Outside(DESKTOP).tell(SAID) == ""
    assert (tmp_path / "said").read_text().splitlines() == [
        *("--app-name", "pktui", "--", "pktui"),
        "--codex &lt;b&gt;: a.b &amp; c waits for you",
    ]


def test_a_mac_is_told_by_osascript(
    tmp_path: Path, program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = program("osascript", f'printf "%s\\n" "$@" > {tmp_path}/said')
    monkeypatch.setenv("PATH", str(found.parent))  # no notify-send, whatever this machine has
    assert Outside(DESKTOP).tell(SAID) == ""
    assert (tmp_path / "said").read_text().splitlines() == [
        *("-e", "on run argv"),
        *("-e", 'display notification (item 1 of argv) with title "pktui"'),
        *("-e", "end run"),
        f" {SAID.text}",
    ]


def test_a_desktop_without_either_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no notify-send or osascript" in Outside(DESKTOP).tell(SAID)


def test_a_program_that_hangs_is_ended_with_what_it_started(
    tmp_path: Path, program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "COMMAND_SECONDS", 1.0)
    program("notify-send", f"sleep 600 & echo $! > {tmp_path}/pid; wait")
    assert Outside(DESKTOP).tell(SAID) == "notify-send took more than 1 s and was ended"
    child = int((tmp_path / "pid").read_text())
    assert eventually(lambda: not alive(child))


def test_what_could_not_be_told_within_the_minute_is_told_after_it(house: House) -> None:
    edges, asked = Edges(), replace(house.ask(), agent="codex")
    edges.look(START_US, (), ())
    assert kinds(edges.look(START_US, (), (ODD,))) == ["odd"]
    assert edges.look(START_US + 10 * SECOND, (asked,), (ODD,)) == []
    assert kinds(edges.look(START_US + 60 * SECOND, (asked,), (ODD,))) == ["waiting"]
    assert edges.look(START_US + 130 * SECOND, (asked,), (ODD,)) == []


def test_a_call_that_still_waits_after_the_quiet_hours_is_told_of(house: House) -> None:
    asked = house.ask()
    now = datetime.fromtimestamp(START_US / SECOND).astimezone()
    end = now + timedelta(minutes=2)
    edges = Edges(f"{now:%H:%M}-{end:%H:%M}")
    assert edges.look(START_US, (asked,), (ODD,)) == []
    assert kinds(edges.look(START_US + 180 * SECOND, (asked,), (ODD,))) == ["waiting"]
    assert edges.look(START_US + 250 * SECOND, (asked,), (ODD,)) == []


async def test_a_command_that_hangs_holds_up_nothing(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the next notice, nor the screen, nor the end of the console."""
    said = tmp_path / "said"
    monkeypatch.setattr(notices, "COMMAND_SECONDS", 3600.0)
    gate = tmp_path / "gate"
    gate.touch()
    hang = f"cat >> {said}; echo >> {said}; while [ -e {gate} ]; do sleep 0.1; done"
    house.settings = with_notices(NoticeSettings(by="command", command=("sh", "-c", hang)))
    async with desk(house, "feed") as at:
        told: list[str] = []
        telling = Telling(at.app, house.services(), at.said.append, print, told.append)
        for agent in ("codex", "claude"):
            approval = house.ask(caller=replace(AGENT, agent=agent))
            telling.look()
            await at.settle()
            assert eventually(lambda: len(told) > 0 and said.exists())
            house.other.approvals.decide(approval.id, False, by="t", args_hash=approval.args_hash)
            telling.look()
            await at.settle()
        assert eventually(lambda: len(said.read_text().splitlines()) == 2)
        assert [json.loads(line)["agent"] for line in said.read_text().splitlines()] == [
            *("codex", "claude")
        ]
        assert len(told) == 2
    assert gate.exists()  # they hang still
    gate.unlink()


async def test_a_command_that_hangs_is_ended_with_the_console(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "COMMAND_SECONDS", 3600.0)
    pids = tmp_path / "pids"
    hang = f"sleep 600 & echo $$ $! > {pids}.new; mv {pids}.new {pids}; wait"
    house.settings = with_notices(NoticeSettings(by="command", command=("sh", "-c", hang)))
    async with desk(house, "feed") as at:
        at.app._begin_telling()
        house.ask()
        for _ in range(NOTICE_TICKS):
            at.app.tick()
        await at.settle()
        assert eventually(pids.exists)
        started = [int(pid) for pid in pids.read_text().split()]
        assert all(map(alive, started))
    assert eventually(lambda: not any(map(alive, started)))


async def test_a_command_is_given_notices_while_an_editor_has_the_terminal(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier, "ALONE_SECONDS", 0.01)
    said, kept = tmp_path / "said", list[str]()
    tell = ("sh", "-c", f"cat > {said}.new; mv {said}.new {said}")
    house.settings = with_notices(NoticeSettings(by="command", command=tell))
    async with desk(house, "policies") as at:
        telling = Telling(at.app, house.services(), print, print, kept.append)
        telling.step_aside()
        house.ask()
        assert eventually(said.exists)  # the event loop waits for it, as it does for an editor
        telling.come_back()
    assert json.loads(said.read_text())["kind"] == "waiting"
    assert len(kept) == 1


async def test_the_terminal_of_an_editor_is_left_alone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier, "ALONE_SECONDS", 0.01)
    house.settings, told = with_notices(NoticeSettings(by="terminal")), list[str]()
    async with desk(house, "policies") as at:
        telling = Telling(at.app, house.services(), print, told.append, print)
        telling.step_aside()
        house.ask()
        telling.come_back()
        assert told == []
        telling.look()
        await at.settle()
        assert len(told) == 1


def test_no_program_is_started_once_the_console_is_left(tmp_path: Path) -> None:
    outside = Outside(NoticeSettings(by="command", command=("touch", str(tmp_path / "said"))))
    outside.end()
    assert outside.tell(SAID) == ""
    assert not (tmp_path / "said").exists()


async def test_what_was_told_is_read_again(house: House) -> None:
    house.settings = with_notices(NoticeSettings(by="command", command=("true",)))
    async with desk(house, "feed") as at:
        house.ask()
        telling = Telling(at.app, house.services(), print, print, at.app.note)
        telling.look()
        await at.settle()
        await at.press("exclamation_mark")
        assert "claude-code: memory.store_knowledge waits for you" in at.screen_text()


def with_notices(wanted: NoticeSettings) -> Settings:
    settings = quiet_settings()
    return replace(settings, console=replace(settings.console, notices=wanted))


def test_the_ledger_is_read_only_where_it_moved_or_something_waits(house: House) -> None:
    telling = Telling(None, house.services(), print, print, print)  # type: ignore[arg-type]
    assert telling.find() == []
    house.ask()
    assert kinds(telling.find()) == ["waiting"]
    house.now_us += 545 * SECOND
    assert kinds(telling.find()) == ["expiring"]


@pytest.mark.parametrize("quiet", ["22-7", "25:00-07:00", "22:00"])
def test_hours_that_cannot_be_read_are_refused(paths: Paths, quiet: str) -> None:
    paths.config_dir.mkdir(parents=True, exist_ok=True)
    paths.settings_file.write_text(f'[console.notices]\nquiet = "{quiet}"\n')
    with pytest.raises(Exception, match="quiet"):
        load_settings(paths)
