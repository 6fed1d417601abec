"""Calls of gateways that died: ended, once, whoever looks; what went out stays counted."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from pktui.ledger import Approval, Ledger, NewApproval, args_hash
from pktui.ledger.approvals.standing import Wider
from tests.ledger.conftest import CLAUDE, MINUTE, Limit

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = Limit(max=Decimal(10))
ARGUMENTS = {"title": "Shop"}


@pytest.fixture
def token(ledger: Ledger, ended_pid: int) -> str:
    """A gateway that has died."""
    token = ledger.presence.announce("gateway", server="memory", pid=ended_pid)
    ledger.events.append("start", caller=CLAUDE, call_id=token, server="memory")
    return token


def call(ledger: Ledger, call_id: str, effect: str = "allow", approval: str = "") -> int:
    with ledger.transaction():
        turn = ledger.transaction.turn()
        if effect == "allow":
            ledger.counters.reserve([LIMIT], call_id, turn)
        return ledger.events.append(
            "decision",
            caller=CLAUDE,
            call_id=call_id,
            server="memory",
            tool="store",
            effect=effect,
            approval_id=approval,
            charges=ledger.counters.taken(turn, call_id),
        )


def ask(ledger: Ledger, call_id: str) -> Approval:
    return ledger.approvals.open(
        NewApproval(
            caller=CLAUDE,
            server="memory",
            tool="store",
            arguments=ARGUMENTS,
            args_hash=args_hash(ARGUMENTS),
            expires_us=ledger._clock() + 10 * MINUTE,
            call_id=call_id,
        )
    )


def used(ledger: Ledger) -> int:
    return int(ledger.counters.usage(LIMIT)[0])


def outcomes(ledger: Ledger) -> dict[str, str]:
    return {row.call_id[-2:]: row.outcome for row in ledger.feed.page()}


def test_calls_that_had_gone_out_are_lost_and_stay_counted(ledger: Ledger, token: str) -> None:
    first = call(ledger, f"{token}01")
    call(ledger, f"{token}02")
    ledger.events.append("outcome", call_id=f"{token}02", outcome="ok")
    call(ledger, f"{token}03", effect="deny")
    call(ledger, "another04")
    assert used(ledger) == 3
    assert ledger.settle_lost() == 1
    assert outcomes(ledger) == {"01": "lost", "02": "ok", "03": "", "04": ""}
    assert used(ledger) == 3
    end = next(event for event in ledger.events.tail() if event.outcome == "lost")
    assert (end.ref_seq, end.agent) == (first, "claude-code")
    assert ledger.verify().ok


def test_it_is_on_record_who_died_and_who_says_so(
    ledger: Ledger, token: str, ended_pid: int
) -> None:
    call(ledger, f"{token}01")
    ledger.settle_lost()
    outcome, end = ledger.events.newest(2)
    assert (outcome.kind, outcome.reason) == ("outcome", "Its gateway ended without a word.")
    assert (end.kind, end.server, end.session) == ("end", "memory", "s1")
    assert json.loads(outcome.detail)["lost_pid"] == ended_pid
    assert json.loads(end.detail)["calls"] == 1


def test_a_call_that_waited_is_cancelled_and_its_question_withdrawn(
    ledger: Ledger, token: str
) -> None:
    waiting = ask(ledger, f"{token}01")
    call(ledger, f"{token}01", effect="approve", approval=waiting.id)
    ledger.settle_lost()
    assert outcomes(ledger) == {"01": "cancelled"}
    found = ledger.approvals.get(waiting.id)
    assert found is not None
    assert found.status == "withdrawn"
    assert ledger.verify().ok


def test_a_permission_given_meanwhile_stays_for_the_next_call(ledger: Ledger, token: str) -> None:
    waiting = ask(ledger, f"{token}01")
    call(ledger, f"{token}01", effect="approve", approval=waiting.id)
    ledger.approvals.decide(waiting.id, True, by="ada", args_hash=waiting.args_hash)
    ledger.settle_lost()
    found = ledger.approvals.get(waiting.id)
    assert found is not None
    assert found.status == "allowed"


def test_a_question_that_a_later_call_waits_for_stays_open(ledger: Ledger, token: str) -> None:
    waiting = ask(ledger, f"{token}01")
    call(ledger, f"{token}01", effect="approve", approval=waiting.id)
    call(ledger, "of-one-alive", effect="approve", approval=waiting.id)
    ledger.settle_lost()
    assert outcomes(ledger)["01"] == "cancelled"
    assert [one.id for one in ledger.approvals.pending()] == [waiting.id]


def test_a_question_of_another_call_stays_open(ledger: Ledger, token: str) -> None:
    waiting = ask(ledger, "of-one-alive")
    call(ledger, f"{token}01", effect="approve", approval=waiting.id)
    ledger.settle_lost()
    assert [one.id for one in ledger.approvals.pending()] == [waiting.id]


def test_a_held_call_that_was_released_is_lost(ledger: Ledger, token: str) -> None:
    call(ledger, f"{token}01", effect="approve")
    with ledger.transaction():
        ledger.counters.reserve([LIMIT], f"{token}01", ledger.transaction.turn())
        ledger.events.append("approval", call_id=f"{token}01", effect="allow")
    ledger.settle_lost()
    assert outcomes(ledger) == {"01": "lost"}
    assert used(ledger) == 1


def test_what_was_allowed_until_it_disconnects_ends(ledger: Ledger, token: str) -> None:
    ledger.catalogue.saw("memory", [{"name": "store"}])
    waiting = ask(ledger, f"{token}01")
    ledger.standing.allow(waiting.id, Wider(), by="ada", args_hash=waiting.args_hash)
    assert len(ledger.standing.live()) == 1
    ledger.settle_lost()
    assert ledger.standing.live() == ()


def test_calls_of_a_gateway_that_runs_are_left_alone(ledger: Ledger) -> None:
    token = ledger.presence.announce("gateway", server="memory")
    call(ledger, f"{token}01")
    assert ledger.settle_lost() == 0
    assert outcomes(ledger) == {"01": ""}
    assert used(ledger) == 1


def test_nothing_is_settled_twice(ledger: Ledger, file: Path, token: str) -> None:
    for number in range(250):
        call(ledger, f"{token}{number:04}", effect="allow")
    other = Ledger.open(file, clock=ledger._clock)
    before = other.presence.dead("gateway")
    assert ledger.settle_lost() == 250
    assert ledger.settle_lost() == 0
    other.presence.dead = lambda kind: before  # type: ignore[method-assign]
    assert other.settle_lost() == 0
    ends = [event for event in other.events.tail(0, 10_000) if event.kind in ("outcome", "end")]
    other.close()
    assert len(ends) == 251


def test_what_one_process_began_another_ends(
    ledger: Ledger, file: Path, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(250):
        call(ledger, f"{token}{number:04}")
    append, done = ledger.events.append, []

    def dying(*given: object, **named: object) -> int:
        done.append(given)
        if len(done) > 150:
            raise KeyboardInterrupt
        return append(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger.events, "append", dying)
    with pytest.raises(KeyboardInterrupt):
        ledger.settle_lost()
    ledger.close()
    other = Ledger.open(file)
    assert other.settle_lost() == 150
    assert set(outcomes(other).values()) == {"lost"}
    assert other.presence.dead("gateway") == ()
    assert other.verify().ok
    other.close()


def test_a_gateway_without_a_start_on_record_is_ended_all_the_same(
    ledger: Ledger, ended_pid: int
) -> None:
    token = ledger.presence.announce("gateway", server="files", project="/p", pid=ended_pid)
    ledger.presence.update(token, agent="codex")
    assert ledger.settle_lost() == 0
    (end,) = ledger.events.newest(1)
    assert (end.kind, end.server, end.agent, end.project) == ("end", "files", "codex", "/p")
    assert ledger.presence.dead("gateway") == ()
