"""What widens what agents may do: no agent does it, and the PIN stands before it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pktui.cli.app import ROOMS, load, run
from pktui.cli.command_guard import EFFECTS, guard_all
from pktui.cli.commands import Group, group
from pktui.ledger import Ledger
from pktui.person import Process
from tests.support.gateway import environment

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.settings import Paths

PIN = "quite secret"
POLICY = {
    "version": "1",
    "default": "approve",
    "tools": {"read": {}, "write": {"action": "deny"}, "pay": {"limits": [
        {"counter": "pay_rate", "window": "minute", "max": 3}]}},
}  # fmt: skip

WIDENS: dict[str, list[list[str]]] = {
    "policy init": [["s", "--preset", "observe", "--force"], ["new", "--preset", "balanced"],
                    ["memory", "--preset", "observe"]],
    "policy set": [["s", "write", "allow"],
                   ["s", "write", "approve"], ["s", "pay", "limit", "none"],
                   ["s", "pay", "limit", "4/minute"], ["new", "x", "allow"]],
    "policy merge": [["s", "{page}"], ["new", "{page}"]],
    "policy undo": [["s"]],
    "policy convert": [["{intercept}", "-o", "{tmp}/made.json"]],
    "audit prune": [["--keep-days", "1", "--yes"]],
    "grants create": [["me", "--server", "s"]],
    "servers add": [["x", "--", "true"]],
    "servers remove": [["s", "--yes"]],
    "servers scan": [["s", "--accept", "--yes"]],
    "clients release": [["cursor", "--yes"]],
}  # fmt: skip
"""Words for every command of the table that widens, or may."""

TIGHTENS = [
    ["policy", "init", "memory"],
    ["policy", "set", "s", "read", "deny"],
    ["policy", "set", "s", "read", "hide"],
    ["policy", "set", "s", "read", "approve"],
    ["policy", "set", "s", "pay", "limit", "2/minute"],
    ["policy", "set", "s", "write", "allow", "--dry-run"],
    ["policy", "merge", "s", "{page}", "--dry-run"],
    ["policy", "merge", "s", "{tighter}"],
    ["policy", "init", "s", "--preset", "observe", "--print"],
    ["policy", "convert", "{intercept}"],
    ["audit", "prune", "--dry-run"],
    ["grants", "revoke", "old"],
    ["approvals", "stop"],
    ["servers", "list"],
    ["servers", "scan", "memory", "--timeout", "0.1"],
]


def leaves(command: Any, path: str) -> Iterator[str]:
    if not isinstance(command, Group):
        yield path
        return
    for name in command.list_commands():
        yield from leaves(command.get_command(None, name), f"{path} {name}")


def test_the_table_names_every_command_and_no_other() -> None:
    there = [path for room in ROOMS for path in leaves(load(room), room.name)]
    assert sorted(there) == sorted(EFFECTS)


def test_a_command_that_the_table_does_not_name_is_not_started() -> None:
    other = group()
    other.verb("made")(lambda: None)
    guard_all(other, "other")
    with pytest.raises(KeyError, match="other made"):
        other.get_command(None, "made")


def test_there_are_words_for_every_command_that_may_widen() -> None:
    assert sorted(WIDENS) == sorted(
        path for path, effect in EFFECTS.items() if effect in ("widens", "depends")
    )


def test_a_test_names_every_command_that_a_person_decides_with() -> None:
    decides = {path for path, effect in EFFECTS.items() if effect == "decides"}
    assert decides == {
        "approvals approve", "approvals deny", "approvals release", "approvals pin set",
        "approvals pin clear", "approvals standing revoke", "sessions delete", "knowledge delete",
        "adopt", "clients adopt", "ledger migrate",
    }  # fmt: skip


@pytest.fixture
def setting(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """A server with a policy whose last edit tightened it, a grant, and a ledger."""
    monkeypatch.setattr("pktui.ledger.approvals.pin.COST", 1 << 11)
    monkeypatch.chdir(tmp_path)
    paths.policies_dir.mkdir(parents=True, mode=0o700)
    servers = {"s": {"command": "true"}, "new": {"command": "true"}}
    paths.servers_file.write_text(json.dumps({"mcpServers": servers}))
    (paths.policies_dir / "s.json").write_text(json.dumps(POLICY))
    (tmp_path / "intercept.yaml").write_text(
        "version: '1'\ntools:\n  x:\n    rules:\n      - name: a\n        action: deny\n"
    )
    (tmp_path / "page.json").write_text('{"write": {"action": "allow"}}')
    (tmp_path / "tighter.json").write_text('{"read": {"action": "deny"}}')
    assert run(["policy", "set", "s", "other", "deny"]) == 0
    ledger = Ledger.open(paths.ledger_file)
    ledger.grants.create("old", ["s"], by="a person")
    yield ledger
    ledger.close()


def spelled(words: list[str], tmp_path: Path) -> list[str]:
    files = {"page": "page.json", "tighter": "tighter.json", "intercept": "intercept.yaml"}
    named = {name: tmp_path / file for name, file in files.items()}
    return [word.format(tmp=tmp_path, **named) for word in words]


def kept(paths: Paths, ledger: Ledger) -> tuple[object, ...]:
    files = sorted(paths.config_dir.rglob("*.json"))
    return (
        [(file, file.read_bytes()) for file in files],
        ledger.grants.list(),
        ledger.retention.space().used > 0,
    )


CASES = [[*path.split(), *words] for path, many in WIDENS.items() for words in many]


@pytest.mark.parametrize("words", CASES, ids=" ".join)
def test_an_agent_widens_nothing(
    setting: Ledger, paths: Paths, tmp_path: Path, words: list[str],
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr("pktui.person.ancestors", lambda: iter([Process(7, 1, ("opencode",))]))
    before = kept(paths, setting)
    assert run(spelled(words, tmp_path)) == 1
    assert "opencode (process 7) started this command" in capsys.readouterr().err
    assert kept(paths, setting) == before
    assert not (tmp_path / "made.json").exists()


@pytest.mark.parametrize(
    "words",
    [words for words in CASES if "scan" not in words],  # it asks once there is what to accept
    ids=" ".join,
)
def test_what_widens_asks_for_the_pin(
    setting: Ledger, paths: Paths, tmp_path: Path, words: list[str],
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    setting.pin.set(PIN, by="a person")
    before = kept(paths, setting)
    asked: list[str] = []

    def typed(prompt: str, stream: object = None) -> str:
        asked.append(prompt)
        return "wrong one"

    monkeypatch.setattr("getpass.getpass", typed)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    assert run(spelled(words, tmp_path)) == 1
    assert "that PIN is wrong" in capsys.readouterr().err
    assert asked == ["PIN: "]
    assert kept(paths, setting) == before


def test_the_right_pin_lets_a_rule_be_loosened(
    setting: Ledger, paths: Paths, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    setting.pin.set(PIN, by="a person")
    monkeypatch.setattr("getpass.getpass", lambda _prompt, stream=None: PIN)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    assert run(["policy", "set", "s", "write", "allow"]) == 0
    assert 'This lets agents do more: "write": deny → allow.' in capsys.readouterr().err
    assert '"write": {' in (paths.policies_dir / "s.json").read_text()


def test_a_pin_that_is_required_and_not_set_lets_nothing_be_widened(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    paths.config_dir.mkdir(mode=0o700)
    paths.settings_file.write_text("[approvals]\nrequire_pin = true\n")
    assert run(["servers", "add", "x", "--", "true"]) == 1
    assert "none is set" in capsys.readouterr().err
    assert not paths.servers_file.exists()


@pytest.mark.parametrize("words", TIGHTENS, ids=" ".join)
def test_an_agent_may_tighten_and_look_without_a_pin(
    setting: Ledger, tmp_path: Path, words: list[str],
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    setting.pin.set(PIN, by="a person")
    monkeypatch.setattr("pktui.person.ancestors", lambda: iter([Process(7, 1, ("opencode",))]))
    run(spelled(words, tmp_path))
    said = capsys.readouterr().err
    assert "started this command" not in said
    assert "PIN" not in said


@pytest.mark.parametrize(
    "words",
    [
        "approvals approve tavo-93 --yes", "approvals deny tavo-93", "approvals release",
        "approvals pin set", "approvals pin clear", "approvals standing revoke all",
        "sessions delete 1 --yes", "knowledge delete 1 --yes",
    ],
)  # fmt: skip
def test_an_agent_decides_nothing(
    setting: Ledger, words: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    chain = [Process(20, 10, ("bash",)), Process(10, 1, ("claude",))]
    monkeypatch.setattr("pktui.person.ancestors", lambda: iter(chain))
    assert run(words.split()) == 1
    said = capsys.readouterr().err
    assert "Claude Code (process 10) started this command" in said
    assert "not intent" in said


def test_a_shell_that_an_agent_started_is_refused(setting: Ledger, tmp_path: Path) -> None:
    claude = tmp_path / "claude"
    claude.symlink_to("/bin/sh")
    command = f"'{sys.executable}' -m pktui policy set s write allow; exit $?"
    done = subprocess.run(
        [str(claude), "-c", command],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Claude Code" in done.stderr


def test_a_console_that_an_agent_started_decides_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[bool] = []

    def run_console(_paths: object, _settings: object, *, read_only: bool, **_at: str) -> int:
        opened.append(read_only)
        return 0

    monkeypatch.setattr("pktui.person.ancestors", lambda: iter([Process(7, 1, ("codex",))]))
    monkeypatch.setattr("pktui.tui.app.run_console", run_console)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    assert run([]) == 1
    assert "--read-only" in capsys.readouterr().err
    assert run(["--read-only"]) == 0
    assert opened == [True]
