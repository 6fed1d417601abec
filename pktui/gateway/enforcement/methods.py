"""Everything that is asked for besides tool calls: counted, and denied where it is switched off.

The methods that carry content or reach a person are on record one by one; all are counted. On the
older protocols a server asks its client with a request; since 2026-07-28 it answers a request with
`inputRequests`, and 2025-11-25 has an error (-32042) that asks for visits to URLs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui.errors import LedgerError
from pktui.settings import SWITCHABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import Caller

SAMPLING: Final = "sampling/createMessage"
ELICITATION: Final = "elicitation/create"
# What requests of methods that no protocol knows are counted under.
OTHERS: Final = "(others)"
_FROM_SERVER: Final = frozenset({SAMPLING, ELICITATION})
_COUNTED: Final = frozenset(
    (
        *SWITCHABLE,
        *("initialize", "server/discover", "ping", "logging/setLevel", "tools/list", "roots/list"),
        *("resources/list", "resources/templates/list", "prompts/list"),
        *("resources/subscribe", "resources/unsubscribe", "subscriptions/listen"),
        *("tasks/get", "tasks/list", "tasks/result", "tasks/update", "tasks/cancel"),
    )
)
_ASKING: Final = (SAMPLING.encode(), ELICITATION.encode(), b'"elicitations"')
# How a letter or a slash of those may be written else.
_ESCAPES: Final = (b"\\u00", b"\\/")


class Ask(msgspec.Struct, frozen=True):
    """One thing that a server asks of its client."""

    method: str
    params: Mapping[str, Any]


class Methods:
    """The requests of one gateway that are no tool calls. Safe from several threads."""

    def __init__(
        self, ledger: Ledger, server: str, denied: frozenset[str], log: Callable[[str], None]
    ) -> None:
        """`denied`: the methods that are switched off for this server."""
        self._ledger = ledger
        self._server = server
        self._denied = denied
        self._log = log
        self._guarded = sorted(denied & _FROM_SERVER)
        # A message that holds none of these asks nothing of the client.
        self._asking = (*_ASKING, *(_ESCAPES if self._guarded else ()))

    def take(self, caller: Caller, method: str, params: Mapping[str, Any]) -> str:
        """Count a request, put it on record; return why it is denied, empty where it passes."""
        denied = method in self._denied
        try:
            self._note(caller, method, params, denied=denied)
        except LedgerError as error:
            self._log(f"a request of {method} is not on record: {error}")
            return f"it could not be put on record: {error}" if method in SWITCHABLE else ""
        return f"{method} is switched off for server {self._server} in pktui" if denied else ""

    def asked_of_client(self, line: bytes) -> tuple[Ask, ...]:
        """Return what a server's message asks of the client: sampling, elicitation.

        Where one of them is switched off, a message is read as the laxest client would, escaped
        letters and slashes included, and one that cannot be read counts as asking for it.
        """
        if max(map(line.find, self._asking)) < 0:
            return ()
        try:
            return tuple(_asks(json.loads(line, object_pairs_hook=_Members)))
        except (ValueError, RecursionError):
            return tuple(Ask(method, {}) for method in self._guarded)

    def _note(
        self, caller: Caller, method: str, params: Mapping[str, Any], *, denied: bool
    ) -> None:
        with self._ledger.transaction():
            counted = method if method in _COUNTED else OTHERS
            self._ledger.requests.count(self._server, counted, denied=denied)
            if method in SWITCHABLE:
                self._ledger.events.append(
                    "request",
                    caller=caller,
                    server=self._server,
                    tool=method,
                    effect="deny" if denied else "allow",
                    rule="(methods)" if denied else "",
                    arguments=params,
                )


class _Members(dict[str, Any]):
    """An object as read by whoever ignores case and keeps each of several equal names."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs

    def all(self, name: str) -> Iterator[Any]:
        """Yield the value of every member that may be read under that name."""
        return (value for key, value in self.pairs if key.casefold() == name)


def _asks(message: Any) -> Iterator[Ask]:
    if not isinstance(message, _Members):
        return
    yield from _request(message)
    for place in ("result", "params"):
        for holder in _inside(message, place):
            yield from _inputs(holder)
            for task in _inside(holder, "task"):
                yield from _inputs(task)
    for error in _inside(message, "error"):
        for data in _inside(error, "data"):
            if any(True for _ in data.all("elicitations")):
                yield Ask(ELICITATION, data)


def _inputs(holder: _Members) -> Iterator[Ask]:
    for requests in _inside(holder, "inputrequests"):
        for _, request in requests.pairs:
            if isinstance(request, _Members):
                yield from _request(request)


def _request(message: _Members) -> Iterator[Ask]:
    for method in message.all("method"):
        if isinstance(method, str) and method in _FROM_SERVER:
            yield Ask(method, next(_inside(message, "params"), _Members([])))


def _inside(holder: _Members, name: str) -> Iterator[_Members]:
    return (value for value in holder.all(name) if isinstance(value, _Members))
