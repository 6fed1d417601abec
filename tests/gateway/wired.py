"""A relay whose two ends are lists: what went to the server, and what went to the client."""

from __future__ import annotations

import itertools
import json
import threading
import time
from typing import TYPE_CHECKING, Any

from pktui.gateway.protocol.jsonrpc import Limits
from pktui.gateway.relay.held_calls import Pace
from pktui.gateway.relay.in_flight import Pending
from pktui.gateway.relay.relay_session import RelaySession
from pktui.gateway.relay.server_context import SessionContext
from tests.gateway.conftest import CALLER, House

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PATIENCE = 60.0
TOOLS = ("echo", "write", "secret", "danger", "ask", "asked", "few", "docs", "fail", "pay", "fine")


class Mailbox:
    """Lines in the order they came; waits for the next one."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._came = threading.Condition()
        self._read = 0

    def put(self, *lines: bytes) -> None:
        with self._came:
            self.lines += lines
            self._came.notify_all()

    def next(self) -> Any:
        """Return the next line, decoded; fails where none comes."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.lines) > self._read, PATIENCE)
            self._read += 1
            return json.loads(self.lines[self._read - 1])

    def until(self, wanted: Callable[[Any], bool]) -> Any:
        """Return the first line that is wanted, passing over others."""
        while True:
            if wanted(found := self.next()):
                return found


class Wired:
    """A relay over a house's Enforcer, driven by hand."""

    def __init__(
        self,
        house: House,
        pace: Pace | None = None,
        limits: Limits | None = None,
        client: Mailbox | None = None,
        lists: Sequence[str] | None = TOOLS,
        agent_session: Callable[[str, str, str, Mapping[str, Any]], str] = lambda *_: "",
    ) -> None:
        """`lists` are the tools that the server has listed on this connection; None: not yet."""
        self.house = house
        self.client = client or Mailbox()
        self.server = Mailbox()
        self.names: list[str] = []
        self.pending = Pending.of(house.enforcer, pace or Pace(), time.monotonic_ns)
        if lists is not None:
            self.pending.tools.page(lists, cursor="", next_cursor="")
        self.relay = RelaySession(
            house.enforcer,
            CALLER,
            SessionContext(
                to_client=self.client.put,
                to_server=self.server.put,
                log=house.said.append,
                named=self.names.append,
                call_ids=map("id-{}".format, itertools.count(1)),
                now_us=house.clock,
                ticks=time.monotonic_ns,
                agent_session=agent_session,
            ),
            limits or Limits(),
            self.pending,
        )

    def request(self, method: str, params: Any = None, *, request_id: Any = 1) -> bytes:
        """Send a request of the client and return its line."""
        message = {"jsonrpc": "2.0", "id": request_id, "method": method}
        line = json.dumps(message if params is None else {**message, "params": params}).encode()
        self.relay.from_client(line)
        return line

    def call(
        self, tool: str, arguments: Any = None, *, request_id: Any = 1, **params: Any
    ) -> bytes:
        """Call a tool and return the line."""
        given = {"name": tool, "arguments": arguments or {}, **params}
        return self.request("tools/call", given, request_id=request_id)

    def answer(self, request_id: Any = 1, **members: Any) -> bytes:
        """Send the server's answer and return its line."""
        line = json.dumps({"jsonrpc": "2.0", "id": request_id, **members}).encode()
        self.relay.from_server(line)
        return line
