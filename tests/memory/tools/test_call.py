"""What the tools answer, each on a real store, checked against its output schema."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest

from pktui.errors import StoreError
from pktui.memory.records import Identity, NewCall
from pktui.memory.store import Store
from pktui.memory.tools.call import call
from pktui.memory.tools.definitions import definitions
from tests.support.embedder import WordsEmbedder

if TYPE_CHECKING:
    from pktui.memory.tools.answer import ToolAnswer

SCHEMAS = {definition["name"]: definition["outputSchema"] for definition in definitions()}
ADA = Identity("claude-code", "", "/home/ada")
BOB = Identity("codex", "", "/home/bob")
START = datetime(2026, 3, 2, 10, 0, 0, 123_000, tzinfo=UTC)


class Ticking:
    """A clock that moves on a second whenever it is looked at."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "memory", WordsEmbedder(), clock=Ticking()) as opened:
        yield opened


def use(store: Store, name: str, who: Identity = ADA, /, **arguments: Any) -> ToolAnswer:
    answer = call(store, name, arguments, who)
    if answer.is_error:
        assert answer.structured is None
    else:
        jsonschema.validate(answer.structured, SCHEMAS[name])
    return answer


def data(answer: ToolAnswer) -> dict[str, Any]:
    assert answer.structured is not None, answer.text
    return answer.structured


def index(store: Store) -> None:
    while store.embed_pending():
        pass


def test_a_session_is_started_logged_to_read_and_ended(store: Store) -> None:
    started = use(store, "start_logging_session", name="debugging auth")
    assert started.text.startswith('✅ Started session #1: "debugging auth"\n\n**IMPORTANT:** You')
    assert '`log_message(role="user", content="...")`' in started.text
    assert data(started)["instructions"] in started.text
    logged = use(store, "log_message", role="user", content="The token expires too fast")
    assert logged.text == "📝 Logged [user] message (indexed for search)\nMessage #1 in session #1"
    use(store, "log_message", role="agent", content="The TTL is 60")
    shown = use(store, "get_session", sessionId=1)
    assert shown.text.startswith('## Session #1: "debugging auth"\n\n**Status:** 🟢 Active\n')
    assert "**Messages:** 2\n\n### Recent Messages:\n\n**[user]** The token" in shown.text
    ended = use(store, "end_session", summary="fixed")
    assert ended.text.startswith('✅ Ended session with 2 messages\n📝 Summary: "fixed"')
    assert data(ended) == {
        "sessionId": 1,
        "messageCount": 2,
        "changed": True,
        "endedAt": "2026-03-02T10:00:04.123Z",
        "summary": "fixed",
    }


def test_ending_twice_keeps_the_summary_and_says_so(store: Store) -> None:
    use(store, "start_logging_session")
    use(store, "end_session", summary="the first words")
    again = use(store, "end_session", sessionId=1, summary="other words")
    assert "Nothing was changed" in again.text
    assert (data(again)["changed"], data(again)["summary"]) == (False, "the first words")
    assert use(store, "end_session").text.startswith("❌ No active session to end")


def test_the_current_session_outlives_the_store_and_is_no_one_elses(tmp_path: Path) -> None:
    with Store.open(tmp_path / "memory") as first:
        use(first, "start_logging_session", ADA, name="Ada's")
        use(first, "start_logging_session", BOB, name="Bob's")
        use(first, "end_session", BOB)
    with Store.open(tmp_path / "memory") as second:
        assert data(use(second, "log_message", ADA, role="user", content="x"))["sessionId"] == 1
        lost = use(second, "log_message", BOB, role="user", content="x")
        assert lost.is_error
        assert lost.text == (
            "❌ Failed to log message: No active session. Call start_logging_session first."
        )


def test_a_second_start_leaves_the_first_session_and_names_it(store: Store) -> None:
    use(store, "start_logging_session", name="one")
    second = use(store, "start_logging_session", name="two")
    assert "end_session(sessionId=1)" in second.text
    assert "end_session(sessionId=1)" in data(second)["instructions"]
    assert data(use(store, "log_message", role="user", content="x"))["sessionId"] == 2
    assert data(use(store, "log_message", role="user", content="x", sessionId=1))["sessionId"] == 1


