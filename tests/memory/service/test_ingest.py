"""Imports through the service: only what is new is added, and nothing is lost on the way round."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pktui.errors import StoreError
from pktui.memory.client import MemoryClient
from pktui.memory.exporting import MAX_RECORD_BYTES
from pktui.memory.interchange import (
    EntryRecord,
    ImportReport,
    MessageRecord,
    Record,
    Reject,
    SessionRecord,
)
from pktui.memory.records import Identity
from pktui.memory.service.ingest import Ingest
from pktui.memory.store import Store
from tests.support.memory_service import paths_in, running_service

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def session(key: str, **more: object) -> SessionRecord:
    return SessionRecord("codex", key, NOON, **more)  # type: ignore[arg-type]


def message(key: str, number: int, content: str = "") -> MessageRecord:
    return MessageRecord("codex", key, f"m{number}", "user", content or f"text {number}", NOON)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "memory") as opened:
        yield opened


def test_a_second_import_adds_only_what_is_new(store: Store) -> None:
    ingest = Ingest()
    first: list[Record] = [session("a"), message("a", 1), message("a", 2)]
    assert ingest.take(store, first) == ImportReport(sessions=1, messages=2)
    assert ingest.take(store, first) == ImportReport(known=3)
    grown = [*first, message("a", 3), message("a", 3)]
    assert Ingest().take(store, grown) == ImportReport(messages=1, known=4)
    (kept,) = store.sessions().items
    assert [one.content for one in store.messages(kept.id).items] == ["text 1", "text 2", "text 3"]


@pytest.mark.parametrize("year", [1, 9999])
def test_a_time_that_no_zone_may_show_is_not_taken_in(store: Store, year: int) -> None:
    when = NOON.replace(year=year)
    records: list[Record] = [
        SessionRecord("codex", "a", when),
        session("b"),
        MessageRecord("codex", "b", "m", "user", "x", when),
        EntryRecord("t", "c", NOON, when),
    ]
    report = Ingest().take(store, records)
    assert (report.sessions, report.messages, report.entries, report.rejected) == (1, 0, 0, 3)


def test_a_session_keeps_what_its_record_says(store: Store) -> None:
    record = session("a", name="n", ended_at=NOON + HOUR, summary="s", agent="codex", project="/p")
    Ingest().take(store, [record, message("a", 1)])
    (kept,) = store.sessions().items
    assert (kept.name, kept.status, kept.started_at, kept.ended_at, kept.summary) == (
        "n",
        "ended",
        NOON,
        NOON + HOUR,
        "s",
    )
    assert (kept.agent, kept.project, kept.source, kept.source_id) == ("codex", "/p", "codex", "a")


def test_a_session_that_has_ended_since_is_ended(store: Store) -> None:
    Ingest().take(store, [session("a", status="active"), message("a", 1)])
    assert store.sessions().items[0].status == "active"
    Ingest().take(store, [session("a", ended_at=NOON + HOUR, summary="late words")])
    ended = store.sessions().items[0]
    assert (ended.status, ended.ended_at, ended.summary) == ("ended", NOON + HOUR, "late words")


def test_an_imported_session_is_nobodys_current_one(store: Store) -> None:
    Ingest().take(store, [session("a", status="active", agent="codex", project="/p")])
    assert store.current_session(Identity("codex", "", "/p")) is None
    assert store.current_session(Identity()) is None


def test_a_message_without_its_session_is_named_and_the_others_are_added(store: Store) -> None:
    report = Ingest().take(store, [session("a"), message("b", 7), message("a", 1)])
    assert (report.messages, report.rejected) == (1, 1)
    assert report.rejects == (
        Reject(
            "message m7 of codex b", "its session is not known; it must come before its messages"
        ),
    )


def test_sources_do_not_mix(store: Store) -> None:
    other = SessionRecord("claude-code", "a", NOON)
    assert Ingest().take(store, [session("a"), other]).sessions == 2


def test_entries_are_known_by_their_time_and_title_or_content(store: Store) -> None:
    entry = EntryRecord("Title", "Content", NOON, NOON + HOUR, source="https://x", tags=("a",))
    assert Ingest().take(store, [entry, entry]) == ImportReport(entries=1, known=1)
    (kept,) = store.entries().items
    assert (kept.created_at, kept.updated_at, kept.tags) == (NOON, NOON + HOUR, ("a",))
    store.update_entry(kept.id, title="A new title")
    assert Ingest().take(store, [entry]) == ImportReport(known=1)
    same_time = EntryRecord("Other", "Words", NOON, NOON)
    assert Ingest().take(store, [same_time]).entries == 1


def test_what_could_not_be_written_is_not_taken_for_known(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest = Ingest()
    ingest.take(store, [session("a")])

    def full(*_args: object, **_more: object) -> None:
        raise StoreError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(store, "append", full)
        with pytest.raises(StoreError):
            ingest.take(store, [message("a", 1)])
    assert ingest.take(store, [message("a", 1)]).messages == 1


def test_an_export_goes_round_without_loss_and_comes_home_as_known(tmp_path: Path) -> None:
    here, there = paths_in(tmp_path / "here"), paths_in(tmp_path / "there")
    with running_service(here), running_service(there):
        ours = MemoryClient(here, Identity("claude-code", "", "/p"), start=False)
        theirs = MemoryClient(there, start=False)
        ours.import_records([session("a", name="imported"), message("a", 1), message("a", 2)])
        own = ours.start_session("our own")
        ours.log("user", "first\nline")
        ours.log("agent", "second 🎉")
        ours.end_session(own.id, "what was done")
        ours.add_entry("Entry", "Words", source="https://x", tags=["t"])
        exported = list(ours.export())
        sums: list[ImportReport] = []
        assert theirs.import_records(exported, progress=sums.append) == ImportReport(
            sessions=2, messages=4, entries=1
        )
        assert sums == [ImportReport(sessions=2, messages=4, entries=1)]
        again = list(theirs.export())
        assert sorted(map(repr, again)) == sorted(map(repr, exported))
        assert ours.import_records(again) == ImportReport(known=7)
        assert theirs.import_records(exported) == ImportReport(known=7)
        assert len(list(ours.export(own.id))) == 3
        ours.close()
        theirs.close()


def test_an_import_goes_in_batches(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    with running_service(paths):
        client = MemoryClient(paths, start=False)
        records: list[Record] = [session("a")]
        records += [message("a", number) for number in range(1_200)]
        sums: list[int] = []
        client.import_records(records, progress=lambda report: sums.append(report.messages))
        assert sums == [499, 999, 1_200]
        assert client.sessions().items[0].message_count == 1_200
        client.close()


def test_a_record_that_is_too_large_is_named_and_the_others_are_taken_in(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    with running_service(paths):
        client = MemoryClient(paths, start=False)
        huge = message("a", 2, "x" * (MAX_RECORD_BYTES + 1))
        report = client.import_records([session("a"), message("a", 1), huge, message("a", 3)])
        assert (report.messages, report.rejected) == (2, 1)
        assert [one.at for one in report.rejects] == ["message m2 of codex a"]
        client.close()


def test_a_session_that_has_grown_gets_its_later_title_and_end(store: Store) -> None:
    Ingest().take(store, [session("a", name="first", ended_at=NOON)])
    Ingest().take(store, [session("a", name="second", ended_at=NOON + HOUR)])
    (kept,) = store.sessions().items
    assert (kept.name, kept.title, kept.ended_at) == ("second", "second", NOON + HOUR)
    Ingest().take(store, [session("a", ended_at=NOON)])
    (kept,) = store.sessions().items
    assert (kept.name, kept.ended_at) == ("second", NOON + HOUR)
