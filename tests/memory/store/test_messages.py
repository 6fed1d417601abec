"""Messages: their order, their places, and what is refused."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from pktui.errors import InvalidRequest, NotFound
from pktui.memory.records import Message, NewMessage
from tests.memory.store.conftest import ADA, BEN, log

if TYPE_CHECKING:
    from pktui.memory.store import Store


def test_messages_of_many_threads_are_all_there_once_and_numbered_without_gaps(
    store: Store,
) -> None:
    sessions = [store.start_session(str(n), ADA).id for n in range(2)]

    def write(thread: int) -> None:
        for number in range(10):
            log(store, sessions[thread % 2], f"{thread}/{number}")

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for session_id in sessions:
        messages = store.messages(session_id).items
        assert [message.seq for message in messages] == list(range(1, 41))
        assert [message.id for message in messages] == sorted({m.id for m in messages})
        for thread_number in {m.content.split("/")[0] for m in messages}:
            own = [m.content for m in messages if m.content.startswith(f"{thread_number}/")]
            assert own == [f"{thread_number}/{n}" for n in range(10)]


def test_a_refused_batch_writes_nothing(store: Store) -> None:
    session = store.start_session("whole", ADA)
    with pytest.raises(NotFound, match="no session has the id 99"):
        store.append([NewMessage(session.id, "user", "a"), NewMessage(99, "user", "b")])
    assert store.messages(session.id).total == 0


def test_an_ended_session_takes_messages_only_from_an_import(store: Store) -> None:
    session = store.start_session("over", ADA)
    store.end_session(session.id)
    with pytest.raises(InvalidRequest, match=f"session {session.id} has ended"):
        log(store, session.id, "too late")
    (message,) = store.append([NewMessage(session.id, "tool", "old")], allow_ended=True)
    assert (message.seq, store.session(session.id).status) == (1, "ended")


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (NewMessage(1, "robot", "x"), "role 'robot' is not known"),  # type: ignore[arg-type]
        (NewMessage(1, "user", "x", datetime(2026, 1, 1)), "no time zone"),  # noqa: DTZ001
    ],
)
def test_a_message_that_makes_no_sense_is_refused(
    store: Store, message: NewMessage, why: str
) -> None:
    store.start_session("s", ADA)
    with pytest.raises(InvalidRequest, match=why):
        store.append([message])


@pytest.mark.parametrize(
    "text", ["", " \n", "a\x00b", 'it\'s "quoted" %_\\', "日本語 🎉", "x" * 200_000, "‮evil‬"]
)
def test_any_text_comes_back_as_it_was(store: Store, text: str) -> None:
    session = store.start_session("texts", ADA)
    log(store, session.id, text)
    assert store.messages(session.id).items[0].content == text


def test_half_a_character_is_kept_as_an_escape_and_not_refused(store: Store) -> None:
    session = store.start_session("texts", ADA)
    assert log(store, session.id, "a\ud800b")[0].content == "a\\ud800b"


def test_a_page_reads_what_it_shows_from_either_end(store: Store) -> None:
    session = store.start_session("long", ADA)
    other = store.start_session("other", BEN)
    for number in range(1, 8):
        log(store, other.id, "between")
        log(store, session.id, str(number))

    def read(**where: int) -> tuple[str, str]:
        page = store.messages(session.id, **where)
        assert page.total == 7
        return "".join(message.content for message in page.items), page.cursor

    assert read() == ("1234567", "")
    assert read(limit=3) == ("123", "3")
    assert read(after=3, limit=3) == ("456", "6")
    assert read(after=6, limit=3) == ("7", "")
    assert read(before=99, limit=3) == ("567", "5")
    assert read(before=5, limit=4) == ("1234", "")
    assert read(after=2, before=5) == ("34", "")
    assert read(after=9) == ("", "")


def test_neighbours_stay_within_the_session(store: Store) -> None:
    session, other = store.start_session("a", ADA), store.start_session("b", BEN)
    kept: list[Message] = []
    for number in range(5):
        kept += log(store, session.id, str(number))
        log(store, other.id, "between")
    around = store.neighbours(kept[1].id, 2)
    assert [message.content for message in around] == ["0", "1", "2", "3"]
    with pytest.raises(NotFound, match="no message has the id 999"):
        store.neighbours(999)