def test_an_ended_session_takes_no_messages(store: Store) -> None:
    use(store, "start_logging_session")
    use(store, "end_session")
    answer = use(store, "log_message", role="user", content="x", sessionId=1)
    assert answer.is_error
    assert "Session 1 is already closed" in answer.text
    assert "start_logging_session" in answer.text


def test_get_session_is_short_however_long_the_session_is(store: Store) -> None:
    use(store, "start_logging_session", name="long")
    for number in range(30):
        use(store, "log_message", role="user", content=f"{number} " + "x" * 5_000)
    shown = use(store, "get_session", sessionId=1)
    assert len(shown.text) < 4_000
    assert "20 more: find them with search_session(sessionId=1)" in shown.text
    messages = data(shown)["messages"]
    assert [message["content"][:3].strip() for message in messages] == [
        str(number) for number in range(20, 30)
    ]
    assert all(len(message["content"]) == 200 and message["cut"] > 4_000 for message in messages)
    assert data(shown)["messageCount"] == 30


def test_sessions_are_listed_with_their_state(store: Store) -> None:
    assert use(store, "list_sessions").text == "No sessions found"
    use(store, "start_logging_session", name="older")
    use(store, "end_session")
    use(store, "start_logging_session")
    listed = use(store, "list_sessions")
    assert listed.text == (
        "## Sessions (2):\n\n"
        "- **#2** (unnamed) - 🟢 Active - 2026-03-02 - 0 messages\n"
        '- **#1** "older" - ⚪ Ended - 2026-03-02 - 0 messages'
    )
    only = use(store, "list_sessions", activeOnly=True)
    assert [one["sessionId"] for one in data(only)["sessions"]] == [2]
    cut = use(store, "list_sessions", limit=1)
    assert data(cut)["total"] == 2
    assert data(cut)["more"] in cut.text


def test_a_search_in_one_session_is_not_crowded_out_by_others(store: Store) -> None:
    use(store, "start_logging_session", name="crowd")
    for number in range(40):
        use(store, "log_message", role="agent", content=f"postgres upgrade {number}")
    use(store, "start_logging_session", name="quiet")
    use(store, "log_message", role="user", content="postgres upgrade plan")
    index(store)
    found = use(store, "search_session", sessionId=2, query="postgres upgrade")
    assert found.text.startswith("## Found 1 matches in session #2:\n\n### 1. [user] (")
    assert "Mode: hybrid" in found.text
    (hit,) = data(found)["results"]
    assert (hit["sessionId"], hit["role"], hit["snippet"]) == (2, "user", "postgres upgrade plan")
    assert 0 < hit["score"] <= 1


def test_a_search_over_all_sessions_names_the_session(store: Store) -> None:
    use(store, "start_logging_session", name="kept")
    use(store, "log_message", role="user", content="alpha omega")
    index(store)
    found = use(store, "search_all_sessions", query="omega")
    assert found.text.startswith(
        "## Found 1 matches across sessions:\n\n### 1. Session #1 [user] ("
    )
    assert data(found)["mode"] == "hybrid"
    none = use(store, "search_all_sessions", query="zebra quagga")
    assert (data(none)["results"], none.text.splitlines()[0]) == (
        [],
        "No matches found across sessions",
    )


@pytest.mark.parametrize(
    "query",
    [
        'alpha "omega',
        '"alpha',
        "alpha -omega",
        "--alpha",
        "role: alpha",
        "status:alpha",
        "sesion:alpha",
        "before:alpha",
        "https://alpha",
        "100% alpha_",
    ],
)
def test_an_agents_query_is_only_words(store: Store, query: str) -> None:
    use(store, "start_logging_session")
    use(store, "log_message", role="user", content="alpha omega role status before 100 https")
    found = use(store, "search_all_sessions", query=query)
    assert [hit["messageId"] for hit in data(found)["results"]] == [1]


def test_a_message_that_is_sent_again_after_its_session_ended_was_logged(store: Store) -> None:
    session = data(use(store, "start_logging_session"))["sessionId"]
    arguments = {"role": "user", "content": "a stoat"}
    first = call(store, "log_message", arguments, ADA, "key")
    store.end_session(session)
    assert call(store, "log_message", arguments, ADA, "key") == first
    assert call(store, "log_message", arguments, ADA, "other").is_error
    assert store.messages(session).total == 1


