from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from pktui.insight.now import NowReader
from pktui.ledger import Caller, NewApproval, args_hash
from tests.ledger.conftest import CLAUDE, MINUTE, Clock

if TYPE_CHECKING:
    from pktui.insight.now import Agent, Now
    from pktui.ledger import Approval, Ledger

HOUR = 60 * MINUTE
CODEX = Caller("codex", "", "s2", "/home/ada/ingest")


@pytest.fixture
def reader(ledger: Ledger, clock: Clock) -> NowReader:
    return NowReader(ledger, clock)


def come(ledger: Ledger, caller: Caller = CLAUDE, server: str = "files") -> str:
    """Let a gateway of this process announce itself; return what its calls' ids begin with."""
    return ledger.presence.announce(
        "gateway", server=server, agent=caller.agent, project=caller.project
    )


def call(ledger: Ledger, call_id: str, tool: str = "read", **more: Any) -> str:
    arguments = more.pop("arguments", {"path": "a"})
    given: dict[str, Any] = {"caller": CLAUDE, "server": "files", "effect": "allow", **more}
    digest = args_hash(arguments)
    ledger.events.append("decision", call_id=call_id, tool=tool, args_hash=digest, **given)
    return call_id


def end(ledger: Ledger, call_id: str) -> None:
    ledger.events.append("outcome", caller=CLAUDE, call_id=call_id, server="files", outcome="ok")


def ask(ledger: Ledger, clock: Clock, **more: Any) -> Approval:
    given: dict[str, Any] = {
        "caller": CLAUDE,
        "server": "files",
        "tool": "write",
        "arguments": {"path": "a"},
        "args_hash": args_hash({"path": "a"}),
        "expires_us": clock.now + 10 * MINUTE,
    }
    return ledger.approvals.open(NewApproval(**{**given, **more}))


def only(now: Now) -> Agent:
    (agent,) = now.agents
    return agent


def test_nothing_is_told_of_nothing(reader: NowReader) -> None:
    now = reader.read()
    assert (now.needs, now.agents, now.odd, now.hour.total) == ((), (), (), 0)
    assert len(now.hour.calls) == 12


def test_an_agent_is_running_idle_denied_waiting_and_gone(
    reader: NowReader, ledger: Ledger, clock: Clock
) -> None:
    token = come(ledger)
    agent = only(reader.read())
    assert (agent.agent, agent.state, agent.servers) == ("claude-code", "idle", ("files",))
    began = clock.now
    call(ledger, f"{token}-1", "run_tests")
    clock.forward(12)
    agent = only(reader.read())
    assert (agent.state, agent.doing, agent.since_us) == ("running", "files.run_tests", began)
    end(ledger, f"{token}-1")
    assert only(reader.read()).state == "idle"
    call(ledger, f"{token}-2", "drop", effect="deny")
    denied = clock.now
    clock.forward(300)
    agent = only(reader.read())
    assert (agent.state, agent.doing) == ("denied", "files.drop")
    assert agent.since_us - denied in (0, 1)  # rows of one moment follow each other
    approval = ask(ledger, clock)
    clock.forward(42)
    now = reader.read()
    assert (only(now).state, only(now).doing) == ("waiting", "files.write")
    assert [(need.approval.id, need.waits_us) for need in now.needs] == [(approval.id, 42_000_000)]
    ledger.approvals.withdraw(approval.id)
    ledger.presence.leave(token)
    agent = only(reader.read())
    assert (agent.state, agent.calls, agent.denied) == ("gone", 2, 1)
    clock.forward(3 * 3600)
    assert reader.read().agents == ()


def test_the_gateways_of_one_process_are_one_agent(reader: NowReader, ledger: Ledger) -> None:
    tokens = [come(ledger, server=server) for server in ("files", "memory")]
    for number, token in enumerate(tokens):
        caller = Caller("claude-code", "", f"s{number}", CLAUDE.project)
        call(ledger, f"{token}-1", caller=caller, server=("files", "memory")[number])
    agent = only(reader.read())
    assert (agent.servers, agent.sessions, agent.calls) == (
        ("files", "memory"),
        ("s0", "s1"),
        2,
    )


