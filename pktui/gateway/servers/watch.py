"""A list of servers that is followed: an edit counts from the next request.

`servers.json` is looked at (one `stat`) each time. A broken edit of an entry keeps the last good
one of that name, and one of the whole file keeps the list.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pktui.gateway.servers.entries import load_servers

if TYPE_CHECKING:
    from pktui.gateway.servers.entries import ServerEntry, Servers
    from pktui.settings import Paths

# A file younger than this when read is read again: its next edit may carry the same stamps.
_SETTLED_NS: Final = 50_000_000

_Stamp = tuple[int, ...]


class LiveServers:
    """The servers that are configured now; for one thread. `log` takes a sentence."""

    def __init__(self, paths: Paths, servers: Servers, log: Callable[[str], None]) -> None:
        """`servers` are those that are known to begin with; what is wrong with them is logged."""
        self._paths = paths
        self._file = str(paths.servers_file)
        self._servers: Mapping[str, ServerEntry] = dict(servers)
        self._log = log
        self._stamp: _Stamp | None = None
        self._told = {str(fault) for fault in servers.faults}
        for sentence in sorted(self._told):
            log(sentence)

    def current(self) -> Mapping[str, ServerEntry]:
        """Return every server by name: the same object until one has changed."""
        stamp: _Stamp = ()
        with suppress(OSError):
            found = os.stat(self._file)  # noqa: PTH116  a Path costs more than the call
            stamp = found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
        if stamp != self._stamp:
            self._reload()
            settled = not stamp or time.time_ns() - max(stamp[:2]) > _SETTLED_NS
            self._stamp = stamp if settled else None
        return self._servers

    def _reload(self) -> None:
        found = load_servers(self._paths)
        servers = dict(found)
        told: set[str] = set()
        for fault in found.faults:
            kept = self._servers.get(fault.name)
            stays = " (it stays as it was)"
            if not found.whole:
                servers, stays = dict(self._servers), " (the servers stay as they were)"
            elif kept is not None and fault.name not in servers:
                servers[fault.name] = kept
            else:
                stays = ""
            told.add(f"{fault}{stays}")
        if servers != self._servers:
            self._servers = servers
        for sentence in sorted(told - self._told):
            self._log(sentence)
        self._told = told
