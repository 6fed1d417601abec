"""The commands: a table of names, each of which imports its file only when it is chosen."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from pktui import __version__
from pktui.cli import output
from pktui.cli.doors import guard_all
from pktui.cli.group import Group
from pktui.errors import PktuiError, UsageError

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


@dataclass(frozen=True, slots=True)
class Room:
    """A command or group of commands: its name, where it is made, and its line in the help."""

    name: str
    module: str
    attribute: str
    help: str


ROOMS = (
    Room("demo", "pktui.cli.demo", "demo", "Play the whole story on throwaway data."),
    Room("gateway", "pktui.cli.app", "gateway", "Put a policy in front of an MCP server."),
    Room("hook", "pktui.cli.app", "hook", "Put a policy in front of an agent's own tools."),
    Room("sessions", "pktui.cli.sessions", "sessions_app", "List, search, end, export sessions."),
    Room(
        "knowledge",
        "pktui.cli.knowledge",
        "knowledge_app",
        "Add, find and change knowledge entries.",
    ),
    Room("import", "pktui.cli.imports", "import_app", "Bring in the sessions of other tools."),
    Room("memory", "pktui.cli.memory", "memory_app", "Run and look after the memory service."),
    Room("policy", "pktui.cli.policy", "policy_app", "Say what each tool may do."),
    Room("approvals", "pktui.cli.approvals", "approvals_app", "Decide the calls that wait."),
    Room("audit", "pktui.cli.audit", "audit_app", "Read and verify the record of calls."),
    Room("grants", "pktui.cli.grants", "grants_app", "Give out tokens for servers over HTTP."),
    Room("servers", "pktui.cli.servers", "servers_app", "Name MCP servers, see what they offer."),
    Room("adopt", "pktui.cli.adopting", "adopt", "Put the agents of this machine behind pktui."),
    Room("clients", "pktui.cli.clients", "clients_app", "See which agents go through pktui."),
    Room("doctor", "pktui.cli.doctor", "doctor", "Check that everything pktui needs is there."),
)


def load(room: Room) -> Any:
    """Import the room's file and return its command, ready to run."""
    made = getattr(import_module(room.module), room.attribute)
    host = typer.Typer(add_completion=False, rich_markup_mode=None)
    host.callback()(_nothing)
    if isinstance(made, typer.Typer):
        host.add_typer(made, name=room.name, help=room.help, no_args_is_help=True, cls=Group)
    else:
        settings = {"allow_extra_args": True, "ignore_unknown_options": True}
        relayed = made in (gateway, hook)
        host.command(
            room.name,
            add_help_option=not relayed,
            context_settings=settings if relayed else None,
        )(made)
    group = typer.main.get_command(host)
    assert isinstance(group, TyperGroup)
    command = group.commands[room.name]
    guard_all(command, room.name)
    return command


class LazyRooms(TyperGroup):
    """A group that lists every command from the table and imports the one that is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.rooms = {room.name: room for room in ROOMS}
        for room in ROOMS:
            self.add_command(TyperCommand(room.name, help=room.help, rich_markup_mode=None))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command by its name and import it."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(self.rooms[name]) if name in self.rooms else command, rest


app = typer.Typer(
    cls=LazyRooms,
    help="The control room for the AI agents on your machine. Without a command: the console.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


@app.callback(invoke_without_command=True)
def console(
    context: typer.Context,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Show everything, decide nothing.")
    ] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Open the console, unless a command follows."""
    if version:
        output.line(f"pktui {__version__}")
        raise typer.Exit(DONE)
    if context.invoked_subcommand is not None:
        if read_only:
            raise UsageError("--read-only is for the console", "Leave it out before a command")
        return
    from pktui.cli.console import open_console

    raise typer.Exit(open_console(read_only=read_only))


def gateway(context: typer.Context) -> None:
    """Put a policy in front of an MCP server."""
    from pktui.gateway.main import main

    raise typer.Exit(main(context.args))


def hook(context: typer.Context) -> None:
    """Put a policy in front of an agent's own tools."""
    from pktui.agents.hooks.main import main

    raise typer.Exit(main(context.args))


def run(argv: Sequence[str]) -> int:
    """Run one command line and return its exit status: 0 done, 1 failed, 2 usage, 130 Ctrl-C."""
    output.accept_any_text()
    status = _run(argv)
    try:
        sys.stdout.flush()
    except OSError as error:
        output.abandon_output()
        return _failed(error)
    return status


def _run(argv: Sequence[str]) -> int:
    try:
        answer = app(args=list(argv), prog_name="pktui", standalone_mode=False)
    except PktuiError as error:
        output.fail(error)
        return USAGE if isinstance(error, UsageError) else FAILED
    except typer.TyperException as error:
        show = getattr(error, "show", None)
        if show is None:
            output.note(error.format_message())
        else:
            show()
        return error.exit_code
    except OSError as error:
        return _failed(error)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else FAILED
    return answer if isinstance(answer, int) else DONE


def _failed(error: OSError) -> int:
    """Say what the system refused; a reader of our output that left needs no words."""
    if not isinstance(error, BrokenPipeError):
        where = f"{error.filename}: " if error.filename else ""
        output.fail(PktuiError(f"{where}{error.strerror or error}"))
    return FAILED


def _nothing() -> None:
    """Make the host a group whatever it holds."""
