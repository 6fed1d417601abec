"""From the cursor on a long session to its time line on the screen.

    python -m tests.bench.console_session [--messages N] [--times N]

A session of N messages and as many calls is imported into a memory service of its own, half of the
calls also decided by a hook in the ledger. The console, without a terminal, goes to it and back;
its pause before it reads (60 ms) is counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pktui.agent_names import hooked_call_id
from pktui.files import make_private_directory
from pktui.ledger.ledger import Ledger
from pktui.ledger.records import Caller
from pktui.memory.client import MemoryClient
from pktui.memory.interchange import MessageRecord, Record, SessionRecord
from pktui.memory.records import Identity, Role
from pktui.settings import Paths, Settings
from pktui.times import now_us
from pktui.tui.console import Console
from pktui.tui.services import Services
from pktui.tui.views.sessions.preview import Preview
from pktui.tui.views.sessions.reader import Reader

BUDGET_MS = 150
PAUSE = 1.0
SOURCE, LONG, SHORT = "claude-code", "long", "short"
BEGAN = datetime(2026, 3, 2, 10, tzinfo=UTC)
# Vectors would be made meanwhile, which is another measurement.
NO_MODEL = '[memory]\nmodel = "/none"\n'
CALLER = Caller(SOURCE, "", LONG, "/home/me/shop")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=15)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pktui-bench-") as directory:
        paths = Paths.at(Path(directory) / "config", Path(directory) / "data")
        make_private_directory(paths.config_dir)
        paths.settings_file.write_text(NO_MODEL)
        client = MemoryClient(paths, Identity("bench"))
        try:
            client.ensure()
            client.import_records(records(asked.messages))
            ledger = Ledger.open(paths.ledger_file)
            decide(ledger, asked.messages)
            asyncio.run(measure(paths, ledger, client, asked.times))
            ledger.close()
        finally:
            client.stop()
            client.close()


def records(messages: int) -> Iterator[Record]:
    for name, count in ((LONG, messages), (SHORT, 3)):
        yield SessionRecord(SOURCE, name, BEGAN, name=name, agent=SOURCE, project="/home/me/shop")
        for number in range(count):
            at = BEGAN + timedelta(seconds=10 * number)
            role: Role = "user" if number % 10 == 0 else "agent"
            text = (
                f"Message {number}: the token's TTL was 60 instead of 3600, now it is `{number}`."
            )
            yield MessageRecord(SOURCE, name, f"{number}", role, text, at)
            call = f'Read {{"file_path": "/home/me/shop/src/{number}.py"}}\nok\nimport jwt'
            yield MessageRecord(SOURCE, name, f"call:u{number}", "tool", call, at)


def decide(ledger: Ledger, messages: int) -> None:
    for first in range(0, messages, 1_000):
        with ledger.transaction():
            for number in range(first, min(first + 1_000, messages), 2):
                call_id = hooked_call_id(SOURCE, LONG, f"u{number}")
                ledger.events.append(
                    "decision", caller=CALLER, call_id=call_id, server=SOURCE, tool="Read",
                    effect="allow", arguments={"file_path": f"{number}.py"},
                )  # fmt: skip
                ledger.events.append(
                    "outcome", caller=CALLER, call_id=call_id, outcome="ok", duration_us=900
                )


async def measure(paths: Paths, ledger: Ledger, client: MemoryClient, times: int) -> None:
    session = next(one for one in client.sessions().items if one.name == LONG)
    reading: list[float] = []
    busy: list[float] = []
    for _ in range(times):
        began, worked = time.perf_counter(), time.process_time()
        reader = Reader(client, ledger, session)
        line = reader.opening()
        reader.around(line.total, line.total)
        reading.append(1000 * (time.perf_counter() - began))
        busy.append(1000 * (time.process_time() - worked))
    report("reading it in a thread", reading)
    report("of that, the console's processor time", busy)
    services = Services(
        paths=paths, settings=Settings(), ledger=ledger, memory=client, clock=now_us,
        background=False,
    )  # fmt: skip
    app = Console(services, view="sessions")
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause(2)
        preview = app.query_one(Preview)
        painted = []
        for _ in range(times):
            for key, name in (("G", SHORT), ("g", LONG)):
                shown = preview.row.session if preview.row is not None else None
                if shown is not None and shown.name == name:
                    continue
                began = time.perf_counter()
                app.simulate_key(key)
                while not is_painted(preview, name):  # noqa: ASYNC110  nothing tells of a paint
                    await asyncio.sleep(0.001)
                if name == LONG:
                    painted.append(1000 * (time.perf_counter() - began))
                await pilot.pause(PAUSE)  # as a person reads, and what the opening left out is read
    report(f"from key to time line, {line.total:,} messages, {len(line.calls):,} calls", painted)
    print(json.dumps({"budget_ms": BUDGET_MS}))


def is_painted(preview: Preview, name: str) -> bool:
    shown = preview.row.session if preview.row is not None else None
    said = {block.message.session_id for block in preview.transcript._stack.blocks if block.message}
    return shown is not None and shown.name == name and shown.id in said


def report(what: str, milliseconds: list[float]) -> None:
    ordered = sorted(milliseconds)
    print(f"{what}: p50 {statistics.median(ordered):.0f} ms, max {ordered[-1]:.0f} ms")


if __name__ == "__main__":
    main()
