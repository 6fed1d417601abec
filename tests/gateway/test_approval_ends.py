"""Approvals across processes: decided by two at once, killed while held, left by the client."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pktui.ledger.approvals.standing import Wider
from pktui.ledger.ledger import Ledger
from tests.gateway.stdio.test_stdio import eventually
from tests.support.gateway import ROOT, RunningGateway, environment, plain_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pktui.ledger.records import Approval
    from pktui.settings import Paths

INFO = {"name": "tester", "version": "1"}


@pytest.fixture
def ledger(paths: Paths) -> Iterator[Ledger]:
    file = paths.policy_file("demo")
    file.parent.mkdir(parents=True)
    tools = {"write": {"action": "approve"}}
    file.write_text(json.dumps({"version": "1", "default": "allow", "tools": tools}))
    opened = Ledger.open(paths.ledger_file)
    opened.presence.announce("console")
    yield opened
    opened.close()


def demo(tmp_path: Path) -> RunningGateway:
    """Start a gateway and say hello; the directory is what tells one client from another."""
    gateway = RunningGateway("demo", "--", *plain_server(), cwd=tmp_path)
    gateway.ask("initialize", 0, clientInfo=INFO)
    gateway.ask("tools/list", 99)
    return gateway


def waiting(ledger: Ledger) -> Approval:
    assert eventually(lambda: bool(ledger.approvals.pending()))
    [asked] = ledger.approvals.pending()
    return asked


def allow(ledger: Ledger, asked: Approval) -> None:
    ledger.approvals.decide(asked.id, True, by="console", args_hash=asked.args_hash)


def text(reply: object) -> str:
    assert isinstance(reply, dict)
    return str(reply["result"]["content"][0]["text"])


def test_a_gateway_killed_while_it_holds_leaves_the_question_and_its_answer(
    ledger: Ledger, tmp_path: Path
) -> None:
    with demo(tmp_path) as gateway:
        gateway.call("write", 1, path="x")
        asked = waiting(ledger)
        gateway.process.kill()
        gateway.process.wait()
    assert ledger.approvals.pending() == (asked,)
    allow(ledger, asked)
    with demo(tmp_path) as gateway:
        gateway.call("write", 1, path="x")
        assert text(gateway.reply()) == '["write", {"path": "x"}]'
        gateway.call("write", 2, path="x")
        again = waiting(ledger)
        assert again.id != asked.id
    assert ledger.verify().ok


def test_a_client_that_leaves_takes_its_question_and_its_standing_answer_with_it(
    ledger: Ledger, tmp_path: Path
) -> None:
    with demo(tmp_path) as gateway:
        gateway.call("write", 1, path="x")
        asked = waiting(ledger)
        ledger.standing.allow(asked.id, Wider(), by="console", args_hash=asked.args_hash)
        assert text(gateway.reply()) == '["write", {"path": "x"}]'
        gateway.call("write", 2, path="y")
        assert text(gateway.reply()) == '["write", {"path": "y"}]'
        ledger.standing.revoke(ledger.standing.live()[0].id, by="console")
        gateway.call("write", 3, path="z")
        again = waiting(ledger)
        ledger.standing.allow(again.id, Wider(), by="console", args_hash=again.args_hash)
        assert text(gateway.reply()) == '["write", {"path": "z"}]'
        gateway.hang_up()
    assert [one.ended for one in ledger.standing.recent()] == ["disconnected", "revoked"]
    with demo(tmp_path) as gateway:
        gateway.call("write", 1, path="w")
        left = waiting(ledger)
        gateway.hang_up()
    found = ledger.approvals.get(left.id)
    assert found is not None
    assert found.status == "withdrawn"
    assert ledger.verify().ok


def test_a_stop_reaches_what_is_held_and_what_comes(ledger: Ledger, tmp_path: Path) -> None:
    with demo(tmp_path) as gateway:
        gateway.call("write", 1, path="x")
        waiting(ledger)
        ledger.approvals.stop(by="console")
        assert "A person has stopped" in text(gateway.reply())
        gateway.call("echo", 2)
        assert "A person has stopped" in text(gateway.reply())
        ledger.approvals.release(by="console")
        gateway.call("echo", 3)
        assert text(gateway.reply()).startswith('["echo"')


_DECIDER = """
import sys
from pathlib import Path
from pktui.errors import ApprovalError
from pktui.ledger.ledger import Ledger
ledger = Ledger.open(Path(sys.argv[1]))
sys.stdin.readline()
for asked in ledger.approvals.recent():
    try:
        ledger.approvals.decide(asked.id, sys.argv[2] == "allow", by=sys.argv[3],
                                args_hash=asked.args_hash)
        print("won", asked.id)
    except ApprovalError as error:
        print("lost", asked.id, error.what)
"""


def test_of_two_that_decide_at_once_one_wins_and_the_other_is_told_who(ledger: Ledger) -> None:
    from pktui.ledger.arguments.canonical import args_hash
    from pktui.ledger.records import Caller, NewApproval
    from pktui.times import now_us

    for number in range(40):
        arguments = {"number": number}
        expires_us = now_us() + 600_000_000
        ledger.approvals.open(
            NewApproval(
                Caller("a", "", "s", "/"), "demo", "write", arguments, args_hash(arguments),
                expires_us,
            )
        )  # fmt: skip
    both = [
        subprocess.Popen(
            [sys.executable, "-c", _DECIDER, str(ledger.path), verb, name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(), cwd=ROOT,
        )
        for verb, name in (("allow", "ada"), ("deny", "ben"))
    ]  # fmt: skip
    told = [process.communicate("go\n", timeout=60)[0].splitlines() for process in both]
    for name, other, lines in (("ada", "ben", told[0]), ("ben", "ada", told[1])):
        assert len(lines) == 40
        for line in lines:
            word, approval_id, *why = line.split(" ", 2)
            found = ledger.approvals.get(approval_id)
            assert found is not None
            assert found.decided_by == (name if word == "won" else other)
            assert word == "won" or f"by {other}" in why[0]
    assert ledger.verify().ok
