"""Who is let in, and how much one grant may have under way at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from pktui.errors import LedgerUnavailable
from pktui.gateway.http.errors import Refusal
from pktui.httpserver.guard import REALM, Guard, bearer_token

if TYPE_CHECKING:
    from pktui.gateway.http.protocol import Headers
    from pktui.ledger.records import Grant

_AGAIN: Final = {"Retry-After": "1"}
# Tokens that are remembered.
_TOKENS: Final = 1000


class Authenticator:
    """Checks names, pages and tokens; for one thread."""

    def __init__(
        self,
        guard: Guard,
        find: Callable[[str], Grant | None],
        version: Callable[[], object],
        clock: Callable[[], int],
    ) -> None:
        """`find` looks a token up; what it found counts until `version` changes.

        `clock` gives microseconds UTC.
        """
        self._guard = guard
        self._find = find
        self._version = version
        self._clock = clock
        self._known: dict[str, Grant] = {}
        self._known_at: object = None

    def check_names(self, headers: Headers) -> None:
        """Raise `Refusal` where the request was made for another host, or by a foreign page."""
        named = self._guard.refused(headers.getlist("host"), headers.getlist("origin"))
        if named is not None:
            why = f"this {named} is not one of http.allowed_{named}s of pktui"
            raise Refusal(HTTPStatus.FORBIDDEN, why)

    def admit(self, headers: Headers) -> Grant:
        """Return the grant of the request's token, or raise `Refusal`."""
        token = bearer_token(headers.getlist("authorization"))
        if not token:
            raise _unknown("give the token of a grant: Authorization: Bearer …", REALM)
        grant = self._look_up(token)
        standing = grant.standing(self._clock()) if grant is not None else "unknown"
        if grant is None or standing != "valid":
            why = f"the token is {standing}; pktui grants create makes another"
            raise _unknown(why, f'{REALM}, error="invalid_token"')
        return grant

    def _look_up(self, token: str) -> Grant | None:
        try:
            version = self._version()
        except LedgerUnavailable:
            version = object()  # look it up; whoever decides the call tells what is the matter
        if version != self._known_at or len(self._known) >= _TOKENS:
            self._known.clear()
            self._known_at = version
        grant = self._known.get(token) or self._find(token)
        if grant is not None:
            self._known[token] = grant
        return grant


def _unknown(why: str, challenge: str) -> Refusal:
    return Refusal(HTTPStatus.UNAUTHORIZED, why, {"WWW-Authenticate": challenge})


class Admission:
    """Counts what is under way, for one thread."""

    def __init__(self, most_requests: int, most_bytes: int) -> None:
        """Both are for each grant; one message alone may be larger than `most_bytes`."""
        self._most_requests = most_requests
        self._most_bytes = most_bytes
        self._requests: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def enter(self, grant: Grant) -> Callable[[], None]:
        """Count a request; return what ends that. Raises `Refusal` (429)."""
        key = grant.key
        if self._requests[key] >= self._most_requests:
            why = f"grant {grant.name} has too many requests under way; see http.max_requests"
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, why, _AGAIN)
        self._requests[key] += 1
        return lambda: _lower(self._requests, key, 1)

    @contextmanager
    def request(self, grant: Grant) -> Iterator[Callable[[int], None]]:
        """Count a request while the context lasts; raises `Refusal` (429).

        Yields what is told of each part of its message as it comes, and raises that too.
        """
        key = grant.key
        leave = self.enter(grant)
        taken = 0

        def take(size: int) -> None:
            nonlocal taken
            if self._bytes[key] > taken and self._bytes[key] + size > self._most_bytes:
                why = (
                    f"the messages that grant {grant.name} has under way are larger than"
                    f" {self._most_bytes} bytes together; send it again when some are answered"
                )
                close = {**_AGAIN, "Connection": "close"}
                raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, why, close)
            self._bytes[key] += size
            taken += size

        try:
            yield take
        finally:
            leave()
            _lower(self._bytes, key, taken)


def _lower(counts: Counter[str], key: str, by: int) -> None:
    counts[key] -= by
    if not counts[key]:
        del counts[key]
