from __future__ import annotations

import json

import pytest

from pktui.text import (
    escaped,
    has_hidden,
    hidden,
    one_line,
    storable,
    storable_parts,
    visible,
    without_hidden,
)


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


def test_every_text_of_a_document_is_made_storable() -> None:
    given = {"caf\udce9": ["x", 1, ("caf\udce9", None)], "b": {"c": True}}
    assert storable_parts(given) == {"caf\\udce9": ["x", 1, ["caf\\udce9", None]], "b": {"c": True}}


MORE = "\u202f\u205f\u2800\ufffc\ufffd\U00013440\U00013441\U00013442\U00016fe4\U0001d159"
"""Blanks that have no property, spaces nobody types, and what stands for something lost."""


def test_what_shows_nothing_is_found_by_its_property() -> None:
    """Held against a library that has the whole Unicode database; the one of Python has a part."""
    regex = pytest.importorskip("regex")
    nothing = regex.compile(
        r"\p{Default_Ignorable_Code_Point}|\p{Cc}|\p{Zl}|\p{Zp}|\p{Cs}|\p{Co}"
        r"|\p{Noncharacter_Code_Point}|(?=\p{Cf})\P{Prepended_Concatenation_Mark}"
    )
    every = "\n".join(map(chr, range(0x110000)))
    wanted = {*nothing.findall(every), *MORE} - {"\t", "\n"}
    assert {every[at] for at in hidden(every)} == wanted


@pytest.mark.parametrize(
    "text",
    [
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian: two parts of a word
        "\u0915\u094d\u200d\u0937",  # Devanagari: a half form
        "\u0d28\u0d4d\u200d",  # Malayalam: a chillu at the end of a word
        "\u1828\u180b\u182d\u180e\u1820",  # Mongolian: a variant of a letter
        "\U0001f469\u200d\U0001f4bb",  # woman, joined to a laptop
        "\U0001f468\U0001f3fd\u200d\u2764\ufe0f\u200d\U0001f468",  # with a skin tone, in style
        "1\ufe0f\u20e3 \u2139\ufe0f \u00a9\ufe0f",
        "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",  # Scotland
    ],
)
def test_what_shapes_a_letter_or_an_emoji_stays(text: str) -> None:
    assert visible(text) == text
    assert not has_hidden(text)
    assert without_hidden(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "a\u200db",  # Latin does not join
        "pass\u200cword",
        "\u200d\u0645",
        "\u0645\u200d",
        "\u0645\u200d\u200d\u0645",
        "\U0001f469\u200dx",
        "x\u200d\U0001f469",
        "\u2800\u200d\u2800",
        "a\ufe0f",
        "1\ufe0fx",
        "\u2764\ufe0f\ufe0f",
        "a\u180e\u180b",
        "\U0001f3f4\U000e0068\U000e0069\U000e007f",
        "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074x",
        "\U000e0067",
        "a\U000e0100",
        "\ufe00",
    ],
)
def test_the_same_characters_elsewhere_are_shown(text: str) -> None:
    assert has_hidden(text)
    assert "⟨U+" in visible(text)
    assert not has_hidden(without_hidden(text))
    assert not has_hidden(visible(text))


def test_what_is_shown_is_all_but_what_was_hidden() -> None:
    text = "a\u200bb\x1b[0m\U0001d173c\N{BRAILLE PATTERN BLANK}d\r\n"
    assert without_hidden(text) == "ab[0mcd\n"
    assert visible(text).count("⟨") == 3
