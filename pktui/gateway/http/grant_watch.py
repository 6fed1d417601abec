"""Which of the grants that are served have ended meanwhile, by a person or by their time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from pktui.times import now_us

if TYPE_CHECKING:
    from collections.abc import Callable

    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import Grant


class GrantWatch:
    """Safe from several threads. `clock` gives microseconds UTC."""

    def __init__(self, ledger: Ledger, clock: Callable[[], int] = now_us) -> None:
        self._ledger = ledger
        self._clock = clock
        self._lock = threading.Lock()
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
        at = self._clock()
        over = [key for key, grant in self._served.items() if grant.standing(at) != "valid"]
        if over:
            self._ledger.grants.end_expired()
        with self._lock:
            for key in over:
                del self._served[key]
            self._over.update(over)
        return tuple(over)
