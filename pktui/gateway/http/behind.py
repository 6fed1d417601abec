"""The servers that are configured, and what stands behind each; an edit counts at once.

Sessions that are open when their server's entry changes keep what they began with until they end.
Those of a server that was taken out, or disabled, end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pktui.gateway.http.backend import Backend
    from pktui.gateway.http.client_sessions import Sessions
    from pktui.gateway.servers.entries import ServerEntry
    from pktui.gateway.servers.watch import LiveServers


class Behind:
    """For one thread. `make` raises `PktuiError` for an entry that cannot be used."""

    def __init__(
        self, servers: LiveServers, sessions: Sessions, make: Callable[[ServerEntry], Backend]
    ) -> None:
        self._servers = servers
        self._sessions = sessions
        self._make = make
        self._entries = servers.current()
        self._made: dict[str, tuple[ServerEntry, Backend]] = {}
        self._retired: list[Backend] = []

    def entry(self, name: str) -> ServerEntry | None:
        """Return the entry of a server as it is now; None where there is none in use."""
        entries = self._servers.current()
        if entries is not self._entries:
            self._entries = entries
            self._retire()
        return self._usable(name)

    def backend(self, entry: ServerEntry) -> Backend:
        """Return what stands behind a server; raises `PktuiError`."""
        if entry.name not in self._made:
            self._made[entry.name] = entry, self._make(entry)
        return self._made[entry.name][1]

    async def sweep(self, in_use: Collection[Backend]) -> None:
        """End what nobody uses; `in_use` has requests under way."""
        busy = {*in_use, *(session.server for session in self._sessions.every())}
        left = [backend for backend in self._retired if backend not in busy]
        self._retired = [backend for backend in self._retired if backend in busy]
        await asyncio.gather(*(backend.close() for backend in left))
        await asyncio.gather(*(backend.sweep() for backend in self._all()))

    async def end_grant(self, key: str) -> None:
        """End what was started for a grant, whose sessions have ended."""
        await asyncio.gather(*(backend.end_grant(key) for backend in self._all()))

    async def close(self) -> None:
        """End everything."""
        await asyncio.gather(*(backend.close() for backend in self._all()))

    def _usable(self, name: str) -> ServerEntry | None:
        entry = self._entries.get(name)
        return entry if entry is not None and not entry.disabled else None

    def _retire(self) -> None:
        for name, (entry, backend) in tuple(self._made.items()):
            now = self._usable(name)
            if now != entry:
                del self._made[name]
                self._retired.append(backend)
            if now is None:
                for session in self._sessions.every():
                    if session.key[0] == name:
                        self._sessions.forget(session)

    def _all(self) -> list[Backend]:
        return [*(backend for _, backend in self._made.values()), *self._retired]
