"""Every verb of the client against the real service."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from pktui.errors import InvalidRequest, MemoryUnavailable, NotFound, PktuiError
from pktui.memory.client import MemoryClient
from pktui.memory.records import MODES, Identity, Mode, NewCall

if TYPE_CHECKING:
    from pktui.settings import Paths


def test_messages_go_to_the_current_session_in_order(memory: MemoryClient) -> None:
    session = memory.start_session("in order")
    first = memory.log("user", "what is the plan?")
    second = memory.log("agent", "this is the plan")
    assert [first.session_id, second.session_id] == [session.id, session.id]
    assert memory.current_session() == memory.session(session.id)
    page = memory.messages(session.id)
    assert [(m.seq, m.role, m.content) for m in page.items] == [
        (1, "user", "what is the plan?"),
        (2, "agent", "this is the plan"),
    ]
    assert page.total == 2
    assert memory.session(session.id).message_count == 2


def test_messages_are_read_from_both_ends(memory: MemoryClient) -> None:
    session = memory.start_session("both ends")
    ids = [memory.log("user", f"line {number}").id for number in range(7)]
    first = memory.messages(session.id, limit=3)
    last = memory.messages(session.id, before=2**62, limit=3)
    assert [m.id for m in first.items] == ids[:3]
    assert [m.id for m in last.items] == ids[4:]
    following = memory.messages(session.id, after=first.items[-1].seq, limit=3)
    assert [m.id for m in following.items] == ids[3:6]
    assert [m.id for m in memory.messages(session.id, before=int(last.cursor)).items] == ids[:4]
    assert {first.total, last.total, following.total} == {7}


def test_a_current_session_belongs_to_its_identity_alone(
    memory: MemoryClient, served: Paths
) -> None:
    mine = memory.start_session("mine")
    granted = MemoryClient(served, Identity("codex", "deploy grant", "/srv"), start=False)
    same_grant = MemoryClient(served, Identity("cursor", "deploy grant", "/other"), start=False)
    theirs = granted.start_session("theirs")
    assert same_grant.current_session() == granted.current_session() == theirs
    assert memory.log("user", "still mine").session_id == mine.id
    granted.end_session(None)
    assert memory.current_session() == memory.session(mine.id)
    granted.close()
    same_grant.close()


def test_without_a_current_session_nothing_is_logged(served: Paths) -> None:
    stranger = MemoryClient(served, Identity("nobody"), start=False)
    assert stranger.current_session() is None
    with pytest.raises(NotFound, match="no current session"):
        stranger.log("user", "into the void")
    stranger.close()


def test_ending_twice_changes_nothing_and_says_so(memory: MemoryClient) -> None:
    session = memory.start_session("to end")
    ended = memory.end_session(session.id, "done")
    again = memory.end_session(session.id, "other words")
    assert (ended.changed, again.changed) == (True, False)
    assert again.session.summary == "done"
    assert memory.reopen_session(session.id).session.status == "active"
    assert memory.end_session(None).session.id == session.id


def test_a_deleted_session_stays_gone(memory: MemoryClient) -> None:
    session = memory.start_session("to delete")
    memory.log("user", "xylophone secrets")
    memory.delete_session(session.id)
    with pytest.raises(NotFound):
        memory.session(session.id)
    assert memory.search("xylophone", "words").hits == ()


def test_lists_go_on_from_their_cursor(memory: MemoryClient) -> None:
    made = [memory.start_session(f"paged {number}").id for number in range(5)]
    seen: list[int] = []
    cursor: str | None = None
    while True:
        page = memory.sessions("paged", cursor=cursor, limit=2)
        assert page.total == 5
        seen += [session.id for session in page.items]
        if not page.cursor:
            break
        cursor = page.cursor
    assert seen == made[::-1]


def test_sessions_are_filtered(memory: MemoryClient) -> None:
    active, ended = memory.start_session("filtered one"), memory.start_session("filtered two")
    memory.end_session(ended.id)
    assert [s.id for s in memory.sessions("filtered", status="active").items] == [active.id]
    assert [s.id for s in memory.sessions("filtered status:ended").items] == [ended.id]
    assert memory.sessions("filtered", project="/elsewhere").total == 0
    assert memory.sessions("filtered", project=active.project).total == 2


@pytest.mark.parametrize("mode", MODES)
def test_search_finds_in_every_mode(memory: MemoryClient, mode: Mode) -> None:
    session = memory.start_session("search")
    message = memory.log("agent", f"the {mode} walrus eats oysters & more")
    _settle(memory)
    answer = memory.search(f"{mode} walrus", mode)
    assert answer.mode == answer.asked_mode == mode
    hit = answer.hits[0]
    assert hit.message == message
    assert hit.session is not None
    assert hit.session.id == session.id
    assert 0 < hit.score <= 1
    assert memory.search("walrus", mode, project="/elsewhere").hits == ()


def test_neighbours_surround_a_message(memory: MemoryClient) -> None:
    memory.start_session("neighbours")
    ids = [memory.log("user", f"n{number}").id for number in range(5)]
    assert [m.id for m in memory.neighbours(ids[2], 1)] == ids[1:4]


def test_knowledge_is_kept_changed_and_removed(memory: MemoryClient) -> None:
    entry = memory.add_entry("Deploy", "make deploy", source="https://x", tags=["ops", "ci"])
    assert memory.get_entry(entry.id) == entry
    changed = memory.update_entry(entry.id, content="make ship")
    assert (changed.title, changed.content, changed.tags) == ("Deploy", "make ship", ("ops", "ci"))
    assert memory.update_entry(entry.id, tags=[]).tags == ()
    assert [e.id for e in memory.entries(tags=["ci"]).items] == []
    assert memory.search_entries("ship", "words").hits[0].entry == memory.get_entry(entry.id)
    before = memory.stats().total
    memory.delete_entry(entry.id)
    assert memory.stats().total == before - 1
    with pytest.raises(NotFound):
        memory.get_entry(entry.id)


def test_tags_filter_a_list_of_entries(memory: MemoryClient) -> None:
    memory.add_entry("one", "1", tags=["first tag"])
    memory.add_entry("two", "2", tags=["second & tag"])
    listed = memory.entries(tags=["first tag", "second & tag"])
    assert {entry.title for entry in listed.items} == {"one", "two"}
    assert [entry.title for entry in memory.entries(tags=["second & tag"]).items] == ["two"]


def test_status_tells_what_is_there(memory: MemoryClient) -> None:
    _settle(memory)
    status = memory.status()
    assert status.state == "ready"
    assert (status.model, status.model_state) == ("words/64", "ready")
    assert status.sessions == memory.sessions().total
    assert status.pid > 0
    assert status.started_at is not None
    assert status.index == "kept"
    assert 4 <= status.versions < status.files_on_disk
    assert 10_000_000 < status.resident_bytes < 10_000_000_000


def test_reindex_makes_every_vector_anew(memory: MemoryClient) -> None:
    memory.start_session("reindexed")
    memory.log("user", "a marmot whistles")
    _settle(memory)
    assert memory.reindex().pending_vectors > 0
    _settle(memory)
    assert memory.search("marmot", "meaning").hits[0].snippet == "a marmot whistles"


@pytest.mark.parametrize(
    ("ask", "kind", "words"),
    [
        (lambda m: m.session(999_999), NotFound, "no session has the id 999999"),
        (lambda m: m.log("user", "x", 999_999), NotFound, "no session"),
        (lambda m: m.messages(999_999), NotFound, "no session"),
        (lambda m: m.get_entry(999_999), NotFound, "no knowledge entry"),
        (lambda m: m.neighbours(999_999), NotFound, "no message"),
        (lambda m: m.session(0), InvalidRequest, "session_id"),
        (lambda m: m.session(-1), InvalidRequest, ">= 1"),
        (lambda m: m.sessions(limit=0), InvalidRequest, "limit 0"),
        (lambda m: m.sessions(limit=100_000), InvalidRequest, "limit 100000"),
        (lambda m: m.sessions(cursor="nonsense"), InvalidRequest, "cursor"),
        (lambda m: m.sessions(status="lost"), InvalidRequest, "status"),
        (lambda m: m.log("robot", "x"), InvalidRequest, "role"),
        (lambda m: m.search("role:robot"), InvalidRequest, "role:robot"),
        (lambda m: m.search("x", "psychic"), InvalidRequest, "mode"),
        (lambda m: m.add_entry(" ", "x"), InvalidRequest, "title"),
    ],
    ids=range(15),
)
def test_what_cannot_be_done_raises_its_own_error(
    memory: MemoryClient, ask: object, kind: type[PktuiError], words: str
) -> None:
    assert callable(ask)
    with pytest.raises(kind, match=words):
        ask(memory)


def test_hostile_text_comes_back_as_it_went(memory: MemoryClient) -> None:
    text = 'a\x00b \x1b[31m "quotes" \\ \u202e 🎉 ' + "long " * 20_000
    memory.start_session('<b>&name="x"</b>\n')
    message = memory.log("user", text)
    assert memory.messages(message.session_id).items[0].content == text


def test_a_body_that_is_too_large_is_refused_and_the_next_one_is_not(memory: MemoryClient) -> None:
    memory.start_session("large")
    with pytest.raises(InvalidRequest, match="larger than"):
        memory.log("user", "x" * (17 * 1024 * 1024))
    assert memory.log("user", "small").content == "small"


def test_many_threads_share_one_client(memory: MemoryClient) -> None:
    session = memory.start_session("threads")
    problems: list[Exception] = []

    def work(name: int) -> None:
        try:
            for number in range(10):
                memory.log("user", f"{name}/{number}", session.id)
        except PktuiError as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    contents = [message.content for message in memory.messages(session.id).items]
    assert len(contents) == len(set(contents)) == 60
    for name in range(6):
        own = [content for content in contents if content.startswith(f"{name}/")]
        assert own == [f"{name}/{number}" for number in range(10)]


def test_without_a_service_a_client_that_may_not_start_one_says_so(paths: Paths) -> None:
    client = MemoryClient(paths, start=False)
    with pytest.raises(MemoryUnavailable, match="no memory service listens"):
        client.sessions()
    with pytest.raises(MemoryUnavailable, match="no memory service listens"):
        client.status()


def _settle(memory: MemoryClient) -> None:
    """Wait until everything has its vectors; the service's own time, polled."""
    until = time.monotonic() + 60
    while (status := memory.status()).model_state != "ready" or status.pending_vectors:
        assert time.monotonic() < until, "the vectors were not made in time"
        threading.Event().wait(0.01)


