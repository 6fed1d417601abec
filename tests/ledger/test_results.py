"""What tools answered: masked, cut, in segments of its own, and on this machine alone."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pktui.ledger import Ledger
from pktui.ledger.chain.export import verify_lines
from pktui.ledger.results import MOST_BYTES, Answered, kept_result
from pktui.settings import AuditSettings
from tests.ledger.conftest import CLAUDE, Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECRET = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"
PICTURE = base64.b64encode(bytes(range(256)) * 12).decode()
DAY = 24 * 60 * 60


def says(text: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], **more}


def kept(result: Any) -> Any:
    """Return what is kept of a result, decoded."""
    written = json.dumps(result).encode()
    row = json.loads(kept_result(written, "masked"))
    assert row["bytes"] == len(written)
    return row["result"]


@pytest.fixture
def keeping(file: Path, clock: Clock) -> Iterator[Callable[..., Ledger]]:
    opened: list[Ledger] = []

    def open_with(own: bool = True, **settings: Any) -> Ledger:
        audit = AuditSettings(**settings)
        opened.append(Ledger.open(file, clock=clock, audit=audit, own=own))
        return opened[-1]

    yield open_with
    for one in opened:
        one.close()


def add(ledger: Ledger, call_id: str, result: Any, outcome: str = "ok") -> None:
    written = json.dumps(result, ensure_ascii=False).encode()
    ledger.results.add([Answered(call_id, "files", "read", outcome, written, 1)])


@pytest.mark.parametrize(
    "result",
    [
        says("done"),
        says("zwölf ☃", isError=True),
        {"code": -32602, "message": "no such file"},
        {"content": [], "structuredContent": {"n": [1, 2.5, None]}},
        "plain words of a hook",
        None,
    ],
)
def test_what_holds_no_secret_is_kept_as_it_came(result: Any) -> None:
    assert kept(result) == result


@pytest.mark.parametrize(
    "result",
    [
        says(f"the token is {SECRET}"),
        says("x", structuredContent={"deep": [{"db_password": "hunter2 horse"}]}),
        says(json.dumps({"db_password": "hunter2 horse"})),
        says("x" * 5000 + f"\n{SECRET}"),
        {"code": 1, "message": f"Bearer {SECRET}"},
        says("x", **{"pass\\u0077ord": "hunter2 horse"}),
    ],
)
def test_secrets_are_masked_wherever_they_stand(result: Any) -> None:
    row = kept_result(json.dumps(result).replace("\\\\u", "\\u").encode(), "masked")
    assert SECRET not in row
    assert "hunter2" not in row
    assert "[masked" in row


def test_pictures_and_files_are_their_sizes() -> None:
    content = [
        {"type": "image", "data": PICTURE, "mimeType": "image/png"},
        {"type": "resource", "resource": {"uri": "file:///a", "blob": PICTURE}},
        {"type": "text", "text": "beside it"},
    ]
    picture, resource, text = kept({"content": content})["content"]
    assert picture == {"type": "image", "data": "[3,072 bytes]", "mimeType": "image/png"}
    assert resource["resource"] == {"uri": "file:///a", "blob": "[3,072 bytes]"}
    assert text["text"] == "beside it"


def test_members_that_are_only_named_like_bytes_stay() -> None:
    result = says("x", structuredContent={"data": "three words here"})
    assert kept(result) == result


@pytest.mark.parametrize("times", [1, 3, 200])
def test_what_is_long_is_cut_and_its_beginning_stays(times: int) -> None:
    text = "".join(f'line {n}: "quoted"\n' for n in range(1000)) * times
    found = kept(says(text))
    assert len(json.dumps(found)) <= MOST_BYTES
    (block,) = found["content"]
    assert block["text"].startswith(text[:8_000])
    assert block["text"].endswith("… [cut]")


def test_a_long_picture_is_a_size_and_what_stands_beside_it_is_kept() -> None:
    picture = base64.b64encode(bytes(3_000_000)).decode()
    found = kept({"content": [{"type": "image", "data": picture}, {"type": "text", "text": "hi"}]})
    assert [block.get("data", block.get("text")) for block in found["content"]] == [
        "[3,000,000 bytes]",
        "hi",
    ]


def test_structured_content_that_a_text_says_too_is_kept_once() -> None:
    structured = {"rows": [f"row {n}" for n in range(1000)]}
    found = kept(says(json.dumps(structured), structuredContent=structured))
    assert "structuredContent" not in found
    other = kept(says("a summary " * 1000, structuredContent=structured))
    assert other["structuredContent"]["rows"][0] == "row 0"


def test_a_secret_in_the_middle_of_a_long_text_is_masked() -> None:
    row = kept_result(json.dumps(says("y " * 3000 + SECRET + " z" * 90_000)).encode(), "masked")
    assert SECRET[:20] not in row


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=50),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["text", "data", "type", "token", "a"]), inner)
    ),
    max_leaves=20,
)


@given(JSON, st.integers(1, 3000))
def test_every_result_becomes_json_of_bounded_size(result: Any, times: int) -> None:
    written = json.dumps([result] * times).encode()
    row = kept_result(written, "masked")
    assert len(row.encode()) <= MOST_BYTES + 60
    assert json.loads(row)["bytes"] == len(written)


def test_a_result_is_found_by_its_call(keeping: Callable[..., Ledger]) -> None:
    ledger = keeping()
    add(ledger, "a", says("one"))
    add(ledger, "b", {"code": 1, "message": "no"}, "error")
    found = ledger.results.of(["a", "b", "c", ""])
    assert {name: json.loads(one.text) for name, one in found.items()} == {
        "a": says("one"),
        "b": {"code": 1, "message": "no"},
    }
    assert ledger.verify().ok


def test_what_happened_is_read_as_if_there_were_no_results(keeping: Callable[..., Ledger]) -> None:
    ledger = keeping()
    ledger.events.append("decision", call_id="a", effect="allow")
    before = ledger.state()
    add(ledger, "a", says("one"))
    assert [one.kind for one in ledger.events.newest()] == ["decision"]
    assert ledger.feed.count() == 1
    assert ledger.state() != before


def test_only_the_hash_is_kept_where_that_is_set(keeping: Callable[..., Ledger]) -> None:
    ledger = keeping(results="hash")
    add(ledger, "a", says("one"))
    found = ledger.results.of(["a"])["a"]
    digest = hashlib.sha256(json.dumps(says("one")).encode()).hexdigest()
    assert (found.text, found.sha256, found.bytes) == ("", digest, len(json.dumps(says("one"))))


def test_nothing_is_kept_where_that_is_set(keeping: Callable[..., Ledger], file: Path) -> None:
    ledger = keeping(results="off")
    add(ledger, "a", says("one"))
    assert ledger.results.of(["a"]) == {}
    assert not list((file.parent / "journal").glob("0*.jsonl"))


def test_results_are_exported_and_verified(keeping: Callable[..., Ledger]) -> None:
    ledger = keeping()
    ledger.events.append("decision", call_id="a", effect="allow")
    add(ledger, "a", says("one"))
    lines = list(ledger.framed())
    events = [json.loads(line) for line in lines if line.startswith(b'{"segment"')]
    assert [event["kind"] for event in events] == ["decision", "result"]
    assert json.loads(events[1]["detail"])["result"] == says("one")
    assert verify_lines(lines).ok
    edited = [line.replace(b"one", b"two") for line in lines]
    assert verify_lines(edited).problem.endswith("was edited")


def test_an_index_that_is_made_anew_finds_them(keeping: Callable[..., Ledger]) -> None:
    ledger = keeping()
    for number in range(5):
        add(ledger, f"c{number}", says(f"ergebnis ☃ {number}"))
    ledger.index.rebuild()
    assert json.loads(ledger.results.of(["c3"])["c3"].text) == says("ergebnis ☃ 3")


def test_a_row_that_is_edited_or_cut_off_is_named(keeping: Callable[..., Ledger]) -> None:
    ledger = keeping()
    for number in range(3):
        add(ledger, f"c{number}", says("secret plan"))
    assert ledger.results.of(["c2"])
    (path,) = (ledger.path.parent / "journal").glob("0*.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"plan", b"flan", 1))
    assert "was edited" in ledger.verify().problem
    path.write_bytes(whole[: whole.rfind(b"\n", 0, -1) + 1])
    assert "the index has them" in ledger.verify().problem


def test_results_go_for_their_size_and_what_happened_stays(
    keeping: Callable[..., Ledger], clock: Clock
) -> None:
    ledger = keeping(max_megabytes=1)
    ledger.events.append("decision", caller=CLAUDE, call_id="c0", effect="allow")
    for number in range(100):
        add(ledger, f"c{number}", says(f"{number} " + "x" * 10_000))
    prune = ledger.retention.announce()
    assert prune is not None
    assert str(prune).endswith("are removed: they take half of audit.max_megabytes")
    while ledger.retention.step():
        pass
    assert "c0" not in ledger.results.of(["c0"])
    assert "c99" in ledger.results.of(["c99"])
    assert [row.call_id for row in ledger.feed.page()] == ["c0"]
    assert ledger.retention.pruned_for_size() == ""
    assert ledger.verify().ok


def test_results_go_for_their_age(keeping: Callable[..., Ledger], clock: Clock) -> None:
    ledger = keeping(own=False, keep_days=2)
    add(ledger, "old", says("old"))
    clock.forward(5 * DAY)
    add(ledger, "new", says("new"))
    ledger.retention.announce()
    while ledger.retention.step():
        pass
    assert list(ledger.results.of(["old", "new"])) == ["new"]
    assert ledger.verify().ok


def test_several_processes_add_to_one_segment(keeping: Callable[..., Ledger]) -> None:
    first, second = keeping(own=False), keeping(own=False)
    add(first, "a", says("one"))
    add(second, "b", says("two"))
    assert list(first.results.of(["a", "b"])) == ["a", "b"]
    assert first.verify().ok
