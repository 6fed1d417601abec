"""The same text is found in whatever form it was typed or kept, and shown as it came."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unicodedata import normalize

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from pktui.memory.search.forms import folded, is_plain, one_form, placed
from pktui.memory.search.texts import SearchedTexts, Texts
from tests.memory.store.conftest import ADA, log

if TYPE_CHECKING:
    from pktui.memory.store import Store

LETTERS = some.text(
    some.sampled_from("aé\u0301e\u00adßS\uff4bﾊﾞバ한\u1112\u1161ﬁ½İ \x1b[31m\n東京"), max_size=20
)


def wide(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def coloured(text: str) -> str:
    return "".join(f"\x1b[1;31m{c}\x1b[0m" for c in text)


@pytest.mark.parametrize(
    "kept", ["Résumé_été.pdf", f"{wide('R')}ésumé_été.pdf", "re\u0301sumé_ÉTÉ.pdf"]
)
@pytest.mark.parametrize("form", [str, coloured, wide, lambda t: normalize("NFD", t)])
@pytest.mark.parametrize("typed", ["Résumé_été.pdf", "Re\u0301sume\u0301_e\u0301te\u0301.pdf"])
def test_every_form_is_found_and_marked(store: Store, kept: str, form: object, typed: str) -> None:
    assert callable(form)
    written = form(kept)
    session = store.start_session("s", ADA)
    log(store, session.id, f"Opened {written} from the Finder")
    log(store, session.id, "Closed the window")
    for mode in ("exact", "words"):
        (hit,) = store.search(typed, mode).hits
        assert hit.message is not None
        assert hit.snippet == hit.message.content
        marked = "".join(hit.snippet[mark.start : mark.end] for mark in hit.marks)
        assert folded(marked) in folded(kept)
        assert folded(marked).startswith("résumé")
    assert store.search(f'finder -"{typed}"', "words").total == 0
    store.start_session(f"About {written}", ADA)
    assert store.sessions(typed).total == 1


def test_half_width_kana_are_kana(store: Store) -> None:
    session = store.start_session("s", ADA)
    log(store, session.id, "ﾊﾞｯｸｱｯﾌﾟを取る")
    for mode in ("exact", "words"):
        assert store.search("バックアップ", mode).total == 1


@given(LETTERS)
def test_a_form_is_a_form_of_itself(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    if is_plain(text):
        assert folded(text) == text.lower()


@given(LETTERS, some.integers(0, 5))
def test_each_part_of_a_form_stands_somewhere_in_the_text(text: str, first: int) -> None:
    form = placed(text, first, len(text))
    for at in range(len(form.text)):
        start, end = form.span(at, at + 1)
        assert first <= start < end <= len(text)
        assert form.text[at] in one_form(text[start:end])


@given(some.lists(LETTERS, max_size=6), LETTERS, some.integers(0, 6))
def test_what_holds_a_string_is_what_a_plain_look_finds(
    texts: list[str], wanted: str, packed: int
) -> None:
    searched = SearchedTexts(Texts(), Texts())
    searched.add(texts[:packed])
    old = [Texts.of({k: np.concatenate(v) for k, v in each.arrays().items()})
           for each in (searched.texts, searched.forms)]  # fmt: skip
    searched = SearchedTexts(*old)
    searched.add(texts[packed:])
    few = searched.holding(wanted, np.ones(len(texts), np.bool_))
    assert few.tolist() == [folded(wanted) in folded(text) for text in texts]


def test_many_texts_are_searched_as_few_are() -> None:
    texts = [
        "plain Night",
        "caf\u0065\u0301 night",
        "\x1b[31mni\x1b[0mght",
        "[31m",
        wide("NIGHT"),
        "x",
    ]
    searched = SearchedTexts(Texts(), Texts())
    searched.add(texts * 500)
    allowed = np.ones(3000, np.bool_)
    allowed[0] = False
    for wanted in ("night", "CAFÉ", "[31m", "é n", "\x1b[0m"):
        expected = [folded(wanted) in folded(text) for text in texts] * 500
        assert searched.holding(wanted, allowed).tolist() == [False, *expected[1:]]
