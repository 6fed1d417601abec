"""The console in a real terminal, where keys come as bytes and many at once."""

from __future__ import annotations

import json
import shlex
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pktui.ledger.ledger import Ledger
from pktui.memory.client import MemoryClient
from pktui.memory.interchange import MessageRecord, SessionRecord
from pktui.memory.records import Identity
from tests.support.memory_service import running_service
from tests.support.terminal import HAS_TMUX, console, gateway
from tests.tui.house import LARGE, SMALL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pktui.memory.interchange import Record
    from pktui.memory.records import Role
    from pktui.settings import Paths

pytestmark = [
    pytest.mark.skipif(not HAS_TMUX, reason="tmux is not there"),
    pytest.mark.timeout(240),
]
BROKEN_VIEW = (
    "from pktui.tui import console; console.VIEWS['feed'] = ('nowhere', 'X');"
    " from pktui.cli.console import main; raise SystemExit(main())"
)


def started(screen: str) -> bool:
    return "memory down" in screen


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])
def test_a_burst_reaches_the_box_it_opens_and_decides_nothing(
    paths: Paths, size: tuple[int, int]
) -> None:
    with gateway(paths) as agent, console(paths, size) as terminal:
        terminal.until(started)
        agent.call("write", 7, path="src/x.py", text="TTL = 3600")
        terminal.until(lambda screen: "waiting: " in screen)
        policies = {file: file.read_bytes() for file in paths.policies_dir.iterdir()}
        words = iter(("auth", "dad", "ended", "lay", "read", "kdxe", "Aware", "wad"))
        for view, other in ("41", "14", "43", "34", "42", "24", "44", "31"):
            word = next(words)
            terminal.text(view)
            terminal.until(lambda screen, view=view: _front(screen) == view)  # type: ignore[misc]
            terminal.text(other, "/", word)
            terminal.until(lambda screen, word=word: word in screen and "f1 help" in screen)  # type: ignore[misc]
            terminal.keys("Escape")
            terminal.until(lambda screen: "? help" in screen)
            terminal.keys("Escape")
            terminal.until(lambda screen, word=word: word not in screen)  # type: ignore[misc]
        ledger = Ledger.open(paths.ledger_file, read_only=True)
        assert [one.status for one in ledger.approvals.pending()] == ["pending"]
        ledger.close()
        assert {file: file.read_bytes() for file in paths.policies_dir.iterdir()} == policies


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])
def test_a_burst_decides_no_group_and_one_key_denies_it_once_it_could_be_read(
    paths: Paths, size: tuple[int, int]
) -> None:
    with gateway(paths) as agent, console(paths, size) as terminal:
        terminal.until(started)
        for number in range(6):
            agent.call("write", 10 + number, path=f"src/{number}.py")
        terminal.until(lambda screen: "6 waiting" in screen)
        for burst in ("4d", "14dd", "4/dad", "41/dda", "24dadd"):
            terminal.text(burst)
            if "/" in burst:
                word = burst.partition("/")[2]
                terminal.until(lambda screen, word=word: word in screen and "f1 help" in screen)  # type: ignore[misc]
                terminal.keys("Escape")
                terminal.until(lambda screen: "? help" in screen)
                terminal.keys("Escape")
                terminal.until(lambda screen, word=word: word not in screen)  # type: ignore[misc]
        terminal.text("2")
        terminal.until(lambda screen: _front(screen) == "2")
        terminal.text("4")
        terminal.until(lambda screen: "d deny all 6" in screen and "a moment" not in screen)
        ledger = Ledger.open(paths.ledger_file, read_only=True)
        assert {one.status for one in ledger.approvals.pending()} == {"pending"}
        terminal.text("d")
        terminal.until(lambda screen: "0 waiting, 6 decided" in screen)
        assert [one.status for one in ledger.approvals.recent()] == ["denied"] * 6
        ledger.close()
        answered = sorted(agent.reply()["id"] for _ in range(6))
        assert answered == [10, 11, 12, 13, 14, 15]


def _front(screen: str) -> str:
    """Return the number of the view whose content is on the screen."""
    marks = {"1": "search sessions", "2": "live", "3": "servers", "4": "1 waiting, "}
    return next((number for number, mark in marks.items() if mark in screen), "")


BEGUN = (
    "from pktui.cli import entry; load = entry._load_msgspec;"
    " entry._load_msgspec = lambda: (print('begun', flush=True), load()); entry.main()"
)
"""Tells when pktui has begun: what is typed before that is Python's to answer."""


@pytest.mark.parametrize("keys", [("q",), ("1", "2", "q"), ("C-c", "C-c")])
def test_a_key_before_the_first_paint_leaves_without_a_traceback(
    paths: Paths, keys: tuple[str, ...]
) -> None:
    with console(paths, program=(sys.executable, "-c", BEGUN)) as terminal:
        terminal.until(lambda screen: "begun" in screen)
        terminal.keys(*keys)
        if len(keys) == 3:  # they came together, as what is pasted does
            terminal.until(lambda screen: "press it alone" in screen)
            terminal.keys("q")
        terminal.until(lambda _: terminal.status() is not None)
        # on a busy machine ctrl+c reaches the console, which leaves as it does for `q`
        assert terminal.status() in ({0, 130} if "C-c" in keys else {0})
        assert "Traceback" not in terminal.screen()


def test_a_console_that_crashes_says_where_its_log_is(paths: Paths) -> None:
    with console(paths, program=(sys.executable, "-c", BROKEN_VIEW)) as terminal:
        terminal.until(started)
        terminal.keys("2")
        terminal.until(lambda _: terminal.status() is not None)
        assert terminal.status() == 1
        assert "Traceback" not in terminal.screen()
        log = paths.logs_dir / "console.log"
        assert "ModuleNotFoundError: No module named 'nowhere'" in log.read_text()
        assert log.stat().st_mode & 0o077 == 0


