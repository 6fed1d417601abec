"""Make the pictures of the README: the console on the demo's stage, while its agent works.

Run as `python -m tests.screenshots`; it writes SVG files to assets/screenshots. Each picture is
what the program drew at 120x36 after the keys named here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pktui.cli.demo.puppet import AgentProcess
from pktui.cli.demo.samples import sample_file, samples
from pktui.cli.demo.stage import Stage, set_stage
from pktui.ledger.ledger import Ledger
from pktui.memory.client import MemoryClient
from pktui.settings import load_settings
from pktui.times import now_us
from pktui.tui.console import Console
from pktui.tui.services import Services

if TYPE_CHECKING:
    from textual.pilot import Pilot

TARGET = Path(__file__).resolve().parents[1] / "assets" / "screenshots"
SIZE = (120, 36)
SEARCH = "people get logged out too early"
PATIENCE_SECONDS = 180.0
STORY_SECONDS = 40.0
"""How long the agent works before the feed is worth a picture."""


def main() -> None:
    """Set the stage, let the agent work, and photograph each view."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with set_stage() as stage:
        memory = MemoryClient(stage.paths)
        memory.import_records(samples(datetime.now(UTC)))
        wait_for(lambda: memory.status().pending_vectors == 0)
        ledger = Ledger.open(stage.paths.ledger_file)
        ledger.presence.announce("console")
        with AgentProcess(stage, str(sample_file("script.jsonl"))):
            asyncio.run(photograph(stage, ledger, memory))
        ledger.close()
        memory.close()


def wait_for(happened: Callable[[], bool]) -> None:
    """Look every second until it has happened, for `PATIENCE_SECONDS` at most."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        if time.monotonic() > until:
            raise SystemExit("the stage was not ready in time")
        time.sleep(1)


async def photograph(stage: Stage, ledger: Ledger, memory: MemoryClient) -> None:
    """Go through the views and save what each shows."""
    services = Services(
        stage.paths, load_settings(stage.paths), ledger, memory, now_us, str(stage.project)
    )
    app = Console(services)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(STORY_SECONDS)
        await save(pilot, "now", "0")
        await save(pilot, "feed", "2")
        await save(pilot, "approvals", "4")
        await save(pilot, "policies", "3", "escape", "down", "enter", "down", "space", "d")
        await save(pilot, "sessions", "1", "slash", *typed(SEARCH), "enter")


def typed(text: str) -> list[str]:
    """Return the keys that type the text."""
    return ["space" if character == " " else character for character in text]


async def save(pilot: Pilot[int], name: str, *keys: str) -> None:
    """Press the keys, let the view settle, and write its picture."""
    for key in keys:
        await pilot.press(key)
        await pilot.pause(0.3)
    await pilot.pause(2)
    picture = pilot.app.export_screenshot(title="pktui")
    (TARGET / f"{name}.svg").write_text(picture)


if __name__ == "__main__":
    main()
