"""The line of one call at any width, whatever its arguments and its result are made of."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from rich.cells import cell_len
from rich.style import Style

from pktui.memory.records import Call
from pktui.tui.theme import Ink
from pktui.tui.views.sessions.call_blocks import draw_call
from pktui.tui.views.sessions.layout import BAR, Look
from pktui.tui.views.sessions.reader import WholeCall
from pktui.tui.views.sessions.timeline import LineCall

INK = Ink(**dict.fromkeys(Ink.__annotations__, Style()))
WIDE = "漢字" * 60


def _line(width: int, arguments: str, result: str, *, word: str = "ok") -> str:
    call = LineCall(0, "code", "search", "allowed", word, 12_000, kept=1)
    kept = Call(1, 1, 1, "code.search", arguments, "ok", result, datetime.now(UTC))
    (strip,) = draw_call(call, WholeCall(call, kept=kept), Look(width, INK))
    return strip.text


@pytest.mark.parametrize("arguments", ['{"q":"a"}', f'{{"q":"{WIDE}"}}', ""])
@pytest.mark.parametrize("result", [WIDE, "found " * 30, "ok", ""])
@pytest.mark.parametrize("word", ["ok", ""])
def test_no_result_and_no_arguments_take_the_room_of_what_was_called(
    arguments: str, result: str, word: str
) -> None:
    for width in range(3, 130):
        line = _line(width, arguments, result, word=word)
        assert cell_len(line) <= width - BAR
        assert width < 45 or "✓ code.search " in line
        assert width < 45 or line.endswith("  12 ms")


def test_a_result_without_a_word_before_it_stands_apart_from_the_time() -> None:
    assert _line(80, '{"q":"a"}', "found it", word="").endswith('  → "found it"  12 ms')


def test_a_result_that_is_cut_has_its_quotes() -> None:
    assert _line(80, '{"q":"a"}', "found " * 30).endswith('…"  12 ms')


def test_without_a_result_the_arguments_have_all_the_room() -> None:
    assert "f" * 60 in _line(100, f'{{"q":"{"f" * 60}"}}', "")
    assert "→" not in _line(100, '{"q":"a"}', "")
