"""Who runs now, and who only did."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pktui.ledger import presence as module
from tests.ledger.conftest import START_US

if TYPE_CHECKING:
    import pytest

    from pktui.ledger import Ledger
    from tests.ledger.conftest import Clock


def test_a_running_process_is_seen_with_what_it_says(ledger: Ledger) -> None:
    token = ledger.presence.announce("gateway", server="memory", project="/home/ada")
    assert ledger.presence.update(token, agent="claude-code", detail="12 calls")
    (present,) = ledger.presence.alive("gateway")
    assert (present.token, present.pid, present.started_us) == (token, os.getpid(), START_US)
    assert (present.server, present.project) == ("memory", "/home/ada")
    assert (present.agent, present.detail) == ("claude-code", "12 calls")
    assert ledger.presence.alive("console") == ()
    assert ledger.presence.alive() == (present,)


def test_a_token_goes_over_to_another_process(ledger: Ledger, ended_pid: int, clock: Clock) -> None:
    def say(pid: int) -> None:
        ledger.presence.announce("agent", server="codex", detail="s-1", pid=pid, token="t")

    say(ended_pid)
    clock.forward(60)
    say(os.getpid())
    clock.forward(60)
    say(os.getpid())
    (present,) = ledger.presence.alive("agent")
    assert (present.pid, present.started_us) == (os.getpid(), START_US + 60_000_000)


def test_an_agent_that_ended_is_known_until_it_is_forgotten(
    ledger: Ledger, ended_pid: int, clock: Clock
) -> None:
    ledger.presence.announce("agent", server="codex", detail="s-1", pid=ended_pid)
    ledger.presence.announce("agent", server="codex", detail="s-2")
    assert ledger.presence.alive("agent")[0].detail == "s-2"
    ledger.presence.forget("agent", clock.now)
    assert ledger.presence.dead("agent")[0].detail == "s-1"
    ledger.presence.forget("agent", clock.now + 1)
    assert ledger.presence.dead("agent") == ()
    assert len(ledger.presence.alive("agent")) == 1


def test_who_leaves_is_gone(ledger: Ledger) -> None:
    token = ledger.presence.announce("console")
    ledger.presence.leave(token)
    assert ledger.presence.alive() == ()
    assert not ledger.presence.update(token, detail="late")


def test_a_console_that_died_is_dropped(ledger: Ledger, ended_pid: int) -> None:
    ledger.presence.announce("console", pid=ended_pid)
    assert len(ledger.presence.dead("console")) == 1
    assert ledger.presence.alive() == ()
    assert ledger._database.rows("SELECT * FROM presence") == []


def test_a_gateway_that_died_is_not_forgotten_before_its_calls_are_settled(
    ledger: Ledger, ended_pid: int
) -> None:
    token = ledger.presence.announce("gateway", server="memory", pid=ended_pid)
    assert ledger.presence.alive("gateway") == ()
    assert [present.token for present in ledger.presence.dead("gateway")] == [token]
    ledger.settle_lost()
    assert ledger.presence.dead("gateway") == ()


def test_a_later_process_with_the_same_pid_is_another(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.presence.announce("gateway")
    monkeypatch.setattr(module, "process_birth", lambda pid: "another time")
    assert ledger.presence.alive() == ()


def test_a_process_has_one_birth_by_either_way(ended_pid: int) -> None:
    assert module.process_birth(os.getpid())
    assert module.process_birth(os.getpid()) == module.process_birth(os.getpid())
    assert module.process_birth(ended_pid) is None
    assert module._birth_by_ps(ended_pid) is None
