"""`pktui import`: take in the sessions and the knowledge of other tools."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pktui.cli import output, reach

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from pktui.memory.exchange import ImportReport
    from pktui.memory.importers.source import Source

import_app = typer.Typer()


@import_app.command()
def jsonl(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The file.")],
    json: output.JsonFlag = False,
) -> None:
    """Take in pktui's own JSONL, as `pktui sessions export` writes it."""
    from pktui.memory.importers.jsonl import JsonlSource

    _take_in(JsonlSource(path), json=json)


@import_app.command("opencode-pk")
def opencode_pk(
    path: Annotated[
        Path | None, typer.Argument(metavar="PATH", help="knowledge.db or its directory.")
    ] = None,
    json: output.JsonFlag = False,
) -> None:
    """Take in the sessions and the knowledge of Opencode Personal Knowledge."""
    from pktui.memory.importers import opencode_pk

    _take_in(opencode_pk.OpencodePkSource(path or opencode_pk.default_place()), json=json)


def _take_in(source: Source, *, json: bool) -> None:
    """Import what is new; what is known is left alone, so it can be run again at any time."""
    with reach.memory() as memory, _bar() as bar:
        task = bar.add_task("Importing", total=None)
        taken = memory.import_records(source, progress=lambda _sum: _advance(bar, task, source))
    report = taken.plus(source.rejects.report())
    if json:
        output.json(report)
        return
    _say(report)


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(file=sys.stderr)
    return Progress(console=console, transient=True, disable=not console.is_terminal)


def _advance(bar: Progress, task: TaskID, source: Source) -> None:
    done, whole = source.progress
    bar.update(task, completed=done, total=whole or None)


def _say(report: ImportReport) -> None:
    output.note(
        f"{report.sessions} sessions, {report.messages} messages and {report.entries} entries "
        f"were added; {report.known} were known."
    )
    if not report.rejected:
        return
    output.note(f"{report.rejected} could not be taken in:")
    for reject in report.rejects:
        output.note(f"  {reject.at}: {reject.why}")
    if report.rejected > len(report.rejects):
        output.note(f"  and {report.rejected - len(report.rejects)} more")