def test_calls_make_the_session_they_belong_to_and_are_found(
    memory: MemoryClient, served: Paths
) -> None:
    new = NewCall("Bash", '{"command":"make deploy"}', call_id="toolu_1")
    (call,) = memory.log_calls([new], source="claude-code", source_id="abc", agent="claude-code")
    assert memory.log_calls([new], source="claude-code", source_id="abc") == (call,)
    session = memory.session(call.session_id)
    assert (session.source, session.source_id) == ("claude-code", "abc")
    assert memory.calls(session.id).items == (call,)
    answer = memory.search_sessions(f"deploy in:calls session:{session.id}", "words")
    assert (answer.total, answer.total_hits, answer.cursor) == (1, 1, "")
    assert answer.sessions[0].hits[0].call == call
    stranger = MemoryClient(served, Identity("new here", "", "/new"), start=False)
    with pytest.raises(NotFound, match="no current session"):
        stranger.log_calls([new])
    stranger.close()
    mine = memory.start_session("mine")
    assert memory.log_calls([new])[0].session_id == mine.id


def test_entries_that_are_like_one_are_listed(memory: MemoryClient) -> None:
    first = memory.add_entry("Port", "The service listens on port 80.")
    second = memory.add_entry("Port", "The service listens on port 81.")
    (found,) = memory.similar_entries(second.id)
    assert (found.id, found.relation) == (first.id, "may contradict")
