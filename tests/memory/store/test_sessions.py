"""Sessions: whose they are, how they end and that ids are never used twice."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pktui.errors import InvalidRequest, NotFound
from pktui.memory.records import Identity
from pktui.memory.store import Store
from tests.memory.store.conftest import ADA, BEN, embed_all, log
from tests.support.embedder import WordsEmbedder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.clock import Clock


def test_one_clients_session_is_untouched_by_anothers_start_and_end(store: Store) -> None:
    mine = store.start_session("mine", ADA)
    theirs = store.start_session("theirs", BEN)
    store.end_session(theirs.id, "done")
    assert store.current_session(ADA) == store.session(mine.id)
    assert store.current_session(BEN) is None


def test_a_current_session_survives_a_restart(place: Path) -> None:
    with Store.open(place) as store:
        session = store.start_session("kept", ADA)
    with Store.open(place) as store:
        assert store.current_session(ADA) == session
        assert store.current_session(Identity(grant="ci", agent="claude-code")) is None


def test_a_grant_owns_its_session_wherever_it_works(store: Store) -> None:
    session = store.start_session("ci", Identity(grant="ci", agent="a", project="/one"))
    assert store.current_session(Identity(grant="ci", agent="b", project="/two")) == session


def test_a_new_start_takes_over_and_leaves_the_earlier_session_active(store: Store) -> None:
    first = store.start_session("first", ADA)
    second = store.start_session("second", ADA)
    assert store.current_session(ADA) == second
    assert store.session(first.id).status == "active"
    store.end_session(second.id)
    assert store.current_session(ADA) is None


def test_ending_an_ended_session_keeps_its_summary_and_says_so(store: Store, clock: Clock) -> None:
    session = store.start_session("once", ADA)
    ended = store.end_session(session.id, "what was done")
    assert (ended.changed, ended.session.ended_at) == (True, clock.now)
    clock.advance(hours=1)
    again = store.end_session(session.id, "")
    assert (again.changed, again.session) == (False, ended.session)
    assert store.session(session.id).summary == "what was done"


def test_reopening_undoes_the_end(store: Store, clock: Clock) -> None:
    session = store.start_session("undo", ADA)
    store.end_session(session.id, "kept")
    clock.advance(hours=3)
    reopened = store.reopen_session(session.id)
    assert (reopened.changed, reopened.session.status) == (True, "active")
    assert (reopened.session.ended_at, reopened.session.summary) == (None, "kept")
    assert store.current_session(ADA) == reopened.session
    assert not store.reopen_session(session.id).changed
    assert store.end_inactive() == ()


def test_a_reopened_session_does_not_push_out_the_one_that_took_over(store: Store) -> None:
    first = store.start_session("first", ADA)
    store.end_session(first.id)
    second = store.start_session("second", ADA)
    store.reopen_session(first.id)
    assert store.current_session(ADA) == second


def test_each_session_ends_by_itself_after_an_hour_without_a_message(
    store: Store, clock: Clock
) -> None:
    idle, busy = store.start_session("idle", ADA), store.start_session("busy", BEN)
    clock.advance(minutes=40)
    log(store, busy.id, "still here")
    assert store.end_inactive(clock.advance(minutes=20, microseconds=-1)) == ()
    (ended,) = store.end_inactive(clock.advance(microseconds=1))
    assert (ended.id, ended.status) == (idle.id, "ended")
    assert ended.ended_at == clock.now - timedelta(hours=1)
    assert store.session(busy.id).status == "active"


def test_a_deleted_session_is_gone_for_good_and_its_ids_are_not_used_again(
    place: Path, clock: Clock
) -> None:
    with Store.open(place, WordsEmbedder(), clock=clock) as store:
        kept, gone = store.start_session("kept", ADA), store.start_session("gone", ADA)
        log(store, kept.id, "stays here")
        (last,) = log(store, gone.id, "secret words")
        embed_all(store)
        store.delete_session(gone.id)
        assert store.search("secret words").hits == ()
        with pytest.raises(NotFound, match=f"no session has the id {gone.id}"):
            store.messages(gone.id)
        store.optimize()
    with Store.open(place, WordsEmbedder(), clock=clock) as store:
        status = store.status()
        assert (status.sessions, status.messages, status.vectors) == (1, 1, 1)
        assert store.search("secret").hits == ()
        assert store.start_session().id == gone.id + 1
        assert log(store, kept.id, "more")[0].id == last.id + 1
    files = [path for path in place.rglob("*") if path.is_file()]
    assert files
    assert not any(b"secret words" in file.read_bytes() for file in files)


def test_a_title_is_the_name_else_what_the_user_wrote_first(store: Store) -> None:
    named, unnamed = store.start_session("a name", ADA), store.start_session("", ADA)
    log(store, unnamed.id, "I am the agent", role="agent")
    log(store, unnamed.id, "\n  Why is it slow?\nIt was not", "later")
    assert store.session(named.id).title == "a name"
    assert store.session(unnamed.id).title == "Why is it slow?"


def test_sessions_are_listed_by_their_latest_activity_page_by_page(
    store: Store, clock: Clock
) -> None:
    ids = [store.start_session(f"s{number}", ADA).id for number in range(5)]
    clock.advance(minutes=1)
    log(store, ids[1], "newest")
    first = store.sessions(limit=2)
    second = store.sessions(limit=2, cursor=first.cursor)
    third = store.sessions(limit=2, cursor=second.cursor)
    listed = [session.id for page in (first, second, third) for session in page.items]
    assert listed == [ids[1], ids[4], ids[3], ids[2], ids[0]]
    assert (first.total, third.total, third.cursor) == (5, 5, "")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("PAYMENT", ["payment retries"]),
        ('retries -"payment"', []),
        ("status:ended", ["api limits"]),
        ("-status:ended", ["payment retries"]),
        ("agent:codex", ["api limits"]),
        ("project:shop", ["payment retries"]),
        ("session:1", ["payment retries"]),
        ("-session:1", ["api limits"]),
        ("since:2h", ["api limits", "payment retries"]),
        ("before:2026-05-08T11:59", []),
        ("source:mcp agent:claude", ["payment retries"]),
    ],
)
def test_sessions_are_filtered_by_words_and_conditions(
    store: Store, query: str, names: list[str]
) -> None:
    store.start_session("payment retries", ADA)
    store.end_session(store.start_session("api limits", BEN).id)
    page = store.sessions(query)
    assert ([session.name for session in page.items], page.total) == (names, len(names))


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_limit_that_is_no_limit_is_refused(store: Store, limit: int) -> None:
    with pytest.raises(InvalidRequest, match=f"limit {limit} cannot be used"):
        store.sessions(limit=limit)


def test_a_cursor_of_another_list_is_refused(store: Store) -> None:
    with pytest.raises(InvalidRequest, match="cursor 'x' is not one of this list"):
        store.sessions(cursor="x")


def test_an_import_is_found_by_where_it_came_from(place: Path) -> None:
    with Store.open(place) as store:
        session = store.start_session(
            "old", ADA, source="opencode-pk", source_id="7", current=False
        )
        assert store.current_session(ADA) is None
    with Store.open(place) as store:
        assert store.session_from("opencode-pk", "7") == session
        assert store.session_from("opencode-pk", "8") is None


def test_a_list_stops_after_its_page_and_counts_all_the_same(store: Store) -> None:
    for number in range(30):
        who = BEN if number % 3 == 0 else ADA
        session = store.start_session(f"{'even' if number % 2 == 0 else 'odd'} {number}", who)
        if number % 5 == 0:
            store.end_session(session.id, f"about {number}")
    for query, status, wanted in (
        ("", None, lambda n: True),
        ("", "active", lambda n: n % 5),
        ("", "ended", lambda n: n % 5 == 0),
        ("even", None, lambda n: n % 2 == 0),
        ('-"even"', None, lambda n: n % 2),
        ("even codex", None, lambda n: n % 2 == 0 and n % 3 == 0),
        ('codex -"even"', "ended", lambda n: n % 2 and n % 3 == 0 and n % 5 == 0),
        ("about agent:codex", None, lambda n: n % 3 == 0 and n % 5 == 0),
        ("about 25", None, lambda n: n == 25),
        ('-"even" -"about"', None, lambda n: n % 2 and n % 5),
        ("nothing", None, lambda n: False),
    ):
        expected = [number for number in reversed(range(30)) if wanted(number)]
        for limit in (1, 4, 50):
            found: list[int] = []
            cursor = ""
            while True:
                page = store.sessions(query, status=status, cursor=cursor, limit=limit)  # type: ignore[arg-type]
                assert page.total == len(expected)
                found += [int(one.name.split()[1]) for one in page.items]
                cursor = page.cursor
                if not cursor:
                    break
            assert found == expected, (query, status, limit)
    assert store.read_words() == 0


def test_a_session_is_listed_by_what_it_is_called_now(store: Store) -> None:
    session = store.start_session("", ADA)
    assert store.sessions("invoices").total == 0
    log(store, session.id, "Move the invoices")
    assert store.sessions("invoices").total == store.sessions("shop").total == 1
    store.end_session(session.id, "about rounding")
    assert store.sessions("rounding").total == 1
    store.delete_session(session.id)
    assert store.sessions("rounding").total == store.sessions("shop").total == 0
