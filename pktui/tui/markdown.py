"""Markdown from agents, drawn so that it can neither act nor hide anything.

HTML and entities stay as they were written, links show their address behind their words and
cannot be followed, images are links, and what the parser decodes (an address may hold encoded
control characters) is made visible again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Final

from markdown_it import MarkdownIt
from pygments import token as kinds
from rich.console import Console
from rich.markdown import CodeBlock, Heading, Markdown
from rich.segment import Segment
from rich.syntax import ANSISyntaxTheme, Syntax
from rich.theme import Theme

from pktui.text import visible

if TYPE_CHECKING:
    from markdown_it.token import Token
    from rich.console import ConsoleOptions, RenderResult
    from rich.style import Style

    from pktui.tui.theme import Ink

# A longer code block is drawn without colours.
CODE_CHARACTERS = 4_000
MIN_WIDTH = 16
_CODE: Final[dict[tuple[str, ...], str]] = {
    kinds.Token: "code.text",
    kinds.Comment: "code.comment",
    kinds.Keyword: "code.keyword",
    kinds.Name.Function: "code.name",
    kinds.Name.Class: "code.name",
    kinds.Name.Tag: "code.name",
    kinds.Number: "code.name",
    kinds.String: "code.string",
}


class _Heading(Heading):
    LEVEL_ALIGN: ClassVar = dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6"), "left")


class _Code(CodeBlock):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = str(self.text).rstrip()
        lexer = self.lexer_name if len(code) <= CODE_CHARACTERS else "text"
        ground = console.get_style("markdown.code_ground").bgcolor
        colour = ground.get_truecolor().hex if ground else "default"
        # A theme of another program has red and amber in it, which mean something here.
        theme = ANSISyntaxTheme({kind: console.get_style(name) for kind, name in _CODE.items()})
        yield Syntax(
            code, lexer, theme=theme, word_wrap=True, padding=(0, 1), background_color=colour
        )


class _SafeMarkdown(Markdown):
    elements: ClassVar = {
        **Markdown.elements,
        "heading_open": _Heading,
        "fence": _Code,
        "code_block": _Code,
    }

    def __init__(self, text: str) -> None:
        super().__init__("", hyperlinks=False)
        self.markup = text
        self.parsed = _parser().parse(text)
        _make_safe(self.parsed)


def draw_markdown(text: str, width: int, ink: Ink, *, base: Style) -> list[list[Segment]]:
    """Return the lines of the text, at most `width` cells wide; `text` is already visible."""
    console = _console(ink, max(width, MIN_WIDTH))
    document = _SafeMarkdown(text)
    options = console.options.update(width=max(width, MIN_WIDTH))
    return console.render_lines(document, options, style=base, pad=False)


def draw_plain(text: str, width: int, style: Style) -> list[list[Segment]]:
    """Return the lines of visible text as it was written, folded at `width` cells."""
    from rich.text import Text

    console = _plain_console()
    lines = Text(text.expandtabs(4), style, overflow="fold", no_wrap=False).wrap(
        console, max(width, MIN_WIDTH), overflow="fold"
    )
    return [[Segment(line.plain, style)] for line in lines]


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False})
    return parser.enable(["strikethrough", "table"]).disable(["entity", "image"])


def _make_safe(tokens: Iterable[Token]) -> None:
    for token in tokens:
        token.content = visible(token.content)
        token.info = visible(token.info)
        token.attrs = {
            name: visible(value) if isinstance(value, str) else value
            for name, value in token.attrs.items()
        }
        if token.type == "softbreak":
            token.type = "hardbreak"
        _make_safe(token.children or ())


@lru_cache(maxsize=4)
def _console(ink: Ink, width: int) -> Console:
    return Console(
        width=width,
        height=100,
        color_system="truecolor",
        force_terminal=True,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
        theme=Theme(dict(_styles(ink)), inherit=True),
        _environ={},
    )


@lru_cache(maxsize=1)
def _plain_console() -> Console:
    return Console(width=200, markup=False, emoji=False, highlight=False, _environ={})


def _styles(ink: Ink) -> Mapping[str, Style]:
    bold = ink.bold
    return {
        "markdown.h1": bold + ink.accent,
        "markdown.h2": bold + ink.accent,
        "markdown.h3": bold,
        "markdown.h4": bold,
        "markdown.h5": bold,
        "markdown.h6": bold,
        "markdown.code": ink.quiet,
        "markdown.code_ground": ink.code,
        "code.text": ink.text,
        "code.comment": ink.dim,
        "code.keyword": ink.quiet,
        "code.name": ink.info,
        "code.string": ink.accent,
        "markdown.link": ink.info,
        "markdown.link_url": ink.dim,
        "markdown.block_quote": ink.dim,
        "markdown.list": ink.text,
        "markdown.item.bullet": ink.accent,
        "markdown.item.number": ink.accent,
        "markdown.hr": ink.line,
        "markdown.table.border": ink.line,
        "markdown.table.header": bold,
    }
