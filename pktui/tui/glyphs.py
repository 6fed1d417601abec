"""The signs that stand before words, in two sets: Unicode and plain ASCII."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One sign for each meaning; every one is a single cell wide."""

    active: str
    ended: str
    allowed: str
    denied: str
    failed: str
    waiting: str
    hidden: str
    limited: str
    changed: str
    draft: str
    live: str
    cursor: str
    bar: str
    rule: str
    heavy_rule: str
    tee: str
    dot: str
    more: str
    into: str
    fold: str
    hit: str
    entry: str


UNICODE = Glyphs(
    active="●",
    ended="○",
    allowed="✓",
    denied="✗",
    failed="↯",
    waiting="▲",
    hidden="◌",
    limited="◔",
    changed="≠",
    draft="→",
    live="●",
    cursor="▌",
    bar="│",
    rule="─",
    heavy_rule="━",
    tee="┬",
    dot="·",
    more="…",
    into="›",  # noqa: RUF001
    fold="┄",
    hit="◆",
    entry="◆",
)
ASCII = Glyphs(
    active="*",
    ended="o",
    allowed="+",
    denied="x",
    failed="E",
    waiting="!",
    hidden="-",
    limited="%",
    changed="#",
    draft=">",
    live="*",
    cursor=">",
    bar="|",
    rule="-",
    heavy_rule="=",
    tee="+",
    dot="-",
    more="~",
    into=">",
    fold="=",
    hit="*",
    entry="&",
)


def glyphs_of(name: Literal["unicode", "ascii"]) -> Glyphs:
    """Return the set that the settings name."""
    return ASCII if name == "ascii" else UNICODE
