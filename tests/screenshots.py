"""Make the pictures of the README: the console on the demo's stage, while its agent works.

Run as `python -m tests.screenshots`; it writes SVG files to assets/screenshots. Each picture is
what the program drew after the keys named here.
"""

from __future__ import annotations

import asyncio
import json
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
from tests.tui.pictures import sturdy

if TYPE_CHECKING:
    from textual.pilot import Pilot


TARGET = Path(__file__).resolve().parents[1] / "assets" / "screenshots"
SIZE = (112, 30)
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
        await write_waits(pilot, stage, ledger)
        await save(pilot, "now", "0")
        await save(pilot, "approval", "4", "enter")
        await save(pilot, "rule", "space", "space", "space", "p")
        await save(pilot, "sessions", "escape", "escape", "1", "slash", *typed(SEARCH), "enter")
        await save(pilot, "timeline", "escape", "escape", "g", "enter", "g", "j", "enter")


async def write_waits(pilot: Pilot[int], stage: Stage, ledger: Ledger) -> None:
    """Wait until the agent waits to write over a file; what else it waits for is allowed."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        for one in ledger.approvals.pending():
            path = json.loads(one.arguments).get("path")
            if one.tool == "write_file" and path and (stage.project / path).exists():
                return
            ledger.approvals.decide(one.id, True, by="console", args_hash=one.args_hash)
        await pilot.pause(0.5)
    raise SystemExit("no write over a file waited in time")


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
    (TARGET / f"{name}.svg").write_text(sturdy(picture))


if __name__ == "__main__":
    main()
