"""`pktui servers add` and `remove`: edits of servers.json that keep everything else as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pktui.cli import output
from pktui.cli.commands import Argument, Option
from pktui.errors import UsageError
from pktui.settings import Paths, load_settings

Name = Annotated[str, Argument(metavar="NAME", help="What the server is called here.")]


def add(
    name: Name,
    command: Annotated[
        list[str] | None,
        Argument(metavar="-- COMMAND ARG", help="What starts it, after `--`."),
    ] = None,
    url: Annotated[
        str, Option("--url", help="Where it is reached instead: a streamable HTTP endpoint.")
    ] = "",
    header: Annotated[
        list[str] | None,
        Option("--header", "-H", metavar="NAME:VALUE", help="Sent to the URL."),
    ] = None,
    env: Annotated[
        list[str] | None,
        Option("--env", "-e", metavar="NAME=VALUE", help="Set for the command."),
    ] = None,
    cwd: Annotated[str, Option("--cwd", metavar="DIR", help="Where the command is started.")] = "",
    replace: Annotated[
        bool, Option("--replace", help="Write over the server of that name.")
    ] = False,
) -> None:
    """Add a server. ${NAME} in any text is read from the environment when the server starts."""
    from pktui.gateway.servers.edit import NewEntry, ServerFile
    from pktui.gateway.servers.url import read_headers

    _check(command, url, header, env, cwd)
    if url:
        entry = NewEntry(type="http", url=url, headers=read_headers(header or []))
    else:
        program, *args = command or []
        entry = NewEntry(command=program, args=tuple(args), env=_variables(env or []), cwd=cwd)
    paths = Paths.from_environment()
    ServerFile(paths.servers_file).add(name, entry, replace=replace)
    output.note(f"Written to {paths.servers_file}")
    output.note(f"See what it offers: pktui servers scan {name}")
    output.note(f"Have your agent start it through pktui: pktui gateway {name}")
    if any("${" not in value for value in (*entry.headers.values(), *entry.env.values())):
        output.note("Values stand there as given; ${NAME} keeps a secret in the environment.")


def remove(
    name: Name,
    yes: Annotated[bool, Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a server. Its policy and its record stay."""
    from pktui.gateway.servers.edit import ServerFile
    from pktui.gateway.servers.entries import load_servers

    paths = Paths.from_environment()
    servers = load_servers(paths)
    if all(fault.name != name for fault in servers.faults):
        servers.find(name, paths.servers_file)
    output.confirm(f"Remove server {name} from {paths.servers_file}?", yes=yes)
    ServerFile(paths.servers_file).remove(name)
    output.note(f"Removed from {paths.servers_file}")
    if name not in servers:
        return
    policy = load_settings(paths).policy_file(paths, name)
    if policy.exists():
        output.note(f"Its policy stays at {policy}")


def _check(
    command: list[str] | None,
    url: str,
    header: list[str] | None,
    env: list[str] | None,
    cwd: str,
) -> None:
    use = "Use: pktui servers add NAME (--url URL [--header N:V]… | [--env N=V]… -- COMMAND ARG…)"
    if bool(command) == bool(url):
        raise UsageError("a server is a command or a URL, one of them", use)
    if header and not url:
        raise UsageError("--header goes with --url", use)
    if url and (env or cwd):
        raise UsageError("--env and --cwd go with a command", use)
    if cwd and "${" not in cwd and not Path(cwd).expanduser().is_dir():
        raise UsageError(f"there is no directory {cwd}", "Give one that exists")


def _variables(given: list[str]) -> dict[str, str]:
    variables = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError("a variable needs a name and a value", "Write --env NAME=VALUE")
        variables[name] = value
    return variables
