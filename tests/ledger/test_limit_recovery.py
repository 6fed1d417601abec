"""A team's database that crashes: what was taken from limits counts, whatever the crash lost."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from pktui.errors import LedgerUnavailable, TeamUnavailable
from pktui.ledger import Ledger
from pktui.ledger.postgres import connection as link_module
from pktui.settings import LedgerSettings
from pktui.times import now_us
from tests.ledger.conftest import Limit
from tests.support.charging import give_back, take
from tests.support.postgres import Server, query

Open = Callable[..., Ledger]
HOUR = 3_600_000_000


@pytest.fixture(scope="module")
def crashing() -> Iterator[Server]:
    """A server of its own, which writes what did not wait for the disk late."""
    server = Server(f"crash-{os.getpid()}")
    query(server.uri(), "ALTER SYSTEM SET wal_writer_delay = '10s'")
    query(server.uri(), "SELECT pg_reload_conf()")
    yield server
    server.close()


@pytest.fixture
def uri(crashing: Server) -> str:
    return crashing.database()


@pytest.fixture
def machine(tmp_path: Any, uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    monkeypatch.setattr(link_module, "_AGAIN_SECONDS", 0.05)
    opened: list[Ledger] = []

    def open_one(name: str, **more: Any) -> Ledger:
        path = tmp_path / name / "ledger.db"
        opened.append(Ledger.open(path, shared=LedgerSettings(uri, name), **more))
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.close()


def crash(uri: str) -> None:
    """End a process of the server as no server survives it, and wait until it answers again."""
    import psycopg

    with contextlib.suppress(psycopg.OperationalError):
        ((pid,),) = query(
            uri,
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'",
        )
        os.kill(int(str(pid)), signal.SIGKILL)
        query(uri, "SELECT pg_sleep(30)")
        pytest.fail("the server has not crashed")
    answers(lambda: query(uri, "SELECT 1"), psycopg.OperationalError)


def answers(ask: Callable[[], Any], away: type[Exception] = LedgerUnavailable) -> Any:
    """Ask until there is an answer."""
    pause = threading.Event()
    for _ in range(3000):
        with contextlib.suppress(away):
            return ask()
        pause.wait(0.02)
    pytest.fail("it never answered again")


def both(*ledgers: Ledger) -> None:
    """Let each have its connection: to make the first is on the disk, with all before it."""
    for ledger in ledgers:
        assert not ledger.approvals.stopped()


def used(ledger: Ledger, limit: Limit) -> Decimal:
    return ledger.counters.usage(limit)[0]


@pytest.mark.parametrize("ahead", [0, HOUR, -HOUR], ids=["right", "ahead", "behind"])
def test_what_a_crash_lost_is_counted_before_anything_is_taken(
    machine: Open, uri: str, ahead: int
) -> None:
    here, there = machine("here"), machine("there", clock=lambda: now_us() + ahead)
    limit = Limit(max=Decimal(8), window_us=HOUR)
    both(here, there)
    for n in range(3):
        assert take(here, [limit], f"h{n}") is None
        assert take(there, [limit], f"t{n}") is None
    assert give_back(there, "t1")
    crash(uri)
    query(uri, "DELETE FROM charges")  # whatever of it was on the disk already
    query(uri, "UPDATE counters SET used = 0")
    with pytest.raises(TeamUnavailable):
        here.approvals.stopped()  # its connection is gone
    with pytest.raises(TeamUnavailable, match=r"came back after a crash.*: there"):
        here.approvals.stopped()
    with pytest.raises(TeamUnavailable):
        there.approvals.stopped()
    (here.path.parent / "team.away").unlink(missing_ok=True)
    answers(there.approvals.stopped)
    answers(here.approvals.stopped)
    assert used(here, limit) == 5
    assert [take(here, [limit], f"again{n}") is None for n in range(4)] == [True, True, True, False]


def test_a_machine_that_never_comes_back_is_waited_for_no_longer_than_a_minute(
    machine: Open, uri: str
) -> None:
    here, there = machine("here"), machine("there")
    limit = Limit(window_us=HOUR)
    both(here, there)
    assert take(there, [limit], "t") is None
    assert take(here, [limit], "h") is None
    there.close()
    crash(uri)
    query(uri, "DELETE FROM charges")
    for _ in range(2):
        with pytest.raises(TeamUnavailable):
            here.approvals.stopped()
    query(uri, "UPDATE awake SET since_us = since_us - 61000000")
    answers(here.approvals.stopped)
    assert used(here, limit) == 1


def test_a_clock_that_was_set_back_hides_nothing_that_was_taken_since(
    machine: Open, uri: str
) -> None:
    here, idle = machine("here"), machine("idle")
    limit = Limit(window_us=HOUR)
    both(here, idle)
    idle.close()
    query(uri, f"UPDATE machines SET seen_us = seen_us + {HOUR}")
    assert take(here, [limit], "h") is None
    crash(uri)
    query(uri, "DELETE FROM charges")
    query(uri, "UPDATE counters SET used = 0")
    for _ in range(2):
        with pytest.raises(TeamUnavailable):
            here.approvals.stopped()
    query(uri, "UPDATE awake SET since_us = since_us - 61000000")
    answers(here.approvals.stopped)
    assert used(here, limit) == 1


def test_a_limit_holds_over_a_crash_in_mid_load(machine: Open, uri: str) -> None:
    limit = Limit(max=Decimal(400), window_us=HOUR)
    ledgers = [machine(name, own=True) for name in ("a", "b", "c")]
    enough, full = threading.Event(), threading.Event()
    let_through: list[str] = []

    def work(ledger: Ledger, name: str) -> None:
        n = 0
        while not full.is_set():
            n += 1
            with contextlib.suppress(LedgerUnavailable):
                if take(ledger, [limit], f"{name}{n}") is not None:
                    full.set()
                    return
                let_through.append(f"{name}{n}")
                if len(let_through) == 150:
                    enough.set()

    threads = [
        threading.Thread(target=work, args=(ledger, f"{n}-"), daemon=True)
        for n, ledger in enumerate(ledgers)
    ]
    for thread in threads:
        thread.start()
    assert enough.wait(60)
    crash(uri)
    for thread in threads:
        thread.join(90)
    assert full.is_set()
    on_record = [
        event.call_id
        for ledger in ledgers
        for event in ledger.events.tail(limit=1000)
        if event.kind == "decision" and event.charges
    ]
    assert sorted(on_record) == sorted(let_through)
    assert len(let_through) <= 400
    # What a call took that no row says, because the server died under it, may stay taken.
    assert len(let_through) >= 400 - len(ledgers)
    assert query(uri, "SELECT used / 1000000 FROM counters") == [(400,)]
