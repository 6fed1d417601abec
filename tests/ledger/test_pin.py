"""The PIN: asked for every decision, wrong tries cost time, and only its owner takes it away."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pktui.errors import PinError
from pktui.ledger import Approval, Ledger, NewApproval, args_hash
from pktui.ledger.approvals.pin import FREE_TRIES, LONGEST
from tests.ledger.conftest import CLAUDE, MINUTE, START_US, Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pktui.settings import LedgerSettings

ENGINES = ("alone", "team")
RIGHT = "correct horse"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash at a sixteenth of the cost: it is kept beside the hash, so nothing else changes."""
    monkeypatch.setattr("pktui.ledger.approvals.pin.COST", 1 << 11)


@pytest.fixture
def guarded(ledger: Ledger) -> Ledger:
    ledger.pin.set(RIGHT, by="ada")
    return ledger


def ask(ledger: Ledger) -> Approval:
    return ledger.approvals.open(
        NewApproval(CLAUDE, "memory", "write", {}, args_hash({}), START_US + 10 * MINUTE)
    )


def wrong(ledger: Ledger, times: int) -> None:
    for _ in range(times):
        with pytest.raises(PinError):
            ledger.pin.check("guess", by="mallory")


def test_without_a_pin_nothing_is_asked(ledger: Ledger) -> None:
    assert not ledger.pin.wanted()
    ledger.pin.check("", by="ada")
    ledger.approvals.release(by="ada")


@pytest.mark.parametrize("given", ["", "guess"])
@pytest.mark.parametrize("allow", [True, False])
def test_no_decision_without_the_right_pin(guarded: Ledger, given: str, allow: bool) -> None:
    asked = ask(guarded)
    with pytest.raises(PinError):
        guarded.approvals.decide(asked.id, allow, by="x", args_hash=asked.args_hash, pin=given)
    assert guarded.approvals.pending() == (asked,)
    decided = guarded.approvals.decide(
        asked.id, allow, by="ada", args_hash=asked.args_hash, pin=RIGHT
    )
    assert decided.decided_by == guarded.signed("ada")


def test_stopping_needs_no_pin_and_releasing_does(guarded: Ledger) -> None:
    guarded.approvals.stop(by="anyone")
    with pytest.raises(PinError):
        guarded.approvals.release(by="anyone")
    assert guarded.approvals.stopped()
    assert guarded.approvals.release(by="ada", pin=RIGHT)


def test_a_required_pin_that_is_not_set_lets_nothing_be_decided(file: Path, clock: Clock) -> None:
    ledger = Ledger.open(file, clock=clock, require_pin=True)
    asked = ask(ledger)
    assert ledger.pin.wanted()
    with pytest.raises(PinError, match="none is set") as caught:
        ledger.approvals.decide(asked.id, True, by="ada", args_hash=asked.args_hash)
    assert "pktui approvals pin set" in caught.value.cure
    ledger.pin.set(RIGHT, by="ada")
    ledger.approvals.decide(asked.id, True, by="ada", args_hash=asked.args_hash, pin=RIGHT)
    ledger.close()


def test_wrong_tries_have_to_wait_twice_as_long_each_time(guarded: Ledger, clock: Clock) -> None:
    wrong(guarded, FREE_TRIES)
    for wait in (30, 60, 120):
        clock.forward(wait - 1)
        with pytest.raises(PinError, match="not looked at for 1 s"):
            guarded.pin.check(RIGHT, by="ada")
        clock.forward(1)
        wrong(guarded, 1)
    clock.forward(3600)
    guarded.pin.check(RIGHT, by="ada")
    wrong(guarded, FREE_TRIES - 1)
    guarded.pin.check(RIGHT, by="ada")


def test_the_wait_ends_and_never_exceeds_an_hour(guarded: Ledger, clock: Clock) -> None:
    for _ in range(40):
        wrong(guarded, 1)
        clock.forward(3600)
    guarded.pin.check(RIGHT, by="ada")


def test_other_processes_wait_alike(
    guarded: Ledger, file: Path, clock: Clock, shared: LedgerSettings
) -> None:
    wrong(guarded, FREE_TRIES)
    other = Ledger.open(file, clock=clock, shared=shared)
    with pytest.raises(PinError, match="not looked at"):
        other.pin.check(RIGHT, by="ada")
    other.close()


def test_wrong_tries_are_on_record_and_the_pin_is_not(guarded: Ledger, file: Path) -> None:
    wrong(guarded, 1)
    event = guarded.events.newest(1)[0]
    assert json.loads(event.detail) == {"pin": "wrong", "tries": 1, "by": guarded.signed("mallory")}
    kept = b"".join(part.read_bytes() for part in file.parent.rglob("*") if part.is_file())
    assert RIGHT.encode() not in kept
    assert b"guess" not in kept


def changes() -> Iterator[Callable[[Ledger, str], object]]:
    yield lambda ledger, old: ledger.pin.clear(old, by="ada")
    yield lambda ledger, old: ledger.pin.set("another", by="ada", old=old)


@pytest.mark.parametrize("change", list(changes()))
def test_changing_it_needs_the_old_one(
    guarded: Ledger, change: Callable[[Ledger, str], object]
) -> None:
    for old in ("", "guess"):
        with pytest.raises(PinError):
            change(guarded, old)
        guarded.pin.check(RIGHT, by="ada")
    change(guarded, RIGHT)
    if guarded.pin.is_set():
        with pytest.raises(PinError):
            guarded.pin.check(RIGHT, by="ada")


def test_clearing_where_there_is_none_does_nothing(ledger: Ledger) -> None:
    assert not ledger.pin.clear("", by="ada")


@pytest.mark.parametrize("bad", ["", "123", "x" * (LONGEST + 1)])
def test_a_pin_that_is_too_short_or_long_is_refused(ledger: Ledger, bad: str) -> None:
    with pytest.raises(PinError, match="characters"):
        ledger.pin.set(bad, by="ada")
    assert not ledger.pin.is_set()


def test_a_pin_counts_however_its_letters_were_typed(ledger: Ledger) -> None:
    ledger.pin.set("Zu\u0308rich \ud800", by="ada")
    ledger.pin.check("Z\u00fcrich \ud800", by="ada")


def test_a_changed_definition_is_accepted_with_the_pin_alone(guarded: Ledger) -> None:
    guarded.catalogue.saw("files", [{"name": "read"}])
    guarded.catalogue.saw("files", [{"name": "read", "description": "Read and send."}])
    with pytest.raises(PinError):
        guarded.catalogue.accept("files", "read", by="x")
    assert not guarded.catalogue.accept("files", "read", by="ada", pin=RIGHT).changed


@pytest.mark.alone
@pytest.mark.parametrize("column", ["salt = x'00'", "hash = x'00'", "n = 2", "event = ''"])
def test_a_pin_that_was_not_set_by_pktui_decides_nothing(guarded: Ledger, column: str) -> None:
    asked = ask(guarded)
    guarded._database.run(f"UPDATE pin SET {column}")
    with pytest.raises(PinError, match="not set by pktui") as caught:
        guarded.approvals.decide(asked.id, True, by="x", args_hash=asked.args_hash, pin=RIGHT)
    assert "pktui audit verify" in caught.value.cure
    with pytest.raises(PinError, match="not set by pktui"):
        guarded.pin.clear(RIGHT, by="x")
    assert guarded.approvals.pending() == (asked,)
