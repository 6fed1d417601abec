"""Entries that repeat or contradict each other are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pktui.errors import NotFound

if TYPE_CHECKING:
    from pktui.memory.store import Store

KEPT = ("Token lifetime", "The session token of the shop expires after 15 minutes.")


TOKEN = "The session token of the shop"


@pytest.mark.parametrize(
    ("content", "relation"),
    [
        (KEPT[1], "repeats"),
        (f"{TOKEN} expires after 60 minutes.", "may contradict"),
        (f"{TOKEN} never expires after 15 minutes.", "may contradict"),
        ("The session token of the wiki expires after 15 minutes.", "may contradict"),
        (f"{TOKEN} expires in the signed cookie of each browser and phone.", "near"),
    ],
)
def test_what_is_like_a_new_entry_is_named(store: Store, content: str, relation: str) -> None:
    kept = store.add_entry(*KEPT)
    store.add_entry("Lunch", "The canteen opens at noon.")
    new = store.add_entry(KEPT[0], content)
    (found,) = store.similar_entries(new.id)
    assert (found.id, found.title, found.relation) == (kept.id, kept.title, relation)
    assert 0 < found.score <= 1


def test_one_that_is_not_there_has_none(store: Store) -> None:
    with pytest.raises(NotFound):
        store.similar_entries(7)
    assert store.similar_entries(store.add_entry(*KEPT).id) == ()
