"""Where `pktui` starts: the relay's path is kept free of everything a relay does not need.

An agent waits for its gateway at every start, so `pktui gateway` is dispatched before the
command-line library is imported.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command that `sys.argv` names and exit with its status."""
    if sys.argv[1:2] == ["gateway"]:
        from pktui.gateway.run import main as run_gateway

        sys.exit(run_gateway(sys.argv[2:]))
    from pktui.cli.app import run

    sys.exit(run(sys.argv[1:]))
