"""What was refused or asked never pushes out what happened, whatever an agent chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pktui.ledger import Caller, Ledger
from pktui.ledger.journal.joints import Joints
from pktui.settings import AuditSettings
from tests.ledger.conftest import CLAUDE, MINUTE, Clock, Limit
from tests.support.charging import take

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

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
    ledger.events.append(
        "outcome", caller=CLAUDE, call_id=tool, tool=tool, outcome="ok", ref_seq=seq
    )


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


KINDS = {"denied": denied, "refused": refused, "requested": requested}
NAMES = {
    "one client": lambda _number: CLAUDE,
    "many names": lambda number: Caller(f"agent {number}", "", f"s{number}", f"/{number}"),
    "many connections": lambda number: Caller("a", "", f"s{number}", "/"),
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_no_flood_of_what_was_refused_pushes_out_what_happened(
    opened: Callable[[], Ledger],
    file: Path,
    kind: Callable[[Ledger, Caller, int, int], int],
    name: Callable[[int], Caller],
) -> None:
    """Several times the record's size of it, over several processes."""
    allowed(opened())
    for part in range(3):
        ledger = opened()
        for number in range(part * 40, part * 40 + 40):
            kind(ledger, name(number), number, 60_000)
        prune(ledger)
    events = ledger.events.tail(0, 100_000)
    assert [event.tool for event in events if event.kind == "outcome"] == ["pay"]
    assert sum(path.stat().st_size for path in (file.parent / "journal").iterdir()) < 400_000
    verification = ledger.verify()
    assert verification.ok, verification.problem


def flood(ledger: Ledger, count: int = 40) -> None:
    for number in range(count):
        denied(ledger, CLAUDE, number, 60_000)


def test_what_was_refused_goes_while_a_limit_still_counts(
    opened: Callable[[], Ledger], file: Path
) -> None:
    ledger = opened()
    month = Limit(window_us=30 * 24 * 60 * MINUTE)
    take(ledger, [month])
    flood(ledger)
    prune(ledger)
    assert sum(path.stat().st_size for path in (file.parent / "journal").iterdir()) < 400_000
    assert ledger.counters.usage(month)[0] == 1


def test_the_word_of_what_was_refused_lies_with_it(
    opened: Callable[[], Ledger], file: Path, clock: Clock
) -> None:
    """However often an agent makes it go, nothing is added to what happened."""
    ledger = opened()
    allowed(ledger)
    flood(ledger)
    due = ledger.retention.due()
    prune(ledger)
    assert "rows of what was refused or asked for" in str(due)
    joints = Joints(file.parent / "journal", clock)
    joints.refresh()
    events = ledger.events.tail(0, 1000)
    [word] = [event for event in events if event.kind == "prune"]
    assert joints.segments[word.segment].opened.shelf == "beside"
    assert ledger.retention.pruned_for_size() == ""


def test_two_that_look_at_once_let_the_same_go(opened: Callable[[], Ledger]) -> None:
    one, another = opened(), opened()
    flood(one)
    assert one.retention.announce() is not None
    assert another.retention.announce() is not None
    while one.retention.step() | another.retention.step():
        pass
    assert one.verify().ok


def test_what_happened_goes_for_its_own_size(opened: Callable[[], Ledger]) -> None:
    ledger = opened()
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
        denied(ledger, CLAUDE, number, 10)
    prune(ledger)
    left = [event for event in ledger.events.tail(0, 100_000) if event.effect == "allow"]
    assert [event.call_id for event in left] == [f"c{n}" for n in range(2000 - len(left), 2000)]
    assert 1000 < len(left) < 2000
    assert ledger.verify().ok


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
