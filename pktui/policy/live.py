"""A policy file that is followed: an edit counts from the next call.

The file is looked at (one `stat`) on every call, so an edit made by renaming another file over
it counts as well. A broken edit keeps the last good policy and is told in `problem`.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from pktui.errors import PolicyError
from pktui.policy.denied_paths import FILE, DeniedPaths, read_denied
from pktui.policy.document.policy import Policy, parse_policy, read_bytes

# A file younger than this when read is read again: its next edit may carry the same stamps.
_SETTLED_NS = 50_000_000

_Stamp = tuple[int, int, int, int]


class LivePolicy:
    """The policy in force for one file, with the denied paths beside it; usable from any thread.

    `problem` is what is wrong with the file now, or None; `current()` refreshes both.
    """

    def __init__(self, path: Path, denied: Path | None = None) -> None:
        """`denied` is the file of denied paths, where it is not the one beside the policy."""
        self.path = path
        self._file = str(path)
        self._denied_path = denied or path.with_name(FILE)
        self._denied_file = str(self._denied_path)
        self._denied_stamp: _Stamp | None = None
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
        stamp = _look(self._file)
        # Most have none, and what is not there is no exception that way.
        denied = _look(self._denied_file) if os.access(self._denied_file, os.F_OK) else None
        if stamp is None or stamp != self._stamp or denied != self._denied_stamp:
            with self._lock:
                # Put in force at once: nobody sees a policy without its denied paths.
                self._policy = self._denying(self._reload(stamp), denied)
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
        settled = stamp is not None and time.time_ns() - max(stamp[:2]) > _SETTLED_NS
        self._stamp = stamp if settled else None
        return policy

    def _denying(self, policy: Policy | None, stamp: _Stamp | None) -> Policy | None:
        """Return the policy with the denied paths, read again unless they are as they were."""
        denied = self._policy.denied if self._policy is not None else None
        if stamp is None:
            self._denied_stamp, denied = None, None
            if self._denied_path.is_symlink():
                denied = DeniedPaths(problem=f"{self._denied_path} leads to no file.")
        elif stamp != self._denied_stamp or denied is None:
            try:
                denied = read_denied(read_bytes(self._denied_path), self._denied_path)
            except PolicyError as error:
                denied = DeniedPaths(problem=str(error))
            settled = time.time_ns() - max(stamp[:2]) > _SETTLED_NS
            self._denied_stamp = stamp if settled else (0, 0, 0, 0)
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


def _look(file: str) -> _Stamp | None:
    try:
        found = os.stat(file)  # noqa: PTH116  a Path costs as much again as the call
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
