"""A console without a terminal that does what its standard input says, a line at a time.

    python -m tests.support.piloted_console VIEW

`press KEY`, `beat` (reads the ledger again; nothing does so by itself) and `wait SECONDS`; each is
answered with `done` once the console is idle.
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

from pktui.ledger.ledger import Ledger
from pktui.memory.client import MemoryClient
from pktui.settings import Paths, Settings
from pktui.times import now_us
from pktui.tui.console import Console
from pktui.tui.services import Services


async def run(view: str) -> None:
    paths = Paths.from_environment()
    ledger = Ledger.open(paths.ledger_file)
    ledger.presence.announce("console")  # without one no call is held
    services = Services(
        paths=paths, settings=Settings(), ledger=ledger,
        memory=MemoryClient(paths, start=False), clock=now_us, background=False,
    )  # fmt: skip
    app = Console(services, view=view)
    async with app.run_test(size=(140, 40)) as pilot:
        print("done", flush=True)
        loop, own = asyncio.get_running_loop(), ThreadPoolExecutor(1)  # not the console's
        while line := await loop.run_in_executor(own, sys.stdin.readline):
            what, _, more = line.strip().partition(" ")
            if what == "press":
                await pilot.press(more)
            elif what == "beat":
                app.beat()
            await pilot.pause(float(more) if what == "wait" else 0.1)
            await app.workers.wait_for_complete()
            await pilot.pause()
            print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1]))
