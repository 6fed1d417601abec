"""Who is let in and how much at once, and whose grant has ended meanwhile."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from pktui.errors import LedgerUnavailable
from pktui.gateway.http.errors import Refusal
from pktui.httpserver.guard import REALM, Guard, bearer_token
from pktui.times import now_us

if TYPE_CHECKING:
    from pktui.gateway.http.protocol import Headers
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import Grant

_AGAIN: Final = {"Retry-After": "1"}
# Headers with tokens that are remembered, how long they may be, and hosts.
_TOKENS: Final = 1000
_LONGEST: Final = 1024
_HOSTS: Final = 64


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
        # By the header `Authorization` as it came.
        self._known: dict[bytes, Grant] = {}
        self._known_at: object = None
        # Of requests without `Origin`, the header `Host` as it came.
        self._own_hosts: set[bytes] = set()

    def check_names(self, headers: Headers) -> None:
        """Raise `Refusal` where the request was made for another host, or by a foreign page."""
        host = headers.first.get(b"host", b"")
        alone = not headers.more and b"origin" not in headers.first
        if alone and host in self._own_hosts:
            return
        named = self._guard.refused(headers.getlist("host"), headers.getlist("origin"))
        if named is not None:
            why = f"this {named} is not one of http.allowed_{named}s of pktui"
            raise Refusal(HTTPStatus.FORBIDDEN, why)
        if alone and len(self._own_hosts) < _HOSTS:
            self._own_hosts.add(host)

    def admit(self, headers: Headers) -> Grant:
        """Return the grant of the request's token, or raise `Refusal`."""
        try:
            version = self._version()
        except LedgerUnavailable:
            version = object()  # look it up; whoever decides the call tells what is the matter
        if version != self._known_at or len(self._known) >= _TOKENS:
            self._known.clear()
            self._known_at = version
        given = headers.first.get(b"authorization", b"") if not headers.more else b""
        grant = self._known.get(given)
        if grant is None:
            token = bearer_token(headers.getlist("authorization"))
            if not token:
                raise _unknown("give the token of a grant: Authorization: Bearer …", REALM)
            grant = self._find(token)
        standing = grant.standing(self._clock()) if grant is not None else "unknown"
        if grant is None or standing != "valid":
            why = f"the token is {standing}; pktui grants create makes another"
            raise _unknown(why, f'{REALM}, error="invalid_token"')
        if 0 < len(given) <= _LONGEST:
            self._known[given] = grant
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

    def enter(self, grant: Grant) -> None:
        """Count a request until it leaves; raises `Refusal` (429)."""
        key = grant.key
        if self._requests[key] >= self._most_requests:
            why = f"grant {grant.name} has too many requests under way; see http.max_requests"
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, why, _AGAIN)
        self._requests[key] += 1

    def leave(self, grant: Grant) -> None:
        """Note that a request is over."""
        _lower(self._requests, grant.key, 1)

    @contextmanager
    def request(self, grant: Grant) -> Iterator[Callable[[int], None]]:
        """Count a request while the context lasts; raises `Refusal` (429).

        Yields what is told of each part of its message as it comes, and raises that too.
        """
        key = grant.key
        self.enter(grant)
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
            self.leave(grant)
            _lower(self._bytes, key, taken)


def _lower(counts: Counter[str], key: str, by: int) -> None:
    counts[key] -= by
    if not counts[key]:
        del counts[key]


class GrantWatch:
    """Which of the grants that are served have ended meanwhile, by a person or by their time.

    Safe from several threads. `clock` gives microseconds UTC."""

    def __init__(self, ledger: Ledger, clock: Callable[[], int] = now_us) -> None:
        self._ledger = ledger
        self._clock = clock
        self._lock = threading.Lock()
        # Those that are used here and have not ended, by their keys.
        self._served: dict[str, Grant] = {}
        self._over: set[str] = set()
        self._version: object = None

    def serve(self, grant: Grant) -> bool:
        """Note that a grant is used here; False where it has ended since it was let in."""
        if grant.key not in self._served:
            with self._lock:
                if grant.key in self._over:
                    return False
                self._served[grant.key] = grant
        return True

    def ended(self) -> tuple[str, ...]:
        """Return the keys of those that have ended since; each is told once.

        The ledger is read only where others have written to it. Raises `LedgerUnavailable`.
        """
        version = self._ledger.data_version()
        if version != self._version:
            now = {grant.key: grant for grant in self._ledger.grants.list()}
            with self._lock:
                self._served = {key: now.get(key, grant) for key, grant in self._served.items()}
            self._version = version
        at, served = self._clock(), tuple(self._served.items())
        over = [key for key, grant in served if grant.standing(at) != "valid"]
        if over:
            self._ledger.grants.end_expired()
        with self._lock:
            for key in over:
                del self._served[key]
            self._over.update(over)
        return tuple(over)
