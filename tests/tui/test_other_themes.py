from __future__ import annotations

import pytest
from textual.color import Color

from pktui.tui.other_themes import FAINT, OTHER_NAMES, READ, contrast_of, other_theme
from pktui.tui.theme import DEFAULT_VARIABLES


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_every_colour_of_another_theme_can_be_read_on_its_ground(name: str) -> None:
    theme = other_theme(name)
    assert set(DEFAULT_VARIABLES) <= set(theme.variables)
    ground = Color.parse(theme.background or "")
    for ink in ("text", "dim", "accent", "ok", "wait", "bad", "info", "quiet"):
        assert contrast_of(Color.parse(theme.variables[f"pk-{ink}"]), ground) >= READ - 0.1, ink
    assert contrast_of(Color.parse(theme.variables["pk-faint"]), ground) >= FAINT - 0.1
    for ink in ("accent", "info", "quiet"):
        assert theme.variables[f"pk-{ink}"] not in {
            theme.variables["pk-wait"], theme.variables["pk-bad"]
        }, ink  # fmt: skip


def test_black_on_white_has_the_greatest_contrast() -> None:
    assert contrast_of(Color.parse("white"), Color.parse("black")) == pytest.approx(21)