def test_a_name_without_end_makes_no_answer_long(store: Store) -> None:
    endless = "stoat " * 20_000
    answers = [
        use(store, "start_logging_session", name=endless),
        use(store, "log_message", role="user", content="a stoat"),
        use(store, "list_sessions"),
        use(store, "get_session", sessionId=1),
        use(store, "search_all_sessions", query="stoat"),
        use(store, "store_knowledge", title=endless, content="of winters"),
        use(store, "list_knowledge"),
        use(store, "search_knowledge", query="stoat"),
        use(store, "search_knowledge_text", query="stoat"),
    ]
    for answer in answers:
        assert not answer.is_error
        assert len(answer.text) < 2_000, answer.text
        assert len(msgspec.json.encode(data(answer))) < 2_000
    assert data(use(store, "get_knowledge", id=1))["title"] == endless
    assert store.session(1).name == endless


def test_knowledge_is_stored_found_changed_and_deleted(store: Store) -> None:
    stored = use(
        store,
        "store_knowledge",
        title="Deploy day",
        content="Deploy with make deploy on Thursdays. " * 40,
        source="https://wiki",
        tags=["ops", "ci"],
    )
    assert stored.text.startswith('✅ Stored knowledge entry #1: "Deploy day"\n📊 Indexed')
    index(store)
    found = use(store, "search_knowledge", query="deploy thursdays")
    assert found.text.startswith("## Found 1 similar entries:\n\n### 1. Deploy day (")
    assert "**ID:** 1\n**Tags:** ops, ci\n\n" in found.text
    (hit,) = data(found)["results"]
    assert (hit["id"], hit["source"], hit["tags"]) == (1, "https://wiki", ["ops", "ci"])
    assert len(hit["snippet"]) < 400
    words = use(store, "search_knowledge_text", query="make deploy")
    assert words.text.startswith('Found 1 result(s) for "make deploy":\n\n**Deploy day** (ID: 1)\n')
    changed = use(store, "update_knowledge", id=1, content="By hand", tags=[])
    assert changed.text.startswith("✅ Updated entry #1\n📊 Re-indexed")
    got = use(store, "get_knowledge", id=1.0)
    assert got.text == (
        "# Deploy day\n\n**ID:** 1\n**Created:** 2026-03-02T10:00:01.123Z\n"
        f"**Updated:** {data(got)['updatedAt']}\n**Source:** https://wiki\n\n---\n\nBy hand"
    )
    assert use(store, "delete_knowledge", id=1).text == "✅ Deleted entry #1"
    assert use(store, "get_knowledge", id=1).is_error


def test_knowledge_and_messages_never_share_a_result(store: Store) -> None:
    use(store, "start_logging_session")
    use(store, "log_message", role="user", content="gibbon facts")
    use(store, "store_knowledge", title="Gibbons", content="gibbon facts")
    index(store)
    assert [
        hit["id"] for hit in data(use(store, "search_knowledge", query="gibbon"))["results"]
    ] == [1]
    found = data(use(store, "search_all_sessions", query="gibbon"))["results"]
    assert [hit["messageId"] for hit in found] == [1]
    use(store, "delete_knowledge", id=1)
    assert data(use(store, "search_all_sessions", query="gibbon"))["total"] == 1


def test_text_search_falls_back_to_the_text_as_it_stands(store: Store) -> None:
    use(store, "store_knowledge", title="Operators", content="use a ?? b instead")
    found = use(store, "search_knowledge_text", query="??")
    assert [hit["id"] for hit in data(found)["results"]] == [1]
    assert data(found)["mode"] == "exact"
    none = use(store, "search_knowledge_text", query="missing")
    assert none.text.startswith('No results found for: "missing"')


def test_knowledge_is_listed_in_parts(store: Store) -> None:
    assert use(store, "list_knowledge").text == "No knowledge entries found."
    for number in range(5):
        use(store, "store_knowledge", title=f"Entry {number}", content="x", tags=[f"t{number % 2}"])
    first = use(store, "list_knowledge", limit=2)
    assert first.text == (
        "📚 Knowledge Entries (2):\n\n- **Entry 4** (ID: 5) [t0]\n- **Entry 3** (ID: 4) [t1]\n\n"
        "3 more: call again with offset 2"
    )
    rest = use(store, "list_knowledge", limit=10, offset=2)
    assert [entry["id"] for entry in data(rest)["entries"]] == [3, 2, 1]
    assert "more" not in data(rest)
    tagged = use(store, "list_knowledge", tags=["t1"])
    assert [entry["id"] for entry in data(tagged)["entries"]] == [4, 2]
    beyond = use(store, "list_knowledge", offset=9)
    assert beyond.text == "No knowledge entries found. There are 5."


