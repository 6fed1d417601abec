"""Knowledge: apart from messages, changed in place, listed by tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pktui.errors import InvalidRequest, NotFound
from pktui.memory.records import TagCount
from pktui.memory.store import Store
from tests.memory.store.conftest import ADA, embed_all, log
from tests.support.embedder import WordsEmbedder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.clock import Clock


def test_entries_and_messages_with_the_same_id_keep_their_own_vectors(
    place: Path, clock: Clock
) -> None:
    with Store.open(place, WordsEmbedder(), clock=clock) as store:
        session = store.start_session("s", ADA)
        (message,) = log(store, session.id, "apples and pears")
        entry = store.add_entry("Vegetables", "carrots and leeks")
        assert message.id == entry.id == 1
        embed_all(store)
    with Store.open(place, WordsEmbedder(), clock=clock) as store:
        assert store.status().vectors == 2
        (hit,) = store.search("apples pears", "meaning", limit=1).hits
        assert hit.message == message
        (found,) = store.search_entries("carrots leeks", "meaning", limit=1).hits
        assert (found.entry, found.message, found.session) == (entry, None, None)


def test_an_update_changes_what_is_given_and_what_is_found(place: Path, clock: Clock) -> None:
    with Store.open(place, WordsEmbedder(), clock=clock) as store:
        entry = store.add_entry("Port", "the port is 8080", source="wiki", tags=["net"])
        embed_all(store)
        clock.advance(minutes=1)
        changed = store.update_entry(entry.id, content="the port is 9090")
        assert (changed.title, changed.source, changed.tags) == ("Port", "wiki", ("net",))
        assert (changed.created_at, changed.updated_at) == (entry.created_at, clock.now)
        assert store.pending_vectors() == 1
        embed_all(store)
    with Store.open(place, WordsEmbedder(), clock=clock) as store:
        assert store.entry(entry.id) == changed
        assert (store.status().vectors, store.pending_vectors()) == (1, 0)
        for mode in ("words", "exact"):
            assert store.search_entries("8080", mode).total == 0
            assert store.search_entries("9090", mode).hits[0].entry == changed


def test_a_deleted_entry_is_gone_and_its_id_is_not_used_again(place: Path) -> None:
    with Store.open(place) as store:
        entry = store.add_entry("Gone", "soon")
        store.delete_entry(entry.id)
        with pytest.raises(NotFound, match="no knowledge entry has the id 1"):
            store.entry(entry.id)
    with Store.open(place) as store:
        assert store.add_entry("Next", "one").id == entry.id + 1


def test_entries_are_listed_by_tag_with_the_latest_change_first(store: Store, clock: Clock) -> None:
    for number in range(4):
        store.add_entry(f"e{number}", "", tags=["Odd"] if number % 2 else ["even", "odd-ish"])
        clock.advance(minutes=1)
    store.update_entry(1, content="touched")
    assert [entry.title for entry in store.entries().items] == ["e0", "e3", "e2", "e1"]
    assert [entry.title for entry in store.entries(tags=["odd"]).items] == ["e3", "e1"]
    first = store.entries(limit=3)
    rest = store.entries(limit=3, cursor=first.cursor)
    assert [entry.title for entry in (*first.items, *rest.items)] == ["e0", "e3", "e2", "e1"]
    assert [entry.title for entry in store.entries(offset=2).items] == ["e2", "e1"]


def test_figures_count_tags_and_sources(store: Store, clock: Clock) -> None:
    first = clock.now
    store.add_entry("a", "", source="wiki", tags=["x", "y", "x"])
    store.add_entry("b", "", source="wiki", tags=["x"])
    stats = store.entry_stats()
    assert (stats.total, stats.sources, stats.pending_vectors) == (2, 1, 2)
    assert stats.tags == (TagCount("x", 2), TagCount("y", 1))
    assert (stats.oldest, stats.newest) == (first, first)


@pytest.mark.parametrize("title", ["", "  \n"])
def test_an_entry_needs_a_title(store: Store, title: str) -> None:
    with pytest.raises(InvalidRequest, match="needs a title"):
        store.add_entry(title, "content")
    entry = store.add_entry("t", "c")
    with pytest.raises(InvalidRequest, match="needs a title"):
        store.update_entry(entry.id, title=title)
