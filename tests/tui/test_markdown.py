from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pktui.text import has_hidden, visible
from pktui.tui.markdown import draw_markdown, draw_plain
from pktui.tui.theme import ink_of

NO_THEME: Any = SimpleNamespace(theme_variables={})
INK = ink_of(NO_THEME)
PIECES = st.sampled_from(
    [
        *("# a\n", "- b\n", "1. c\n", "> d\n", "```py\nx\n```\n", "**e**", "`f`", "[g](h)"),
        *("![i](j)", "<b>", "</b>", "&#27;", "&#x202e;", "| k |\n|---|\n", "***\n", "\n\n"),
        *("~~l~~", "<http://m/%1b>", "[n]: o\n", "\x1b[2J", "\u202e", "\t", "    code\n", "\\"),
        *("*", "_", "[", "](", ")", "<!--", "-->", "\r", "<kbd>", "</kbd>", "    ", "|"),
    ]
)


def _text(source: str, width: int = 40) -> str:
    lines = draw_markdown(visible(source), width, INK, base=INK.text)
    return "\n".join("".join(segment.text for segment in line).rstrip() for line in lines)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("[click me](https://evil.example)", "click me (https://evil.example)"),
        ("![cat](https://evil.example/x.png)", "!cat (https://evil.example/x.png)"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("a <kbd>b</kbd>", "a <kbd>b</kbd>"),
        ("&lt;b&gt; &#27;[31m &#x202e;", "&lt;b&gt; &#27;[31m &#x202e;"),
        ("one\ntwo", "one\ntwo"),
        ("[bold red]x[/]", "[bold red]x[/]"),
        (":smile:", ":smile:"),
    ],
)
def test_nothing_is_hidden_decoded_or_acted_on(source: str, shown: str) -> None:
    assert _text(source, 60) == shown


def test_what_an_address_decodes_to_is_made_visible() -> None:
    assert "␛" in _text("<http://x/%1b>")


def test_no_segment_carries_a_link() -> None:
    lines = draw_markdown("[a](https://b) <https://c>", 40, INK, base=INK.text)
    assert not [
        segment for line in lines for segment in line if segment.style and segment.style.link
    ]


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=14).map("".join), st.integers(min_value=1, max_value=90))
def test_any_markdown_is_drawn_without_control_characters(source: str, width: int) -> None:
    for line in draw_markdown(visible(source), width, INK, base=INK.text):
        assert not has_hidden("".join(segment.text for segment in line))


@given(st.text(max_size=200))
@settings(deadline=None)
def test_plain_text_keeps_every_character(source: str) -> None:
    text = visible(source)
    lines = draw_plain(text, 20, INK.text)
    drawn = "".join(segment.text for line in lines for segment in line)
    assert "".join(drawn.split()) == "".join(text.split())
