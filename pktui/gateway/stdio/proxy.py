"""The stdio proxy: a client on stdin and stdout, a process, a URL or the memory behind it.

The server is started first; what the session with it needs is loaded while the server starts. One
thread carries the lines of both sides. The main thread waits for whatever ends the session, and
ends it in one place.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from pktui.gateway.lineio.io_loop import Loop, Outlet
from pktui.gateway.lineio.lines import TooLong, read_lines, write_all
from pktui.gateway.lineio.stderr import Narrator
from pktui.gateway.upstream.last_words import quoted
from pktui.gateway.upstream.process import ProcessServer
from pktui.times import now_us

if TYPE_CHECKING:
    from pktui.errors import PktuiError
    from pktui.gateway.protocol.jsonrpc import Limits
    from pktui.gateway.protocol.server_messages import Unanswered
    from pktui.gateway.relay.relay_session import RelaySession
    from pktui.gateway.relay.server_context import ServerContext
    from pktui.gateway.servers.entries import ServerEntry
    from pktui.gateway.upstream.process import Upstream
    from pktui.settings import Paths, Settings

STDIN: Final = 0
STDOUT: Final = 1
# What a call waits at most for the thread that follows the journal; Python has 5 ms.
_SWITCH_SECONDS: Final = 0.0005
# The status of a gateway that failed by its own fault (sysexits: EX_SOFTWARE).
FAULT: Final = 70
# A server's line may be this many times as long as a client's: answers carry files and images.
_SERVER_LINES: Final = 16
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LOOK: Final = 0.05
_HEAR: Final = 0.5


class End(msgspec.Struct, frozen=True):
    """Why a session ends; `number` is the signal's. `fault`: a thread of pktui's own has failed."""

    cause: Literal["client", "server", "signal", "fault"]
    number: int = 0


Ends = SimpleQueue[End]


def next_end(ends: Ends, meanwhile: Callable[[], object] = lambda: None) -> End:
    """Wait for an end, and act meanwhile, twice a second; call it from the main thread.

    Python calls a signal's handler between two steps of that thread. A signal that another thread
    took, or that came just as the wait began, does not end the wait: so it is not one long wait.
    """
    while True:
        try:
            return ends.get(timeout=_HEAR)
        except Empty:
            meanwhile()


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
        return _serve(
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
        return ProcessServer(server, narrator, limit, loop, shared=True)
    from pktui.gateway.upstream.remote import RemoteServer  # HTTP is loaded for it alone

    return RemoteServer(server, narrator.say, limit)


def _serve(
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
    from pktui.gateway.enforcement.maintenance import Upkeep
    from pktui.gateway.enforcement.policy_file import starts_of
    from pktui.gateway.relay.server_context import ServerContext

    with (
        Upkeep(paths, settings, narrator.say, server.name),
        ServerContext(
            paths,
            settings,
            server.name,
            grant=grant,
            policy_file=policy_file,
            log=narrator.say,
            selection=server.tools,
            starts=starts_of(server),
        ) as context,
    ):
        upstream = process or _memory(paths, context, narrator)
        return _relay(paths, settings, server.name, context, upstream, narrator, loop, ends)


def _memory(paths: Paths, context: ServerContext, narrator: Narrator) -> Upstream:
    """Return the built-in memory; its HTTP client is loaded for it alone."""
    from pktui.gateway.upstream.memory import MemoryServer
    from pktui.memory.records import Identity

    def identity() -> Identity:
        who = context.caller
        return Identity(who.agent, who.grant, who.project, who.session)

    return MemoryServer(paths, identity, narrator.say)


def _relay(
    paths: Paths,
    settings: Settings,
    name: str,
    context: ServerContext,
    upstream: Upstream,
    narrator: Narrator,
    loop: Loop,
    ends: Ends,
) -> int:
    from pktui.gateway.enforcement.agent_sessions import AgentSessions
    from pktui.gateway.enforcement.decision import call_ids
    from pktui.gateway.protocol.jsonrpc import Limits
    from pktui.gateway.relay.held_calls import Pace
    from pktui.gateway.relay.in_flight import Pending
    from pktui.gateway.relay.relay_session import RelaySession
    from pktui.gateway.relay.server_context import SessionContext

    to_client = Outlet(STDOUT, loop, broken=lambda: ends.put(End("client")))
    wiring = SessionContext(
        to_client=to_client.send,
        to_server=upstream.send,
        log=narrator.say,
        named=context.named,
        call_ids=call_ids(context.token),
        now_us=now_us,
        ticks=time.monotonic_ns,
        agent_session=AgentSessions(paths, child=True).of,
    )
    gateway = settings.gateway
    pace = Pace(settings.approvals.hold_seconds, settings.approvals.progress_seconds)
    relay = RelaySession(
        context.enforcer,
        context.caller,
        wiring,
        Limits(gateway.max_message_bytes, gateway.max_depth),
        Pending.of(context.enforcer, pace, time.monotonic_ns, narrator.say),
    )

    def deliver(*lines: bytes | TooLong | Unanswered) -> None:
        relay.from_server(*lines)
        to_client.wait()

    loop.watch(to_client)
    in_loop = isinstance(upstream, ProcessServer)  # which reads no more than it can write
    take = relay.from_server if in_loop else deliver
    upstream.start(take, lambda: ends.put(End("server")))
    loop.read(STDIN, gateway.max_message_bytes, relay.from_client, lambda: ends.put(End("client")))
    gc.freeze()  # what is there by now stays: looking through it again is a pause of milliseconds
    gc.enable()
    sys.setswitchinterval(_SWITCH_SECONDS)
    loop.start()
    try:
        return _finish(ends, relay, upstream, name, gateway.grace_seconds)
    finally:
        loop.leave(STDIN)  # a call that is being decided ends on record, and is answered
        to_client.drain(gateway.grace_seconds / 2)


def _finish(ends: Ends, relay: RelaySession, upstream: Upstream, name: str, grace: float) -> int:
    """Wait for an end, answer everything that waits, end the server, and return the status."""
    end = next_end(ends, relay.look)
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


def _wait_idle(ends: Ends, relay: RelaySession, grace: float) -> None:
    """Give the calls in flight their time; a second signal or a server that ends cuts it short."""
    until = time.monotonic() + grace
    while time.monotonic() < until and not relay.wait_idle(_LOOK):
        try:
            end = ends.get_nowait()
        except Empty:
            continue
        if end.cause != "client":
            return


def refuse_all(problem: PktuiError) -> None:
    """Answer each request on stdin with an error until the client leaves; not to a terminal.

    For a gateway that cannot begin: a client shows its user the error that `initialize` was
    answered with; of a process that ends at once many show nothing but that it ended.
    """
    if os.isatty(STDIN):
        return
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    from pktui.gateway.protocol.jsonrpc import Limits

    limits = Limits()
    with suppress(OSError):  # nobody takes the answers any more
        for lines in read_lines(STDIN, limits.size):
            for line in lines:
                if answer := answer_of(line, f"pktui lets no call through: {problem}", limits):
                    write_all(STDOUT, answer + b"\n")


def answer_of(line: bytes | TooLong, why: str, limits: Limits) -> bytes:
    """Return the answer to one line of the client; empty for what expects none."""
    from pktui.gateway.protocol import jsonrpc
    from pktui.gateway.protocol.jsonrpc import Refused

    try:
        if isinstance(line, TooLong):
            raise jsonrpc.too_large(limits.size, line.ids.single)
        if not line.strip():
            return b""
        message = jsonrpc.parse(line, limits)
    except Refused as refused:
        return jsonrpc.error_line(refused.code, refused.why, refused.request_id)
    if message.kind != "request":
        return b""
    return jsonrpc.error_line(jsonrpc.SERVER_ERROR, why, message.id_text)
