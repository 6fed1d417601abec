"""The ten faults of Opencode Personal Knowledge 1.0.10, each of which is absent here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pktui.errors import StoreError
from pktui.memory.embed import Passage, Vectors
from pktui.memory.records import Identity, NewMessage
from pktui.memory.store import Store
from pktui.memory.tools.call import call
from tests.support.clock import Clock
from tests.support.embedder import WordsEmbedder

if TYPE_CHECKING:
    from collections.abc import Sequence

ADA = Identity("claude-code", "", "/home/ada")
BOB = Identity("codex", "", "/home/bob")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with Store.open(tmp_path / "memory", WordsEmbedder(), clock=clock) as opened:
        yield opened


def use(store: Store, name: str, who: Identity = ADA, /, **arguments: Any) -> dict[str, Any]:
    answer = call(store, name, arguments, who)
    assert answer.structured is not None, answer.text
    return answer.structured


def index(store: Store) -> None:
    while store.embed_pending():
        pass


def log(store: Store, *contents: str, who: Identity = ADA) -> None:
    for content in contents:
        use(store, "log_message", who, role="user", content=content)


def test_fault_1_a_message_and_an_entry_of_one_number_have_a_vector_each(store: Store) -> None:
    use(store, "start_logging_session")
    log(store, "the lighthouse needs paint")
    use(store, "store_knowledge", title="Bread", content="needs an oven and flour")
    index(store)
    (message,) = use(store, "search_all_sessions", query="paint lighthouse")["results"]
    (entry,) = use(store, "search_knowledge", query="oven flour")["results"]
    assert (message["messageId"], entry["id"]) == (1, 1)
    assert store.status().vectors == 2


def test_fault_2_a_search_in_a_session_finds_it_however_many_sessions_there_are(
    store: Store,
) -> None:
    for number in range(50):
        use(store, "start_logging_session", name=str(number))
        log(store, "rotate the signing key", f"rotate the signing key of host {number}")
    index(store)
    for number in range(50):
        found = use(store, "search_session", sessionId=number + 1, query="rotate signing key")
        assert {hit["sessionId"] for hit in found["results"]} == {number + 1}
        assert found["total"] == 2


def test_fault_3_a_search_of_knowledge_finds_knowledge_with_a_cosine_from_zero_to_one(
    store: Store,
) -> None:
    use(store, "start_logging_session")
    log(store, "paint the lighthouse")
    use(store, "store_knowledge", title="paint the", content="lighthouse")
    use(store, "store_knowledge", title="paint", content="a boat instead of it")
    index(store)
    answer = use(store, "search_knowledge", query="paint the lighthouse")
    assert {hit["id"] for hit in answer["results"]} <= {1, 2}
    assert all(0 <= hit["score"] <= 1 for hit in answer["results"])
    same, other = store.search_entries("paint the lighthouse", "meaning").hits
    assert same.score == pytest.approx(1, abs=0.01)
    query, text = WordsEmbedder().embed(["paint the lighthouse", "paint\na boat instead of it"])
    assert other.score == pytest.approx(float(np.dot(query, text)), abs=0.01)


def test_fault_4_single_appends_leave_few_files(store: Store) -> None:
    session = store.start_session("many", ADA)
    for number in range(300):
        store.append([NewMessage(session.id, "user", str(number))])
        if store.upkeep_due():
            store.optimize()
        assert number % 50 or store.status().files_on_disk < 200
    index(store)
    store.optimize()
    assert store.status().files_on_disk < 60


def test_fault_5_the_current_session_survives_a_restart_and_is_no_other_clients(
    store: Store, tmp_path: Path
) -> None:
    use(store, "start_logging_session", ADA)
    use(store, "start_logging_session", BOB)
    use(store, "end_session", BOB)
    store.close()
    with Store.open(tmp_path / "memory") as again:
        logged = use(again, "log_message", ADA, role="user", content="still here")
        assert logged["sessionId"] == 1
        assert call(again, "log_message", {"role": "user", "content": "x"}, BOB).is_error


def test_fault_6_an_ended_session_keeps_its_summary_and_idle_ones_end_in_time(
    store: Store, clock: Clock
) -> None:
    use(store, "start_logging_session", ADA)
    use(store, "end_session", ADA, summary="done")
    assert use(store, "end_session", ADA, sessionId=1)["summary"] == "done"
    use(store, "start_logging_session", ADA)
    clock.advance(minutes=40)
    use(store, "start_logging_session", BOB)
    clock.advance(minutes=21)
    assert [session.id for session in store.end_inactive()] == [2]
    assert store.session(3).status == "active"


def test_fault_7_the_end_of_a_long_text_is_found_and_shown(tmp_path: Path) -> None:
    class Parts(WordsEmbedder):
        def passages(self, texts: Sequence[str]) -> list[tuple[Passage, ...]]:
            return [
                tuple(Passage(at, min(at + 100, len(text))) for at in range(0, len(text), 100))
                for text in texts
            ]

    with Store.open(tmp_path / "memory", Parts()) as store:
        use(store, "start_logging_session")
        log(store, "nothing to see. " * 300 + "the zeppelin lands at noon")
        index(store)
        (hit,) = store.search("zeppelin lands", "meaning").hits
        assert "zeppelin lands at noon" in hit.snippet


@pytest.mark.parametrize(
    ("query", "found"), [("go", [1]), ("100%", [2]), ("a_b", [3]), ("%", [2]), ("_", [3])]
)
def test_fault_8_short_words_count_and_signs_stand_for_themselves(
    store: Store, query: str, found: list[int]
) -> None:
    use(store, "store_knowledge", title="Language", content="written in go")
    use(store, "store_knowledge", title="Load", content="at 100% for days")
    use(store, "store_knowledge", title="Name", content="the field a_b of the row")
    results = use(store, "search_knowledge_text", query=query)["results"]
    assert [hit["id"] for hit in results] == found


def test_fault_9_order_is_stable_and_lists_show_no_more_than_asked(
    store: Store, clock: Clock
) -> None:
    use(store, "start_logging_session")
    log(store, *(str(number) for number in range(30)))
    assert clock() == store.messages(1).items[-1].created_at  # all of one moment
    shown = use(store, "get_session", sessionId=1)["messages"]
    assert [message["content"] for message in shown] == [str(n) for n in range(20, 30)]
    refused = call(store, "list_sessions", {"limit": -1}, ADA)
    assert refused.is_error
    assert "whole number from 1" in refused.text


def test_fault_10_a_vector_that_fails_waits_where_it_is_seen(tmp_path: Path) -> None:
    class Failing(WordsEmbedder):
        broken = True

        def embed(self, texts: Sequence[str]) -> Vectors:
            if self.broken:
                raise StoreError("the model broke")
            return super().embed(texts)

    model = Failing()
    with Store.open(tmp_path / "memory", model) as store:
        use(store, "store_knowledge", title="t", content="c")
        with pytest.raises(StoreError, match="the model broke"):
            store.embed_pending()
        assert store.status().pending_vectors == 1
        assert use(store, "get_knowledge_stats")["pendingVectors"] == 1
        model.broken = False
        assert store.embed_pending() == 1
        assert store.status().pending_vectors == 0
