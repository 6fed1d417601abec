"""What is exported is what was imported, whatever it is."""

from __future__ import annotations

import io
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from pktui.memory.exporting import export
from pktui.memory.importers.jsonl import JsonlSource, write_record
from pktui.memory.interchange import (
    EntryRecord,
    ImportReport,
    MessageRecord,
    Record,
    SessionRecord,
)
from pktui.memory.records import ROLES
from pktui.memory.service.ingest import Ingest
from pktui.memory.store import Store

TEXTS = some.text(max_size=40)
KEYS = some.text(min_size=1, max_size=12)
TIMES = some.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=some.just(UTC))  # noqa: DTZ001  hypothesis wants them so
TITLES = TEXTS.filter(lambda text: bool(text.strip()))


@some.composite
def sessions(draw: some.DrawFn) -> list[Record]:
    """A session with its messages, as it would be in a file."""
    source, key = draw(KEYS), draw(KEYS)
    ended = draw(some.booleans())
    found: list[Record] = [
        SessionRecord(
            source=source,
            source_id=key,
            started_at=draw(TIMES),
            name=draw(TEXTS),
            status="ended" if ended else "active",
            ended_at=draw(TIMES) if ended else None,
            summary=draw(TEXTS),
            agent=draw(TEXTS),
            project=draw(TEXTS),
        )
    ]
    for own in draw(some.lists(KEYS, max_size=4, unique=True)):
        role = draw(some.sampled_from(ROLES))
        found.append(MessageRecord(source, key, own, role, draw(TEXTS), draw(TIMES)))
    return found


ENTRIES = some.builds(
    EntryRecord,
    title=TITLES,
    content=TEXTS,
    created_at=TIMES,
    updated_at=TIMES,
    source=TEXTS,
    tags=some.lists(TEXTS, max_size=3).map(tuple),
)
MEMORIES = some.tuples(
    some.lists(sessions(), max_size=3, unique_by=lambda one: (one[0].source, one[0].source_id)),  # type: ignore[union-attr]
    some.lists(ENTRIES, max_size=3, unique_by=lambda one: one.created_at),
).map(lambda both: [record for one in both[0] for record in one] + list(both[1]))


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(MEMORIES)
def test_an_import_is_exported_without_loss(records: list[Record]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        first = taken_in(Path(directory) / "first", records)
        assert in_order(first) == in_order(records)
        file = Path(directory) / "all.jsonl"
        file.write_bytes(lines(first))
        source = JsonlSource(file)
        second = taken_in(Path(directory) / "second", list(source))
        assert source.rejects.report() == ImportReport()
        assert in_order(second) == in_order(records)


def taken_in(place: Path, records: list[Record]) -> list[Record]:
    """Import into a store, twice, and return what it exports after it was opened again."""
    with Store.open(place) as store:
        report = Ingest().take(store, records)
        assert (report.known, report.rejected) == (0, 0)
        assert Ingest().take(store, records).known == len(records)
    with Store.open(place) as store:
        readable: Any = store
        return list(export(readable, None))


def in_order(records: list[Record]) -> list[bytes]:
    """Return the records as lines: sessions by name, messages in their order, then entries."""
    whole = [record for record in records if not isinstance(record, MessageRecord)]
    told = [record for record in records if isinstance(record, MessageRecord)]
    told.sort(key=lambda record: (record.source, record.session))
    return sorted(map(line, whole)) + [line(record) for record in told]


def line(record: Record) -> bytes:
    return lines([record])


def lines(records: list[Record]) -> bytes:
    file = io.BytesIO()
    for record in records:
        write_record(record, file)
    return file.getvalue()