def test_two_agents_of_a_kind_in_one_project_are_two(
    reader: NowReader, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.insight.now.parent_of", lambda pid: pid + 1000)
    monkeypatch.setattr("pktui.ledger.presence.process_birth", lambda _pid: "born")
    for pid in (os.getpid(), os.getpid() + 1):
        ledger.presence.announce(
            "gateway", server="files", agent="claude-code", project=CLAUDE.project, pid=pid
        )
    assert len(reader.read().agents) == 2


@pytest.mark.parametrize(
    ("caller", "server"),
    [(CLAUDE, "claude-code"), (Caller("codex-mcp-client", session="s2"), "codex")],
)
def test_a_hooked_agent_has_no_gateway_and_is_here_while_it_calls(
    reader: NowReader, ledger: Ledger, clock: Clock, caller: Caller, server: str
) -> None:
    call(ledger, "73945e27824e85c28e18d3c15c", "Bash", caller=caller, server=server)
    assert only(reader.read()).state == "running"
    end(ledger, "73945e27824e85c28e18d3c15c")
    assert only(reader.read()).state == "idle"
    clock.forward(20 * 60)
    assert only(reader.read()).state == "gone"


def arrive(ledger: Ledger, pid: int) -> None:
    """Let the agent's hook say which process its session is of."""
    ledger.presence.announce(
        "agent",
        server="claude-code",
        agent=CLAUDE.agent,
        project=CLAUDE.project,
        detail=CLAUDE.session,
        pid=pid,
        token="0123456789abcdef",
    )


def test_a_hooked_agent_and_its_gateways_are_one(
    reader: NowReader, ledger: Ledger, clock: Clock
) -> None:
    token = come(ledger)
    arrive(ledger, os.getppid())
    assert only(reader.read()).state == "idle"
    call(ledger, f"{token}-1", caller=Caller("claude-code", "", "connection", CLAUDE.project))
    call(ledger, "73945e27824e85c28e18d3c15c", "Bash", server="claude-code")
    agent = only(reader.read())
    assert (agent.calls, agent.servers) == (2, ("claude-code", "files"))
    clock.forward(20 * 60)
    assert only(reader.read()).state != "gone"


def test_a_hooked_agent_is_gone_when_its_process_is(
    reader: NowReader, ledger: Ledger, ended_pid: int
) -> None:
    arrive(ledger, ended_pid)
    call(ledger, "73945e27824e85c28e18d3c15c", "Bash", server="claude-code")
    end(ledger, "73945e27824e85c28e18d3c15c")
    assert only(reader.read()).state == "gone"


def test_those_here_come_first_and_the_latest_of_them(
    reader: NowReader, ledger: Ledger, clock: Clock
) -> None:
    come(ledger, CODEX)
    clock.forward(60)
    call(ledger, "0" * 16 + "-1")
    assert [(one.agent, one.state) for one in reader.read().agents] == [
        ("codex", "idle"),
        ("claude-code", "gone"),
    ]


def test_the_last_hour_in_twelve_steps(reader: NowReader, ledger: Ledger, clock: Clock) -> None:
    token = come(ledger)
    clock.now = clock.now // HOUR * HOUR + HOUR - MINUTE
    for number in range(12):
        if number:
            clock.forward(300)
        for again in range(number):
            call(ledger, f"{token}-{number}-{again}", effect="deny" if again == 5 else "allow")
    now = reader.read()
    assert now.hour.calls == tuple(range(12)) == only(now).spark
    assert (now.hour.total, now.hour.denied) == (66, 6)


def test_what_was_asked_is_told_with_its_wait(
    reader: NowReader, ledger: Ledger, clock: Clock
) -> None:
    for number, (allow, seconds) in enumerate([(True, 10), (True, 30), (False, 90)]):
        arguments = {"n": number}
        asked = ask(ledger, clock, arguments=arguments, args_hash=args_hash(arguments))
        clock.forward(seconds)
        ledger.approvals.decide(asked.id, allow, by="ada", args_hash=asked.args_hash)
    hour = reader.read().hour
    assert (hour.asked, hour.allowed, hour.median_wait_us) == (3, 2, 30_000_000)


def test_a_tool_called_for_the_first_time_is_odd_on_a_known_server_only(
    reader: NowReader, ledger: Ledger, clock: Clock
) -> None:
    call(ledger, "c1")
    assert reader.read().odd == ()
    clock.forward(2 * 3600)
    call(ledger, "c2", "write")
    call(ledger, "c3", "list", server="other")
    now = reader.read()
    assert [(odd.kind, odd.tool, odd.words) for odd in now.odd] == [
        ("first", "write", "first call ever of files.write")
    ]
    assert now.hour.new_tools == 1


def test_a_changed_definition_is_odd_until_it_is_accepted(
    reader: NowReader, ledger: Ledger, clock: Clock
) -> None:
    ledger.catalogue.saw("files", [{"name": "read"}])
    clock.forward(100)
    ledger.catalogue.saw("files", [{"name": "read", "description": "Reads all."}])
    changed = clock.now
    clock.forward(180)
    (odd,) = reader.read().odd
    assert (odd.kind, odd.tool, odd.at_us) == ("changed", "read", changed)
    ledger.catalogue.accept("files", "read")
    assert reader.read().odd == ()


@pytest.mark.parametrize("same", [True, False])
def test_denials_are_odd_when_they_come_again(
    reader: NowReader, ledger: Ledger, same: bool
) -> None:
    for number in range(6):
        call(
            ledger,
            f"c{number}",
            "run",
            effect="deny",
            arguments={"n": 0 if same else number},
        )
    (odd,) = reader.read().odd
    assert (odd.kind, odd.count) == (("insists", 6) if same else ("burst", 6))
    assert "files.run" in odd.words
    assert "claude-code" in odd.words


def test_the_same_call_again_and_again_is_odd_once_nothing_else_is_between(
    reader: NowReader, ledger: Ledger, clock: Clock
) -> None:
    for number in range(4):
        call(ledger, f"c{number}")
    call(ledger, "other", "list")
    call(ledger, "last")
    assert reader.read().odd == ()
    for number in range(4):
        call(ledger, f"d{number}")
    (odd,) = reader.read().odd
    assert (odd.kind, odd.count) == ("again", 5)
    clock.forward(20 * 60)
    assert reader.read().odd == ()


def test_at_most_three_odd_things_are_told(reader: NowReader) -> None:
    odd = reader.read(around=[f"agent {number} goes around pktui" for number in range(5)]).odd
    assert [one.kind for one in odd] == ["around"] * 3


def test_a_stop_is_told(reader: NowReader, ledger: Ledger) -> None:
    ledger.approvals.stop(by="ada")
    assert reader.read().stopped_by == "ada"
