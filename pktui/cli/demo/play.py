"""Plays the demo: in the console for a person, or headless with a script in the person's place."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import FrameType
from typing import NoReturn

from pktui.cli import output
from pktui.cli.demo.person import Person
from pktui.cli.demo.puppet import AgentProcess, last_words
from pktui.cli.demo.samples import sample_file, samples
from pktui.cli.demo.stage import Stage, set_stage
from pktui.cli.demo.story import Step, Story
from pktui.errors import PktuiError
from pktui.memory.client import MemoryClient
from pktui.settings import load_settings

# When the headless story is given up, whatever it waits for.
WHOLE_STORY_SECONDS = 280


def play_headless() -> int:
    """Play the story to its end; return 0 if every step went as it should, else 1."""
    began = time.monotonic()
    with _ending_on_signals() as leave_if_asked, _time_limit(WHOLE_STORY_SECONDS):
        with set_stage() as stage:
            failed = _tell(stage, leave_if_asked)
        if not failed and stage.root.exists():
            failed = "The directories are removed"
    took = time.monotonic() - began
    if failed:
        output.note(f"The story broke at: {failed} (after {took:.0f} s)")
        return 1
    output.line(f"✓ Every step passed, and nothing of the demo is left ({took:.0f} s).")
    return 0


def _tell(stage: Stage, leave_if_asked: Callable[[], None]) -> str:
    """Play every step; return the name of the one that failed, or nothing."""
    with AgentProcess(stage, "--led") as agent, Person(stage.paths) as person:
        steps = Story(stage, agent, person).steps()
        for number, step in enumerate(steps, 1):
            leave_if_asked()
            if not _step_done(step, f"{number:2}/{len(steps)}"):
                output.note(f"The agent's last words: {last_words(stage.log)}")
                return step[0]
    return ""


def _step_done(step: Step, number: str) -> bool:
    name, play = step
    began = time.monotonic()
    try:
        said = play()
    except PktuiError as error:
        output.line(f"✗ {number} {name}\n        {error}")
        return False
    output.line(f"✓ {number} {name} ({time.monotonic() - began:.1f} s)\n        {said}")
    sys.stdout.flush()
    return True


def play_in_console() -> int:
    """Open the console on the stage while the agent works; return the console's exit status.

    The samples are taken in behind the open console, so that nobody waits for the memory to start.
    """
    from pktui.tui.app import run_console

    script = str(sample_file("script.jsonl"))
    with (
        _ending_on_signals(),
        set_stage() as stage,
        AgentProcess(stage, script),
        ThreadPoolExecutor(1) as behind,
    ):
        taken_in = behind.submit(_take_in_samples, stage)
        status = run_console(stage.paths, load_settings(stage.paths))
        output.note("Ending the demo and removing its data …")
    taken_in.result()
    output.note(
        "The demo and its data are gone. Next: pktui clients list shows which agents are here, "
        "and pktui opens the console on your own data."
    )
    return status


def _take_in_samples(stage: Stage) -> None:
    with contextlib.closing(MemoryClient(stage.paths)) as memory:
        memory.import_records(samples(datetime.now(UTC)))


@contextlib.contextmanager
def _ending_on_signals() -> Iterator[Callable[[], None]]:
    """Let SIGTERM, SIGINT and a closed terminal end the demo, cleaning up.

    Yields what to call now and then: Python drops an exception that a handler raises inside a
    finalizer, and the request to end with it.
    """
    caught: list[int] = []

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        caught.append(number)
        sys.exit(128 + number)

    def leave_if_asked() -> None:
        if caught:
            sys.exit(128 + caught[0])

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.signal(number, leave) for number in numbers]
    try:
        yield leave_if_asked
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextlib.contextmanager
def _time_limit(seconds: int) -> Iterator[None]:
    """Raise `PktuiError` in here once the time is up."""

    def give_up(_number: int, _frame: FrameType | None) -> NoReturn:
        raise PktuiError(f"the story did not end within {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
