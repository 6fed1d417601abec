"""`pktui import`: take in the sessions and the knowledge of other tools."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pktui.cli import backends, output
from pktui.cli.commands import Argument, Option, group

if TYPE_CHECKING:
    from pktui.memory.importers.calls import Masks
    from pktui.memory.importers.source import Source
    from pktui.memory.interchange import ImportReport

    Tell = Callable[[ImportReport], None]

import_app = group()

LINE_EVERY_S = 2.0
PROGRESS_EVERY_S = 0.2
# What is kept of a tool call's arguments.
ARGUMENTS_BYTES = 2000

StorePath = Annotated[
    Path | None,
    Argument(metavar="PATH", help="A store or one session's file; else where the agent is."),
]
Watch = Annotated[bool, Option("--watch", help="Go on with what is written from now on.")]
Progress = Annotated[
    bool, Option("--progress", help="Say how far it is as lines of JSON, on standard error.")
]


@import_app.verb()
def jsonl(
    path: Annotated[Path, Argument(metavar="PATH", help="The file.")],
    json: output.JsonFlag = False,
) -> None:
    """Take in pktui's own JSONL, as `pktui sessions export` writes it."""
    from pktui.memory.importers.jsonl import JsonlSource

    _take_in(JsonlSource(path), json=json)


@import_app.verb("opencode-pk")
def opencode_pk(
    path: Annotated[
        Path | None, Argument(metavar="PATH", help="knowledge.db or its directory.")
    ] = None,
    json: output.JsonFlag = False,
) -> None:
    """Take in the sessions and the knowledge of Opencode Personal Knowledge."""
    from pktui.memory.importers import opencode_pk

    _take_in(opencode_pk.OpencodePkSource(path or opencode_pk.default_place()), json=json)


def _add_agent(agent: str, name: str) -> None:
    def take_in(
        path: StorePath = None,
        watch: Watch = False,
        progress: Progress = False,
        json: output.JsonFlag = False,
    ) -> None:
        from pktui.memory.importers.agent_stores import default_place, open_store

        place = path or default_place(agent)
        _take_in(open_store(agent, place, call_masks()), json=json, progress=progress)
        if watch:
            _watch(agent, place)

    take_in.__doc__ = f"Take in the sessions of {name}, with their tool calls."
    import_app.verb(agent)(take_in)


_add_agent("claude-code", "Claude Code")
_add_agent("gemini", "Gemini CLI")
_add_agent("codex", "Codex")
_add_agent("opencode", "opencode")


def _watch(agent: str, place: Path) -> None:
    """Take in what is written, until ctrl+c."""
    import threading

    from pktui.memory.importers.following import Follower

    with backends.memory() as memory:

        def take(source: Source) -> None:
            report = memory.import_records(source)
            if report.messages or report.sessions:
                output.note(f"{report.sessions} sessions, {report.messages} messages were added.")

        output.note(f"Watching {place}; ctrl+c ends it.")
        stop = threading.Event()
        Follower(lambda: {agent: place}, call_masks(), take, output.note, stop).run()


def call_masks() -> Masks:
    """Return what takes secrets out of the tool calls of an agent's sessions."""
    from pktui.ledger.arguments.masking import mask_arguments
    from pktui.ledger.arguments.secrets import mask_text
    from pktui.memory.importers.calls import Masks

    return Masks(partial(mask_arguments, max_bytes=ARGUMENTS_BYTES), mask_text)


def _take_in(source: Source, *, json: bool, progress: bool = False) -> None:
    """Import what is new; what is known is left alone, so it can be run again at any time."""
    with backends.memory() as memory, _progress(source, as_json=progress) as tell:
        taken = memory.import_records(source, progress=tell)
    report = taken.plus(source.rejects.report())
    if json:
        output.json(report)
        return
    _say(report)


@contextmanager
def _progress(source: Source, *, as_json: bool) -> Iterator[Tell]:
    """Give what tells how far it is on standard error: a bar on a terminal, else lines."""
    if as_json:
        yield _Lines(source, PROGRESS_EVERY_S, as_json=True)
        return
    if not sys.stderr.isatty():
        yield _Lines(source, LINE_EVERY_S)
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("Importing", total=None)

        def advance(_so_far: ImportReport) -> None:
            done, whole = source.progress
            bar.update(task, completed=done, total=whole or None)

        yield advance


class _Lines:
    """Says how far an import is, once in a while: for a person, or as JSON."""

    def __init__(self, source: Source, every: float, *, as_json: bool = False) -> None:
        self._source, self._every, self._as_json = source, every, as_json
        self._said = time.monotonic()

    def __call__(self, so_far: ImportReport) -> None:
        now = time.monotonic()
        if now - self._said < self._every:
            return
        self._said = now
        done, whole = self._source.progress
        if self._as_json:
            output.note(_encoded(so_far, done, whole))
            return
        share = f"{100 * done // whole}%: " if whole else ""
        output.note(f"{share}{so_far.messages} messages added, {so_far.known} records were known")


def _encoded(so_far: ImportReport, done: int, whole: int) -> str:
    import msgspec

    from pktui.memory.interchange import ImportProgress

    taken = so_far.sessions + so_far.messages + so_far.calls
    return msgspec.json.encode(ImportProgress(done, whole, taken, so_far.known)).decode()


def _say(report: ImportReport) -> None:
    output.note(
        f"{report.sessions} sessions, {report.messages} messages, {report.calls} calls and "
        f"{report.entries} entries were added; {report.known} were known."
    )
    if report.unknown:
        kinds = ", ".join(f"{one.kind} ({one.records})" for one in report.unknown)
        output.note(f"Passed over, being of kinds that are not known: {kinds}")
    if not report.rejected:
        return
    output.note(f"{report.rejected} could not be taken in:")
    for reject in report.rejects:
        output.note(f"  {reject.at}: {reject.why}")
    if report.rejected > len(report.rejects):
        output.note(f"  and {report.rejected - len(report.rejects)} more")
