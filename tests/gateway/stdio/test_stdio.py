"""Whole processes: a client, a gateway, a server, and every way one of them can end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pktui.ledger.ledger import Ledger
from tests.support.gateway import (
    PATIENCE,
    RunningGateway,
    environment,
    gateway_command,
    plain_server,
)

if TYPE_CHECKING:
    from pktui.settings import Paths


@pytest.fixture
def policy(paths: Paths) -> Path:
    file = paths.policy_file("demo")
    file.parent.mkdir(parents=True)
    tools = {"write": {"action": "approve"}, "fail": {"action": "deny", "reason": "No."}}
    document = {"version": "1", "default": "allow", "hide": ["secret"], "tools": tools}
    file.write_text(json.dumps(document))
    return file


@pytest.fixture
def ledger(paths: Paths) -> Ledger:
    return Ledger.open(paths.ledger_file)


def demo(*options: str) -> RunningGateway:
    return RunningGateway("demo", "--", *plain_server(*options))


def children(pid: int) -> set[int]:
    """Return the processes whose parent is that one."""
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    )
    pairs = (line.split() for line in listing.stdout.splitlines())
    return {int(child) for child, parent in pairs if int(parent) == pid}


def alive(pid: int) -> bool:
    """Tell whether the process runs; one that has ended and waits for its parent does not."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


