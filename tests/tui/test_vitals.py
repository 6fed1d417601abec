from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from pktui.ledger import Ledger, now_us
from pktui.ledger.records import Caller, NewApproval
from pktui.settings import AuditSettings, Settings
from pktui.tui.services import Services
from pktui.tui.vitals import (
    LedgerVitals,
    LedgerWatch,
    MemoryVitals,
    MemoryWatch,
    PolicyFiles,
    look_at_memory,
    read_ledger,
)
from tests.support.managing import manage
from tests.support.memory import MemoryInProcess

if TYPE_CHECKING:
    from pktui.memory.records import Status, StoreState
    from pktui.settings import Paths


PATIENCE = 60.0


class Opening(MemoryInProcess):
    """A service whose store is in a given state."""

    def __init__(self, state: StoreState, note: str = "") -> None:
        super().__init__()
        self._state: StoreState = state
        self._note = note

    def status(self) -> Status:
        return msgspec.structs.replace(super().status(), state=self._state, note=self._note)


class Starts(MemoryInProcess):
    """A service that answers only once it was started."""

    def __init__(self) -> None:
        super().__init__()
        self.down = True

    def ensure(self) -> None:
        self.asked.append("ensure")
        self.down = False


@pytest.mark.parametrize(
    ("state", "seen"), [("opening", "starting"), ("ready", "ok"), ("failed", "down")]
)
def test_the_memory_is_ok_only_once_its_store_is_open(state: StoreState, seen: str) -> None:
    vitals = look_at_memory(Opening(state, "disk full"))
    assert vitals.state == seen
    assert (vitals.problem == "disk full") == (seen == "down")


def test_the_watch_starts_a_service_that_does_not_run() -> None:
    memory = Starts()
    told: list[str] = []

    def tell(seen: MemoryVitals) -> None:
        told.append(seen.state)
        if seen.state == "ok":
            watch.stop()

    watch = MemoryWatch(memory, tell)
    watch.start()
    watch.join(PATIENCE)
    assert told == ["starting", "ok"]
    assert memory.asked == ["status", "ensure", "status"]


def test_the_watch_tells_why_the_service_cannot_start_and_keeps_trying() -> None:
    memory = MemoryInProcess()
    memory.down = True
    told: list[MemoryVitals] = []

    def tell(seen: MemoryVitals) -> None:
        told.append(seen)
        if seen.state == "down":
            memory.down = False
        if seen.state == "ok":
            watch.stop()

    watch = MemoryWatch(memory, tell)
    watch.start()
    watch.join(PATIENCE)
    assert [seen.state for seen in told] == ["starting", "down", "ok"]
    assert "does not answer" in told[1].problem


def test_the_ledger_watch_tells_only_of_what_is_another_and_goes_on_after_a_failure() -> None:
    seen = [LedgerVitals(gateways=1), LedgerVitals(gateways=1), LedgerVitals(gateways=2)]
    told: list[LedgerVitals] = []
    all_told = threading.Event()

    def look(_known: LedgerVitals | None, _passed: bool) -> LedgerVitals:
        if len(told) == 2:
            raise RuntimeError("no such thing")
        return seen.pop(0) if seen else LedgerVitals(gateways=3)

    def tell(vitals: LedgerVitals) -> None:
        told.append(vitals)
        if vitals.gateways == 3:
            all_told.set()
        watch.ask()

    watch = LedgerWatch(look, tell)
    watch.start()
    assert all_told.wait(PATIENCE)
    watch.stop()
    assert [one.gateways for one in told] == [1, 2, 0, 3]
    assert "no such thing" in told[2].problem


def test_what_is_known_is_read_again_only_where_a_file_of_the_ledger_changed(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, files = Ledger.open(paths.ledger_file), PolicyFiles(paths.policies_dir)
    services = Services(paths, Settings(), ledger, MemoryInProcess(), now_us)
    known = read_ledger(services, files, read_ledger(services, files))
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "state", lambda _: pytest.fail("the database was asked"))
        assert read_ledger(services, files, known) is known
    ledger.events.append("decision", server="files", tool="read", effect="allow")
    after = read_ledger(services, files, known)
    assert after.version != known.version
    with closing(Ledger.open(paths.ledger_file)) as other:
        other.presence.announce("gateway")
        assert read_ledger(services, files, after).gateways == 1
    ledger.close()


