"""Where `pktui` starts: gateway, hook and console are reached before the command-line library is.

An agent waits for its gateway at every start and for its hook at every call; a status bar and a
script wait for the commands.
"""

from __future__ import annotations

import gc
import os
import sys

# Commands that leave nothing behind them: no thread, no child process, no file to be flushed.
_QUICK = {"approvals", "audit", "grants", "insight", "now", "policy", "status", "wait"}
# Objects made between two looks for garbage: by default every import takes several.
_GARBAGE = 50_000


def main() -> None:
    """Run the command that `sys.argv` names and exit with its status."""
    try:
        _run()
    except KeyboardInterrupt:  # while it was still being loaded; later each command has its own
        if sys.argv[1:2] != ["hook"]:
            sys.exit(130)
        print("[DENIED by pktui] The hook was interrupted.", file=sys.stderr)
        sys.exit(2)  # which every agent takes for a denial


def _run() -> None:
    _load_msgspec()
    if sys.argv[1:2] == ["gateway"]:
        from pktui.gateway.main import main as run_gateway

        sys.exit(run_gateway(sys.argv[2:]))
    if sys.argv[1:2] == ["hook"]:
        gc.disable()  # the process lives for a tenth of a second
        from pktui.agents.hooks.main import main as run_hook

        os._exit(run_hook(sys.argv[2:]))  # all is written; taking the interpreter down takes time
    if not sys.argv[1:]:
        from pktui.cli.console import main as run_console

        sys.exit(run_console())
    gc.set_threshold(_GARBAGE)
    from pktui.cli.app import run

    status = run(sys.argv[1:])
    if sys.argv[1] in _QUICK:
        os._exit(status)  # all is flushed; taking the interpreter down takes time
    sys.exit(status)


def _load_msgspec() -> None:
    """Import msgspec without typing_extensions, which it would take where that is installed.

    That one takes a tenth of a gateway's start and adds nothing to the typing of this Python. A
    module that is None is one that cannot be found (Python, "The module cache"); whoever wants it
    later finds it.
    """
    wanted = "typing_extensions"
    if wanted in sys.modules:
        return
    sys.modules[wanted] = None  # type: ignore[assignment]
    try:
        import msgspec  # noqa: F401
    finally:
        del sys.modules[wanted]
