"""Tool calls: kept beside messages, found by what was done, moved out of older stores."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pktui.errors import InvalidRequest, NotFound, StoreError
from pktui.memory.records import Hit, NewCall, NewMessage
from pktui.memory.store import Store, schema
from pktui.memory.store.substrings import CorpusTexts
from pktui.memory.store.tables import Database
from tests.memory.store.conftest import ADA, embed_all, log
from tests.support.clock import START

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.memory.records import SearchAnswer
    from pktui.memory.store.scope import Bools


def bash(command: str, outcome: str = "ok", result: str = "", call_id: str = "") -> NewCall:
    arguments = json.dumps({"command": command, "timeout": 1000})
    return NewCall("Bash", arguments, outcome, result, START, call_id)  # type: ignore[arg-type]


def edit(path: str) -> NewCall:
    return NewCall("Edit", json.dumps({"file_path": path, "new_string": "a\nb"}), "ok", "", START)


def tools(answer: SearchAnswer) -> list[str]:
    return [hit.call.tool for hit in answer.hits if hit.call is not None]


@pytest.fixture
def filled(store: Store) -> Store:
    session = store.start_session("s", ADA)
    log(store, session.id, "please run the build")
    store.append_calls(
        session.id,
        [
            bash("npm run build", "error", "ENOENT: no such file package.json\nat line 3"),
            bash("rm -rf src/old/widget.py"),
            edit("/home/ada/shop/src/cart.py"),
        ],
    )
    return store


def test_a_call_is_found_by_its_command_its_file_and_its_error(filled: Store) -> None:
    for query in ("npm run build", "ENOENT", "cart.py", "widget"):
        hit = next(hit for hit in filled.search(query, "words").hits if hit.call is not None)
        assert hit.session is not None
        assert hit.session.title == "s"
    assert tools(filled.search("rm -rf src/old", "exact")) == ["Bash"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("in:calls", 3),
        ("in:messages", 1),
        ("-in:calls", 1),
        ("tool:bash", 2),
        ("-tool:bash", 1),
        ("file:cart", 1),
        ("file:widget.py", 1),
        ("file:npm", 0),
        ("cmd:npm", 1),
        ("cmd:npm cmd:rm", 2),
        ("tool:bash -cmd:npm", 1),
        ("role:user", 1),
        ("build", 2),
        ("build in:messages", 1),
    ],
)
def test_filters_say_what_is_searched(filled: Store, query: str, found: int) -> None:
    assert filled.search(query, "words").total == found


def test_a_call_that_is_deleted_while_it_is_searched_is_not_found(
    filled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    holding = CorpusTexts.holding

    def deleted_meanwhile(self: CorpusTexts, text: str, allowed: Bools) -> Bools:
        held = holding(self, text, allowed)
        filled.delete_session(1)
        return held

    monkeypatch.setattr(CorpusTexts, "holding", deleted_meanwhile)
    assert filled.search("cmd:npm", "words").hits == ()


def test_an_address_is_no_filter(filled: Store) -> None:
    assert filled.search("file:///home/ada", "exact").total == 0


def test_a_call_comes_once_whoever_tells_it(store: Store) -> None:
    session = store.start_session("s", ADA)
    (first,) = store.append_calls(session.id, [bash("ls", call_id="toolu_1")])
    again = store.append_calls(session.id, [bash("ls", call_id="toolu_1"), bash("pwd")])
    assert [call.id for call in again] == [first.id, first.id + 1]
    page = store.calls(session.id)
    assert [call.seq for call in page.items] == [1, 2]
    assert page.total == 2


def test_a_call_that_could_not_be_kept_is_kept_when_it_comes_again(place: Path) -> None:
    def refuse() -> None:
        raise StoreError("the disk is full", "Free some space")

    database = Database(place)
    with Store.open(database) as store:
        session = store.start_session("s", ADA)
        pass_on, database.guard = database.guard, refuse
        with pytest.raises(StoreError, match="the disk is full"):
            store.append_calls(session.id, [bash("ls", call_id="toolu_1")])
        database.guard = pass_on
        (kept,) = store.append_calls(session.id, [bash("ls", call_id="toolu_1")])
        assert store.calls(session.id).items == (kept,)


def test_calls_are_read_page_by_page(filled: Store) -> None:
    page = filled.calls(1, limit=2)
    assert ([call.seq for call in page.items], page.cursor) == ([1, 2], "2")
    rest = filled.calls(1, after=int(page.cursor), limit=2)
    assert ([call.seq for call in rest.items], rest.cursor) == ([3], "")


def test_an_outline_tells_when_and_what_without_texts(filled: Store) -> None:
    other = filled.start_session("other", ADA)
    log(filled, other.id, "no part of it")
    whole = filled.outline(1)
    assert (len(whole.times_us), whole.roles) == (1, "u")
    assert [(one.seq, one.tool, one.outcome) for one in whole.calls] == [
        (1, "Bash", "error"),
        (2, "Bash", "ok"),
        (3, "Edit", "ok"),
    ]
    log(filled, 1, "one more")
    later = filled.outline(1, after=1, calls_after=2)
    assert (len(later.times_us), [one.seq for one in later.calls]) == (1, [3])
    newest = filled.outline(1, calls_last=2)
    assert [(one.seq, one.tool) for one in newest.calls] == [(2, "Bash"), (3, "Edit")]
    assert filled.outline(1, calls_last=9).calls == whole.calls
    assert filled.outline(1, calls_after=2, calls_last=2).calls == later.calls
    assert filled.outline(1, calls_last=0).calls == ()
    with pytest.raises(NotFound):
        filled.outline(99)


def test_calls_outlive_the_process_and_go_with_their_session(place: Path) -> None:
    with Store.open(place) as store:
        kept, gone = store.start_session("kept", ADA), store.start_session("gone", ADA)
        store.append_calls(kept.id, [bash("make test", call_id="a")])
        store.append_calls(gone.id, [bash("make secret")])
    with Store.open(place) as store:
        assert store.status().calls == 2
        (call,) = store.append_calls(kept.id, [bash("make test", call_id="a")])
        assert call.id == 1
        store.delete_session(gone.id)
        assert store.search("secret", "words").hits == ()
    with Store.open(place) as store:
        assert store.status().calls == 1
        with pytest.raises(NotFound):
            store.append_calls(gone.id, [bash("ls")])


def test_what_is_no_call_is_refused(store: Store) -> None:
    session = store.start_session("s", ADA)
    for call in (NewCall(" "), NewCall("Bash", outcome="well")):  # type: ignore[arg-type]
        with pytest.raises(InvalidRequest):
            store.append_calls(session.id, [call])


def test_calls_of_an_older_store_are_moved_out_of_its_messages(place: Path) -> None:
    content = 'Bash {"command":"npm test"}\nerror\nexit code 1\nmore'
    with Store.open(place) as store:
        session = store.start_session("s", ADA)
        store.append(
            [
                NewMessage(session.id, "user", "run the tests"),
                NewMessage(session.id, "tool", content, START, source_id="call:toolu_1"),
                NewMessage(session.id, "tool", "a tool's own words", source_id="call:x"),
                NewMessage(session.id, "agent", "they fail"),
            ]
        )
    _age(place)
    for _ in range(2):
        with Store.open(place) as store:
            (call,) = store.calls(1).items
            assert (call.tool, call.arguments) == ("Bash", '{"command":"npm test"}')
            assert (call.outcome, call.result) == ("error", "exit code 1\nmore")
            assert (call.created_at, call.call_id) == (START, "toolu_1")
            assert [(m.seq, m.role) for m in store.messages(1).items] == [
                (1, "user"),
                (2, "tool"),
                (3, "agent"),
            ]


def _age(place: Path) -> None:
    """Make the store look as if an older pktui had written it last."""
    marks = Database(place).table("marks", schema.MARKS)
    marks.delete("kind = 'format'")
    import pyarrow as pa

    marks.append(pa.table({"kind": ["format"], "value": [2]}, schema=schema.MARKS))


def test_a_hit_tells_what_its_score_is_made_of(filled: Store) -> None:
    hits: tuple[Hit, ...] = filled.search("run the build", "words").hits
    for hit in hits:
        assert hit.parts is not None
        made = [getattr(hit.parts, name) for name in hit.parts.__struct_fields__]
        assert sum(made) == pytest.approx(hit.score, abs=1e-4)
        assert hit.parts.words > 0


def test_what_was_done_in_a_session_speaks_for_what_was_said_in_it(store: Store) -> None:
    made = [store.start_session(name, ADA) for name in ("early", "late")]
    for session in made:
        log(store, session.id, "please look at the build")
    store.append_calls(made[0].id, [bash("npm run build")])
    embed_all(store)
    asked = "look build"
    hits = [hit for hit in store.search(asked).hits if hit.message is not None]
    assert [hit.session.name for hit in hits if hit.session] == ["early", "late"]
    assert hits[0].score > hits[1].score
    alone = store.search(f"{asked} in:messages").hits
    assert [hit.session.name for hit in alone if hit.session] == ["late", "early"]
    assert alone[0].score == alone[1].score
