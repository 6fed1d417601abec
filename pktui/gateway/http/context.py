"""What all clients of one server share under one policy, and what one of their requests is."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pktui.gateway.enforcement.agent_sessions import AgentSessions
from pktui.gateway.enforcement.decision import call_ids
from pktui.gateway.enforcement.policy_file import starts_of
from pktui.gateway.protocol.jsonrpc import Limits
from pktui.gateway.relay.held_calls import Holder, Pace
from pktui.gateway.relay.in_flight import Continuations, InFlight, Pending
from pktui.gateway.relay.known_tools import ToolList
from pktui.gateway.relay.relay_session import RelaySession
from pktui.gateway.relay.server_context import ServerContext, SessionContext
from pktui.ledger.records import Caller
from pktui.times import now_us

if TYPE_CHECKING:
    from pktui.gateway.http.protocol import Headers
    from pktui.gateway.relay.server_context import Send
    from pktui.gateway.servers.entries import ServerEntry
    from pktui.ledger.records import Grant
    from pktui.settings import Paths, Settings

# Clients of the stateless era that are remembered.
_STATELESS: Final = 1000
# A server's message may be this many times as long as a client's.
ANSWER_LINES: Final = 16


class SharedContext:
    """One server under one policy. Making and closing it writes to the ledger."""

    def __init__(
        self,
        paths: Paths,
        settings: Settings,
        entry: ServerEntry,
        policy_file: Path | None,
        log: Callable[[str], None],
    ) -> None:
        """Open the ledger and the policy; raises `PktuiError` where that cannot be done."""
        self.entry = self._followed = entry
        self.log = log
        self.limits = Limits(settings.gateway.max_message_bytes, settings.gateway.max_depth)
        self.answer_limit = settings.gateway.max_message_bytes * ANSWER_LINES
        self.server = ServerContext(
            paths,
            settings,
            entry.name,
            grant="",
            policy_file=policy_file,
            log=log,
            selection=entry.tools,
            starts=starts_of(entry),
        )
        self.server.__enter__()
        files = (paths.config_dir / "-", paths.data_dir / "-", policy_file or Path("-"))
        self._places = sorted({f"{file.parent}/" for file in files} - {"./"}, key=len, reverse=True)
        approvals = settings.approvals
        pace = Pace(approvals.hold_seconds, approvals.progress_seconds)
        self._holder = Holder(self.server.enforcer, pace, time.monotonic, log)
        self._continuations: dict[str, Continuations] = {}
        self._tools = ToolList(time.monotonic_ns, connected=False)
        self._call_ids = call_ids(self.server.token)
        self._agent_sessions = AgentSessions(paths, child=False)
        self._salt = os.urandom(16)
        self._stateless: dict[str, Caller] = {}
        self.departed: list[str] = []  # connections of stateless clients that are forgotten

    def follow(self, entry: ServerEntry) -> None:
        """Take note of the server's entry as it is now."""
        if entry is not self._followed:
            self._followed = entry
            policy = self.server.policy
            policy.selection = entry.tools
            policy.managed.starts(starts_of(entry))

    def pending(self, grant: Grant, scope: str, *, connected: bool = False) -> Pending:
        """Return what waits on a connection of its own, named `scope`; `connected`: a session's.

        Calls that go on are known for the whole grant: each step may come on another connection.
        """
        continuations = self._continuations.setdefault(grant.key, Continuations())
        tools = ToolList(time.monotonic_ns) if connected else self._tools
        return Pending(self._holder, InFlight(time.monotonic_ns), continuations, tools, scope)

    def caller(self, grant: Grant, agent: str) -> Caller:
        """Return the caller of stateless requests: the same one for each agent of a grant."""
        who = f"{grant.key}\n{agent}".encode()
        session = hashlib.blake2b(who, key=self._salt, digest_size=16).hexdigest()
        return self._stateless.get(session) or self._remember(
            Caller(agent, grant.name, session, grant.project, grant.key)
        )

    def _remember(self, caller: Caller) -> Caller:
        """Keep a stateless client; the oldest of too many leaves."""
        if len(self._stateless) >= _STATELESS:
            self.departed.append(self._stateless.pop(next(iter(self._stateless))).session)
        self._stateless[caller.session] = caller
        return caller

    def relay(
        self,
        caller: Caller,
        pending: Pending,
        to_client: Send,
        to_server: Send,
        named: Callable[[str], None] = lambda _name: None,
    ) -> RelaySession:
        """Return the relay of one client and its server."""
        wiring = SessionContext(
            to_client=to_client,
            to_server=to_server,
            log=self.log,
            named=named,
            call_ids=self._call_ids,
            now_us=now_us,
            ticks=time.monotonic_ns,
            shown=self._shown,
            agent_session=self._agent_sessions.of,
        )
        return RelaySession(self.server.enforcer, caller, wiring, self.limits, pending)

    def marks(self, tool: str) -> bool:
        """Tell whether a tool may mark arguments that go into headers; raises `LedgerError`."""
        return "x-mcp-header" in self.server.enforcer.definition_text(tool)

    def _shown(self, reason: str) -> str:
        """Return a reason as clients on other machines may read it: files without their folders."""
        for place in self._places:
            reason = reason.replace(place, "")
        return reason

    def end_departed(self) -> None:
        """End what was allowed until they left."""
        while self.departed:
            self.server.enforcer.left(self.departed.pop())

    def release_held(self) -> None:
        """Answer every held call: the gateway ends."""
        for held, decision in self._holder.withdraw_all():
            held.release(held, decision)

    def close(self) -> None:
        """Close the ledger and the policy; everybody has left."""
        self.end_departed()
        for session in self._stateless:
            self.server.enforcer.left(session)
        self.server.__exit__(None, None, None)


@dataclass(frozen=True, slots=True)
class RequestContext:
    """One HTTP request that was let in: what it says of itself, by whom, and to which server."""

    headers: Headers
    grant: Grant
    shared: SharedContext
