"""`pktui gateway`: put a server behind the policy, on stdin and stdout.

Parsed by the standard library alone: an agent waits for this at every start.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.errors import PktuiError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.server_entry import ServerEntry
    from pktui.settings import Paths, Settings

_USAGE: Final = (
    "pktui gateway [NAME] [--policy FILE] [--grant LABEL]"
    " [--home DIR] [--url URL [--header NAME:VALUE]… | -- COMMAND ARG…]"
    "\n       pktui gateway --listen HOST:PORT [--home DIR]"
)


class Asked(msgspec.Struct):
    """What the command line says before `--`."""

    name: str = ""
    policy: Path | None = None
    grant: str = ""
    url: str = ""
    header: list[str] = msgspec.field(default_factory=list)
    home: Path | None = None
    listen: str = ""


def main(argv: list[str]) -> int:
    """Run the gateway; returns 0 done, 1 failed, 2 usage, or the server's own status."""
    gc.disable()  # what is made until it serves stays: to look through it takes milliseconds
    try:
        asked, command = parse(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    try:
        return _run(asked, command)
    except UsageError as error:
        return _complain(error, 2)
    except PktuiError as error:
        _complain(error, 1)
        if not asked.listen:
            _refuse_all(error)
        return 1


def parse(argv: Sequence[str]) -> tuple[Asked, list[str]]:
    """Return the options, and the command after `--`, if any."""
    split = argv.index("--") if "--" in argv else len(argv)
    options = argv[:split]
    return _plain(options) or _with_argparse(options), list(argv[split + 1 :])


def _plain(options: Sequence[str]) -> Asked | None:
    """Return what an agent's config says as a rule; None for what argparse has to look at.

    To import that one takes as long as to read the policy.
    """
    asked, rest = Asked(), list(options)
    if rest and not rest[0].startswith("-"):
        asked.name = rest.pop(0)
    while rest:
        option, *values = rest[:2]
        if not values or values[0].startswith("-") or option not in ("--policy", "--grant"):
            return None
        if option == "--policy":
            asked.policy = Path(values[0])
        else:
            asked.grant = values[0]
        del rest[:2]
    return asked


def _with_argparse(options: Sequence[str]) -> Asked:
    import argparse

    parser = argparse.ArgumentParser(
        prog="pktui gateway",
        usage=_USAGE,
        description="Relay MCP between an agent and a server; the policy decides every tool call.",
        epilog="memory is built in; other names come from servers.json in the config directory.",
    )
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="the server's name")
    parser.add_argument("--policy", type=Path, metavar="FILE", help="a policy file of its own")
    parser.add_argument("--grant", default="", metavar="LABEL", help="count and record under it")
    parser.add_argument("--url", default="", metavar="URL", help="a server of streamable HTTP")
    parser.add_argument(
        *("--header", "-H"),
        action="append",
        default=[],
        metavar="NAME:VALUE",
        help="sent to the URL; ${VAR} in it is read from the environment, which keeps it from `ps`",
    )
    parser.add_argument(
        "--home",
        type=Path,
        metavar="DIR",
        help="settings and policies in DIR/config, ledger and memory in DIR/data, whatever the"
        " environment says: agents hand little of it on",
    )
    parser.add_argument(
        "--listen", default="", metavar="HOST:PORT", help="serve every configured server over HTTP"
    )
    return Asked(**vars(parser.parse_args(options)))


def _run(asked: Asked, command: list[str]) -> int:
    from pktui.gateway.stdio.proxy import run_stdio
    from pktui.settings import Paths, load_settings

    paths = Paths.below(asked.home) if asked.home else Paths.from_environment()
    settings = load_settings(paths)
    if asked.listen:
        return _listen(paths, settings, asked, command)
    if command and asked.url:
        raise UsageError("a server is a command or a URL, not both", f"Use: {_USAGE}")
    if "#" in asked.grant:
        raise UsageError(
            f"--grant {asked.grant!r}: a label has no #",
            "It stands between the name and the key of a grant; take another label",
        )
    if asked.header and not asked.url:
        raise UsageError("--header goes with --url", f"Use: {_USAGE}")
    if command or asked.url:
        server = _by_hand(paths, settings, asked, command)
    elif asked.name:
        server = _configured(paths, asked.name)
    else:
        raise UsageError("no server was named", f"Use: {_USAGE}")
    return run_stdio(paths, settings, server, grant=asked.grant, policy_file=asked.policy)


def _by_hand(paths: Paths, settings: Settings, asked: Asked, command: list[str]) -> ServerEntry:
    """Return the server of a command or a URL, and say what it is called where no NAME was given.

    Raises `SettingsError`, `UsageError`.
    """
    if asked.name and command:  # what a command starts is looked into where it has no name
        from pktui.gateway.servers.entries import check_name
        from pktui.server_entry import ServerEntry

        return ServerEntry(check_name(asked.name), command[0], tuple(command[1:]))
    from pktui.gateway.servers.naming import server_of_command, server_of_url
    from pktui.gateway.servers.url import read_headers

    if command:
        server = server_of_command(asked.name, command)
    else:
        server = server_of_url(asked.name, asked.url, read_headers(asked.header))
    if not asked.name:
        from pktui.gateway.servers.former import hold

        _say(f"this server is called {server.name}; to choose: pktui gateway NAME …")
        for sentence in hold(paths, settings, server) if asked.policy is None else ():
            _say(sentence)
    return server


def _configured(paths: Paths, name: str) -> ServerEntry:
    """Return a server of servers.json, or the memory; say what is wrong with other entries.

    Raises `SettingsError`, `UnknownServer`.
    """
    from pktui.gateway.servers.entries import load_servers

    servers = load_servers(paths)
    server = servers.find(name, paths.servers_file)
    for fault in servers.faults:
        _say(str(fault))
    return server


def _say(sentence: str) -> None:
    from pktui.text import one_line

    print(f"pktui: {one_line(sentence, 2_000)}", file=sys.stderr)


def _listen(paths: Paths, settings: Settings, asked: Asked, command: list[str]) -> int:
    if asked.name or asked.policy or asked.grant or command:
        raise UsageError(
            "--listen serves every configured server",
            "Name no server; which ones a client reaches, and by which policy, is in its grant",
        )
    gc.enable()
    from pktui.gateway.http.server import run_http

    return run_http(paths, settings, asked.listen)


def _refuse_all(error: PktuiError) -> None:
    gc.enable()
    from pktui.gateway.stdio.proxy import refuse_all

    refuse_all(error)


def _complain(error: PktuiError, status: int) -> int:
    print(f"pktui gateway: {error}", file=sys.stderr)
    return status
