"""Managed policies: nothing that a person or an agent does with pktui loosens them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from pktui.gateway.enforcement.decision import Ruling
from pktui.gateway.enforcement.enforcer import Enforcer
from pktui.gateway.enforcement.policy_file import ServerPolicy, open_policy, starts_of
from pktui.ledger.approvals.standing import Wider
from pktui.ledger.records import Caller
from pktui.policy.managed import SOURCE, Managed
from pktui.server_entry import ServerEntry
from pktui.settings import ApprovalSettings, bundled
from tests.support.gateway import environment, plain_server
from tests.support.managing import command_under, manage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pktui.settings import Paths
    from tests.gateway.conftest import House

WRITE = {"name": "write", "description": "Write a note."}
DENIED = {"write": {"action": "deny", "reason": "Nobody writes."}}
ASKED = {"write": {"action": "approve"}}
OVER_100 = [{"conditions": [{"path": "args.amount", "op": "gt", "value": 100}]}]
SMALL = [{"conditions": [{"path": "args.amount", "op": "lte", "value": 10}]}]


def another(house: House, server: str, policy: ServerPolicy) -> Enforcer:
    return Enforcer(
        house.ledger, policy, ApprovalSettings(), server, clock=house.clock, log=house.said.append
    )


def entry(name: str, *command: str) -> ServerEntry:
    return ServerEntry(name, command[0], tuple(command[1:]))


def loosened_by_hand(house: House) -> None:
    house.policy(tools={"write": {}})


def loosened_by_a_preset(house: House) -> None:
    house.policy_file.write_bytes(bundled("config", "policies", "observe.json").read_bytes())


def loosened_by_an_allowance(house: House) -> None:
    house.policy(tools={"write": {"action": "approve", "allow_if": [{"conditions": []}]}})


def loosened_by_taking_it_away(house: House) -> None:
    house.policy_file.unlink(missing_ok=True)


def loosened_in_the_other_dialect(house: House) -> None:
    house.policy_file.write_text(json.dumps({"version": "1", "tools": {"write": {"rules": []}}}))


@pytest.mark.parametrize(
    "loosen",
    [
        loosened_by_hand,
        loosened_by_a_preset,
        loosened_by_an_allowance,
        loosened_by_taking_it_away,
        loosened_in_the_other_dialect,
    ],
)
def test_whatever_is_written_a_managed_denial_holds(
    house: House, managed: Path, loosen: Callable[[House], None]
) -> None:
    house.policy(tools={"write": {}})
    manage(managed, "demo", tools=DENIED)
    loosen(house)
    decision = house.decide("write")
    assert decision.ruling is Ruling.DENIED_BY_RULE
    assert decision.rule == "managed/demo.json#/tools/write"
    assert decision.reason == "Nobody writes."
    assert house.row(decision.call_id).rule == decision.rule


def test_a_managed_question_is_answered_by_no_standing_approval_and_no_local_rule(
    house: House, managed: Path
) -> None:
    house.policy(tools=ASKED)
    house.enforcer.saw([WRITE])
    asked = house.decide("write", n=0).approval
    assert asked is not None
    assert not asked.once
    house.console.standing.allow(
        asked.id, Wider(for_us=30 * 60_000_000), by="console", args_hash=asked.args_hash
    )
    assert house.decide("write", n=1).ruling is Ruling.FORWARD
    manage(managed, "demo", tools=ASKED)
    again = house.decide("write", n=2)
    assert again.ruling is Ruling.WAITING
    assert again.approval is not None
    assert again.approval.once  # nothing wider is offered: it would answer nothing
    house.policy(tools={"write": {}})
    assert house.decide("write", n=3).ruling is Ruling.WAITING


def test_a_person_still_answers_one_managed_question(house: House, managed: Path) -> None:
    manage(managed, "demo", tools=ASKED)
    house.policy()
    house.enforcer.saw([WRITE])
    assert house.decide("write", n=1).ruling is Ruling.WAITING
    house.answer(allow=True)
    assert house.decide("write", n=1).ruling is Ruling.FORWARD
    assert house.decide("write", n=1).ruling is Ruling.WAITING


@pytest.mark.parametrize(
    ("managed_entry", "own", "amount", "ruling"),
    [
        ({"deny_if": OVER_100}, {}, 101, Ruling.DENIED_BY_RULE),
        ({"deny_if": OVER_100}, {}, 5, Ruling.FORWARD),
        ({"deny_if": OVER_100}, {"deny_if": SMALL}, 5, Ruling.DENIED_BY_RULE),
        ({"require": SMALL}, {}, 11, Ruling.DENIED_BY_RULE),
        ({"approve_if": OVER_100}, {}, 101, Ruling.WAITING),
        ({"approve_if": OVER_100}, {}, "101", Ruling.WAITING),  # it can't be judged
        ({"action": "approve", "allow_if": SMALL}, {}, 5, Ruling.FORWARD),
        ({"action": "approve", "allow_if": SMALL}, {}, 11, Ruling.WAITING),
        ({"action": "approve", "allow_if": SMALL}, {"action": "approve"}, 5, Ruling.WAITING),
        (
            {"action": "approve"},
            {"action": "approve", "allow_if": SMALL},
            5,
            Ruling.WAITING,
        ),
        ({}, {"action": "deny"}, 5, Ruling.DENIED_BY_RULE),
        ({}, {"action": "approve"}, 5, Ruling.WAITING),
        ({}, {"action": "approve", "allow_if": SMALL}, 5, Ruling.FORWARD),
    ],
)
def test_each_layer_is_asked_and_the_strictest_answer_counts(
    house: House,
    managed: Path,
    managed_entry: dict[str, Any],
    own: dict[str, Any],
    amount: object,
    ruling: Ruling,
) -> None:
    manage(managed, "demo", tools={"write": managed_entry})
    house.policy(tools={"write": own})
    assert house.decide("write", amount=amount).ruling is ruling


def test_a_managed_limit_counts_beside_the_own_one(house: House, managed: Path) -> None:
    limit = {"counter": "calls", "window": "hour", "scope": "server"}
    manage(managed, "demo", tools={"write": {"limits": [{**limit, "max": 2}]}})
    house.policy(tools={"write": {"limits": [{**limit, "max": 100}]}})
    rulings = [house.decide("write").ruling for _ in range(3)]
    assert rulings == [Ruling.FORWARD, Ruling.FORWARD, Ruling.OVER_QUOTA]


def test_a_managed_hidden_tool_is_unknown(house: House, managed: Path) -> None:
    manage(managed, "demo", hide=["write"])
    house.policy()
    assert house.decide("write").ruling is Ruling.UNKNOWN
    policy = house.enforcer.policy()
    assert policy is not None
    assert not policy.lists("write")


def test_what_is_managed_counts_from_the_next_call(house: House, managed: Path) -> None:
    house.policy()
    assert house.decide("write").ruling is Ruling.FORWARD
    file = manage(managed, "demo", tools=DENIED)
    assert house.decide("write").ruling is Ruling.DENIED_BY_RULE
    file.unlink()
    assert house.decide("write").ruling is Ruling.FORWARD


def test_managed_denied_paths_hold_beside_the_own_ones(house: House, managed: Path) -> None:
    managed.mkdir()
    (managed / "_paths.json").write_text('{"version": "1", "deny": ["/vault/**"]}')
    own = house.policy_file.with_name("_paths.json")
    own.write_text('{"version": "1", "deny": ["/own/**"]}')
    house.policy()
    for path in ("/vault/key", "/own/key"):
        decision = house.decide("echo", path=path)
        assert (decision.ruling, decision.rule) == (Ruling.DENIED_BY_RULE, "(denied path)")
    own.write_text('{"version": "1", "deny": []}')
    assert house.decide("echo", path="/own/key").ruling is Ruling.FORWARD
    assert house.decide("echo", path="/vault/key").ruling is Ruling.DENIED_BY_RULE
    (managed / "_paths.json").unlink()
    assert house.decide("echo", path="/vault/key").ruling is Ruling.FORWARD
    (managed / "_paths.json").symlink_to(managed / "gone")
    assert house.decide("echo", path="/anywhere").ruling is Ruling.DENIED_BY_RULE
    (managed / "_paths.json").unlink()
    (managed / "_paths.json").write_text("{")
    assert house.decide("echo", path="/anywhere").ruling is Ruling.DENIED_BY_RULE


def test_a_managed_file_that_cannot_be_used_denies_and_says_so(house: House, managed: Path) -> None:
    house.policy()
    managed.mkdir()
    file = managed / "demo.json"
    file.write_text("{")
    decision = house.decide("write")
    assert decision.ruling is Ruling.DENIED_BY_RULE
    assert str(file) in decision.reason
    assert "administrator" in decision.reason
    file.unlink()
    file.symlink_to(managed / "gone")
    assert house.decide("write").ruling is Ruling.DENIED_BY_RULE
    file.unlink()
    managed.rmdir()
    managed.symlink_to(house.policy_file.parent / "gone")
    assert house.decide("write").ruling is Ruling.DENIED_BY_RULE
    managed.unlink()
    managed.write_text("no directory")
    assert house.decide("write").ruling is Ruling.DENIED_BY_RULE


def test_a_link_that_leads_nowhere_denies_wherever_it_stands(
    house: House, managed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.policy()
    managed.mkdir()
    assert house.decide("write").ruling is Ruling.FORWARD
    (managed / SOURCE).symlink_to(tmp_path / "gone")
    assert house.decide("write").ruling is Ruling.DENIED_BY_RULE
    assert Managed("demo").current().problem
    parent = tmp_path / "unmounted"
    parent.symlink_to(tmp_path / "gone")
    monkeypatch.setattr("pktui.policy.managed.DIRECTORY", parent / "policies")
    [closed] = Managed("demo").current().policies
    assert str(parent) in closed.unlisted.reason
    (tmp_path / "gone").mkdir()
    assert Managed("demo").current().policies == ()


def test_a_broken_edit_of_a_managed_file_keeps_the_last_good_one(
    house: House, managed: Path
) -> None:
    told: list[str] = []
    policy = ServerPolicy(
        *("demo", house.policy_file),
        needed=False,
        changed=lambda _digest, problem: told.append(str(problem) if problem else ""),
    )
    enforcer = another(house, "demo", policy)
    house.policy()
    file = manage(managed, "demo", tools=DENIED)
    assert enforcer.decide(house.call("write")).ruling is Ruling.DENIED_BY_RULE
    file.write_text("{")
    decision = enforcer.decide(house.call("write"))
    assert (decision.ruling, decision.reason) == (Ruling.DENIED_BY_RULE, "Nobody writes.")
    assert enforcer.decide(house.call("echo")).ruling is Ruling.FORWARD
    assert str(file) in told[-1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every directory")
def test_a_directory_that_cannot_be_read_denies(house: House, managed: Path) -> None:
    house.policy()
    manage(managed, "demo")
    managed.chmod(0)
    try:
        assert house.decide("write").ruling is Ruling.DENIED_BY_RULE
    finally:
        managed.chmod(0o755)


def test_a_policy_named_by_hand_is_covered_too(
    house: House, managed: Path, paths: Paths, tmp_path: Path
) -> None:
    manage(managed, "demo", tools=DENIED)
    mine = tmp_path / "mine.json"
    mine.write_text('{"version": "1", "default": "allow"}')
    policy = open_policy(paths, "demo", mine, changed=lambda *_: None)
    enforcer = another(house, "demo", policy)
    assert enforcer.decide(house.call("write")).ruling is Ruling.DENIED_BY_RULE


def test_a_second_name_for_a_server_changes_nothing(
    house: House, managed: Path, paths: Paths
) -> None:
    command = ("npx", "-y", "@acme/mcp-notes")
    limit = {"counter": "calls", "window": "hour", "max": 1, "scope": "server"}
    manage(managed, "npm_acme_mcp-notes", tools={**DENIED, "read": {"limits": [limit]}})
    enforcers = []
    for name in ("notes", "mine"):
        starts = starts_of(entry(name, *command))
        policy = open_policy(paths, name, None, changed=lambda *_: None, starts=starts)
        paths.policy_file(name).write_text('{"version": "1", "default": "allow"}')
        enforcers.append(another(house, name, policy))
    for enforcer in enforcers:
        assert enforcer.decide(house.call("write")).ruling is Ruling.DENIED_BY_RULE
    read = [enforcer.decide(house.call("read")).ruling for enforcer in enforcers]
    assert read == [Ruling.FORWARD, Ruling.OVER_QUOTA]  # one quota, whatever the name


def test_an_entry_that_is_edited_is_judged_by_what_it_starts_now(managed: Path) -> None:
    manage(managed, "npm_acme_mcp-notes", tools=DENIED)
    found = Managed("x", starts_of(entry("x", "npx", "-y", "@acme/mcp-other")))
    assert found.current().policies == ()
    found.starts(starts_of(entry("x", "npx", "-y", "@acme/mcp-notes")))
    assert [one.source and one.source.name for one in found.current().policies] == [
        "npm_acme_mcp-notes.json"
    ]


def test_all_hold_for_every_server_and_others_for_those_without_a_file(
    house: House, managed: Path, paths: Paths
) -> None:
    manage(managed, "_all", tools=DENIED)
    manage(managed, "_others", default="deny")
    manage(managed, "demo")
    house.policy()
    assert house.decide("write").rule == "managed/_all.json#/tools/write"
    assert house.decide("echo").ruling is Ruling.FORWARD
    policy = open_policy(paths, "unheard-of", None, changed=lambda *_: None)
    paths.policy_file("unheard-of").write_text('{"version": "1", "default": "allow"}')
    decision = another(house, "unheard-of", policy).decide(house.call("echo"))
    assert decision.ruling is Ruling.DENIED_BY_RULE
    assert decision.rule == "managed/_others.json#(default deny)"


def test_a_server_without_a_policy_is_covered_while_a_person_decides(
    house: House, managed: Path
) -> None:
    manage(managed, "demo", tools=DENIED)
    assert house.decide("write").ruling is Ruling.DENIED_BY_RULE
    assert house.decide("echo").ruling is Ruling.WAITING


def test_calls_of_many_threads_meet_the_ceiling(house: House, managed: Path) -> None:
    manage(managed, "demo", tools=DENIED)
    house.policy()
    policy = ServerPolicy("demo", house.policy_file, needed=True, changed=lambda *_: None)
    found: list[bool] = []

    def look() -> None:
        for _ in range(200):
            current = policy.current()
            found.append(current is not None and current.never_allows("write"))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 800
    assert all(found)


def test_a_held_call_is_denied_once_it_is_managed(house: House, managed: Path) -> None:
    house.policy(tools=ASKED)
    house.enforcer.saw([WRITE])
    house.attend()
    call = house.call("write", {"n": 1}, caller=Caller("agent", session="s2", project="/work"))
    held = house.enforcer.decide(call)
    assert held.ruling is Ruling.HOLD
    before = house.enforcer.state()
    manage(managed, "demo", tools=DENIED)
    assert house.enforcer.state() != before
    house.answer(allow=True)
    assert house.enforcer.resume(call, held, hold=True).ruling is Ruling.DENIED_BY_RULE


@pytest.mark.parametrize(
    "around",
    [
        {
            "PKTUI_POLICIES_DIR": "/nowhere",
            "PKTUI_MANAGED_DIR": "/nowhere",
            "XDG_CONFIG_DIRS": "/x",
        },
        {"PKTUI_MANAGED": "", "PKTUI_NO_MANAGED": "1", "HOME": "/nowhere"},
        {},
    ],
)
def test_no_variable_and_no_other_home_looks_past_it(
    managed: Path, tmp_path: Path, around: dict[str, str]
) -> None:
    manage(managed, "demo", tools=DENIED)
    home = tmp_path / "elsewhere"
    (home / "config" / "policies").mkdir(parents=True)
    mine = home / "config" / "policies" / "mine.json"
    mine.write_text('{"version": "1", "default": "allow"}')
    (home / "config" / "settings.toml").write_text('[servers.demo]\npolicy = "mine.json"\n')
    words = ("gateway", "demo", "--home", str(home), "--policy", str(mine), "--", *plain_server())
    params = {"name": "write", "arguments": {}}
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    process = subprocess.Popen(
        command_under(managed, *words),
        env=environment() | around,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.flush()
    reply = json.loads(process.stdout.readline())
    process.stdin.close()
    process.stdout.close()
    assert process.wait(60) == 0
    assert reply["result"]["isError"] is True
    assert (
        "Nobody writes. Rule: managed/demo.json#/tools/write"
        in reply["result"]["content"][0]["text"]
    )


@pytest.mark.skipif(sys.platform == "darwin", reason="another path there")
def test_the_directory_of_an_installed_pktui_is_root_s() -> None:
    words = "import pktui.policy.managed as m; print(m.DIRECTORY)"
    around = {"PKTUI_CONFIG_DIR": "/x", "PKTUI_MANAGED_DIR": "/x", "XDG_CONFIG_DIRS": "/x"}
    command = [sys.executable, "-c", words]
    found = subprocess.run(command, env=environment() | around, capture_output=True, check=True)
    assert found.stdout.decode().strip() == "/etc/pktui/policies"
