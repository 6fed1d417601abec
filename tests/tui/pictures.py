"""Pictures of the whole console, to be looked at: `python -m tests.tui.pictures DIR [WORD…]`.

Writes an SVG for each view and screen at each size, look and state whose name has all the words,
such as `feed,call 80x24 light full`, where a comma means "or"; without words all of them, which
takes an hour. To see them:
`for f in DIR/*.svg; do rsvg-convert -o ${f%.svg}.png $f; done`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from textual import events

from pktui.settings import ConsoleSettings, Paths, Settings
from pktui.tui.console import Console
from pktui.tui.screens.question import Question
from tests.tui.house import Desk, House, desk
from tests.tui.picture_scenes import PASTED, SCENES, later
from tests.tui.picture_states import FIRST_STATES, STATES, Late, full, hostile
from tests.tui.views.sessions.room import NOW_US

SIZES = {"80x24": (80, 24), "120x36": (120, 36), "200x60": (200, 60)}
LOOKS = ("dark", "light", "contrast", "nocolor")
THEMES = {"dark": "pktui-dark", "light": "pktui-light", "contrast": "pktui-contrast"}
# The width of a cell in the pictures.
CELL = 12.2
# To the tools of `files`.
FILES = ("left", *"gjjj", "right")
# What is opened, in which view, by which keys.
SHOTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "now": ("now", ()),
    "sessions": ("sessions", ("G",)),
    "timeline": ("sessions", ("g", "enter")),
    "opened-call": ("sessions", ("g", "enter", *"gj", "enter", "j", "enter", "right")),
    "search": ("sessions", ("slash", *"login", "enter")),
    "hits": ("sessions", ("slash", *"login", "enter", "right", "n")),
    "bad-query": (
        "sessions",
        ("slash", *"login", "enter", "slash", "space", *"since:boss", "enter"),
    ),
    "facets": ("sessions", ("F",)),
    "knowledge": ("sessions", ("slash", *"signed", "enter", "enter")),
    "feed": ("feed", ()),
    "call": ("feed", ("k", "enter")),
    "denied-call": ("feed", ("slash", *"effect:denied", "enter", "k", "enter")),
    "filter": ("feed", ("slash", *"effect:denied", "enter")),
    "bad-filter": ("feed", ("slash", *"effect:denyed", "enter")),
    "no-match": ("feed", ("slash", *"effekt:denied", "enter")),
    "paused": ("feed", ("k", "k", "later")),
    "folded": ("feed", ()),
    "policies": ("policies", ("enter",)),
    "servers": ("policies", ("left", "j")),
    "tools": ("policies", ("asterisk",)),
    "chooser": ("policies", ("enter", "j", "space")),
    "draft": ("policies", ("enter", "j", "space", "d")),
    "write": ("policies", ("enter", "j", "space", "d", "j", "space", "s", "w")),
    "limit": ("policies", ("enter", "l", *"5 a", "space", *"fortnight")),
    "presets": ("policies", (*FILES, "P")),
    "replay": ("policies", (*FILES, "t")),
    "document": ("policies", (*FILES, "v")),
    "paste": ("policies", (*FILES, "paste")),
    "changed": ("policies", (*FILES,)),
    "accept": ("policies", (*FILES, "A")),
    "approvals": ("approvals", ()),
    "card": ("approvals", ("enter",)),
    "effect": ("approvals", ("G", "enter")),
    "look": ("approvals", ("G", "enter")),
    "look-changed": ("approvals", ("G", "enter")),
    "group": ("approvals", ("G", "enter")),
    "unfolded": ("approvals", ("G", "right")),
    "edit": ("approvals", ("enter", "wait", "E")),
    "wider": ("approvals", ("j", "enter", "wait", "A")),
    "pin": ("approvals", ("j", "enter", "wait", "a", "wait")),
    "deny-words": ("approvals", ("j", "enter", "wait", "r")),
    "standing": ("approvals", ("s",)),
    "expiring": ("feed", ()),
    "sentence": ("feed", ("k", "k", "p")),
    "sentence-waiting": ("approvals", ("j", "enter", "wait", "p")),
    "insight": ("insight", ()),
    "insight-end": ("insight", ("G",)),
    "themes": ("feed", ("ctrl+p", *"theme", "enter")),
    "jump": ("sessions", ("ctrl+o",)),
    "help": ("feed", ("question_mark",)),
    "palette": ("feed", ("ctrl+p",)),
    "notices": ("feed", ("exclamation_mark",)),
}
# The same where nothing is configured yet.
FIRST_SHOTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "first-run": ("now", ()),
    "first-choice": ("now", ("j", "space")),
    "first-diffs": ("now", ("w",)),
    "first-waiting": ("now", ("w", "w")),
}


def main(target: Path, words: list[str]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for shots, states in ((SHOTS, STATES), (FIRST_SHOTS, FIRST_STATES)):
        for names in itertools.product(shots, SIZES, LOOKS, states):
            if all(set(word.split(",")) & set(names) for word in words):
                fill = _filled(states[names[3]], names[0])
                picture = _picture(names[2], fill, *shots[names[0]], SIZES[names[1]])
                (target / f"{'-'.join(names)}.svg").write_text(picture)


def _filled(state: Callable[[House], None], shot: str) -> Callable[[House], None]:
    """Fill a house, and put there what the picture has besides, where anything can be put."""

    def fill(house: House) -> None:
        state(house)
        if shot in SCENES and state in (full, hostile):
            SCENES[shot](house)

    return fill


def _picture(
    look: str,
    fill: Callable[[House], None],
    view: str,
    keys: tuple[str, ...],
    size: tuple[int, int],
) -> str:
    with _house(look) as house:
        fill(house)
        if isinstance(house.memory, Late):
            return asyncio.run(_before_answers(house, view, keys, size))
        return asyncio.run(shot(house, view, keys, size))


@contextmanager
def _house(look: str) -> Iterator[House]:
    with tempfile.TemporaryDirectory(prefix="pktui-pictures-") as directory:
        root = Path(directory)
        os.environ["HOME"] = directory
        os.chdir(directory)
        os.environ.pop("NO_COLOR", None)
        if look == "nocolor":
            os.environ["NO_COLOR"] = "1"
        theme = THEMES.get(look, "pktui-dark")
        settings = Settings(console=ConsoleSettings(bell=False, theme=theme))
        house = House(Paths.at(root / "config", root / "data"), settings, now_us=NOW_US)
        house.memory.close()  # of those that the states put there none starts a service
        yield house


async def shot(house: House, view: str, keys: tuple[str, ...], size: tuple[int, int]) -> str:
    """Return what the console draws after the keys, as SVG."""
    async with desk(house, view, size) as at:
        await at.beat()
        for key in keys:
            await _do(at, key)
        await _rest(at)
        return sturdy(at.app.export_screenshot(title=""))


async def _before_answers(
    house: House, view: str, keys: tuple[str, ...], size: tuple[int, int]
) -> str:
    """Return what the console draws while it waits for its rooms, as SVG."""
    app = Console(house.services(), view=view)
    async with app.run_test(size=size) as pilot:
        await pilot.pause(1)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.1)
        await pilot.pause(1)
        picture = sturdy(app.export_screenshot(title=""))
        Late.gate.set()
    Late.gate.clear()
    house.close()
    return picture


def sturdy(picture: str) -> str:
    """Let no text of an SVG begin with spaces, which some programs that draw it leave out."""

    def moved(found: re.Match[str]) -> str:
        gap = CELL * found["spaces"].count("&#160;")
        x, length = float(found["x"]) + gap, float(found["length"]) - gap
        between = found["between"]
        return f'x="{x:g}"{between}textLength="{length:g}"{found["rest"]}>'

    return re.sub(
        r'x="(?P<x>[\d.]+)"(?P<between> y="[\d.]+" )textLength="(?P<length>[\d.]+)"'
        r"(?P<rest>[^>]*)>(?P<spaces>(?:&#160;)+)(?=[^<&]|&(?!#160;))",
        moved,
        picture,
    )


async def _do(at: Desk, key: str) -> None:
    """Press a key, or let happen what it names."""
    if key in HANDS:
        await HANDS[key](at)
    else:
        question = isinstance(at.app.screen, Question)
        await (at.answer(key) if question else at.press(key))


async def _paste(at: Desk) -> None:
    at.app.post_message(events.Paste(json.dumps(PASTED)))
    await at.settle()


async def _come_later(at: Desk) -> None:
    later(at.house)
    await at.beat()


async def _wait(at: Desk) -> None:
    """Let the quiet time before a decision pass."""
    await at.pilot.pause(1.0)


# What happens that is no key.
HANDS: dict[str, Callable[[Desk], Awaitable[None]]] = {
    "paste": _paste, "later": _come_later, "wait": _wait
}  # fmt: skip


async def _rest(at: Desk) -> None:
    """Let what a key began be there, also what waits for a moment."""
    await at.pilot.pause(0.5)
    await at.settle()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
