"""A console whose memory is in the process, opened on the Sessions view."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from pktui.tui.views.sessions.preview import Preview
from pktui.tui.views.sessions.search_box import SearchBox
from pktui.tui.views.sessions.transcript import Transcript
from pktui.tui.views.sessions.view import SessionsView
from pktui.tui.widgets.rows import Rows
from tests.support.memory import START, MemoryInProcess
from tests.tui.house import LARGE, Desk, House, desk, quiet_settings

if TYPE_CHECKING:
    from pktui.settings import Paths
    from pktui.tui.views.sessions.source import Row

NOW_US = round((START + timedelta(hours=40)).timestamp() * 1_000_000)


def shop_memory() -> MemoryInProcess:
    """Return three sessions of believable work; the newest is the third."""
    memory = MemoryInProcess()
    memory.add(
        "debugging auth",
        ("user", "The JWT token expires too fast after a login."),
        ("agent", "The TTL is set to `60` instead of **3600**.\n\n```python\nTTL = 60\n```"),
        ("tool", "memory.store_knowledge approved"),
        ("user", "Keep the login redirect."),
    )
    memory.add(
        "migrate postgres",
        ("user", "Move the shop to pg16."),
        ("agent", "Logical replication, then switch the login role."),
        agent="opencode",
        project="/home/me/infra",
        status="ended",
    )
    memory.add("checkout is slow", ("user", "Why?"), agent="codex", project="/home/me/shop")
    return memory


class Room:
    """The Sessions view of a running console."""

    def __init__(self, hands: Desk, memory: MemoryInProcess) -> None:
        self.desk = hands
        self.app = hands.app
        self.memory = memory

    @property
    def view(self) -> SessionsView:
        return self.app.query_one(SessionsView)

    @property
    def rows(self) -> Rows[Row]:
        return self.app.query_one("#session-rows", Rows)

    @property
    def box(self) -> SearchBox:
        return self.app.query_one(SearchBox)

    @property
    def preview(self) -> Preview:
        return self.app.query_one(Preview)

    @property
    def transcript(self) -> Transcript:
        return self.app.query_one(Transcript)

    def titles(self) -> list[str]:
        """Return the titles in the list that are loaded."""
        source = self.rows.source
        rows = (source.at(index) for index in range(source.total))
        return [_title(row) for row in rows if row is not None]

    def current_title(self) -> str:
        row = self.rows.current
        return _title(row) if row else ""

    async def press(self, *keys: str) -> None:
        await self.desk.press(*keys)
        await self.desk.pilot.pause(0.07)
        await self.desk.settle()

    async def type_text(self, text: str) -> None:
        await self.press(*("space" if letter == " " else letter for letter in text))

    async def search(self, text: str) -> None:
        """Search as a person does who ends with enter."""
        await self.press("slash")
        await self.type_text(text)
        await self.press("enter")

    def text(self) -> str:
        return self.desk.screen_text()


def _title(row: Row) -> str:
    return row.session.title if row.session else row.entry.title if row.entry else ""


@asynccontextmanager
async def sessions(
    paths: Paths,
    memory: MemoryInProcess | None = None,
    size: tuple[int, int] = LARGE,
    *,
    read_only: bool = False,
) -> AsyncIterator[Room]:
    """Open the console on the Sessions view."""
    house = House(paths, settings=quiet_settings(), read_only=read_only, now_us=NOW_US)
    house.memory.close()
    memory = memory or shop_memory()
    house.memory = memory
    async with desk(house, "sessions", size) as hands:
        room = Room(hands, memory)
        await room.press()
        yield room
