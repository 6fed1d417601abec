"""Calls of tools that nobody knows yet wait until the server was asked for its list of tools.

The client sees nothing of it: the requests have ids that it cannot guess, and whatever comes under
such an id stays here. What is asked is bounded in time, in pages and in names.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from pktui.gateway.enforcement.decision import ToolCall
    from pktui.gateway.protocol.jsonrpc import Message
    from pktui.gateway.relay.known_tools import ToolList

# The ids of these requests begin with it.
OWN: Final = f"pktui-{os.urandom(16).hex()}-"
SECONDS: Final = 10.0
_MOST_PAGES: Final = 100

Parked = tuple["Message", "ToolCall"]
# Sends a request to the server: its id, its line, the page it asks for, and for which call.
Ask = Callable[[str, bytes, str, "Message"], None]


def is_own(request_id: object) -> bool:
    """Tell whether an id is that of a request of the gateway's own."""
    return isinstance(request_id, str) and request_id.startswith(OWN)


class Lookup:
    """The calls of one relay that wait for a list; safe from several threads.

    `decide` is handed the calls once the list is there, or cannot be had; `forget` the id of a
    request whose answer nobody waits for any more.
    """

    def __init__(
        self,
        tools: ToolList,
        ask: Ask,
        forget: Callable[[str], object],
        decide: Callable[[Sequence[Parked]], None],
    ) -> None:
        self._tools = tools
        self._ask = ask
        self._forget = forget
        self._decide = decide
        self._lock = threading.Lock()
        self._parked: dict[Hashable, Parked] = {}
        self._timer: threading.Timer | None = None
        self._cursors: set[str] = set()
        self._request_id = ""

    def park(self, key: Hashable, message: Message, call: ToolCall) -> None:
        """Keep a call until the list is there; ask for it unless that is under way."""
        with self._lock:
            self._parked[key] = message, call
            if self._timer is not None:
                return
            self._cursors = set()
            self._timer = threading.Timer(SECONDS, self._expire)
            self._timer.daemon = True
            self._timer.start()
        self._send(message, "")

    def withdraw(self, key: Hashable) -> Parked | None:
        """Take a call back before it is decided."""
        with self._lock:
            return self._parked.pop(key, None)

    def page(self, message: Message, next_cursor: str) -> None:
        """Go on after a page that was read; `message` is the call that the list was asked for."""
        if not next_cursor:
            self._finish()
        elif next_cursor in self._cursors or len(self._cursors) >= _MOST_PAGES:
            self.fail("its list of tools does not end")
        else:
            self._send(message, next_cursor)

    def fail(self, why: str) -> None:
        """Decide without the list."""
        self._tools.fail(why)
        self._finish()

    def end(self) -> tuple[Parked, ...]:
        """Take back every call; return them."""
        return self._take_all()

    def _expire(self) -> None:
        self.fail(f"it did not list its tools within {SECONDS:g} seconds")

    def _finish(self) -> None:
        parked = self._take_all()
        if parked:
            self._decide(parked)

    def _take_all(self) -> tuple[Parked, ...]:
        with self._lock:
            parked = tuple(self._parked.values())
            self._parked.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            asked, self._request_id = self._request_id, ""
        if asked:
            self._forget(asked)
        return parked

    def _send(self, message: Message, cursor: str) -> None:
        self._cursors.add(cursor)
        params: dict[str, Any] = {"cursor": cursor} if cursor else {}
        if message.modern:
            params["_meta"] = {k: v for k, v in message.meta.items() if k != "progressToken"}
        self._request_id = request_id = OWN + os.urandom(8).hex()
        members = {"jsonrpc": "2.0", "id": request_id, "method": "tools/list", "params": params}
        self._ask(request_id, msgspec.json.encode(members), cursor, message)
