"""What a tool answered, as a person reads it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from pktui.ledger.records import Result
from pktui.ledger.results import kept_result
from pktui.text import has_hidden
from pktui.tui.results import result_lines, result_summary, result_text
from tests.tui.house import HOSTILE

PICTURE = "iVBORw0KGgo" + "A" * 4000


def on_record(answer: Any, mode: Any = "masked") -> Result:
    written = json.dumps(answer).encode()
    return msgspec.json.decode(kept_result(written, mode), type=Result)


def lines(answer: Any) -> list[str]:
    return [f"{line.lead}{line.text}" for line in result_lines(on_record(answer))]


def says(*blocks: Any, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": b} if isinstance(b, str) else b for b in blocks]
            } | more  # fmt: skip


IMAGE = {"type": "image", "data": PICTURE, "mimeType": "image/png"}
LINK = {"type": "resource_link", "uri": "file:///a.md", "name": "a"}
FILE = {"type": "resource", "resource": {"uri": "file:///a.md", "text": "# A", "mimeType": "x/y"}}


@pytest.mark.parametrize(
    ("answer", "shown", "short"),
    [
        (says("written"), ["written"], '"written"'),
        (says("one\ntwo"), ["one", "two"], '"one"'),
        (says("no", isError=True), ["the tool says that it failed", "no"], '"no"'),
        (says(IMAGE), ["image image/png [3,008 bytes]"], "image image/png [3,008 bytes]"),
        (says(FILE), ["resource x/y file:///a.md", "# A"], '"# A"'),
        (says(LINK), ["resource_link file:///a.md"], "resource_link file:///a.md"),
        (says(), ["an empty result"], "an empty result"),
        (says('{"a": 1}'), ["a  1"], '"{"a": 1}"'),
        (says(structuredContent={"n": 1}), ["structuredContent", "  n  1"], "n=1"),
        ({"code": -1, "message": "no file"}, ["error -1", "no file"], '"no file"'),
        ({"stdout": "a.py\n", "stderr": ""}, ["stdout", "  │ a.py", "  │ "], '"a.py"'),
        ("plain", ["plain"], '"plain"'),
        ([1, 2], ["[1, 2]"], "[1, 2]"),
        (None, ["null"], ""),
    ],
)
def test_every_kind_of_result_reads_well(answer: Any, shown: list[str], short: str) -> None:
    assert lines(answer)[: len(shown)] == shown
    assert result_summary(on_record(answer), 60).startswith(short)


@pytest.mark.parametrize("answer", [says(HOSTILE), HOSTILE, {"code": 1, "message": HOSTILE}])
def test_hostile_text_is_made_visible(answer: Any) -> None:
    record = on_record(json.loads(json.dumps(answer).replace("\\ud800", "")))
    shown = " ".join(f"{line.lead}{line.text}" for line in result_lines(record))
    assert not has_hidden(shown + result_summary(record, 80))


def test_a_result_of_odd_types_is_shown_as_it_is() -> None:
    odd: Any = {"content": [None, 5, {"type": 7, "text": 8}, {"type": "image", "data": 3}, []]}
    assert "8" in " ".join(lines(odd))
    assert result_summary(on_record(odd), 40)


def test_what_was_cut_says_how_much_there_was() -> None:
    answer = says("x" * 40_000)
    assert lines(answer)[-1] == f"cut: it had {len(json.dumps(answer)):,} bytes"
    assert result_summary(on_record(answer), 20) == f'"{"x" * 18}…"'


def test_a_hash_alone_is_shown_as_one() -> None:
    record = on_record(says("written"), "hash")
    (line,) = result_lines(record)
    assert line.text == f"sha256 {record.sha256}, of {record.bytes} bytes"
    assert result_summary(record, 40) == f"{record.bytes} bytes"
    assert result_text(record) == record.sha256


def test_the_text_is_what_is_copied() -> None:
    assert result_text(on_record(says("one\ntwo", "three"))) == "one\ntwo\nthree"
    assert json.loads(result_text(on_record(says(structuredContent={"n": 1})))) == says(
        structuredContent={"n": 1}
    )


@pytest.mark.parametrize("number", ["1e999", "[1E400, 2]"])
def test_a_number_that_is_out_of_range_is_shown_as_it_came(number: str) -> None:
    record = msgspec.json.decode(kept_result(number.encode(), "masked"), type=Result)
    assert [line.text for line in result_lines(record)] == [number]
    assert result_summary(record, 40) == f'"{number}"'
    assert result_text(record) == number
