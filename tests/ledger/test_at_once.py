"""Work on the ledger that must not wait: whether it can be done now, and whose turn it is then."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pktui.ledger import Ledger


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Keep the ledger from every other writer."""
    other = sqlite3.connect(file, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
    finally:
        other.close()


@contextmanager
def at_once(ledger: Ledger) -> Iterator[bool]:
    """Claim the ledger, tell whether that was done, and let others in again."""
    mine = ledger.transaction.claim()
    try:
        yield mine
    finally:
        if mine:
            ledger.transaction.lock.release()


def fail_inside(ledger: Ledger) -> None:
    with ledger.transaction():
        ledger.events.append("start")
        raise KeyError


def kinds(ledger: Ledger) -> list[str]:
    return [event.kind for event in ledger.events.tail(0, 100)]


def test_what_is_done_at_once_is_committed_like_anything_else(ledger: Ledger) -> None:
    for _ in range(2):
        with at_once(ledger) as mine:
            assert mine
            with ledger.transaction():
                ledger.events.append("note")
    assert kinds(ledger) == ["note", "note"]


def test_several_transactions_inside_follow_each_other(ledger: Ledger) -> None:
    with at_once(ledger):
        ledger.events.append("note")
        with pytest.raises(KeyError):
            fail_inside(ledger)
        ledger.events.append("end")
    assert kinds(ledger) == ["note", "end"]


def test_what_was_not_used_keeps_nobody_waiting(ledger: Ledger, file: Path) -> None:
    with at_once(ledger) as mine:
        assert mine
    with locked(file):
        assert kinds(ledger) == []


def test_one_that_fails_leaves_the_ledger_to_the_next(ledger: Ledger) -> None:
    with pytest.raises(KeyError), at_once(ledger):
        raise KeyError
    assert ledger.events.append("note") == 1


def test_an_event_waits_for_nobody_who_changes_what_decides(file: Path) -> None:
    ledger = Ledger.open(file, own=True)
    with locked(file), at_once(ledger) as mine:
        assert mine
        ledger.events.append("note")
    assert kinds(ledger) == ["note"]
    ledger.close()


def test_nothing_is_done_at_once_while_another_thread_writes(ledger: Ledger) -> None:
    inside, leave = threading.Event(), threading.Event()

    def write() -> None:
        with ledger.transaction():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=write)
    thread.start()
    inside.wait()
    with at_once(ledger) as mine:
        assert not mine
    leave.set()
    thread.join()
    with at_once(ledger) as mine:
        assert mine


def test_a_transaction_under_way_is_not_claimed_again(ledger: Ledger) -> None:
    with ledger.transaction(), at_once(ledger) as mine:
        assert not mine
        ledger.events.append("note")
    assert kinds(ledger) == ["note"]


def test_a_closed_ledger_cannot_be_claimed(ledger: Ledger) -> None:
    ledger.close()
    with at_once(ledger) as mine:
        assert not mine
