"""Few pictures of the whole console; what they mean is asserted in the tests of each part."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from pktui.settings import ConsoleSettings, Paths, Settings
from pktui.tui.console import Console
from tests.tui.house import LARGE, SMALL, House
from tests.tui.views.sessions.room import NOW_US, shop_memory

if TYPE_CHECKING:
    from textual.pilot import Pilot

Compare = Callable[..., bool]


@pytest.fixture(autouse=True)
def _universal_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def house(paths: Paths) -> Iterator[House]:
    house = House(paths, now_us=NOW_US)
    house.memory.close()
    house.memory = shop_memory()
    yield house
    house.close()


def _console(house: House, **console: str) -> Console:
    house.settings = Settings(console=ConsoleSettings(bell=False, **console))  # type: ignore[arg-type]
    return Console(house.services())


def _press(*keys: str) -> Callable[[Pilot[int]], object]:
    async def run(pilot: Pilot[int]) -> None:
        for key in ("", *keys):
            if key:
                await pilot.press(key)
            for _ in range(6):
                await pilot.app.workers.wait_for_complete()
                await pilot.pause(0.05)

    return run


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])
def test_sessions(snap_compare: Compare, house: House, size: tuple[int, int]) -> None:
    assert snap_compare(_console(house), terminal_size=size, run_before=_press("G", "enter"))


def test_hits(snap_compare: Compare, house: House) -> None:
    keys = ("slash", *"login", "enter", "n")
    assert snap_compare(_console(house), terminal_size=LARGE, run_before=_press(*keys))


@pytest.mark.parametrize("theme", ["pktui-light", "pktui-contrast"])
def test_themes(snap_compare: Compare, house: House, theme: str) -> None:
    app = _console(house, theme=theme)
    assert snap_compare(app, terminal_size=LARGE, run_before=_press("G"))


def test_no_color(snap_compare: Compare, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = _console(house, glyphs="ascii")
    assert snap_compare(app, terminal_size=SMALL, run_before=_press("j"))
