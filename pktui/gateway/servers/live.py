"""A list of servers that is followed: an edit counts from the next request.

`servers.json` is looked at (one `stat`) each time. A broken edit keeps the last good list.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from pktui.errors import SettingsError
from pktui.gateway.servers.entries import load_servers

if TYPE_CHECKING:
    from pktui.gateway.servers.entries import ServerEntry
    from pktui.settings import Paths

_SETTLED_NS: Final = 50_000_000
"""A file younger than this when read is read again: its next edit may carry the same stamps."""

_Stamp = tuple[int, ...]


class LiveServers:
    """The servers that are configured now; for one thread. `log` takes a sentence."""

    def __init__(
        self, paths: Paths, servers: Mapping[str, ServerEntry], log: Callable[[str], None]
    ) -> None:
        """`servers` are those that are known to begin with."""
        self._paths = paths
        self._servers = servers
        self._log = log
        self._stamp: _Stamp | None = None
        self._problem = ""

    def current(self) -> Mapping[str, ServerEntry]:
        """Return every server by name: the same object until one has changed."""
        stamp = self._look()
        if stamp != self._stamp:
            self._reload()
            settled = not stamp or time.time_ns() - max(stamp[:2]) > _SETTLED_NS
            self._stamp = stamp if settled else None
        return self._servers

    def _look(self) -> _Stamp:
        try:
            found = self._paths.servers_file.stat()
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino

    def _reload(self) -> None:
        problem = ""
        try:
            servers = load_servers(self._paths)
            if servers != self._servers:
                self._servers = servers
        except SettingsError as error:
            problem = f"{error} (the servers stay as they were)"
        if problem and problem != self._problem:
            self._log(problem)
        self._problem = problem
