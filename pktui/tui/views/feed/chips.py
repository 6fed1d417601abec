"""The filter as chips: what is understood, and what is not, with the reason."""

from __future__ import annotations

import re
from dataclasses import dataclass

from msgspec.structs import replace

from pktui.ledger.feed.filter import KEYS, FeedFilter, exactly
from pktui.suggest import did_you_mean
from pktui.tui.chips import Chip, chips_of

ALL = FeedFilter()
_KEY = re.compile(r"(?<!\S)-?([A-Za-z_]+):[^\s:/]")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was typed, what it means, and its words."""

    text: str = ""
    filter: FeedFilter = ALL
    chips: tuple[Chip, ...] = ()


def read_filter(text: str, now_us: int, project: str | None = None) -> Wanted:
    """Read what was typed; what cannot be used is left out of the filter and named.

    `project`: only calls made in that directory.
    """
    wanted, problems = FeedFilter.parse(text, now_us=now_us)
    if project is not None:
        here = exactly("project", project)
        wanted = replace(wanted, matches=(*wanted.matches, here))
    return Wanted(text, wanted, chips_of(text, KEYS, problems))


def meant(text: str) -> str:
    """Name the key that a filter without calls was probably meant to have; "" where none was."""
    unknown = next((word for word in _KEY.findall(text) if word not in KEYS), "")
    if not unknown:
        return ""
    asked = did_you_mean(unknown, KEYS, "{}:", "It can filter by {}.")
    return f"“{unknown}:” is looked for as text. {asked}"
