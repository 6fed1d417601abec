"""The colours: three themes of the console's own, and the inks that drawn lines are written in.

State colours are theme variables (`$pk-ok`, `$pk-wait`, …) for the style sheets; `Ink` holds the
same as Rich styles for widgets that draw their lines themselves. A colour never stands alone: a
glyph and a word are always with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from rich.style import Style
from textual.color import Color
from textual.theme import Theme

if TYPE_CHECKING:
    from textual.app import App

_DARK = {
    "pk-text": "#d5dbe3",
    "pk-dim": "#8491a1",
    "pk-faint": "#667284",
    "pk-line": "#2a333f",
    "pk-accent": "#6cd0c2",
    "pk-ok": "#86d08f",
    "pk-wait": "#f2bd62",
    "pk-bad": "#f27d78",
    "pk-info": "#84bbf5",
    "pk-quiet": "#b7a2ee",
    "pk-mark": "#e2f8f4",
    "pk-mark-bg": "#1d5a54",
    "pk-cursor": "#203040",
    "pk-cursor-blur": "#1a222c",
    "pk-bar": "#161c24",
    "pk-code-bg": "#171d26",
}
_LIGHT = {
    "pk-text": "#24292f",
    "pk-dim": "#5c6875",
    "pk-faint": "#858f9a",
    "pk-line": "#d9dcd8",
    "pk-accent": "#0b7a6d",
    "pk-ok": "#23763a",
    "pk-wait": "#8f5b00",
    "pk-bad": "#b3261e",
    "pk-info": "#1f5fae",
    "pk-quiet": "#6b4bb8",
    "pk-mark": "#04302b",
    "pk-mark-bg": "#b3e3db",
    "pk-cursor": "#d9ebe8",
    "pk-cursor-blur": "#eceeea",
    "pk-bar": "#f0f0ec",
    "pk-code-bg": "#f1f1ed",
}
_CONTRAST = {
    "pk-text": "#ffffff",
    "pk-dim": "#d8d8d8",
    "pk-faint": "#b0b0b0",
    "pk-line": "#8a8a8a",
    "pk-accent": "#00ffff",
    "pk-ok": "#5fff5f",
    "pk-wait": "#ffff00",
    "pk-bad": "#ff8080",
    "pk-info": "#9fd0ff",
    "pk-quiet": "#e0b0ff",
    "pk-mark": "#000000",
    "pk-mark-bg": "#00ffff",
    "pk-cursor": "#0044aa",
    "pk-cursor-blur": "#303030",
    "pk-bar": "#000000",
    "pk-code-bg": "#101010",
}


def theme_of(
    name: str, colours: Mapping[str, str], ground: str, surface: str, panel: str, *, dark: bool
) -> Theme:
    """Return a theme of the console's colours (`pk-…`) on a ground."""
    return Theme(
        name=name,
        primary=colours["pk-accent"],
        secondary=colours["pk-info"],
        accent=colours["pk-accent"],
        warning=colours["pk-wait"],
        error=colours["pk-bad"],
        success=colours["pk-ok"],
        foreground=colours["pk-text"],
        background=ground,
        surface=surface,
        panel=panel,
        dark=dark,
        variables={
            **colours,
            "block-cursor-background": colours["pk-cursor"],
            "block-cursor-foreground": colours["pk-text"],
            "input-selection-background": colours["pk-cursor"],
            "border": colours["pk-accent"],
            "border-blurred": colours["pk-line"],
            "scrollbar": colours["pk-line"],
            "scrollbar-hover": colours["pk-faint"],
            "scrollbar-active": colours["pk-dim"],
            "scrollbar-background": ground,
            "scrollbar-background-hover": ground,
            "scrollbar-background-active": ground,
            "scrollbar-corner-color": ground,
        },
    )


# The first is the default.
THEMES = (
    theme_of("pktui-dark", _DARK, "#11161d", "#161c24", "#1c2430", dark=True),
    theme_of("pktui-light", _LIGHT, "#fbfaf7", "#f4f4f0", "#ebebe6", dark=False),
    theme_of("pktui-contrast", _CONTRAST, "#000000", "#000000", "#101010", dark=True),
)

# For themes that are not the console's own.
DEFAULT_VARIABLES: Mapping[str, str] = _DARK


@dataclass(frozen=True, slots=True)
class Ink:
    """Rich styles for drawn lines; all without a background unless the name says so."""

    text: Style
    bold: Style
    dim: Style
    faint: Style
    line: Style
    accent: Style
    ok: Style
    wait: Style
    bad: Style
    info: Style
    quiet: Style
    mark: Style
    """Matched words; has a background."""
    cursor: Style
    """Background of the row under the cursor while its list has focus."""
    cursor_blur: Style
    """Background of the row under the cursor while something else has focus."""
    code: Style
    """Background of code."""


def ink_of(app: App[object]) -> Ink:
    """Return the inks of the theme in force."""
    variables = app.theme_variables
    return _mix(tuple([variables.get(*colour) for colour in DEFAULT_VARIABLES.items()]))


@lru_cache(maxsize=8)
def _mix(colours: tuple[str, ...]) -> Ink:
    """Make the inks; `colours` are in the order of `DEFAULT_VARIABLES`."""
    variables = dict(zip(DEFAULT_VARIABLES, colours, strict=True))

    def ink(name: str, *, bold: bool | None = None) -> Style:
        return Style(color=Color.parse(variables[name]).rich_color, bold=bold)

    def ground(name: str) -> Style:
        return Style(bgcolor=Color.parse(variables[name]).rich_color)

    return Ink(
        text=ink("pk-text"),
        bold=ink("pk-text", bold=True),
        dim=ink("pk-dim"),
        faint=ink("pk-faint"),
        line=ink("pk-line"),
        accent=ink("pk-accent"),
        ok=ink("pk-ok"),
        wait=ink("pk-wait"),
        bad=ink("pk-bad"),
        info=ink("pk-info"),
        quiet=ink("pk-quiet"),
        mark=ink("pk-mark", bold=True) + ground("pk-mark-bg"),
        cursor=ground("pk-cursor"),
        cursor_blur=ground("pk-cursor-blur"),
        code=ground("pk-code-bg"),
    )
