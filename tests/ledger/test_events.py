"""The chain of events: what is appended stands, and what is tampered with is named."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pktui.ledger import Caller, Ledger
from pktui.settings import AuditSettings
from tests.ledger.conftest import CLAUDE, START_US, Clock

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.ledger.arguments.masking import ArgumentsMode


def fill(ledger: Ledger, count: int = 10) -> None:
    for number in range(count):
        ledger.events.append(
            "decision",
            caller=CLAUDE,
            call_id=f"c{number}",
            server="memory",
            tool="search",
            effect="allow",
            arguments={"query": f"number {number}"},
        )


def test_an_event_is_read_as_it_was_appended(ledger: Ledger, clock: Clock) -> None:
    seq = ledger.events.append(
        "decision",
        caller=CLAUDE,
        call_id="c1",
        server="memory",
        tool="store",
        effect="deny",
        rule="/tools/store",
        reason="No.",
        args_hash="ab",
        arguments={"title": "Grüße \N{SNOWMAN}", "token": "abc123def456"},
        approval_id="tavo-93",
        detail={"era": "2026-07-28"},
    )
    (event,) = ledger.events.tail()
    assert (event.seq, event.at_us, event.kind, event.effect) == (
        seq,
        clock.now,
        "decision",
        "deny",
    )
    assert (event.agent, event.session, event.project) == ("claude-code", "s1", "/home/ada/shop")
    assert json.loads(event.arguments) == {
        "title": "Grüße \N{SNOWMAN}",
        "token": "[masked 12 characters]",
    }
    assert json.loads(event.detail) == {"era": "2026-07-28"}
    assert event.prev == "00" * 32
    assert len(event.hash) == 64


def test_each_event_names_the_hash_before_it(ledger: Ledger) -> None:
    fill(ledger, 3)
    first, second, third = ledger.events.tail()
    assert (second.prev, third.prev) == (first.hash, second.hash)


def test_the_tail_is_read_in_pages_and_the_newest_from_the_end(ledger: Ledger) -> None:
    fill(ledger, 5)
    assert [event.seq for event in ledger.events.tail(2, 2)] == [3, 4]
    assert [event.seq for event in ledger.events.newest(2)] == [4, 5]
    assert ledger.events.last_seq() == 5


def test_an_outcome_names_its_decision(ledger: Ledger) -> None:
    fill(ledger, 2)
    ledger.events.append("outcome", call_id="c1", outcome="ok", duration_us=1500, ref_seq=2)
    assert [event.kind for event in ledger.events.of_call("c1")] == ["decision", "outcome"]
    assert ledger.events.newest(1)[0].ref_seq == 2


@pytest.mark.parametrize("text", ["\ud800", "nul \0 inside", "\x1b[31m", "a\u202eb", "x" * 200_000])
def test_hostile_text_is_kept_and_the_chain_holds(ledger: Ledger, text: str) -> None:
    caller = Caller(text, text, text, text)
    ledger.events.append("decision", caller=caller, tool=text, arguments={text: text}, reason=text)
    fill(ledger, 1)
    assert ledger.verify().ok
    assert json.loads(ledger.events.tail()[0].arguments)


def test_a_transaction_that_fails_leaves_no_event(ledger: Ledger) -> None:
    def half() -> None:
        with ledger.transaction():
            fill(ledger, 2)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert ledger.events.tail() == ()
    assert ledger.verify().ok


def test_events_of_a_transaction_are_a_chain_with_those_of_others(
    ledger: Ledger, file: Path, clock: Clock
) -> None:
    with closing(Ledger.open(file, clock=clock)) as other:
        for count in (1, 3, 2):
            for writer in (ledger, other):
                with writer.transaction(rows=False):
                    fill(writer, count)
                assert writer.verify().ok
        assert [event.seq for event in other.events.tail()] == list(range(1, 13))


def test_events_of_a_transaction_that_fail_leave_none_and_the_next_follow_the_last_that_stand(
    ledger: Ledger,
) -> None:
    def half(count: int) -> None:
        with ledger.transaction(rows=False):
            fill(ledger, count)
            raise RuntimeError

    fill(ledger, 2)
    for count in (1, 3):
        with pytest.raises(RuntimeError):
            half(count)
        fill(ledger, 1)
        assert ledger.verify().ok
    assert ledger.events.last_seq() == 4


def test_arguments_are_kept_as_the_settings_say(file: Path) -> None:
    ledger = Ledger.open(file, audit=AuditSettings(arguments="keys", fsync=True))
    ledger.events.append("decision", arguments={"path": "/etc", "depth": 3})
    assert ledger.events.tail()[0].arguments == '{"path":"string","depth":"integer"}'
    ledger.close()


TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ012345"


@pytest.mark.parametrize("mode", ["masked", "full", "keys", "hash"])
def test_no_column_of_an_event_holds_a_secret_unless_all_is_kept(
    file: Path, mode: ArgumentsMode
) -> None:
    ledger = Ledger.open(file, audit=AuditSettings(arguments=mode))
    ledger.events.append(
        "decision",
        arguments={"env": [{"deep": {"api_key": "hunter22", "text": f"use {TOKEN}"}}]},
        reason=f"The value {TOKEN} is too long.",
    )
    ledger.events.refused(CLAUDE, "memory", -32700, "no JSON", f'{{"password":"{TOKEN}'.encode())
    kept = "".join(map(str, ledger.events.tail()))
    assert (TOKEN in kept) == (mode == "full")
    assert ("hunter22" in kept) == (mode == "full")
    ledger.close()


def test_a_refused_message_is_known_by_its_hash_where_none_of_it_is_kept(file: Path) -> None:
    ledger = Ledger.open(file, audit=AuditSettings(arguments="hash"))
    ledger.events.refused(CLAUDE, "memory", -32700, "no JSON", b"{oops")
    (event,) = ledger.events.tail()
    ledger.close()
    assert json.loads(event.detail) == {
        "bytes": 5,
        "sha256": hashlib.sha256(b"{oops").hexdigest(),
    }


def test_an_untouched_chain_verifies_and_reports_progress(ledger: Ledger) -> None:
    fill(ledger)
    seen: list[tuple[int, int]] = []
    verification = ledger.verify(lambda done, of: seen.append((done, of)))
    assert (verification.ok, verification.rows, verification.problem) == (True, 10, "")
    assert not seen


def test_times_are_those_of_the_clock(ledger: Ledger, clock: Clock) -> None:
    fill(ledger, 1)
    clock.forward(2.5)
    fill(ledger, 1)
    assert [event.at_us - START_US for event in ledger.events.tail()] == [0, 2_500_000]
