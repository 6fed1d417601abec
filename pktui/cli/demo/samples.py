"""The sample sessions and knowledge, with times that make them look like the last weeks.

The bundled files are in the exchange format and can be imported as they are. Their times are
relative to `WRITTEN_AT`, which stands for the moment the demo starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from pktui.memory.importers.jsonl import JsonlSource
from pktui.memory.interchange import EntryRecord, MessageRecord, Record, SessionRecord, UsageRecord
from pktui.settings import bundled

FILES = ("claude-code.jsonl", "opencode.jsonl", "codex.jsonl", "cursor.jsonl", "knowledge.jsonl")
WRITTEN_AT = datetime(2026, 1, 1, tzinfo=UTC)


def samples(now: datetime) -> Iterator[Record]:
    """Yield every sample record as if it had been written in the weeks before `now`."""
    for name in FILES:
        for record in JsonlSource(sample_file(name)):
            yield _moved(record, now - WRITTEN_AT)


def sample_file(name: str) -> Path:
    """Return one of the bundled files."""
    return bundled("assets", "demo", name)


def _moved(record: Record, by: timedelta) -> Record:
    match record:
        case SessionRecord(started_at=started, ended_at=ended):
            later = None if ended is None else ended + by
            return msgspec.structs.replace(record, started_at=started + by, ended_at=later)
        case MessageRecord(created_at=created) | UsageRecord(created_at=created):
            return msgspec.structs.replace(record, created_at=created + by)
        case EntryRecord(created_at=created, updated_at=updated):
            return msgspec.structs.replace(record, created_at=created + by, updated_at=updated + by)
