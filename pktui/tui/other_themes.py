"""Textual's own themes with the console's colours mixed from theirs, each as legible as ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.color import Color
from textual.theme import BUILTIN_THEMES

from pktui.tui.theme import theme_of

if TYPE_CHECKING:
    from textual.theme import Theme

# Contrast with the ground (WCAG 2), at the least: of what is read, and of what is only faint.
READ, FAINT = 4.5, 3.0
# Degrees between the hue of what is calm and amber or red; saturation below which there is none.
CALM, GREY = 22.0, 0.15
OTHER_NAMES = tuple(name for name in BUILTIN_THEMES if not name.startswith("ansi"))


def other_theme(name: str) -> Theme:
    """Return one of `OTHER_NAMES` for the console."""
    theme = BUILTIN_THEMES[name]
    mixed = {key: value for key, value in theme.to_color_system().generate().items() if value}
    ground, text = Color.parse(mixed["background"]), Color.parse(mixed["foreground"])
    text = text.with_alpha(1)
    end = Color.parse("white" if theme.dark else "black")

    def ink(colour: Color, contrast: float = READ) -> str:
        """Move a colour away from the ground until it can be read on it."""
        for step in range(11):
            moved = colour.blend(end, step / 10)
            if contrast_of(moved, ground) >= contrast:
                break
        return moved.hex

    def state(key: str) -> str:
        return ink(Color.parse(mixed[key]))

    warning, error = Color.parse(mixed["warning"]), Color.parse(mixed["error"])

    def calm(*keys: str) -> Color:
        """Return the first of these that is not taken for what needs a person or was refused."""
        calm = (Color.parse(mixed[key]) for key in keys)
        apart = (one for one in calm if min(_apart(one, warning), _apart(one, error)) > CALM)
        return next(apart, ground.blend(text, 0.8))

    accent = calm("primary", "secondary")
    colours = {
        "pk-text": ink(text),
        "pk-dim": ink(ground.blend(text, 0.65)),
        "pk-faint": ink(ground.blend(text, 0.5), FAINT),
        "pk-line": ground.blend(text, 0.2).hex,
        "pk-accent": ink(accent),
        "pk-ok": state("success"),
        "pk-wait": state("warning"),
        "pk-bad": state("error"),
        "pk-info": ink(calm("secondary", "primary", "accent")),
        "pk-quiet": ink(calm("accent", "secondary", "primary")),
        "pk-mark": ink(text),
        "pk-mark-bg": ground.blend(accent, 0.4).hex,
        "pk-cursor": ground.blend(accent, 0.22).hex,
        "pk-cursor-blur": ground.blend(text, 0.08).hex,
        "pk-bar": ground.blend(text, 0.05).hex,
        "pk-code-bg": ground.blend(text, 0.06).hex,
    }
    surfaces = (ground.blend(text, share).hex for share in (0.04, 0.08))
    return theme_of(name, colours, ground.hex, *surfaces, dark=theme.dark)


def contrast_of(one: Color, other: Color) -> float:
    """Return the contrast of two colours, 1 to 21, as WCAG 2 defines it."""
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _apart(one: Color, other: Color) -> float:
    """Return how far one hue is from another, in degrees; grey is far from all."""
    if one.hsl.s < GREY or other.hsl.s < GREY:
        return 180.0
    turn = abs(one.hsl.h - other.hsl.h) * 360
    return min(turn, 360 - turn)


def _luminance(colour: Color) -> float:
    def linear(value: float) -> float:
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(value) for value in colour.normalized)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