def eventually(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return False


def outcomes(ledger: Ledger) -> list[str]:
    return [row.outcome for row in ledger.feed.page()]


@pytest.mark.usefixtures("policy")
def test_a_client_talks_to_a_server_and_the_policy_stands_between(ledger: Ledger) -> None:
    with demo() as gateway:
        info = {"name": "tester", "version": "1"}
        assert gateway.ask("initialize", 0, clientInfo=info)["result"]["serverInfo"]
        tools = gateway.ask("tools/list", 1)["result"]["tools"]
        assert "secret" not in [tool["name"] for tool in tools]
        gateway.call("echo", 2, a=1)
        assert gateway.reply()["result"]["content"][0]["text"] == '["echo", {"a": 1}]'
        gateway.call("fail", 3)
        assert "[DENIED by pktui] No." in gateway.reply()["result"]["content"][0]["text"]
        gateway.call("secret", 4)
        assert gateway.reply()["result"]["content"][0]["text"] == "Unknown tool: secret"
        assert [present.agent for present in ledger.presence.alive("gateway")] == ["tester"]
        assert gateway.hang_up() == 0
    assert [(row.tool, row.effect, row.outcome) for row in ledger.feed.page()] == [
        ("echo", "allow", "ok"),
        ("fail", "deny", ""),
        ("secret", "hide", ""),
    ]
    assert ledger.presence.alive("gateway") == ()
    assert ledger.verify().ok


@pytest.mark.usefixtures("policy")
def test_what_a_tool_answered_is_on_record_once_the_gateway_has_ended(ledger: Ledger) -> None:
    with demo() as gateway:
        gateway.ask("initialize", 0, clientInfo={"name": "tester", "version": "1"})
        gateway.call("echo", 1, a=1)
        reply = gateway.reply()
        assert gateway.hang_up() == 0
    (row,) = ledger.feed.page()
    assert json.loads(ledger.results.of([row.call_id])[row.call_id].text) == reply["result"]
    assert ledger.verify().ok


def test_a_pending_call_runs_when_another_process_allows_it(ledger: Ledger) -> None:
    ledger.presence.announce("console")
    with demo() as gateway:
        gateway.call("write", 1, path="x")
        assert eventually(lambda: len(ledger.approvals.pending()) == 1)
        assert gateway.ask("ping", 2)["id"] == 2
        [approval] = ledger.approvals.pending()
        ledger.approvals.decide(approval.id, True, by="console", args_hash=approval.args_hash)
        assert gateway.reply()["result"]["content"][0]["text"] == '["write", {"path": "x"}]'


def test_an_edit_of_the_policy_refuses_the_very_next_call(policy: Path) -> None:
    with demo() as gateway:
        gateway.call("echo", 1)
        assert "result" in gateway.reply()
        policy.write_text('{"version": "1", "default": "deny", "tools": {}}')
        gateway.call("echo", 2)
        assert gateway.reply()["result"]["isError"] is True


@pytest.mark.usefixtures("policy")
def test_what_was_piped_in_is_answered_after_the_end_of_input(tmp_path: Path) -> None:
    calls = b"".join(
        json.dumps(
            {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": "echo"}}
        ).encode()
        + b"\n"
        for number in range(200)
    )
    done = subprocess.run(
        gateway_command("demo", "--", *plain_server()),
        input=calls,
        capture_output=True,
        env=environment(),
        cwd=tmp_path,
        timeout=PATIENCE,
        check=True,
    )
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == list(range(200))


@pytest.mark.usefixtures("policy")
def test_a_server_that_dies_at_its_start_tells_the_client_why() -> None:
    words = "echo 'Error: Cannot find module ./x' >&2; echo 'Node.js v22' >&2; exit 3"
    with RunningGateway("demo", "--", "sh", "-c", f"read -r _; {words}") as gateway:
        reply = gateway.ask("initialize", 0)
        assert "ended with status 3" in reply["error"]["message"]
        assert 'It said: "Error: Cannot find module ./x"' in reply["error"]["message"]
        assert gateway.process.wait(PATIENCE) == 3


@pytest.mark.usefixtures("policy")
def test_a_server_that_dies_answers_who_waits_and_lends_its_status(ledger: Ledger) -> None:
    with demo("--die-on", "echo") as gateway:
        gateway.call("silent", 1)
        gateway.call("echo", 2)
        replies = [gateway.reply(), gateway.reply()]
        assert {reply["id"] for reply in replies} == {1, 2}
        assert all("ended with status 7" in reply["error"]["message"] for reply in replies)
        assert gateway.reply() is None
        assert gateway.process.wait(PATIENCE) == 7
    assert outcomes(ledger) == ["lost", "lost"]


@pytest.mark.usefixtures("policy")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_gateway_and_its_server(number: signal.Signals) -> None:
    with demo("--deaf") as gateway:
        assert "result" in gateway.ask("ping")
        started = children(gateway.process.pid)
        assert gateway.signal(number) == 128 + number
        assert not any(map(alive, started))


@pytest.mark.usefixtures("policy")
def test_a_signal_gives_calls_in_flight_their_time(ledger: Ledger, tmp_path: Path) -> None:
    ledger.presence.announce("console")
    received = tmp_path / "received"
    with demo("--received", str(received)) as gateway:
        gateway.call("silent", 1)
        assert eventually(lambda: received.exists() and b"silent" in received.read_bytes())
        gateway.call("write", 2)
        assert eventually(lambda: len(ledger.approvals.pending()) == 1)
        before = time.monotonic()
        assert gateway.signal(signal.SIGTERM) == 143
        assert time.monotonic() - before > 1.9
        replies = {reply["id"]: reply for reply in (gateway.reply(), gateway.reply())}
        assert "withdrawn" in replies[2]["result"]["content"][0]["text"]
        assert replies[1]["error"]["message"] == "pktui ended before the server answered"
    assert ledger.approvals.pending() == ()


@pytest.mark.usefixtures("policy")
@pytest.mark.parametrize("options", [(), ("--deaf",)])
@pytest.mark.parametrize("stage", ["start", "idle", "in flight", "held"])
def test_a_killed_gateway_leaves_no_process_behind(
    ledger: Ledger, stage: str, options: tuple[str, ...]
) -> None:
    ledger.presence.announce("console")
    with demo(*options) as gateway:
        if stage != "start":
            gateway.ask("ping")
        if stage == "in flight":
            gateway.call("silent", 1)
            assert eventually(lambda: outcomes(ledger) == [""])
        if stage == "held":
            gateway.call("write", 1)
            assert eventually(lambda: len(ledger.approvals.pending()) == 1)
        assert eventually(lambda: len(children(gateway.process.pid)) == 2)
        started = children(gateway.process.pid)
        gateway.process.kill()
        assert eventually(lambda: not any(map(alive, started)))
    assert ledger.verify().ok
    assert ledger.presence.alive("gateway") == ()


@pytest.mark.usefixtures("policy")
def test_a_client_that_goes_away_takes_its_question_and_the_server_with_it(
    ledger: Ledger,
) -> None:
    ledger.presence.announce("console")
    with demo("--deaf") as gateway:
        gateway.call("write", 1)
        assert eventually(lambda: len(ledger.approvals.pending()) == 1)
        started = children(gateway.process.pid)
        assert gateway.hang_up() == 0
        assert ledger.approvals.pending() == ()
        assert not any(map(alive, started))


@pytest.mark.usefixtures("policy")
def test_a_server_that_is_killed_is_a_lost_server(ledger: Ledger) -> None:
    with demo() as gateway:
        gateway.ask("ping", 0)
        gateway.call("silent", 1)
        assert eventually(lambda: outcomes(ledger) == [""])
        for pid in children(gateway.process.pid):
            os.kill(pid, signal.SIGKILL)
        assert gateway.reply()["id"] == 1
        assert gateway.process.wait(PATIENCE) == 128 + signal.SIGKILL
    assert outcomes(ledger) == ["lost"]


@pytest.mark.usefixtures("policy")
def test_the_servers_words_are_passed_on_with_its_name_and_made_visible() -> None:
    script = "import sys; sys.stderr.write('\\x1b[31mhello\\n'); print('not json', flush=True)"
    with RunningGateway("demo", "--", sys.executable, "-c", script) as gateway:
        assert gateway.process.wait(PATIENCE) == 0
        words = gateway.all_words()
    assert "[demo] ␛[31mhello\n" in words
    assert "pktui: not JSON: not json\n" in words


@pytest.mark.usefixtures("policy")
def test_an_endless_line_is_refused_and_the_next_one_taken() -> None:
    with demo() as gateway:
        gateway.send(b'{"jsonrpc":"2.0","x":"' + b"x" * (5 * 1024 * 1024) + b'"}')
        assert gateway.reply()["error"]["code"] == -32600
        assert gateway.ask("ping", 2)["id"] == 2


@pytest.mark.usefixtures("policy")
def test_a_server_that_reads_nothing_holds_no_signal_up() -> None:
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
    with RunningGateway("demo", "--", sys.executable, "-c", script) as gateway:
        gateway.call("echo", text="x" * 200_000)
        started = children(gateway.process.pid)
        assert gateway.signal(signal.SIGTERM) == 143
        assert not any(map(alive, started))


FAILURES = {
    "no name": ([], 2, "no server was named"),
    "unknown option": (["--nonsense"], 2, "unrecognized arguments"),
    "unknown server": (["dmeo"], 1, "no server 'dmeo'"),
    "no such command": (["demo", "--", "/no/such/command"], 1, "cannot be started"),
    "name that is no file's": (["../x", "--", "true"], 1, "cannot be used"),
    "the memory's name": (["memory", "--", "true"], 1, "belongs to pktui's own memory"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_cannot_be_started_is_one_clear_sentence(name: str) -> None:
    arguments, status, words = FAILURES[name]
    done = subprocess.run(
        gateway_command(*arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == status
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_data_directory_that_cannot_be_written_is_one_clear_sentence(paths: Paths) -> None:
    paths.data_dir.parent.mkdir(parents=True, exist_ok=True)
    paths.data_dir.write_text("a file where a directory should be")
    with demo() as gateway:
        assert gateway.hang_up() == 1
        assert gateway.all_words().count("\n") == 1


@pytest.mark.usefixtures("policy")
def test_a_gateway_costs_little_memory() -> None:
    with demo() as gateway:
        gateway.call("echo")
        gateway.reply()
        status = Path(f"/proc/{gateway.process.pid}/status")
        if not status.exists():
            pytest.skip("resident memory is read from /proc")
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmRSS")]
        assert int(line.split()[1]) < 40 * 1024
