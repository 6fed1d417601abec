"""A policy file that is followed: an edit counts from the next call.

The file is looked at (one `stat`) on every call, so an edit made by renaming another file over
it counts as well. A broken edit keeps the last good policy and is told in `problem`.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Final

from pktui.errors import PolicyError
from pktui.policy.denied_paths import FILE, DeniedPaths, read_denied
from pktui.policy.document.policy import Policy, parse_policy, read_bytes

# The policy of a server that has no file yet.
INTERIM: Final = b'{"version":"1","description":"there is no file yet","default":"approve"}'
# A file younger than this when read is read again: its next edit may carry the same stamps.
_SETTLED_NS = 50_000_000

_Stamp = tuple[int, int, int, int]


def look(file: str) -> _Stamp | None:
    """Return what differs once a file is another one, None where there is none."""
    try:
        found = os.stat(file)  # noqa: PTH116  a Path costs as much again as the call
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)


def _settled(stamp: _Stamp) -> bool:
    return time.time_ns() - max(stamp[:2]) > _SETTLED_NS


class LiveDenied:
    """A file of denied paths that is followed; `found` is what it says, None where it is not there.

    To be refreshed by one thread at a time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = str(path)
        # Of the file that `found` was read from, None where there was none.
        self._stamp: _Stamp | None = None
        self.found: DeniedPaths | None = None

    def moved(self) -> bool:
        """Tell whether the file is another than `found` was read from."""
        # Most have none, and what is not there is no exception that way.
        there = os.access(self._file, os.F_OK)
        return (look(self._file) if there else None) != self._stamp

    def refresh(self) -> None:
        """Read the file again unless it is as it was."""
        stamp = look(self._file)
        if stamp is None:
            self._stamp = self.found = None
            if self._path.is_symlink():
                self.found = DeniedPaths(problem=f"{self._path} leads to no file.")
        elif stamp != self._stamp or self.found is None:
            try:
                self.found = read_denied(read_bytes(self._path), self._path)
            except PolicyError as error:
                self.found = DeniedPaths(problem=str(error))
            self._stamp = stamp if _settled(stamp) else (0, 0, 0, 0)


class LivePolicy:
    """The policy in force for one file, with the denied paths beside it; usable from any thread.

    `problem` is what is wrong with the file now, or None; `current()` refreshes both.
    """

    def __init__(self, path: Path, denied: Path | None = None) -> None:
        """`denied` is the file of denied paths, where it is not the one beside the policy."""
        self.path = path
        self._file = str(path)
        self._denied = LiveDenied(denied or path.with_name(FILE))
        self.problem: PolicyError | None = None
        self._policy: Policy | None = None
        self._stamp: _Stamp | None = None
        self._raw: bytes | None = None
        self._lock = threading.Lock()
        self.current()

    @property
    def digest(self) -> str:
        """The SHA-256 of the policy in force, in hex; empty where there is none."""
        return self._policy.digest if self._policy else ""

    def current(self) -> Policy | None:
        """Return the policy in force; None where there never was a good one."""
        stamp = look(self._file)
        if stamp is None or stamp != self._stamp or self._denied.moved():
            with self._lock:
                # Put in force at once: nobody sees a policy without its denied paths.
                self._policy = self._denying(self._reload(stamp))
        return self._policy

    def _reload(self, stamp: _Stamp | None) -> Policy | None:
        policy = self._policy
        try:
            raw = read_bytes(self.path)
        except PolicyError as error:
            self._raw, self.problem = None, error
        else:
            if raw != self._raw:
                policy = self._read(raw)
        self._stamp = stamp if stamp is not None and _settled(stamp) else None
        return policy

    def _denying(self, policy: Policy | None) -> Policy | None:
        """Return the policy with the denied paths, read again unless they are as they were."""
        self._denied.refresh()
        denied = self._denied.found
        return policy if policy is None or policy.denied == denied else policy.denying(denied)

    def _read(self, raw: bytes) -> Policy | None:
        """Return the policy that the bytes are, or the last good one."""
        self._raw = raw
        try:
            policy = parse_policy(raw, self.path)
        except PolicyError as error:
            self.problem = error
            return self._policy
        self.problem = None
        return policy
