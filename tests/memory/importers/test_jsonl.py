"""The exchange format: read line by line, whatever is in the lines."""

from __future__ import annotations

import codecs
import io
import itertools
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from pktui.errors import StoreError
from pktui.memory.importers import jsonl
from pktui.memory.importers.jsonl import JsonlSource, write_record
from pktui.memory.interchange import EntryRecord, MessageRecord, Record, SessionRecord

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
RECORDS: list[Record] = [
    SessionRecord("codex", "s 1", NOON, name="a\nb", status="active", agent="codex", project="/p"),
    SessionRecord("codex", "s 2", NOON, ended_at=NOON + timedelta(hours=1), summary="ünïcode 🎉"),
    MessageRecord("codex", "s 1", "m 1", "tool", 'quotes " and \\ and \x00', NOON),
    EntryRecord("Title", "Content", NOON, NOON, source="https://x", tags=("a", "b")),
]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    file = io.BytesIO()
    for record in RECORDS:
        write_record(record, file)
    path = tmp_path / "sessions.jsonl"
    path.write_bytes(file.getvalue())
    source = JsonlSource(path)
    assert list(source) == RECORDS
    assert source.progress == (path.stat().st_size, path.stat().st_size)
    assert source.rejects.report().rejected == 0


def test_a_byte_order_mark_loses_nothing(tmp_path: Path) -> None:
    file = io.BytesIO(codecs.BOM_UTF8)
    file.seek(0, io.SEEK_END)
    for record in RECORDS:
        write_record(record, file)
    path = tmp_path / "sessions.jsonl"
    path.write_bytes(file.getvalue())
    source = JsonlSource(path)
    assert list(source) == RECORDS
    assert source.progress == (path.stat().st_size, path.stat().st_size)
    assert source.rejects.report().rejected == 0


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-be"])
def test_what_is_no_utf8_at_all_is_said(tmp_path: Path, coding: str) -> None:
    path = tmp_path / "sessions.jsonl"
    path.write_bytes("\ufeff{}".encode(coding))
    with pytest.raises(StoreError, match="is UTF-16 text"):
        list(JsonlSource(path))


def test_what_is_written_does_nothing_to_a_terminal() -> None:
    file = io.BytesIO()
    write_record(EntryRecord("\u202eevil", "\x9b2J", NOON, NOON), file)
    assert file.getvalue().isascii()


def test_bad_lines_are_named_and_the_others_are_read(tmp_path: Path) -> None:
    good = (
        b'{"type":"session","source":"x","source_id":"1","started_at":"2026-03-02T13:00:00+01:00"}'
    )
    lines = [
        good,
        b"",
        b"no JSON",
        b'{"type":"unheard of"}',
        b'{"type":"message","source":"x"}',
        good.replace(b'"1"', b'""'),
        good.replace(b"+01:00", b""),
        b"\xff\xfe",
        b"[" * 100_000,
        good.replace(b"2026", b"0001"),
        good.replace(b"2026", b"9999"),
        good.replace(b'"1"', b'"2","new member":{"a":1}'),
    ]
    path = tmp_path / "broken.jsonl"
    path.write_bytes(b"\n".join(lines))
    source = JsonlSource(path)
    found = list(source)
    assert [record.source_id for record in found if isinstance(record, SessionRecord)] == ["1", "2"]
    assert isinstance(found[0], SessionRecord)
    assert found[0].started_at == NOON.astimezone(timezone(timedelta(hours=1)))
    report = source.rejects.report()
    assert [reject.at for reject in report.rejects] == [f"line {n}" for n in range(3, 12)]
    assert report.rejected == 9
    assert all(reject.why for reject in report.rejects)


def test_a_line_without_end_is_skipped_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl, "MAX_LINE_BYTES", 200)
    good = b'{"type":"session","source":"x","source_id":"1","started_at":"2026-03-02T13:00:00Z"}\n'
    path = tmp_path / "long.jsonl"
    path.write_bytes(b"x" * 1_000 + b"\n" + good + b"y" * 201)
    source = JsonlSource(path)
    assert len(list(source)) == 1
    assert [reject.at for reject in source.rejects.report().rejects] == ["line 1", "line 3"]
    assert source.progress[0] == path.stat().st_size


def test_many_bad_lines_are_counted_and_the_first_are_named(tmp_path: Path) -> None:
    path = tmp_path / "noise"
    path.write_text("no\n" * 250)
    source = JsonlSource(path)
    assert list(source) == []
    report = source.rejects.report()
    assert (report.rejected, len(report.rejects)) == (250, 100)


def test_lines_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "big.jsonl"
    with path.open("wb") as file:
        for _ in range(2_000):
            write_record(RECORDS[0], file)
    source = JsonlSource(path)
    assert len(list(itertools.islice(source, 3))) == 3
    assert 0 < source.progress[0] < path.stat().st_size / 100


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"none\.jsonl cannot be read: No such file"):
        list(JsonlSource(tmp_path / "none.jsonl"))
