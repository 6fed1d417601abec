"""Where `pktui` starts: gateway, hook and console are reached before the command-line library is.

An agent waits for its gateway at every start and for its hook at every call; a status bar and a
script wait for the commands.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn

# Commands that leave nothing behind them: no thread, no child process, no file to be flushed.
_QUICK = {"approvals", "audit", "grants", "insight", "now", "policy", "status", "wait"}
# Objects made between two looks for garbage: by default every import takes several.
_GARBAGE = 50_000


def main() -> None:
    """Run the command that `sys.argv` names and exit with its status."""
    if sys.argv[1:2] == ["hook"]:
        _run_hook()
    # While it is being loaded nothing is to be tidied up: ctrl+c ends it at once, without words.
    answer = signal.getsignal(signal.SIGINT)
    if answer is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    _load_msgspec()
    if sys.argv[1:2] == ["gateway"]:
        from pktui.gateway.main import main as run_gateway

        signal.signal(signal.SIGINT, answer)
        sys.exit(run_gateway(sys.argv[2:]))
    if not sys.argv[1:]:
        from pktui.cli.console import main as run_console

        sys.exit(run_console())  # which goes on loading
    gc.set_threshold(_GARBAGE)
    from pktui.cli.app import run

    signal.signal(signal.SIGINT, answer)
    status = run(sys.argv[1:])
    if sys.argv[1] in _QUICK:
        os._exit(status)  # all is flushed; taking the interpreter down takes time
    sys.exit(status)


def _run_hook() -> NoReturn:
    try:
        _load_msgspec()
        gc.disable()  # the process lives for a tenth of a second
        from pktui.agents.hooks.main import main as run_hook

        status = run_hook(sys.argv[2:])
    except KeyboardInterrupt:
        print("[DENIED by pktui] The hook was interrupted.", file=sys.stderr, flush=True)
        status = 2  # which every agent takes for a denial
    os._exit(status)  # all is written; taking the interpreter down takes time


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
