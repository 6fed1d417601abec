from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import pytest

from pktui.memory.interchange import UsageRecord
from pktui.memory.service.usage import UsageBook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ANSWER = UsageRecord(
    source="claude-code", session="s", source_id="msg_1", model="m", project="/shop",
    created_at=datetime(2026, 11, 30, 23, 30, tzinfo=UTC), tokens_in=600, tokens_out=5, cached=9,
)  # fmt: skip


@pytest.fixture
def book(tmp_path: Path, in_zone: Callable[[str], None]) -> UsageBook:
    in_zone("UTC")
    return UsageBook(tmp_path / "usage.db")


def test_an_answer_counts_once_with_what_it_took_in_the_end(book: UsageBook) -> None:
    book.add([ANSWER, ANSWER])
    book.add([msgspec.structs.replace(ANSWER, tokens_out=40), ANSWER])
    (one,) = book.sums()
    assert (one.tokens_in, one.tokens_out, one.cached) == (600, 40, 9)


def test_sums_are_by_day_and_model_and_by_session_where_asked(book: UsageBook) -> None:
    book.add([
        ANSWER,
        msgspec.structs.replace(ANSWER, source_id="msg_2", session="t"),
        msgspec.structs.replace(ANSWER, source_id="msg_3", model="n"),
    ])  # fmt: skip
    assert [(one.model, one.tokens_in) for one in book.sums()] == [("m", 1200), ("n", 600)]
    by_session = {(one.session, one.model) for one in book.sums(by_session=True)}
    assert by_session == {("s", "m"), ("t", "m"), ("s", "n")}
    assert book.sums("2026-12-01") == ()


def test_a_day_is_the_persons(book: UsageBook, in_zone: Callable[[str], None]) -> None:
    in_zone("Asia/Tokyo")
    book.add([ANSWER])
    assert book.sums()[0].day == "2026-12-01"


def test_what_no_answer_takes_harms_no_sum(book: UsageBook) -> None:
    for number, tokens in enumerate((2**70, 2**63 - 1, -5)):
        odd = msgspec.structs.replace(ANSWER, source_id=f"m{number}", tokens_in=tokens)
        book.add([msgspec.structs.replace(odd, project="/\udcff")])
    (one,) = book.sums()
    assert one.tokens_in == 2 * 2**40
    assert one.project == "/\\udcff"
