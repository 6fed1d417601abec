"""The commands: a table of names, each of which imports its file only when it is chosen."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated

import click

from pktui import __version__
from pktui.cli import output
from pktui.cli.command_guard import guard_all
from pktui.cli.commands import HELP_NAMES, Exit, Group, Option, command_of, parameters_of
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
    Room("now", "pktui.cli.now", "now", "See what agents do now and what needs you."),
    Room("insight", "pktui.cli.insight", "insight", "See the figures of days."),
    Room("status", "pktui.cli.now", "status", "Say all of it in one line, for status bars."),
    Room("feed", "pktui.cli.audit", "feed", "Open the console at the feed of calls."),
    Room("wait", "pktui.cli.now", "wait", "Block until a call needs a person."),
    Room("import", "pktui.cli.imports", "import_app", "Bring in the sessions of other tools."),
    Room("memory", "pktui.cli.memory", "memory_app", "Run and look after the memory service."),
    Room("policy", "pktui.cli.policy", "policy_app", "Say what each tool may do."),
    Room("approvals", "pktui.cli.approvals", "approvals_app", "Decide the calls that wait."),
    Room("audit", "pktui.cli.audit", "audit_app", "Read and verify the record of calls."),
    Room("ledger", "pktui.cli.ledger", "ledger_app", "Carry the ledger over into a team's."),
    Room("grants", "pktui.cli.grants", "grants_app", "Give out tokens for servers over HTTP."),
    Room("servers", "pktui.cli.servers", "servers_app", "Name MCP servers, see what they offer."),
    Room("adopt", "pktui.cli.adopting", "adopt", "Put the agents of this machine behind pktui."),
    Room("clients", "pktui.cli.clients", "clients_app", "See which agents go through pktui."),
    Room("doctor", "pktui.cli.doctor", "doctor", "Check that everything pktui needs is there."),
)

# Commands whose words are read by themselves.
RELAYED = ("gateway", "hook")


def load(room: Room) -> click.Command:
    """Import the room's file and return its command, ready to run."""
    made = getattr(import_module(room.module), room.attribute)
    if room.name in RELAYED:
        command: click.Command = click.Command(
            room.name,
            callback=made,
            params=[click.Argument(["words"], nargs=-1, type=click.UNPROCESSED)],
            add_help_option=False,
            context_settings={"ignore_unknown_options": True},
        )
    elif isinstance(made, Group):
        command = made
        command.name, command.help = room.name, room.help
    else:
        command = command_of(made, room.name)
    guard_all(command, room.name)
    return command


class Rooms(Group):
    """Lists every command from the table and imports the one that is called."""

    def list_commands(self, _ctx: click.Context | None = None) -> list[str]:
        """Return the names in the table's order."""
        return [room.name for room in ROOMS]

    def get_command(self, _ctx: click.Context | None, cmd_name: str) -> click.Command | None:
        """Import a command by its name."""
        room = next((room for room in ROOMS if room.name == cmd_name), None)
        return load(room) if room is not None else None

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list from the table: nothing is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(room.name, room.help) for room in ROOMS])


def console(
    read_only: Annotated[
        bool, Option("--read-only", help="Show everything, decide nothing.")
    ] = False,
    version: Annotated[bool, Option("--version", help="Print the version.")] = False,
) -> None:
    """Open the console, unless a command follows."""
    if version:
        output.line(f"pktui {__version__}")
        raise Exit(DONE)
    if click.get_current_context().invoked_subcommand is not None:
        if read_only:
            raise UsageError("--read-only is for the console", "Leave it out before a command")
        return
    from pktui.cli.console import open_console

    raise Exit(open_console(read_only=read_only))


app = Rooms(
    callback=console,
    params=parameters_of(console),
    help="The control room for the AI agents on your machine. Without a command: the console.",
    invoke_without_command=True,
    context_settings=HELP_NAMES,
)


def gateway(words: tuple[str, ...]) -> None:
    """Put a policy in front of an MCP server."""
    from pktui.gateway.main import main

    raise Exit(main(list(words)))


def hook(words: tuple[str, ...]) -> None:
    """Put a policy in front of an agent's own tools."""
    from pktui.agents.hooks.main import main

    raise Exit(main(list(words)))


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
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except OSError as error:
        return _failed(error)
    except (KeyboardInterrupt, click.Abort):
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
