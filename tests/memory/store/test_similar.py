"""Entries that repeat or contradict each other are found."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from pktui.errors import NotFound
from pktui.memory.store.similar import _telling
from tests.memory.store.conftest import embed_all

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


def test_those_named_are_those_that_a_look_at_every_entry_finds(store: Store) -> None:
    chance = random.Random(3)
    words = [f"{a}{b}rk" for a in "kmtvz" for b in "aou"] + ["payRetry", "the", "a_tok"]
    for _ in range(120):
        store.add_entry(*(" ".join(chance.choices(words, k=chance.randint(1, 6))) for _ in "tc"))
    for number in range(1, 120, 7):
        store.delete_entry(number)
        store.update_entry(number + 1, content=" ".join(chance.choices(words, k=4)))
    entries = store.entries(limit=1000).items
    telling = {one.id: _telling(one) for one in entries}
    embed_all(store)
    for one in entries:
        own = telling[one.id]
        near = {
            other
            for other, its in telling.items()
            if other != one.id and len(own & its) >= 0.4 * len(own | its) > 0
        }
        found = store.similar_entries(one.id, limit=200)
        assert near <= {other.id for other in found}
        assert all(other.score >= 0.6 or other.id in near for other in found)
        assert one.id not in {other.id for other in found}
