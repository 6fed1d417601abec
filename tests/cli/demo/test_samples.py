from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from pktui.cli.demo.samples import FILES, sample_file, samples
from pktui.memory.importers.jsonl import JsonlSource
from pktui.memory.interchange import EntryRecord, MessageRecord, SessionRecord
from pktui.text import has_hidden

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
RECORDS = list(samples(NOW))
SESSIONS = [record for record in RECORDS if isinstance(record, SessionRecord)]
ENTRIES = [record for record in RECORDS if isinstance(record, EntryRecord)]


def conversations() -> dict[str, list[MessageRecord]]:
    found = defaultdict(list)
    for record in RECORDS:
        if isinstance(record, MessageRecord):
            found[record.session].append(record)
    return found


@pytest.mark.parametrize("name", FILES)
def test_every_line_can_be_imported(name: str) -> None:
    source = JsonlSource(sample_file(name))
    assert list(source)
    assert source.rejects.report().rejected == 0


def test_the_samples_are_varied_work_of_several_agents() -> None:
    assert len(SESSIONS) >= 30
    assert len(ENTRIES) >= 12
    assert {one.agent for one in SESSIONS} == {"claude-code", "opencode", "codex", "cursor"}
    assert len({one.project for one in SESSIONS}) >= 6
    assert len({one.source_id for one in SESSIONS}) == len(SESSIONS)
    assert {one.status for one in SESSIONS} == {"active", "ended"}


def test_every_session_is_a_conversation_in_its_order() -> None:
    spoken = conversations()
    for session in SESSIONS:
        messages = spoken[session.source_id]
        assert 4 <= len(messages) <= 25
        assert messages[0].role == "user"
        assert messages[0].created_at >= session.started_at
        assert all(one.created_at < after.created_at for one, after in pairwise(messages))


def test_an_ended_session_has_its_summary_and_an_active_one_is_fresh() -> None:
    spoken = conversations()
    for session in SESSIONS:
        last = spoken[session.source_id][-1].created_at
        assert last <= NOW
        if session.status == "ended":
            assert session.summary
            assert session.ended_at is not None
            assert last <= session.ended_at <= NOW
        else:
            assert NOW - last < timedelta(minutes=30)


def test_times_move_with_the_clock() -> None:
    later = list(samples(NOW + timedelta(days=1)))
    assert [one.started_at for one in later if isinstance(one, SessionRecord)] == [
        one.started_at + timedelta(days=1) for one in SESSIONS
    ]


def test_nothing_in_them_is_hidden() -> None:
    texts = [one.content for one in RECORDS if isinstance(one, MessageRecord | EntryRecord)]
    texts += [one.name + one.summary for one in SESSIONS]
    assert not [text for text in texts if has_hidden(text)]
