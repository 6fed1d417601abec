"""`pktui memory`: run the memory service, see how it is, end it, make its vectors anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pktui.cli import backends, output
from pktui.cli.commands import Exit, Option, group
from pktui.cli.imports import call_masks
from pktui.errors import MemoryUnavailable
from pktui.settings import Paths, load_settings

if TYPE_CHECKING:
    from pktui.memory.records import Status
    from pktui.memory.service.listening import Entrance
    from pktui.settings import Settings

memory_app = group()


@memory_app.verb()
def serve(
    listen: Annotated[
        str | None,
        Option(metavar="HOST:PORT", help="Serve other machines too; they need the token."),
    ] = None,
) -> None:
    """Run the service here, until it is stopped or idle. It also starts by itself when needed."""
    from pktui.memory.service.run import main

    paths = Paths.from_environment()
    settings = load_settings(paths)
    entrance = None if listen is None else _entrance(listen, paths, settings)
    raise Exit(main(paths, settings, entrance, call_masks()))


def _entrance(listen: str, paths: Paths, settings: Settings) -> Entrance:
    from pktui.httpserver.guard import is_loopback
    from pktui.memory.access_token import read_token
    from pktui.memory.service.listening import open_entrance, parse_listen

    host, port = parse_listen(listen)
    entrance = open_entrance(host, port, read_token(paths, settings))
    output.note(f"Serving other machines at {entrance.url}.")
    if not is_loopback(host):
        output.note("Token and texts go over the network as they are: put TLS or a tunnel between.")
    return entrance


@memory_app.verb()
def token(
    new: Annotated[
        bool, Option("--new", help="Make another; who has the old one is locked out.")
    ] = False,
    json: output.JsonFlag = False,
) -> None:
    """Print the token that other machines need, and make one where there is none yet."""
    from pktui.memory.access_token import make_token, token_file

    paths = Paths.from_environment()
    settings = load_settings(paths)
    made, file = make_token(paths, settings, anew=new), token_file(paths, settings)
    if json:
        output.json({"token": made, "file": file})
    else:
        output.line(made)
    output.note(f"It is kept in {file}.")
    if new:
        output.note("A service that runs takes it when it is started again.")


@memory_app.verb()
def status(json: output.JsonFlag = False) -> None:
    """Show what the running service holds and what it still has to do."""
    from pktui.memory.starting import memory_log

    with backends.memory(start=False) as memory:
        found = memory.status()
    if json:
        output.json(found)
        return
    output.facts(_facts(found))
    output.note(f"Log: {memory_log(Paths.from_environment())}")


@memory_app.verb()
def stop() -> None:
    """End the running service; what was logged stays. The next client starts it again."""
    with backends.memory(start=False) as memory:
        try:
            memory.stop()
        except MemoryUnavailable as error:
            if "no memory service listens" not in error.what:
                raise
            output.note("No memory service was running.")
            return
    output.note("The memory service has ended.")


@memory_app.verb()
def reindex(json: output.JsonFlag = False) -> None:
    """Make every vector anew in the background, with the model that is set now."""
    with backends.memory() as memory:
        found = memory.reindex()
    if json:
        output.json(found)
        return
    output.note(f"{found.pending_vectors} texts wait for their vectors; search by words goes on.")
    output.note("pktui memory status shows how many are left.")


def _since(found: Status) -> str:
    if found.started_at is None:
        return ""
    from pktui.times import utc_now

    return f"{output.moment(found.started_at)} ({output.ago(found.started_at, utc_now())})"


def _facts(found: Status) -> list[tuple[str, str]]:
    return [
        ("store", f"{found.uri} ({found.state})"),
        ("process", str(found.pid)),
        ("since", _since(found)),
        ("memory", f"{found.resident_bytes / 1e6:.0f} MB"),
        ("sessions", f"{found.sessions} ({found.active_sessions} active)"),
        ("messages", str(found.messages)),
        ("entries", str(found.entries)),
        ("vectors", f"{found.vectors} ({found.pending_vectors} pending)"),
        ("model", f"{found.model} ({found.model_state})".strip()),
        ("index", "on disk" if found.index == "kept" else "to be written to disk"),
        ("on disk", f"{found.files_on_disk} files, {found.bytes_on_disk / 1e6:.1f} MB"),
        ("versions", str(found.versions)),
        ("note", found.note),
    ]
