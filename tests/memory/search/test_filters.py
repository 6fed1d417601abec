"""Filters come before the ranking, whatever the rest of the store holds."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pktui.memory.records import Identity, NewMessage
from pktui.memory.store import Store
from tests.memory.store.conftest import embed_all
from tests.support.clock import START, Clock
from tests.support.embedder import WordsEmbedder

if TYPE_CHECKING:
    from collections.abc import Iterator

SESSIONS = 50


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Fifty sessions that say nearly the same, a day apart, with four messages each."""
    clock = Clock(START - timedelta(days=SESSIONS))
    place = tmp_path_factory.mktemp("crowded")
    with Store.open(place, WordsEmbedder(), clock=clock) as store:
        for number in range(1, SESSIONS + 1):
            agent = "codex" if number % 5 == 0 else "claude-code"
            session = store.start_session("", Identity(agent, project=f"/srv/p{number % 2}"))
            store.append(
                [
                    NewMessage(session.id, "user" if n % 2 else "agent", f"retry deadlock {n}")
                    for n in range(4)
                ]
            )
            if number % 10 == 0:
                store.end_session(session.id)
            clock.advance(days=1)
        embed_all(store)
        yield store


@pytest.mark.parametrize("mode", ["hybrid", "meaning", "words", "exact"])
def test_a_session_is_searched_whole_however_many_others_match_better(
    crowded: Store, mode: str
) -> None:
    for number in range(1, SESSIONS + 1):
        answer = crowded.search(f"deadlock session:{number}", mode, limit=4)
        found = {hit.message.session_id for hit in answer.hits if hit.message}
        assert (len(answer.hits), answer.total, found) == (4, 4, {number})


@pytest.mark.parametrize(
    ("condition", "messages"),
    [
        ("role:user", 100),
        ("-role:user", 100),
        ("role:user role:agent", 200),
        ("role:tool", 0),
        ("agent:codex", 40),
        ("agent:CODE", 200),
        ("-agent:codex", 160),
        ("project:p1", 100),
        ("source:mcp", 200),
        ("source:jsonl", 0),
        ("status:ended", 20),
        ("status:active agent:codex", 20),
        ("session:1 session:2", 8),
        ("session:999", 0),
        ("-session:1", 196),
        ("since:7d", 28),
        ("-since:7d", 172),
        ("after:2026-05-01T12:00Z", 28),
        ("before:2026-05-01T12:00", 172),
        ("after:2026-04-30T12:00 before:2026-05-02T12:00", 8),
    ],
)
@pytest.mark.parametrize("mode", ["hybrid", "exact"])
def test_each_condition_leaves_what_fits(
    crowded: Store, condition: str, messages: int, mode: str
) -> None:
    assert crowded.search(f"deadlock {condition}", mode).total == messages


def test_a_project_is_the_directory_itself_and_not_one_like_it(crowded: Store) -> None:
    assert crowded.search("deadlock", project="/srv/p1").total == 100
    assert crowded.search("deadlock", project="/srv/p").total == 0
    assert crowded.sessions(project="/srv/p1").total == 25