EDITOR = """
import pathlib, sys
file = pathlib.Path(sys.argv[1])
before, after = input(f"editing {file.name}: ").split(" for ")
file.write_text(file.read_text().replace(after, before))
"""


def prompted(screen: str) -> bool:
    """Tell whether the editor waits: what an earlier one left on the screen is above it."""
    return screen.rstrip().endswith("editing plain.json:")


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])
def test_a_policy_is_edited_in_the_person_s_own_editor_while_the_console_steps_aside(
    paths: Paths, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "editor.py"
    script.write_text(EDITOR)
    monkeypatch.setenv("VISUAL", shlex.join([sys.executable, str(script)]))
    with gateway(paths) as agent, console(paths, size) as terminal:
        file = paths.policy_file("plain")
        before = file.read_text()
        terminal.until(started)
        agent.call("write", 7, path="x", text="y")
        terminal.until(lambda screen: "waiting: " in screen)
        terminal.keys("3")
        terminal.until(lambda screen: "servers" in screen and "plain" in screen)
        terminal.keys("Left", "Down")
        terminal.until(lambda screen: "plain: " in screen)
        terminal.keys("V")
        terminal.until(prompted)
        terminal.text("dad for approve")  # what is typed there decides nothing here
        terminal.keys("Enter")
        terminal.until(lambda screen: "1 problem" in screen)
        assert file.read_text() == before
        terminal.keys("V")
        terminal.until(prompted)
        terminal.text("deny for dad")
        terminal.keys("C-c")  # is the editor's
        terminal.until(lambda screen: "ended" in screen and "status" in screen)  # wrapped
        terminal.keys("V")
        terminal.until(prompted)
        terminal.text("deny for dad")
        terminal.keys("Enter")
        terminal.until(
            lambda screen: "Write what you edited" in screen and "a moment" not in screen
        )
        assert file.read_text() == before
        ledger = Ledger.open(paths.ledger_file, read_only=True)
        assert [one.status for one in ledger.approvals.pending()] == ["pending"]
        assert ledger.presence.alive("console")
        ledger.close()
        terminal.keys("w")
        terminal.until(lambda screen: "written   edited by hand" in screen)
        assert json.loads(file.read_text())["tools"]["write"]["action"] == "deny"
        terminal.keys("q")
        terminal.until(lambda _: terminal.status() == 0)


def test_a_ledger_that_is_removed_or_replaced_is_noticed(paths: Paths) -> None:
    with console(paths) as terminal:
        terminal.until(lambda screen: "no policy" in screen and started(screen))
        aside = paths.data_dir / "aside"
        aside.mkdir()
        parts = [file for file in paths.data_dir.iterdir() if file.name.startswith("ledger.db")]
        for file in parts:
            file.rename(aside / file.name)
        terminal.until(lambda screen: "ledger lost" in screen)
        Ledger.open(paths.ledger_file).close()
        terminal.until(lambda screen: "ledger is back" in screen)
        ledger = Ledger.open(paths.ledger_file, read_only=True)
        assert ledger.presence.alive("console")
        ledger.close()


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])
def test_a_session_is_read_as_one_line_of_time(paths: Paths, size: tuple[int, int]) -> None:
    paths.config_dir.mkdir(parents=True, exist_ok=True)
    paths.settings_file.touch(mode=0o600)
    with (
        running_service(paths),
        closing(MemoryClient(paths, Identity("test"), start=False)) as memory,
    ):
        memory.import_records(_worked_session())
        with console(paths, size, program=(sys.executable, "-m", "pktui", "sessions", "1")) as seen:
            seen.until(lambda screen: "300 of 300" in screen)
            seen.keys("Enter")
            seen.keys("g")
            seen.until(lambda screen: "message 1 " in screen and "1 of 300" in screen)
            seen.keys("j")
            seen.until(lambda screen: "▌ " in screen and "┄ 3 calls" in screen)
            seen.keys("Enter")
            seen.until(lambda screen: "rm -rf build" in screen)
            seen.text("}")
            seen.keys("Enter")
            seen.until(lambda screen: "arguments │ result │ rule │ history" in screen)
            seen.keys("Right")
            seen.until(lambda screen: "not in this house" in screen)
            seen.text(":")
            seen.until(lambda screen: "a message's number" in screen)
            seen.text("150")
            seen.keys("Enter")
            seen.until(lambda screen: "150 of 300" in screen)
            seen.text("]")
            seen.until(lambda screen: "151 of 300" in screen)
            seen.text("/")
            seen.until(lambda screen: "find in this session" in screen)
            seen.text("message 299")
            seen.keys("Enter")
            seen.until(lambda screen: "1 of 1 hit" in screen and "299 of 300" in screen)


def _worked_session() -> Iterator[Record]:
    began = datetime(2026, 3, 2, 10, tzinfo=UTC)
    source, own = "claude-code", "7efbd609-a68b-4e8a-a9cd-eb7104b2e057"
    yield SessionRecord(source, own, began, name="tidy up", agent=source, project="/home/ada/shop")
    for number in range(1, 301):
        at = began + timedelta(minutes=number)
        role: Role = "user" if number % 2 else "agent"
        yield MessageRecord(source, own, f"{number}", role, f"message {number} of it", at)
    calls = (("make", "ok"), ("make test", "ok"), ("rm -rf build", "denied\nnot in this house"))
    for number, (command, end) in enumerate(calls):
        at = began + timedelta(minutes=1, seconds=number + 1)
        told = f'Bash {{"command": "{command}"}}\n{end}'
        yield MessageRecord(source, own, f"call:u{number}", "tool", told, at)
