"""Wrong clocks: what waits, what is locked and what is counted is as it would be without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pktui.errors import PinError
from pktui.ledger import Caller, Grant, Ledger, NewApproval, args_hash
from pktui.ledger.approvals.pin import FREE_TRIES, LONGEST_WAIT_US
from pktui.ledger.approvals.standing import Wider
from pktui.ledger.clock import SharedClock
from pktui.times import BELIEVED_AFTER_US, SECOND_US, SKEW_US, SteadyClock
from tests.ledger.conftest import CLAUDE, MINUTE, START_US, Clock, Limit
from tests.support.charging import take

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400 * SECOND_US
ARGUMENTS = {"a": 1}


class Process:
    """A process at a ledger, on a machine with an uptime, and with a clock of its own."""

    def __init__(self, ledger: Ledger, up_us: int, wall_us: int, boot: str = "b1") -> None:
        self.clock = SteadyClock(lambda: wall_us * 1000, lambda: up_us * 1000)
        self.shared = SharedClock(ledger._database, self.clock, lambda: boot, lambda: up_us)
        self.shared.join()

    @property
    def now(self) -> int:
        return self.clock()


def test_the_first_process_tells_the_others_the_time(ledger: Ledger) -> None:
    assert Process(ledger, 5 * DAY, START_US).now == START_US
    for wall in (START_US + 400 * DAY, START_US - 30 * DAY):
        later = Process(ledger, 5 * DAY + MINUTE, wall)
        assert later.now == START_US + MINUTE
    near = START_US + 2 * MINUTE + 10 * SECOND_US
    assert Process(ledger, 5 * DAY + 2 * MINUTE, near).now == near


def test_after_a_start_of_the_machine_its_clock_counts(ledger: Ledger) -> None:
    Process(ledger, 5 * DAY, START_US)
    assert Process(ledger, MINUTE, START_US + 90 * DAY, "b2").now == START_US + 90 * DAY
    assert Process(ledger, 2 * MINUTE, START_US, "b2").now == START_US + 90 * DAY + MINUTE


def test_a_time_that_several_processes_tell_for_long_enough_is_believed(ledger: Ledger) -> None:
    Process(ledger, 0 + DAY, START_US)
    for late in range(0, BELIEVED_AFTER_US, 2 * MINUTE):
        found = Process(ledger, DAY + MINUTE + late, START_US + 9 * DAY + late)
        assert found.now == START_US + MINUTE + late
    up = DAY + MINUTE + BELIEVED_AFTER_US
    wall = START_US + 9 * DAY + BELIEVED_AFTER_US
    assert Process(ledger, up, wall).now == wall
    assert Process(ledger, up + MINUTE, START_US).now == wall + MINUTE


def test_one_wrong_clock_now_and_then_is_never_believed(ledger: Ledger) -> None:
    Process(ledger, DAY, START_US)
    for turn in range(1, 40):
        passed = turn * 5 * MINUTE
        wrong = Process(ledger, DAY + passed, START_US + 400 * DAY + passed)
        assert wrong.now == START_US + passed
        right = Process(ledger, DAY + passed + MINUTE, START_US + passed + MINUTE)
        assert right.now == START_US + passed + MINUTE


def test_a_process_that_came_to_believe_in_another_time_tells_it(ledger: Ledger) -> None:
    process = Process(ledger, DAY, START_US)
    process.shared.tell()
    process.clock.set(START_US + 9 * DAY)
    process.shared.tell()
    assert Process(ledger, DAY + 2 * MINUTE, START_US).now == START_US + 2 * MINUTE
    process.clock.leaps = 1
    process.shared.tell()
    assert Process(ledger, DAY + 2 * MINUTE, START_US).now == START_US + 9 * DAY + 2 * MINUTE


def test_a_machine_that_does_not_tell_its_start_goes_by_its_clock(ledger: Ledger) -> None:
    for boot, up in (("", DAY), ("b1", 0)):
        for wall in (START_US, START_US + 400 * DAY):
            assert Process(ledger, up, wall, boot).now == wall


def asked(ledger: Ledger, clock: Clock) -> str:
    return ledger.approvals.open(
        NewApproval(
            caller=CLAUDE,
            server="memory",
            tool="store",
            arguments=ARGUMENTS,
            args_hash=args_hash(ARGUMENTS),
            expires_us=clock() + 10 * MINUTE,
        )
    ).id


@pytest.mark.parametrize("allowed", [False, True])
def test_a_question_of_a_clock_that_was_ahead_holds_no_longer_than_any(
    ledger: Ledger, clock: Clock, allowed: bool
) -> None:
    clock.forward(400 * 86_400)
    one = asked(ledger, clock)
    if allowed:
        ledger.approvals.decide(one, True, by="ada", args_hash=args_hash(ARGUMENTS))
    clock.now = START_US
    found = ledger.approvals.get(one)
    assert found is not None
    assert found.status == "expired"
    assert not ledger.approvals.pending()
    assert not ledger.approvals.spend(one)
    assert [settled.id for settled in ledger.approvals.expire()] == [one]
    assert ledger.verify().ok


def test_clocks_that_differ_a_little_harm_no_question(ledger: Ledger, clock: Clock) -> None:
    clock.now += SKEW_US
    one = asked(ledger, clock)
    clock.now -= SKEW_US
    assert [waiting.id for waiting in ledger.approvals.pending()] == [one]


def test_a_standing_approval_of_a_clock_that_was_ahead_does_not_stand(
    ledger: Ledger, clock: Clock
) -> None:
    clock.forward(400 * 86_400)
    ledger.catalogue.saw("memory", [{"name": "store"}])
    one = asked(ledger, clock)
    _, made = ledger.standing.allow(
        one, Wider(for_us=MINUTE), by="ada", args_hash=args_hash(ARGUMENTS)
    )
    assert made.answers(CLAUDE, "store", "", clock())
    clock.now = START_US
    assert not made.answers(CLAUDE, "store", "", clock())
    assert not ledger.standing.live()


def test_a_grant_that_ends_and_was_made_in_the_future_is_over() -> None:
    grant = Grant("ci", ("*",), "", START_US + 400 * DAY, START_US + 430 * DAY)
    assert grant.standing(START_US) == "expired"
    assert grant.standing(START_US + 400 * DAY - SKEW_US) == "valid"
    endless = Grant("ci", ("*",), "", START_US + 400 * DAY)
    assert endless.standing(START_US) == "valid"


def wrong_tries(ledger: Ledger, count: int) -> None:
    for _ in range(count):
        with pytest.raises(PinError, match="wrong"):
            ledger.pin.check("0000", by="eve")


def test_a_pin_is_locked_no_longer_for_a_clock_that_was_ahead(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.ledger.approvals.pin.COST", 2)
    ledger.pin.set("1234", by="ada")
    clock.forward(60 * 86_400)
    wrong_tries(ledger, FREE_TRIES)
    clock.now = START_US
    with pytest.raises(PinError, match=r"not looked at for (\d+) s"):
        ledger.pin.check("1234", by="ada")
    clock.now += LONGEST_WAIT_US
    ledger.pin.check("1234", by="ada")


def test_asking_again_while_a_pin_is_locked_makes_the_wait_no_longer(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.ledger.approvals.pin.COST", 2)
    ledger.pin.set("1234", by="ada")
    wrong_tries(ledger, FREE_TRIES)
    for _ in range(29):
        clock.forward(1)
        with pytest.raises(PinError, match="not looked at"):
            ledger.pin.check("1234", by="ada")
    clock.forward(1)
    ledger.pin.check("1234", by="ada")


@pytest.mark.parametrize("align", ["sliding", "calendar"])
def test_a_window_that_was_filled_ahead_of_time_is_free_after_its_length(
    ledger: Ledger, clock: Clock, align: str
) -> None:
    limit = Limit(align=align)
    clock.forward(400 * 86_400)
    for number in range(3):
        assert take(ledger, [limit], f"c{number}") is None
    clock.now = START_US
    assert take(ledger, [limit], "c3") is limit, "nothing was given back"
    clock.forward(59 if align == "sliding" else 0)
    assert take(ledger, [limit], "c4") is limit
    clock.forward(61)
    assert take(ledger, [limit], "c5") is None


def test_a_ledger_that_is_only_read_notes_no_time(ledger: Ledger, file: Path) -> None:
    before = ledger._database.row("SELECT * FROM clock")
    reader = Ledger.open(file, read_only=True)
    reader.events.newest(1)
    reader.close()
    assert ledger._database.row("SELECT * FROM clock") == before
    assert Caller("x").identity == "x@"
