"""`pktui now`, `insight`, `status` and `wait` on a ledger of the test's own."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from pktui.cli.app import run
from pktui.cli.now import spark
from pktui.files import make_private_directory
from pktui.ledger import Caller, Ledger, NewApproval, args_hash
from pktui.times import now_us

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pktui.settings import Paths

CLAUDE = Caller("claude-code", "", "s1", "/home/ada/shop")
HOUR = 3_600_000_000


@pytest.fixture
def ledger(paths: Paths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Ledger]:
    monkeypatch.setenv("HOME", str(tmp_path))
    make_private_directory(paths.data_dir)
    opened = Ledger.open(paths.ledger_file)
    yield opened
    opened.close()


def call(ledger: Ledger, call_id: str, tool: str, effect: str = "allow") -> None:
    ledger.events.append(
        "decision", caller=CLAUDE, call_id=call_id, server="files", tool=tool, effect=effect
    )


def ask(ledger: Ledger, tool: str = "write") -> str:
    arguments = {"path": "a\x1b[2J", "tool": tool}
    return ledger.approvals.open(
        NewApproval(CLAUDE, "files", tool, arguments, args_hash(arguments), now_us() + HOUR)
    ).id


def said(capsys: pytest.CaptureFixture[str], *argv: str, status: int = 0) -> Any:
    assert run(argv) == status
    return capsys.readouterr().out


@pytest.mark.parametrize("command", ["now", "insight", "status"])
def test_nothing_on_record_is_no_error(
    command: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run([command]) == 0
    shown = capsys.readouterr()
    assert "othing" in shown.out + shown.err


def test_now_shows_what_waits_who_is_here_and_what_is_odd(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    token = ledger.presence.announce(
        "gateway", server="files", agent="claude-code", project="/home/ada/shop"
    )
    for number in range(5):
        call(ledger, f"{token}-{number}", "drop", "deny")
    asked = ask(ledger)
    shown = said(capsys, "now")
    assert asked in shown
    assert "waiting files.write" in shown
    assert "5 denied" in shown
    assert "Odd: claude-code keeps trying files.drop" in shown
    record = json.loads(said(capsys, "now", "--json"))
    assert record["agents"][0]["state"] == "waiting"
    assert record["needs"][0]["approval"]["id"] == asked
    assert record["odd"][0]["kind"] == "insists"


def test_an_agent_that_goes_around_pktui_is_odd(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    servers = {
        "files": {"command": "pktui", "args": ["gateway", "files"]},
        "db": {"command": "db-server", "args": []},
    }
    (tmp_path / ".claude.json").write_text(json.dumps({"mcpServers": servers}))
    call(ledger, "c1", "read")
    assert "reaches db around pktui" in said(capsys, "now")


def test_a_line_stays_one_whatever_an_agent_is_called(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    caller = Caller("evil\nOdd: nothing", "", "s1", "/home/ada/shop")
    for number in range(5):
        ledger.events.append(
            "decision", caller=caller, call_id=f"c{number}", server="files",
            tool="drop\nx", effect="deny",
        )  # fmt: skip
    arguments = {"path": "a"}
    ledger.approvals.open(
        NewApproval(caller, "files", "drop\nx", arguments, args_hash(arguments), now_us() + HOUR)
    )
    assert said(capsys, "wait").count("\n") == 1
    ledger.approvals.stop(by="ada\nbob")
    assert said(capsys, "status").count("\n") == 1
    shown = said(capsys, "now")
    assert "Odd: nothing" not in shown.splitlines()
    assert "Everything is stopped by ada bob." in shown


def test_status_is_one_line(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    call(ledger, "c1", "read")
    call(ledger, "c2", "drop", "deny")
    assert said(capsys, "status") == "0 agents · 2 calls/h · 1 denied\n"
    ask(ledger)
    assert said(capsys, "status").startswith("▲1 waiting · ")
    ledger.approvals.stop(by="ada #[fg=red]")
    shown = said(capsys, "status", "--tmux")
    assert shown.startswith("#[fg=red]■ stopped by ada ##[fg=red]#[default]")
    record = json.loads(said(capsys, "status", "--json"))
    assert (record["waiting"], record["calls_hour"]) == (0, 2)
    assert run(["status", "--tmux", "--json"]) == 2


def test_wait_ends_once_a_call_needs_a_person(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, "wait", "--timeout", "0", status=1) == ""
    assert said(capsys, "wait", "--timeout", "nan", status=1) == ""
    first = ask(ledger)
    shown = said(capsys, "wait")
    assert shown.startswith(f"{first} claude-code files.write")
    assert "\x1b" not in shown
    assert said(capsys, "wait", "--new", "--timeout", "0", status=1) == ""


def test_wait_notices_what_comes_meanwhile(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(ledger)
    looks = threading.Semaphore(0)

    def sleep(_seconds: float) -> None:
        ask(ledger, "send")
        looks.release()

    monkeypatch.setattr("pktui.cli.now.time.sleep", sleep)
    shown = json.loads(said(capsys, "wait", "--new", "--json"))
    assert [one["tool"] for one in shown] == ["send"]
    assert looks.acquire(blocking=False)


def test_insight_lists_what_was_asked_denied_and_slow(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        call(ledger, f"c{number}", "read")
        ledger.events.append(
            "outcome",
            caller=CLAUDE,
            call_id=f"c{number}",
            server="files",
            tool="read",
            outcome="ok",
            duration_us=2_000_000,
        )
    ledger.events.append(
        "decision", caller=CLAUDE, call_id="d", server="files", tool="drop", effect="deny",
        rule="/tools/drop",
    )  # fmt: skip
    found = ledger.approvals.get(ask(ledger))
    assert found is not None
    ledger.approvals.decide(found.id, True, by="ada", args_hash=found.args_hash)
    shown = said(capsys, "insight")
    assert "4 calls in 7 days: 0 asked, 1 denied" in shown
    for words in ("/tools/drop", "files.write", "files.read", "2.0 s"):
        assert words in shown
    record = json.loads(said(capsys, "insight", "--json", "--days", "1"))
    assert record["bill"][0]["allowed"] == 1
    assert len(record["hours"]) == 24


@pytest.mark.parametrize(("days", "bars", "step"), [("7", 28, "6"), ("30", 30, "24")])
def test_the_bars_of_many_days_fit_a_terminal(
    days: str, bars: int, step: str, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    call(ledger, "c", "read")
    line = said(capsys, "insight", "--days", days).splitlines()[1]
    assert line.partition("  ")[2].startswith(f"{step} hours a bar")
    assert len(line.partition("  ")[0]) == bars
    assert line[bars - 1] != "_"


def test_insight_without_a_ledger_is_null_to_a_script(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not paths.ledger_file.exists()
    assert json.loads(said(capsys, "insight", "--json")) is None


def test_a_long_count_says_how_much_is_left(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.cli.backends._TELL_SECONDS", 0)
    monkeypatch.setattr("pktui.ledger.feed.rollup.CHUNK", 2)
    for number in range(5):
        call(ledger, f"c{number}", "read")
    assert run(["insight", "--json"]) == 0
    shown = capsys.readouterr()
    assert "Counting the record, once: 3 rows left" in shown.err
    assert sum(hour["ran"] for hour in json.loads(shown.out)["hours"]) == 5


def test_counts_as_bars() -> None:
    assert spark((0, 1, 4, 8)) == "_▁▄▇"
    assert spark((0, 0)) == "__"
    assert spark(()) == ""


def test_a_link_prints_where_no_console_can_be_opened(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    call(ledger, "c1", "read")
    call(ledger, "c2", "drop", "deny")
    asked = ask(ledger)
    assert said(capsys, "approvals", asked) == said(capsys, "approvals", "show", asked)
    assert asked in said(capsys, "approvals", asked)
    shown = said(capsys, "feed", "--filter", "effect:denied")
    assert "drop" in shown
    assert "read" not in shown
    assert run(["approvals", "nonsense"]) == 2


def test_a_link_opens_the_console_at_its_place(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ask(ledger)
    opened: list[dict[str, object]] = []

    def open_console(**how: object) -> int:
        opened.append(how)
        return 0

    monkeypatch.setattr("pktui.cli.console.can_open", lambda: True)
    monkeypatch.setattr("pktui.cli.console.open_console", open_console)
    assert run(["approvals", asked]) == 0
    assert run(["sessions", "12"]) == 0
    assert run(["feed", "--filter", "tool:fs_*"]) == 0
    assert [(how["view"], how.get("at"), how.get("words")) for how in opened] == [
        ("approvals", asked, None),
        ("sessions", "12", None),
        ("feed", None, "tool:fs_*"),
    ]
