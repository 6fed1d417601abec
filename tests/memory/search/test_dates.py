"""Times mentioned in a question."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pktui.memory.records import NewMessage
from pktui.memory.search.dates import mentioned
from pktui.times import microseconds
from tests.memory.store.conftest import ADA, embed_all
from tests.support.clock import START

if TYPE_CHECKING:
    from pktui.memory.store import Store

DAY = timedelta(days=1)


def weight(text: str, when: str) -> float:
    """Return what the text gives noon of that day; the clock shows 8 May 2026, a Friday."""
    time_us = microseconds(datetime.fromisoformat(f"{when}T12:00").replace(tzinfo=UTC))
    found = [float(one.nearness(np.array([time_us]))[0]) for one in mentioned(text, START)]
    return round(max(found, default=0.0), 1)


@pytest.mark.parametrize(
    ("text", "when", "expected"),
    [
        ("what was said on 3 June, 2025?", "2025-06-03", 1.0),
        ("what was said on 3 June, 2025?", "2025-06-04", 0.7),
        ("what was said on 3 June, 2025?", "2025-06-05", 0.4),
        ("what was said on 3 June, 2025?", "2025-07-03", 0.0),
        ("June 3rd 2025", "2025-06-03", 1.0),
        ("the 3rd of June", "2024-06-03", 1.0),
        ("2025-06-03", "2025-06-03", 1.0),
        ("where was she on 19.01.2024?", "2024-01-19", 1.0),
        ("on 3.6.2025.", "2025-06-03", 1.0),
        ("10.0.2024 and 192.168.10.2024", "2024-10-10", 0.1),
        ("by 6/3/2025", "2025-06-03", 1.0),
        ("by 6/3/2025", "2025-03-06", 1.0),
        ("by 12/25/2025", "2025-12-25", 1.0),
        ("src/12/25/2025/a", "2025-12-25", 0.1),
        ("31 February 2025", "2025-02-28", 0.6),
        ("in June 2025", "2025-06-30", 0.6),
        ("in June 2025", "2024-06-30", 0.0),
        ("plans for august", "2025-08-01", 0.6),
        ("how often in 2025", "2025-01-01", 0.1),
        ("you may march on", "2025-05-01", 0.0),
        ("in May", "2025-05-01", 0.6),
        ("yesterday", "2026-05-07", 1.0),
        ("today", "2026-05-08", 1.0),
        ("last week", "2026-04-28", 0.8),
        ("last week", "2026-05-07", 0.2),
        ("last month", "2026-04-30", 0.6),
        ("on 29 Dec 2023", "2023-12-29", 1.0),
        ("Sept. 3, 2025", "2025-09-03", 1.0),
        ("the first week of 2024", "2024-01-04", 0.8),
        ("the last week of May 2025", "2025-05-30", 0.8),
        ("in spring 2025", "2025-04-15", 0.4),
        ("the winter of 2024", "2025-01-15", 0.4),
        ("three days ago", "2026-05-05", 1.0),
        ("2 weeks ago", "2026-04-24", 0.8),
        ("last Tuesday", "2026-05-05", 1.0),
        ("on Friday", "2026-05-01", 1.0),
        ("last year", "2025-08-01", 0.1),
        ("port 8080", "2026-05-08", 0.0),
    ],
)
def test_a_time_in_words_stands_for_a_span(text: str, when: str, expected: float) -> None:
    assert weight(text, when) == expected


def test_what_was_said_then_comes_first(store: Store) -> None:
    session = store.start_session("s", ADA)
    days = [START - number * DAY for number in range(30)]
    store.append([NewMessage(session.id, "user", "deployed the shop", day) for day in days])
    embed_all(store)
    hit = store.search("what was deployed on 20 April?").hits[0]
    assert hit.message is not None
    assert hit.message.created_at.date().isoformat() == "2026-04-20"