def test_a_second_without_a_change_reads_only_what_time_and_other_files_change(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths.policies_dir.mkdir(parents=True)
    ledger, now = Ledger.open(paths.ledger_file), [now_us()]
    files = PolicyFiles(paths.policies_dir, [paths.servers_file])
    services = Services(paths, Settings(), ledger, MemoryInProcess(), lambda: now[0])
    expires = now[0] + 60_000_000
    ledger.approvals.open(NewApproval(Caller(), "files", "write", {}, "h", expires))
    known = read_ledger(services, files, passed=True)
    with monkeypatch.context() as patch:
        patch.setattr(type(ledger.approvals), "pending", lambda _: pytest.fail("read again"))
        assert read_ledger(services, files, known, passed=True) == known
        paths.servers_file.write_text("{}")
        served = read_ledger(services, files, known, passed=True)
        paths.policy_file("files").write_text("{")
        ruled = read_ledger(services, files, served, passed=True)
    assert len({known.in_force, served.in_force, ruled.in_force}) == 3
    assert (ruled.policies, "files.json" in ruled.policy_problem) == (1, True)
    now[0] = expires + 1
    monkeypatch.setattr(ledger.approvals, "_clock", services.clock)
    assert (len(ruled.waiting), read_ledger(services, files, ruled, passed=True).waiting) == (1, ())
    ledger.close()


def test_a_gateway_that_dies_is_missed_though_nothing_was_written(paths: Paths) -> None:
    ledger, files = Ledger.open(paths.ledger_file), PolicyFiles(paths.policies_dir)
    services = Services(paths, Settings(), ledger, MemoryInProcess(), now_us)
    living = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with living, closing(Ledger.open(paths.ledger_file)) as other:
        token = other.presence.announce("gateway", pid=living.pid)
        other.events.append("decision", call_id=f"{token}1", effect="allow")
        known = read_ledger(services, files, read_ledger(services, files, passed=True), passed=True)
        assert known.gateways == 1
        living.kill()
        living.wait()
        assert read_ledger(services, files, known, passed=True).gateways == 0
        assert [row.outcome for row in ledger.feed.page()] != [""]
    ledger.close()


def test_what_waits_is_known_while_a_long_record_is_read(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.tui.vitals.READ_AT_ONCE_BYTES", 0)
    monkeypatch.setattr("pktui.tui.vitals.READING_SECONDS", 0.0)
    monkeypatch.setattr("pktui.ledger.journal.indexer._PIECE_BYTES", 1024)
    ledger, files = Ledger.open(paths.ledger_file), PolicyFiles(paths.policies_dir)
    for number in range(20):
        ledger.events.append(
            "decision", call_id=f"c{number}", server="files", tool="read", effect="allow"
        )
    later = now_us() + 60_000_000
    asked = ledger.approvals.open(NewApproval(Caller(), "files", "write", {}, "h", later))
    services = Services(paths, Settings(), ledger, MemoryInProcess(), now_us)
    seen = [read_ledger(services, files)]
    while seen[-1].unread:
        seen.append(read_ledger(services, files))
    sizes = [one.unread for one in seen]
    assert len(sizes) > 2
    assert sizes == sorted(sizes, reverse=True)
    assert {one.waiting[0].id for one in seen} == {asked.id}
    assert (seen[0].calls_per_minute, seen[-1].calls_per_minute) == (0, 20)
    ledger.close()


def test_a_broken_policy_is_counted_and_named(tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text('{"version": "1", "default": "allow"}')
    (tmp_path / "bad.json").write_text("{")
    count, problem = PolicyFiles(tmp_path).read()
    assert count == 2
    assert "bad.json" in problem


def test_a_broken_managed_policy_is_named(tmp_path: Path, managed: Path) -> None:
    (manage(managed, "_all")).write_text("{")
    (managed / "_paths.json").write_text('{"version": "1", "deny": []}')
    count, problem = PolicyFiles(tmp_path / "none").read()
    assert count == 0
    assert "_all.json" in problem


def test_no_policy_directory_is_no_problem(tmp_path: Path) -> None:
    assert PolicyFiles(tmp_path / "none").read() == (0, "")


def test_a_mended_policy_is_read_again(tmp_path: Path) -> None:
    files = PolicyFiles(tmp_path)
    (tmp_path / "one.json").write_text("{")
    assert files.read()[1]
    (tmp_path / "one.json").write_text('{"version": "1", "default": "allow"}')
    assert files.read() == (1, "")


@pytest.mark.parametrize("read_only", [False, True])
def test_a_whole_reading_ends_the_calls_of_gateways_that_died(
    paths: Paths, read_only: bool
) -> None:
    ledger = Ledger.open(paths.ledger_file)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    token = ledger.presence.announce("gateway", pid=ended.pid)
    ledger.events.append("decision", call_id=f"{token}1", effect="allow")
    console = Ledger.open(paths.ledger_file, read_only=read_only)
    services = Services(paths, Settings(), console, MemoryInProcess(), now_us)
    vitals = read_ledger(services, PolicyFiles(paths.policies_dir))
    outcomes = [row.outcome for row in ledger.feed.page()]
    console.close()
    ledger.close()
    assert (vitals.gateways, vitals.problem) == (0, "")
    assert outcomes == ["" if read_only else "lost"]


@pytest.mark.parametrize("read_only", [False, True])
def test_a_ledger_that_was_removed_is_told(paths: Paths, read_only: bool) -> None:
    Ledger.open(paths.ledger_file).close()
    ledger = Ledger.open(paths.ledger_file, read_only=read_only)
    services = Services(paths, Settings(), ledger, MemoryInProcess(), now_us)
    assert read_ledger(services, PolicyFiles(paths.policies_dir)).problem == ""
    paths.ledger_file.unlink()
    problem = read_ledger(services, PolicyFiles(paths.policies_dir)).problem
    ledger.close()
    assert "was removed or replaced while in use" in problem


def test_a_prune_for_size_is_told(paths: Paths) -> None:
    ledger = Ledger.open(paths.ledger_file, audit=AuditSettings(max_megabytes=1))
    for _ in range(30):  # a segment takes whole transactions, and the last one stays
        with ledger.transaction():
            for _ in range(50):
                ledger.events.append("note", reason="x" * 1000)
    services = Services(paths, Settings(), ledger, MemoryInProcess(), now_us)
    files = PolicyFiles(paths.policies_dir)
    assert read_ledger(services, files).loss == ""
    assert ledger.retention.announce() is not None
    loss = read_ledger(services, files).loss
    ledger.close()
    assert "whatever their age: the record is larger than audit.max_megabytes" in loss
