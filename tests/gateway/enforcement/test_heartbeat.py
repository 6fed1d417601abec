"""What gateways put on record of themselves, and what verification makes of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pktui.gateway.enforcement.heartbeat import Lifetime
from pktui.ledger.ledger import Ledger
from tests.support.gateway import RunningGateway, plain_server

if TYPE_CHECKING:
    import pytest

    from pktui.settings import Paths


def said(paths: Paths) -> list[tuple[str, str]]:
    """Return server and effect of all that gateways said of themselves."""
    ledger = Ledger.open(paths.ledger_file)
    rows = [json.loads(line) for line in ledger.framed()]
    ledger.close()
    return [(row["server"], row["effect"]) for row in rows if row.get("kind") == "gateway"]


def test_a_gateway_says_that_it_opened_and_closed(paths: Paths) -> None:
    with RunningGateway("demo", "--", *plain_server()) as gateway:
        while ("demo", "open") not in said(paths):
            pass
        assert gateway.hang_up() == 0
    assert said(paths) == [("demo", "open"), ("demo", "close")]
    ledger = Ledger.open(paths.ledger_file)
    found = ledger.verify()
    listed = [event.kind for event in ledger.events.newest(100)]
    calls = ledger.feed.page()
    ledger.close()
    assert (found.ok, found.gaps) == (True, ())
    assert "gateway" not in listed
    assert calls == ()


def test_one_that_runs_is_no_gap_and_one_that_was_killed_is_named(paths: Paths) -> None:
    ledger = Ledger.open(paths.ledger_file)
    with RunningGateway("demo", "--", *plain_server()) as gateway:
        gateway.ask("ping")
        while ("demo", "open") not in said(paths):
            pass
        assert ledger.verify().gaps == ()
        gateway.process.kill()
        gateway.process.wait()
        (gap,) = ledger.verify().gaps
        assert (gap.how, gap.server, gap.pid) == ("unclosed", "demo", gateway.process.pid)
    assert ledger.settle_lost() == 0
    (gap,) = ledger.verify().gaps
    assert (gap.how, gap.next_us) == ("killed", 0)
    assert gap.until_us > gap.since_us
    with RunningGateway("demo", "--", *plain_server()) as gateway:
        while said(paths).count(("demo", "open")) < 2:
            pass
        (gap,) = ledger.verify().gaps
        assert gap.next_us > gap.since_us
        gateway.hang_up()
    assert ledger.verify().ok
    ledger.close()


def test_beats_follow_while_the_machine_was_awake_or_not(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = [5_000_000_000]
    monkeypatch.setattr("pktui.gateway.enforcement.heartbeat.boot_ns", lambda: ticks[0])
    ledger = Ledger.open(paths.ledger_file)
    lifetime = Lifetime("demo", 1)
    for seconds in (0, 59, 1, 59, 8 * 3600, 1):
        ticks[0] += seconds * 1_000_000_000
        lifetime.tell(ledger)
    lifetime.close(ledger)
    ledger.close()
    assert [effect for _, effect in said(paths)] == ["open", "beat", "beat", "close"]


def test_without_beats_it_opens_and_closes(paths: Paths) -> None:
    ledger = Ledger.open(paths.ledger_file)
    lifetime = Lifetime("demo", 0)
    lifetime.close(ledger)
    for _ in range(3):
        lifetime.tell(ledger)
    lifetime.close(ledger)
    ledger.close()
    assert [effect for _, effect in said(paths)] == ["open", "close"]
