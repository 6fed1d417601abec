"""`pktui gateway`: put a server behind the policy, on stdin and stdout.

Parsed by the standard library alone: an agent waits for this at every start.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from pktui.errors import GatewayError, PktuiError, UsageError

_USAGE: Final = "pktui gateway [NAME] [--policy FILE] [--grant LABEL] [-- COMMAND ARG…]"


def main(argv: list[str]) -> int:
    """Run the gateway; returns 0 done, 1 failed, 2 usage, or the server's own status."""
    try:
        asked, command = parse(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    try:
        return _run(asked, command)
    except UsageError as error:
        return _complain(error, 2)
    except PktuiError as error:
        return _complain(error, 1)


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the options (`name`, `policy`, `grant`) and the command after `--`, if any."""
    split = argv.index("--") if "--" in argv else len(argv)
    parser = argparse.ArgumentParser(
        prog="pktui gateway",
        usage=_USAGE,
        description="Stand between an agent and an MCP server: every tool call meets the policy.",
        epilog="memory is built in; other names come from servers.json in the config directory.",
    )
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="the server's name")
    parser.add_argument("--policy", type=Path, metavar="FILE", help="a policy file of its own")
    parser.add_argument("--grant", default="", metavar="LABEL", help="count and record under it")
    return parser.parse_args(argv[:split]), argv[split + 1 :]


def _run(asked: argparse.Namespace, command: list[str]) -> int:
    from pktui.gateway.servers import ServerEntry, find_server, server_of_command
    from pktui.gateway.stdio import run_stdio
    from pktui.settings import Paths, load_settings

    paths = Paths.from_environment()
    settings = load_settings(paths)
    server: ServerEntry
    if command:
        server = server_of_command(asked.name, command)
    elif asked.name:
        server = find_server(paths, asked.name)
    else:
        raise UsageError("no server was named", f"Use: {_USAGE}")
    if server.url:
        raise GatewayError(
            f"server {server.name} is reached by a URL, and this gateway starts commands only",
            f'Give {server.name} a "command" in {paths.servers_file}',
        )
    return run_stdio(paths, settings, server, grant=asked.grant, policy_file=asked.policy)


def _complain(error: PktuiError, status: int) -> int:
    print(f"pktui gateway: {error}", file=sys.stderr)
    return status
