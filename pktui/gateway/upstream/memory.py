"""The built-in memory as a server: its MCP server is here, what its tools do is in its service.

The service needs seconds to start; it is started when the gateway is, and all but tool calls is
answered meanwhile. Calls are carried to the service by one thread, in the order they came.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from queue import Full, Queue
from typing import TYPE_CHECKING, Final

import msgspec

from pktui import lasting
from pktui.errors import MemoryUnreached, PktuiError
from pktui.gateway.protocol.server_messages import Unanswered
from pktui.memory import mcp_server
from pktui.memory.client import MemoryClient
from pktui.memory.mcp_server import ToolCall

if TYPE_CHECKING:
    from pktui.gateway.upstream.process import Deliver
    from pktui.memory.records import Identity
    from pktui.settings import Paths

# Messages that may wait for the service.
CAPACITY: Final = 1024


class MemoryServer:
    """Pktui's own memory behind the same two functions as a server's process."""

    def __init__(
        self,
        paths: Paths,
        identity: Callable[[], Identity],
        log: Callable[[str], None],
    ) -> None:
        """`identity` tells whom the calls are made for."""
        self._paths = paths
        self._identity = identity
        self._deliver: Deliver = _nowhere
        self._log = log
        self._waiting: Queue[ToolCall | None] = Queue(CAPACITY)
        self._client: tuple[Identity, MemoryClient] | None = None
        self._carrier: threading.Thread | None = None

    def start(self, deliver: Deliver, ended: Callable[[], None]) -> None:
        """Start the service in the background, and the thread that carries messages to it.

        It never ends by itself: a service that went away is started again.
        """
        self._deliver = deliver
        lasting.start("memory-start", self._warm_up, log=self._log)
        self._carrier = lasting.start("memory-calls", self._carry, log=self._log, fatal=ended)

    @property
    def full(self) -> bool:
        """Tell whether so much waits for the service that no more is taken."""
        return self._waiting.full()

    def send(self, *lines: bytes) -> None:
        """Take messages of the client."""
        for line in lines:
            step = mcp_server.respond(msgspec.json.decode(line))
            if isinstance(step, ToolCall):
                try:
                    self._waiting.put_nowait(step)
                except Full:
                    self._fail(step, "too many calls wait for the memory service", sent=False)
            elif step.body:
                self._deliver(step.body)

    def end(self, patience: float) -> int:
        """Wait for the calls that were taken, and stop serving.

        The service itself stays for others until it has been idle.
        """
        with suppress(Full):
            self._waiting.put(None, timeout=patience)
        if self._carrier is not None and self._carrier is not threading.current_thread():
            self._carrier.join(patience)
        return 0

    @property
    def said(self) -> str:
        """Nothing: the service's words are in its own log."""
        return ""

    def _warm_up(self) -> None:
        try:
            with closing(MemoryClient(self._paths, self._identity())) as client:
                client.ensure()
        except PktuiError as error:
            self._log(str(error))

    def _carry(self) -> None:
        while (call := self._waiting.get()) is not None:
            with lasting.Survived("a call of the memory", self._log, partial(self._died, call)):
                self._carry_one(call)
        if self._client is not None:
            self._client[1].close()

    def _carry_one(self, call: ToolCall) -> None:
        try:
            answer = self._client_for(self._identity()).call_tool(call)
        except PktuiError as error:
            self._fail(call, str(error), sent=not isinstance(error, MemoryUnreached))
        else:
            self._deliver(answer)

    def _client_for(self, identity: Identity) -> MemoryClient:
        if self._client is None or self._client[0] != identity:
            if self._client is not None:
                self._client[1].close()
            self._client = (identity, MemoryClient(self._paths, identity))
        return self._client[1]

    def _died(self, call: ToolCall, why: str) -> None:
        self._deliver(Unanswered(call.id, why, sent=True))

    def _fail(self, call: ToolCall, why: str, *, sent: bool) -> None:
        self._log(why)
        self._deliver(Unanswered(call.id, why, sent))


def _nowhere(*_lines: object) -> None:
    """Take the answers that come before anyone listens: there are none."""
