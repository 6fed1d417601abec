"""`pktui memory`: run the memory service, see how it is, end it, make its vectors anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from pktui.cli import output, reach
from pktui.errors import MemoryUnavailable
from pktui.settings import Paths, load_settings

if TYPE_CHECKING:
    from pktui.memory.records import Status

memory_app = typer.Typer()


@memory_app.command()
def serve() -> None:
    """Run the service here, until it is stopped or idle. It also starts by itself when needed."""
    from pktui.memory.service.run import main

    paths = Paths.from_environment()
    raise typer.Exit(main(paths, load_settings(paths)))


@memory_app.command()
def status(json: output.JsonFlag = False) -> None:
    """Show what the running service holds and what it still has to do."""
    from pktui.memory.starting import memory_log

    with reach.memory(start=False) as memory:
        found = memory.status()
    if json:
        output.json(found)
        return
    output.facts(_facts(found))
    output.note(f"Log: {memory_log(Paths.from_environment())}")


@memory_app.command()
def stop() -> None:
    """End the running service; what was logged stays. The next client starts it again."""
    with reach.memory(start=False) as memory:
        try:
            memory.stop()
        except MemoryUnavailable as error:
            if "no memory service listens" not in error.what:
                raise
            output.note("No memory service was running.")
            return
    output.note("The memory service has ended.")


@memory_app.command()
def reindex(json: output.JsonFlag = False) -> None:
    """Make every vector anew in the background, with the model that is set now."""
    with reach.memory() as memory:
        found = memory.reindex()
    if json:
        output.json(found)
        return
    output.note(f"{found.pending_vectors} texts wait for their vectors; search by words goes on.")
    output.note("pktui memory status shows how many are left.")


def _facts(found: Status) -> list[tuple[str, str]]:
    return [
        ("store", f"{found.uri} ({found.state})"),
        ("process", str(found.pid)),
        ("since", output.moment(found.started_at)),
        ("sessions", f"{found.sessions} ({found.active_sessions} active)"),
        ("messages", str(found.messages)),
        ("entries", str(found.entries)),
        ("vectors", f"{found.vectors} ({found.pending_vectors} pending)"),
        ("model", f"{found.model} ({found.model_state})"),
        ("on disk", f"{found.files_on_disk} files, {found.bytes_on_disk / 1e6:.1f} MB"),
        ("note", found.note),
    ]
