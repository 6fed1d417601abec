"""What was refused or asked never pushes out what happened, whatever an agent chooses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pktui.ledger import Caller, Ledger
from pktui.settings import AuditSettings
from tests.ledger.conftest import CLAUDE, START_US, Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOUR = 3600
SMALL = AuditSettings(max_megabytes=1)


@pytest.fixture
def opened(file: Path, clock: Clock) -> Iterator[Callable[[], Ledger]]:
    """Open the ledger as a process that was just started does."""
    ledgers: list[Ledger] = []

    def another() -> Ledger:
        ledgers.append(Ledger.open(file, clock=clock, audit=SMALL))
        return ledgers[-1]

    yield another
    for ledger in ledgers:
        ledger.close()


def allowed(ledger: Ledger, tool: str = "pay") -> None:
    seq = ledger.events.append(
        "decision", caller=CLAUDE, call_id=tool, server="s", tool=tool, effect="allow"
    )
    ledger.events.append("outcome", caller=CLAUDE, call_id=tool, outcome="ok", ref_seq=seq)


def denied(ledger: Ledger, caller: Caller, number: int, size: int) -> int:
    arguments = {"n": number, "x": "p" * size}
    return ledger.events.append(
        "decision",
        caller=caller,
        call_id=f"n{number}",
        server="s",
        tool=f"nope{number}",
        effect="deny",
        arguments=arguments,
    )


def refused(ledger: Ledger, caller: Caller, number: int, size: int) -> int:
    return ledger.events.refused(caller, "s", -32700, "no JSON", b"x" * size + b"%d" % number)


def requested(ledger: Ledger, caller: Caller, number: int, size: int) -> int:
    return ledger.events.append(
        "request",
        caller=caller,
        server="s",
        tool="resources/read",
        effect="allow",
        arguments={"uri": f"{number}{'u' * size}"},
    )


def prune(ledger: Ledger) -> None:
    ledger.retention.announce()
    while ledger.retention.step():
        pass


def counted(ledger: Ledger) -> list[dict[str, Any]]:
    return [
        json.loads(event.detail)
        for event in ledger.events.tail(0, 100_000)
        if event.rule == "(counted)"
    ]


KINDS = {"denied": denied, "refused": refused, "requested": requested}
NAMES = {
    "one client": lambda _number: CLAUDE,
    "many names": lambda number: Caller(f"agent {number}", "", f"s{number}", f"/{number}"),
    "many connections": lambda number: Caller("a", "", f"s{number}", "/"),
}


@pytest.mark.parametrize("size", [1, 60_000])
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_no_flood_of_what_was_refused_pushes_out_what_happened(
    opened: Callable[[], Ledger],
    kind: Callable[[Ledger, Caller, int, int], int],
    name: Callable[[int], Caller],
    size: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Many times the record's size of it, where each is large; over several processes."""
    monkeypatch.setattr("pktui.ledger.chain.refusals._ROWS", 50)
    allowed(opened())
    flood, kept = 300, 0
    for part in range(3):
        ledger = opened()
        with ledger.transaction():
            for number in range(part * flood // 3, (part + 1) * flood // 3):
                kept += kind(ledger, name(number), number, size) > 0
        prune(ledger)
    ledger.events.tell_counted(all_of_them=True)
    events = ledger.events.tail(0, 100_000)
    assert [event.tool for event in events if event.effect == "allow"][:1] == ["pay"]
    assert not [event for event in events if event.kind == "prune"]
    assert sum(one["more"] for one in counted(ledger)) == flood - kept
    assert sum(len(event.arguments) + len(event.detail) for event in events) < 1_200_000
    verification = ledger.events.verify()
    assert verification.ok, verification.problem


def test_what_happened_goes_for_its_own_size_and_no_further_than_it_must(
    opened: Callable[[], Ledger],
) -> None:
    ledger = opened()
    with ledger.events.together():
        for number in range(2000):
            ledger.events.append(
                "decision",
                caller=CLAUDE,
                call_id=f"c{number}",
                server="s",
                tool="t",
                effect="allow",
                arguments={"x": "y" * 400},
            )
        for number in range(1500):
            denied(ledger, CLAUDE, number, 10)
            ledger.events.append("start", caller=CLAUDE, server="s")
    prune(ledger)
    left = [event.seq for event in ledger.events.tail(0, 100_000) if event.effect == "allow"]
    assert left == list(range(left[0], 2001))
    assert 500 < len(left) < 1000
    row = ledger._database.row("SELECT bytes FROM chain")
    assert row is not None
    assert 800_000 < row[0] <= 900_000 + 20_000
    assert ledger.events.verify().ok


def test_a_client_has_its_allowance_again_after_an_hour(
    opened: Callable[[], Ledger], clock: Clock
) -> None:
    ledger = opened()
    for hour in range(3):
        kept = [denied(ledger, CLAUDE, hour * 100 + number, 60_000) > 0 for number in range(6)]
        assert kept == [True] * 4 + [False] * 2
        clock.forward(HOUR)


def test_all_that_is_kept_beside_what_happened_has_its_share(
    opened: Callable[[], Ledger], clock: Clock
) -> None:
    ledger = opened()
    kept = 0
    for number in range(200):
        kept += denied(ledger, CLAUDE, number, 10_000) > 0
        clock.forward(HOUR)
    assert 90 <= kept <= 100
    assert opened().events.verify().ok


def test_one_client_leaves_the_others_theirs(opened: Callable[[], Ledger]) -> None:
    ledger = opened()
    for number in range(100):
        denied(ledger, CLAUDE, number, 20_000)
    assert denied(ledger, Caller("codex", "", "s2", "/other"), 1, 100)


def test_what_is_only_counted_is_said_at_once_and_then_now_and_then(
    opened: Callable[[], Ledger], clock: Clock
) -> None:
    ledger = opened()
    for number in range(20):
        denied(ledger, CLAUDE, number, 60_000)
    assert [one["more"] for one in counted(ledger)] == [1]
    clock.forward(599)
    ledger.events.tell_counted()
    assert len(counted(ledger)) == 1
    clock.forward(1)
    opened().events.tell_counted()
    first, second = counted(ledger)
    assert second["more"] == 15
    assert second["since_us"] == START_US
    assert len({first["sha256"], second["sha256"]}) == 2
    (event, _) = [event for event in ledger.events.tail(0, 100) if event.rule == "(counted)"]
    assert (event.kind, event.server) == ("refused", "s")
    assert (
        event.reason == "1 more call or request was refused or passed on, kept as number and hash"
    )


def test_the_hash_tells_what_was_counted_from_anything_else(file: Path, clock: Clock) -> None:
    hashes = set()
    for name in ("a", "b"):
        audit = AuditSettings(max_megabytes=1)
        ledger = Ledger.open(file.with_name(f"{name}.db"), clock=clock, audit=audit)
        for number in range(20):
            denied(ledger, CLAUDE, number + (number == 19 and name == "b"), 60_000)
        ledger.events.tell_counted(all_of_them=True)
        hashes.add(counted(ledger)[-1]["sha256"])
        ledger.close()
    assert len(hashes) == 2


def test_no_more_is_asked_than_can_be_kept(opened: Callable[[], Ledger]) -> None:
    ledger = opened()
    asked = 0
    while ledger.events.may_ask(CLAUDE, "s", 20_000):
        ledger.events.append(
            "decision",
            caller=CLAUDE,
            call_id=f"a{asked}",
            server="s",
            tool="t",
            effect="approve",
            arguments={"x": "y" * 20_000},
        )
        asked += 1
    assert 5 <= asked <= 7
    assert not opened().events.may_ask(CLAUDE, "s", 20_000)
    assert opened().events.may_ask(Caller("codex"), "s", 20_000)


def test_a_large_question_can_be_asked(opened: Callable[[], Ledger]) -> None:
    assert opened().events.may_ask(CLAUDE, "s", 4_000_000)


def test_decisions_that_let_through_are_never_only_counted(opened: Callable[[], Ledger]) -> None:
    ledger = opened()
    for number in range(50):
        denied(ledger, CLAUDE, number, 60_000)
    assert denied(ledger, CLAUDE, 51, 60_000) == 0
    last = ledger.events.last_seq()
    allowed(ledger, "after")
    assert ledger.events.last_seq() == last + 2
