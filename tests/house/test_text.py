from __future__ import annotations

import json

import pytest

from pktui.text import escaped, has_hidden, one_line, storable, visible


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain words, ünïcode ✓ 漢字", "plain words, ünïcode ✓ 漢字"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("a\rb", "a␍b"),
        ("a\r\nb\tc", "a\nb\tc"),
        ("\x9b31m", "⟨U+009B⟩31m"),
        ("abc\u202edef", "abc⟨U+202E RIGHT-TO-LEFT OVERRIDE⟩def"),
        ("a\u200bb", "a⟨U+200B ZERO WIDTH SPACE⟩b"),
        ("\U000e0041", "⟨U+E0041 TAG LATIN CAPITAL LETTER A⟩"),
        ("\ud800", "⟨U+D800⟩"),
        ("\x7f\x00", "␡␀"),
    ],
)
def test_what_could_act_on_a_terminal_is_shown_instead(raw: str, shown: str) -> None:
    assert visible(raw) == shown


def test_long_text_is_cut_and_says_how_much_is_left() -> None:
    assert visible("x" * 30, limit=10) == "x" * 10 + "… (+20 characters)"


def test_one_line_folds_newlines_and_cuts() -> None:
    assert one_line("a\n\n\tb") == "a b"
    assert one_line("abcdef", limit=3) == "abc…"


def test_hidden_characters_are_noticed() -> None:
    assert has_hidden("safe\u2066not")
    assert not has_hidden("line one\r\nline two\tend")


@pytest.mark.parametrize(
    "text", ["a\x1b[0m", "\x7f\x9b", "\u202e\u200b", "\U000e0041", "ü 漢 🙂\n"]
)
def test_escaped_json_keeps_its_value_and_hides_nothing(text: str) -> None:
    shown = escaped(json.dumps({"text": text}, ensure_ascii=False))
    assert json.loads(shown) == {"text": text}
    assert not has_hidden(shown)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("plain ünïcode 漢字 😀", "plain ünïcode 漢字 😀"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), "caf\\udce9"),
        ("\ud83d\ude00", "😀"),
        ("a\ud83d\ud83d\ude00\udc00", "a\\ud83d😀\\udc00"),
    ],
)
def test_what_the_system_names_can_be_kept_whatever_its_bytes(given: str, kept: str) -> None:
    assert storable(given) == kept
