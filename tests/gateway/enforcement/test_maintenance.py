"""What gateways do for the ledger beside serving calls."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from pktui.gateway.enforcement.maintenance import Upkeep
from pktui.gateway.enforcement.remembered_calls import RememberedCalls
from pktui.ledger.ledger import Ledger
from pktui.settings import AuditSettings, Settings, load_settings
from tests.support.gateway import RunningGateway, plain_server
from tests.support.time_authority import TimeAuthority

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.settings import Paths


def set_audit(paths: Paths, lines: str) -> None:
    paths.config_dir.mkdir(parents=True, exist_ok=True)
    paths.settings_file.write_text(f"[audit]\n{lines}\n")


def test_a_gateway_anchors_the_record_when_it_ends(paths: Paths, tmp_path: Path) -> None:
    anchors = tmp_path / "anchors"
    set_audit(paths, f'anchor = "{anchors}"')
    with RunningGateway("demo", "--", *plain_server()) as gateway:
        gateway.call("echo", 1)
        gateway.reply()
        assert gateway.hang_up() == 0
    audit = AuditSettings(anchor=str(anchors))
    ledger = Ledger.open(paths.ledger_file, audit=audit, read_only=True)
    verification = ledger.verify()
    newest = ledger.events.newest(1)[0]
    ledger.close()
    assert json.loads(anchors.read_text().splitlines()[-1])["rows"] == verification.rows
    assert newest.kind == "end"
    assert verification.ok
    assert verification.anchors >= 1


def test_upkeep_goes_on_while_the_gateway_runs(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.gateway.enforcement.maintenance._FIRST_SECONDS", 0)
    monkeypatch.setattr("pktui.gateway.enforcement.maintenance._EVERY_SECONDS", 0)
    anchors = tmp_path / "anchors"
    ledger = Ledger.open(paths.ledger_file)
    with Upkeep(
        paths, Settings(audit=AuditSettings(anchor=str(anchors), anchor_events=1)), pytest.fail
    ):
        for number in range(1, 4):
            ledger.events.append("note")
            rows = number + 1  # that it opened is one
            while not anchors.exists() or f'"rows":{rows}}}' not in anchors.read_text():
                pass
    ledger.close()


def test_the_memory_is_told_once_more_when_the_gateway_ends(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.gateway.enforcement.maintenance._FIRST_SECONDS", 0)
    monkeypatch.setattr("pktui.gateway.enforcement.maintenance._EVERY_SECONDS", 60)
    looked, told = threading.Event(), list[int]()

    def tell(_calls: RememberedCalls, ledger: Ledger, _now_us: int) -> None:
        told.append(ledger.events.last_seq())
        looked.set()

    monkeypatch.setattr(RememberedCalls, "tell", tell)
    ledger = Ledger.open(paths.ledger_file)
    with Upkeep(paths, Settings(audit=AuditSettings()), pytest.fail):
        assert looked.wait(60)
        ledger.events.append("note")
    assert told == [told[0], ledger.events.last_seq()]
    assert told[0] < told[1]
    ledger.close()


def test_what_goes_wrong_is_said_once_and_keeps_nobody_from_working(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.gateway.enforcement.maintenance._FIRST_SECONDS", 0)
    monkeypatch.setattr("pktui.gateway.enforcement.maintenance._EVERY_SECONDS", 0)
    ledger = Ledger.open(paths.ledger_file)
    ledger.events.append("note")
    ledger.close()
    said: list[str] = []
    told = threading.Event()

    def log(sentence: str) -> None:
        said.append(sentence)
        told.set()

    with Upkeep(
        paths, Settings(audit=AuditSettings(anchor=str(tmp_path / "none" / "anchors"))), log
    ):
        assert told.wait(30)
    assert len(said) == 1
    assert "the record is not being looked after: the anchors" in said[0]


def test_gateways_prune_what_is_too_old(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pktui.gateway.enforcement.maintenance._FIRST_SECONDS", 0)
    monkeypatch.setattr("pktui.gateway.enforcement.maintenance._BETWEEN_SECONDS", 0)
    ledger = Ledger.open(paths.ledger_file, clock=lambda: 1)
    for _ in range(500):
        ledger.events.append("note")
    own = Ledger.open(paths.ledger_file)
    own.retention.believe()
    own.close()
    said: list[str] = []
    with Upkeep(paths, Settings(audit=AuditSettings(keep_days=1)), said.append):
        while len(ledger.events.tail(0, 1000)) > 1:
            pass
    verification = ledger.verify()
    ledger.close()
    assert verification.ok
    assert [line.partition(",")[0] for line in said] == ["the 500 oldest rows of the record"]


def test_a_clock_that_leapt_prunes_nothing_and_is_named_once(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger.open(paths.ledger_file, clock=lambda: 1)
    for _ in range(50):
        ledger.events.append("note")
    said: list[str] = []
    audit = AuditSettings(keep_days=1)
    upkeep = Upkeep(paths, Settings(audit=audit), said.append)
    own = Ledger.open(paths.ledger_file, audit=audit)
    for _ in range(3):
        upkeep._look(own)
    own.close()
    assert len(ledger.events.tail(0, 1000)) == 50
    ledger.close()
    assert len(said) == 1
    assert "days ahead of what the record has seen: nothing goes for its age" in said[0]


@pytest.mark.parametrize("others", [1, 2])
def test_space_is_given_back_where_nobody_else_serves(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    monkeypatch.setattr("pktui.gateway.enforcement.maintenance._IDLE_US", -1)
    monkeypatch.setattr("pktui.ledger.chain.retention._COMPACT_PAGES", 50)
    ledger = Ledger.open(paths.ledger_file, clock=lambda: 1)
    with ledger.transaction():
        ledger._database.run("CREATE TABLE much AS SELECT zeroblob(2000000) AS x")
        ledger._database.run("DROP TABLE much")
    for _ in range(others):
        ledger.presence.announce("gateway")
    upkeep = Upkeep(paths, Settings(audit=AuditSettings(keep_days=1)), lambda _sentence: None)
    own = Ledger.open(paths.ledger_file, audit=AuditSettings(keep_days=1))
    own.retention.believe()
    upkeep._look(own)
    free = own.retention.space().free
    assert ledger.verify().ok
    own.close()
    ledger.close()
    assert (free == 0) == (others == 1)


@pytest.fixture
def _counted(paths: Paths) -> None:
    limit = {"counter": "n", "window": "hour", "max": 3, "scope": "server"}
    tools = {"silent": {"limits": [limit]}, "write": {"action": "approve"}}
    file = paths.policy_file("demo")
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"version": "1", "default": "allow", "tools": tools}))


@pytest.mark.usefixtures("_counted")
def test_calls_of_a_killed_gateway_are_ended_by_the_next(paths: Paths) -> None:
    ledger = Ledger.open(paths.ledger_file)
    ledger.presence.announce("console")
    with RunningGateway("demo", "--", *plain_server()) as killed:
        for number in range(3):
            killed.call("silent", number, n=number)
        killed.call("write", 4)
        while not ledger.approvals.pending():
            pass
        killed.process.kill()
        killed.process.wait()
    assert {row.outcome for row in ledger.feed.page()} == {""}
    with RunningGateway("demo", "--", *plain_server()) as gateway:
        while ledger.presence.dead("gateway"):
            pass
        outcomes = [(row.tool, row.outcome) for row in ledger.feed.page()]
        gateway.call("silent", 1)
        while len(ledger.feed.page()) < 5:
            pass
        again = ledger.feed.page()[-1]
        gateway.hang_up()
    assert outcomes == [("silent", "lost")] * 3 + [("write", "cancelled")]
    assert ledger.approvals.pending() == ()
    assert again.effect == "deny"  # nobody knows whether the lost ones ran
    assert ledger.presence.alive("gateway") == ()
    assert ledger.verify().ok
    ledger.close()


@pytest.mark.usefixtures("_counted")
@pytest.mark.parametrize("answered", [0, 1, 7, 39])
def test_nothing_that_was_answered_is_lost_when_a_gateway_is_killed(
    paths: Paths, answered: int
) -> None:
    with RunningGateway("demo", "--", *plain_server()) as gateway:
        gateway.ask("ping")
        for number in range(40):
            gateway.call("echo", number, n=number)
        for _ in range(answered):
            gateway.reply()
        gateway.process.kill()
        gateway.process.wait()
        with suppress(json.JSONDecodeError):  # a line that was cut off is no answer
            while gateway.reply() is not None:
                answered += 1
    ledger = Ledger.open(paths.ledger_file)
    ledger.settle_lost()
    outcomes = [row.outcome for row in ledger.feed.page()]
    assert ledger.verify().ok
    ledger.close()
    assert outcomes.count("ok") >= answered
    assert set(outcomes) <= {"ok", "lost"}


def wait_for_the_last(upkeep: Upkeep) -> None:
    assert upkeep._thread is not None
    upkeep._thread.join(120)
    for thread in (upkeep._last_anchors, upkeep._anchoring._thread):
        assert thread is not None
        thread.join(120)


def test_what_the_network_takes_is_published_by_a_process_of_its_own(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rfc3161_client", reason="the extra `anchors` is not installed")
    monkeypatch.setattr("pktui.gateway.enforcement.maintenance._FIRST_SECONDS", 0)
    monkeypatch.setattr("pktui.gateway.enforcement.maintenance._EVERY_SECONDS", 0.05)
    ledger = Ledger.open(paths.ledger_file)
    ledger.events.append("note")
    with TimeAuthority() as authority:
        roots = authority.write_root(tmp_path / "roots.pem")
        set_audit(paths, f'anchors = ["rfc3161:{authority.url}"]\nanchor_roots = "{roots}"')
        settings = load_settings(paths)
        with Upkeep(paths, settings, pytest.fail) as upkeep:
            while not list(paths.data_dir.glob("anchors/rfc3161-*.jsonl")):
                pass
        wait_for_the_last(upkeep)
    ledger.close()
    anchored = Ledger.open(paths.ledger_file, audit=settings.audit)
    found = anchored.verify()
    anchored.close()
    assert (found.ok, found.anchors) == (True, 2)  # the second has that it closed
    assert found.gaps == ()


def test_an_authority_that_refuses_is_told_once_and_keeps_nobody_from_working(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rfc3161_client", reason="the extra `anchors` is not installed")
    monkeypatch.setattr("pktui.gateway.enforcement.maintenance._FIRST_SECONDS", 0)
    monkeypatch.setattr("pktui.gateway.enforcement.maintenance._EVERY_SECONDS", 0.05)
    ledger = Ledger.open(paths.ledger_file)
    ledger.events.append("note")
    said, told = list[str](), threading.Event()

    def log(sentence: str) -> None:
        said.append(sentence)
        told.set()

    with TimeAuthority() as authority:
        authority.status = 403
        roots = authority.write_root(tmp_path / "roots.pem")
        set_audit(paths, f'anchors = ["rfc3161:{authority.url}"]\nanchor_roots = "{roots}"')
        with Upkeep(paths, load_settings(paths), log) as upkeep:
            assert told.wait(120)
        wait_for_the_last(upkeep)
    ledger.close()
    assert len(said) == 1
    assert said[0].startswith("the record is not anchored: rfc3161:http://127.0.0.1:")
    assert "it answers 403" in said[0]