def test_statistics_have_the_headings_of_the_reference(store: Store) -> None:
    empty = use(store, "get_knowledge_stats")
    assert "  Oldest: N/A\n  Newest: N/A" in empty.text
    assert "  No tags yet" in empty.text
    use(store, "store_knowledge", title="One", content="x", tags=["a"])
    waiting = use(store, "get_knowledge_stats")
    assert "**Vectors Indexed:** 0 (1 pending)" in waiting.text
    index(store)
    figures = use(store, "get_knowledge_stats")
    assert figures.text.startswith(
        "## Personal Knowledge Base Stats\n\n**Total Entries:** 1\n**Vectors Indexed:** 1\n"
    )
    assert figures.text.endswith("**Top Tags:**\n  a: 1")
    assert data(figures)["topTags"] == [{"tag": "a", "count": 1}]


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("get_knowledge", {"id": 7}, "No entry found with ID: 7"),
        ("update_knowledge", {"id": 7, "title": "x"}, "No entry found with ID: 7"),
        ("update_knowledge", {"id": 7}, "No updates provided"),
        ("delete_knowledge", {"id": 7}, "No entry found with ID: 7"),
        ("get_session", {"sessionId": 7}, "Session #7 not found"),
        ("search_session", {"sessionId": 7, "query": "x"}, "Session #7 not found"),
        ("end_session", {"sessionId": 7}, "Session #7 not found"),
        ("log_message", {"role": "user", "content": "x", "sessionId": 7}, "Session 7 not found"),
        ("store_knowledge", {"title": " ", "content": "x"}, "needs a title"),
        ("get_session", {"sessionId": 1.5}, "whole number from 1, not 1.5"),
        ("list_sessions", {"limit": -1}, "whole number from 1, not -1"),
        ("list_sesions", {}, "Did you mean list_sessions?"),
        ("\x1b[31mno", {}, "There are: store_knowledge, "),
    ],
)
def test_a_failure_is_an_error_in_words(
    store: Store, tool: str, arguments: dict[str, Any], words: str
) -> None:
    answer = call(store, tool, arguments, ADA)
    assert answer.is_error
    assert answer.structured is None
    assert words in answer.text
    assert "\x1b" not in answer.text


def test_a_store_that_fails_is_told_with_its_reason(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(store, "start_logging_session")

    def full(*_args: object, **_more: object) -> None:
        raise StoreError("memory table messages could not be written: no space left", "Free some")

    monkeypatch.setattr(store, "log", full)
    answer = use(store, "log_message", role="user", content="x")
    assert answer.is_error
    assert answer.text.startswith("❌ Failed to log message: memory table messages could not be")


def test_searches_find_calls_and_say_so(store: Store) -> None:
    use(store, "start_logging_session", name="shop")
    use(store, "log_message", role="user", content="please look at the cart")
    arguments = '{"command":"npm run build"}'
    store.append_calls(1, [NewCall("Bash", arguments, "error", "ENOENT: no package.json")])
    for name, more in (("search_all_sessions", {}), ("search_session", {"sessionId": 1})):
        answer = use(store, name, query="ENOENT npm", **more)
        assert "[Bash: error]" in answer.text
        assert "**Call:** #1 - " in answer.text
        (found,) = data(answer)["results"]
        assert (found["callId"], found["role"], found["tool"]) == (1, "call", "Bash")
        assert found["outcome"] == "error"
        assert "messageId" not in found


def test_a_stored_entry_that_repeats_one_is_said(store: Store) -> None:
    use(store, "store_knowledge", title="Tokens", content="Tokens live for 15 minutes.")
    answer = use(store, "store_knowledge", title="Tokens", content="Tokens live for 60 minutes.")
    assert '- #1 "Tokens" (may contradict, ' in answer.text
    (near,) = data(answer)["similar"]
    assert (near["id"], near["relation"]) == (1, "may contradict")
