"""Who owns a store that several machines can reach."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pktui.errors import MemoryUnavailable
from pktui.memory.store import Store, lease
from pktui.memory.store.lease import Holder, Lease, LeaseLost
from pktui.memory.store.tables import Database
from tests.memory.store.conftest import ADA, log

HERE = Holder("here", "process 1 on desk")
THERE = Holder("there", "process 2 on cellar")


class Time:
    """Seconds that pass only by waiting; whoever else lives meanwhile may act."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.now = 0.0
        self.meanwhile = meanwhile

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds
        self.meanwhile()


def take(place: Path, me: Holder, time: Time) -> Lease:
    return Lease.take(Database(place), me, seconds=30, pause=time.pause, monotonic=time)


def test_a_living_owner_is_named_to_the_next_one(place: Path) -> None:
    owner = take(place, HERE, Time())
    with pytest.raises(MemoryUnavailable, match=r"process 1 on desk\) has /.*memory\.service"):
        take(place, THERE, Time(owner.renew))


def test_a_lease_that_is_not_renewed_runs_out(place: Path) -> None:
    here, there = Time(), Time()
    lost = take(place, HERE, here)
    owner = take(place, THERE, there)
    assert there.now >= 30
    with pytest.raises(LeaseLost, match="was lost: nothing more is written"):
        lost.renew()
    owner.renew()


def test_a_lease_that_was_given_back_is_free_at_once(place: Path) -> None:
    take(place, HERE, Time()).release()
    time = Time()
    take(place, THERE, time).renew()
    assert time.now == 0


def test_the_same_data_directory_takes_over_from_its_killed_service(place: Path) -> None:
    killed, time = take(place, HERE, Time()), Time()
    owner = take(place, HERE, time)
    assert time.now == 0
    owner.renew()
    with pytest.raises(LeaseLost):
        killed.renew()


def test_of_two_that_take_over_one_wins(place: Path) -> None:
    take(place, HERE, Time())
    third = Time()

    def another_is_faster() -> None:
        if third.now >= 30:
            take(place, Holder("faster", "process 3 on roof"), Time())

    third.meanwhile = another_is_faster
    with pytest.raises(MemoryUnavailable, match="process 3 on roof"):
        take(place, THERE, third)


def test_nothing_is_written_when_the_lease_may_be_lost(place: Path) -> None:
    time = Time()
    database = Database(place)
    lease = Lease.take(database, HERE, seconds=30, pause=time.pause, monotonic=time)
    database.guard = lease.check
    with Store.open(database) as store:
        session = store.start_session("s", ADA)
        time.now = 29
        log(store, session.id, "in time")
        time.now = 31
        with pytest.raises(LeaseLost, match="could not be renewed in time"):
            log(store, session.id, "too late")
        with pytest.raises(LeaseLost):
            lease.renew()
        assert store.messages(session.id).total == 1


def test_renewals_leave_no_pile_of_versions(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "_TIDY_EVERY", 4)
    owner = take(place, HERE, Time())
    for _ in range(12):
        owner.renew()
    assert Database(place).size_on_disk().versions < 6
