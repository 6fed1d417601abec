"""One relay from its start to its end.

One thread carries the lines of both sides. The main thread waits for whatever ends the relay, and
ends it in one place.
"""

from __future__ import annotations

import gc
import time
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Final

from pktui.gateway.enforcement.decision import call_ids
from pktui.gateway.enforcement.maintenance import Upkeep
from pktui.gateway.lineio.outlet import Outlet
from pktui.gateway.protocol.jsonrpc import Limits
from pktui.gateway.relay.held_calls import Pace
from pktui.gateway.relay.relay_session import Pending, Relay, Wiring
from pktui.gateway.relay.server_context import Desk
from pktui.gateway.stdio.ends import End, Ends, next_end
from pktui.gateway.upstream.last_words import quoted
from pktui.times import now_us

if TYPE_CHECKING:
    from pktui.gateway.lineio.io_loop import Loop
    from pktui.gateway.lineio.lines import TooLong
    from pktui.gateway.lineio.stderr import Narrator
    from pktui.gateway.protocol.server_messages import Unanswered
    from pktui.gateway.servers.entries import ServerEntry
    from pktui.gateway.upstream.process import Upstream
    from pktui.settings import Paths, Settings

STDIN: Final = 0
STDOUT: Final = 1
FAULT: Final = 70
"""The status of a gateway that failed by its own fault (sysexits: EX_SOFTWARE)."""
_LOOK: Final = 0.05


def serve(
    paths: Paths,
    settings: Settings,
    server: ServerEntry,
    process: Upstream | None,
    narrator: Narrator,
    loop: Loop,
    ends: Ends,
    *,
    grant: str,
    policy_file: Path | None,
) -> int:
    """Relay until something ends it; return the status. `process` None: the built-in memory.

    Raises `PktuiError` where the ledger or the policy's directory cannot be used.
    """
    with (
        Upkeep(paths, settings.audit, narrator.say),
        Desk(
            paths,
            settings,
            server.name,
            grant=grant,
            policy_file=policy_file,
            log=narrator.say,
            selection=server.tools,
        ) as desk,
    ):
        upstream = process or _memory(paths, desk, narrator)
        return _relay(settings, server.name, desk, upstream, narrator, loop, ends)


def _memory(paths: Paths, desk: Desk, narrator: Narrator) -> Upstream:
    """Return the built-in memory; its HTTP client is loaded for it alone."""
    from pktui.gateway.upstream.memory import MemoryServer
    from pktui.memory.records import Identity

    def identity() -> Identity:
        who = desk.caller
        return Identity(who.agent, who.grant, who.project, who.session)

    return MemoryServer(paths, identity, narrator.say)


def _relay(
    settings: Settings,
    name: str,
    desk: Desk,
    upstream: Upstream,
    narrator: Narrator,
    loop: Loop,
    ends: Ends,
) -> int:
    to_client = Outlet(STDOUT, loop, broken=lambda: ends.put(End("client")))
    wiring = Wiring(
        to_client=to_client.send,
        to_server=upstream.send,
        log=narrator.say,
        named=desk.named,
        new_id=call_ids(desk.token),
        now_us=now_us,
        ticks=time.monotonic_ns,
    )
    gateway = settings.gateway
    pace = Pace(settings.approvals.hold_seconds, settings.approvals.progress_seconds)
    relay = Relay(
        desk.enforcer,
        desk.caller,
        wiring,
        Limits(gateway.max_message_bytes, gateway.max_depth),
        Pending.of(desk.enforcer, pace, time.monotonic_ns, narrator.say),
    )

    def deliver(*lines: bytes | TooLong | Unanswered) -> None:
        relay.from_server(*lines)
        to_client.wait()

    loop.watch(to_client)
    upstream.start(deliver, lambda: ends.put(End("server")))
    loop.read(STDIN, gateway.max_message_bytes, relay.from_client, lambda: ends.put(End("client")))
    gc.freeze()  # what is there by now stays: looking through it again is a pause of milliseconds
    gc.enable()
    loop.start()
    try:
        return _finish(ends, relay, upstream, name, gateway.grace_seconds)
    finally:
        to_client.drain(gateway.grace_seconds / 2)


def _finish(ends: Ends, relay: Relay, upstream: Upstream, name: str, grace: float) -> int:
    """Wait for an end, answer everything that waits, end the server, and return the status."""
    end = next_end(ends)
    if end.cause == "server":
        status = upstream.end(0)
        said = quoted(upstream.said)
        relay.server_lost(f"server {name} ended with status {status} and can't answer{said}")
        return status
    if end.cause == "fault":
        why = "pktui failed and ends; its log says why"
        relay.stop(why)
        upstream.end(0)
        relay.server_lost(why)
        return FAULT
    if end.cause == "client":
        relay.stop("the client has ended the connection")
        upstream.end(grace if relay.busy else grace / 2)
        relay.server_lost("the client has ended the connection")
        return 0
    relay.stop("pktui is ending; call again once it has been started again")
    _wait_idle(ends, relay, grace)
    upstream.end(grace / 8)
    relay.server_lost("pktui ended before the server answered")
    return 128 + end.number


def _wait_idle(ends: Ends, relay: Relay, grace: float) -> None:
    """Give the calls in flight their time; a second signal or a server that ends cuts it short."""
    until = time.monotonic() + grace
    while time.monotonic() < until and not relay.wait_idle(_LOOK):
        try:
            end = ends.get_nowait()
        except Empty:
            continue
        if end.cause != "client":
            return
