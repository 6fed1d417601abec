"""What a gateway has open for one server, and what it gives each session with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from pktui.errors import LedgerError, PolicyError
from pktui.gateway.enforcement.budget import spent_of
from pktui.gateway.enforcement.enforcer import Enforcer
from pktui.gateway.enforcement.policy_file import open_policy
from pktui.ledger.ledger import Ledger
from pktui.ledger.records import Caller
from pktui.policy.selection import EVERYTHING, Selection
from pktui.text import storable
from pktui.times import now_us

if TYPE_CHECKING:
    from pktui.policy.managed import Also
    from pktui.settings import Paths, Settings


class Send(Protocol):
    """Sends lines that belong together, in their order."""

    def __call__(self, *lines: bytes) -> None:
        """Send them; a reader that is gone takes them too."""


class SessionContext(msgspec.Struct, frozen=True):
    """What a session is given besides its Enforcer.

    `ticks` is a monotonic clock in nanoseconds. `log` takes one sentence for the person who runs
    the gateway. `named` is told the client's name once it is known. `shown` makes of a reason what
    the client may read of it. `call_ids` has the ids of this gateway's calls, also of other
    sessions. `agent_session` returns the agent's own session of a call: of its client's name, tool,
    arguments' hash and `_meta`.
    """

    to_client: Send
    to_server: Send
    log: Callable[[str], None]
    named: Callable[[str], None]
    call_ids: Iterator[str]
    now_us: Callable[[], int]
    ticks: Callable[[], int]
    shown: Callable[[str], str] = str
    agent_session: Callable[[str, str, str, Mapping[str, Any]], str] = lambda *_: ""


class ServerContext:
    """The ledger, the policy, the Enforcer and the presence of a gateway before one server.

    Use as a context: it tells the ledger when this gateway starts and ends.

    Raises `PktuiError` where the ledger or the policy's directory cannot be used.
    """

    def __init__(
        self,
        paths: Paths,
        settings: Settings,
        server: str,
        *,
        grant: str,
        policy_file: Path | None,
        log: Callable[[str], None],
        selection: Selection = EVERYTHING,
        starts: Also = str,
    ) -> None:
        """`starts` gives the name that what the server's entry starts has by itself."""
        self._server = server
        self._log = log
        self._ledger = Ledger.open(
            paths.ledger_file, audit=settings.audit, own=True, shared=settings.ledger
        )
        # Keeps other threads out of the ledger until `let_go`; False where it has to be waited for.
        self.claim = self._ledger.transaction.claim
        self.let_go = self._ledger.transaction.lock.release
        self.caller = Caller("", storable(grant), os.urandom(16).hex(), _here())
        rules = settings.server(server)
        named = policy_file or (settings.policy_file(paths, server) if rules.policy else None)
        policy = open_policy(
            *(paths, server, named),
            changed=self._policy_changed,
            selection=selection,
            starts=starts,
        )
        self.policy = policy
        self.enforcer = Enforcer(
            self._ledger,
            policy,
            settings.approvals,
            server,
            clock=self._ledger.clock,
            log=log,
            rules=rules,
            spent=spent_of(paths, settings, self._ledger, now_us),
        )
        self.token = ""
        """What it is known by while it runs, and what the ids of its calls begin with."""
        policy.current()

    def __enter__(self) -> ServerContext:
        self.token = self._ledger.presence.announce(
            "gateway", server=self._server, project=self.caller.project
        )
        self._ledger.events.append(
            "start", caller=self.caller, call_id=self.token, server=self._server
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.enforcer.close()
        self.enforcer.left(self.caller.session)
        try:
            self._ledger.events.append("end", caller=self.caller, server=self._server)
            self._ledger.presence.leave(self.token)
            self._ledger.close()
        except LedgerError as problem:
            self._log(f"the end of this gateway is not on record: {problem}")

    def named(self, agent: str) -> None:
        """Note the client's name."""
        self.caller = msgspec.structs.replace(self.caller, agent=agent)
        try:
            self._ledger.presence.update(self.token, agent=agent)
        except LedgerError as problem:
            self._log(f"the client's name is not on record: {problem}")

    def definition(self, tool: str) -> Mapping[str, Any]:
        """Return a tool as its server last listed it, empty where it never did.

        Raises `LedgerError`.
        """
        seen = self._ledger.catalogue.tool(self._server, tool)
        found = msgspec.json.decode(seen.definition) if seen is not None else None
        return found if isinstance(found, dict) else {}

    def _policy_changed(self, digest: str, problem: PolicyError | None) -> None:
        if problem is not None:
            kept = "the last good policy stays in force" if digest else "every call is denied"
            self._log(f"{problem} ({kept})")
        detail = {"digest": digest, "problem": str(problem) if problem is not None else ""}
        try:
            self._ledger.events.append("policy", server=self._server, detail=detail)
        except LedgerError as trouble:
            self._log(f"a change of the policy is not on record: {trouble}")


def _here() -> str:
    """Return the working directory, which may have gone, and whose name may be no UTF-8."""
    try:
        return storable(os.getcwd())  # noqa: PTH109
    except OSError:
        return ""
