from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pktui.insight.activity import HOUR_US, Activity
from pktui.ledger import NewApproval, args_hash
from tests.ledger.conftest import CLAUDE, MINUTE, Clock

if TYPE_CHECKING:
    from pktui.ledger import Ledger


@pytest.fixture
def activity(ledger: Ledger, clock: Clock) -> Activity:
    return Activity(ledger, clock)


def call(ledger: Ledger, call_id: str, tool: str = "read", **more: Any) -> None:
    given: dict[str, Any] = {"caller": CLAUDE, "server": "files", "effect": "allow", **more}
    ledger.events.append("decision", call_id=call_id, tool=tool, **given)


def end(ledger: Ledger, call_id: str, tool: str, duration_us: int) -> None:
    ledger.events.append(
        "outcome",
        caller=CLAUDE,
        call_id=call_id,
        server="files",
        tool=tool,
        outcome="ok",
        duration_us=duration_us,
    )


def test_every_hour_is_there_and_each_call_in_its_own(
    activity: Activity, ledger: Ledger, clock: Clock
) -> None:
    call(ledger, "c1")
    call(ledger, "c2", effect="approve")
    clock.forward(2 * 3600)
    call(ledger, "c3", "drop", effect="deny")
    call(ledger, "c4", "gone", effect="hide")
    found = activity.read(days=1)
    assert len(found.hours) == 24
    assert found.hours[-1].at_us == clock.now // HOUR_US * HOUR_US
    assert [(hour.ran, hour.asked, hour.denied) for hour in found.hours[-3:]] == [
        (1, 1, 0),
        (0, 0, 0),
        (0, 0, 2),
    ]
    assert (found.total, found.behind) == (4, 0)
    clock.forward(24 * 3600)
    assert activity.read(days=1).total == 0
    assert activity.read(days=7).total == 4


def test_tools_by_hour_of_the_persons_day(activity: Activity, ledger: Ledger, clock: Clock) -> None:
    for number in range(3):
        call(ledger, f"c{number}")
        clock.forward(24 * 3600)
    call(ledger, "w", "write")
    read, write = activity.read().heat
    assert (read.tool, read.total, max(read.calls)) == ("read", 3, 3)
    assert (write.total, write.calls.index(1)) == (1, read.calls.index(3))


def test_the_slowest_tools_come_first(activity: Activity, ledger: Ledger) -> None:
    for number in range(20):
        end(ledger, f"a{number}", "quick", 1_000)
        end(ledger, f"b{number}", "slow", 2_000_000 if number > 17 else 500_000)
    slow, quick = activity.read().slow
    assert (slow.tool, quick.tool) == ("slow", "quick")
    assert slow.p50_us == pytest.approx(500_000, rel=0.1)
    assert slow.p95_us == pytest.approx(2_000_000, rel=0.1)


def test_denials_by_rule_name_the_tool_and_agent_denied_most(
    activity: Activity, ledger: Ledger
) -> None:
    for number in range(5):
        tool = "drop" if number else "wipe"
        call(ledger, f"c{number}", tool, effect="deny", rule="/default")
    call(ledger, "c9", "send", effect="deny", rule="/tools/send")
    rules = [(one.rule, one.tool, one.agent, one.count) for one in activity.read().denials]
    assert rules == [
        ("/default", "drop", "claude-code", 5),
        ("/tools/send", "send", "claude-code", 1),
    ]


def test_the_bill_of_approvals_is_sorted_by_what_was_lost(
    activity: Activity, ledger: Ledger, clock: Clock
) -> None:
    def ask(tool: str, wait: float, allow: bool | None) -> None:
        arguments = {"at": clock.now}
        asked = ledger.approvals.open(
            NewApproval(
                caller=CLAUDE,
                server="files",
                tool=tool,
                arguments=arguments,
                args_hash=args_hash(arguments),
                expires_us=clock.now + 5 * MINUTE,
            )
        )
        clock.forward(wait)
        if allow is not None:
            ledger.approvals.decide(asked.id, allow, by="ada", args_hash=asked.args_hash)

    for wait in (10, 20, 60):
        ask("write", wait, True)
    ask("send", 30, False)
    ask("send", 600, None)
    send, write = activity.read().bill
    assert (send.tool, send.asked, send.denied, send.unanswered) == ("send", 2, 1, 1)
    assert send.waited_us == 330_000_000
    assert (write.asked, write.allowed, write.median_us) == (3, 3, 20_000_000)
    assert write.waited_us == 90_000_000
