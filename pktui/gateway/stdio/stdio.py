"""The stdio relay: a client on stdin and stdout, a process, a URL or the memory behind it.

The server is started first; what the relay itself needs is loaded while the server starts.
"""

from __future__ import annotations

import signal
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from pktui.gateway.lineio.io_loop import Loop
from pktui.gateway.lineio.stderr import Narrator
from pktui.gateway.stdio.ends import End, Ends
from pktui.gateway.upstream.process import ProcessServer

if TYPE_CHECKING:
    from pktui.gateway.servers.entries import ServerEntry
    from pktui.gateway.upstream.process import Upstream
    from pktui.settings import Paths, Settings

_SERVER_LINES: Final = 16
"""A server's line may be this many times as long as a client's: answers carry files and images."""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run_stdio(
    paths: Paths,
    settings: Settings,
    server: ServerEntry,
    *,
    grant: str = "",
    policy_file: Path | None = None,
) -> int:
    """Relay between stdin and stdout and a server until one of them ends; return the status.

    Call it from the main thread. Raises `PktuiError` where the relay cannot be started.
    """
    ends: Ends = SimpleQueue()
    for number in _SIGNALS:
        signal.signal(number, lambda caught, _frame: ends.put(End("signal", caught)))
    narrator = Narrator()
    loop = Loop(log=narrator.say, fatal=lambda: ends.put(End("fault")))
    process = None if server.builtin else _start(server, settings, narrator, loop)
    try:
        from pktui.gateway.stdio.proxy import serve

        return serve(
            paths,
            settings,
            server,
            process,
            narrator,
            loop,
            ends,
            grant=grant,
            policy_file=policy_file,
        )
    finally:
        if process is not None:
            process.end(0)
        narrator.finish()


def _start(server: ServerEntry, settings: Settings, narrator: Narrator, loop: Loop) -> Upstream:
    limit = settings.gateway.max_message_bytes * _SERVER_LINES
    if not server.url:
        return ProcessServer(server, narrator, limit, loop)
    from pktui.gateway.upstream.remote import RemoteServer  # HTTP is loaded for it alone

    return RemoteServer(server, narrator.say, limit)
