"""One owner a data directory: a lock with the owner's pid, and the socket that goes with it.

The lock is the kernel's (`flock`), so it ends with the process however that ends. What a killed
owner left behind, its pid and its socket, is replaced by the next one, which alone holds the lock.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from pktui.errors import MemoryUnavailable
from pktui.settings import PRIVATE_FILE, check_own_directory, make_private_directory

if TYPE_CHECKING:
    from pktui.settings import Paths

BACKLOG = 128
_ATTEMPTS = 10
_PAUSE_S = 0.05


class Ownership:
    """The lock and the listening socket of a data directory, held until `release`."""

    def __init__(self, paths: Paths, lock: int, listener: socket.socket) -> None:
        self._paths = paths
        self._lock = lock
        self.listener = listener

    @classmethod
    def take(cls, paths: Paths) -> Ownership:
        """Become the owner and listen; raises `MemoryUnavailable` naming the owner there is."""
        make_private_directory(paths.data_dir)
        check_own_directory(make_private_directory(paths.runtime_dir))
        lock = _take_lock(paths)
        try:
            listener = _listen(paths)
        except OSError as error:
            os.close(lock)
            raise MemoryUnavailable(
                f"the socket {paths.memory_socket} cannot be made: {error.strerror or error}",
                "Make its directory writable",
            ) from error
        return cls(paths, lock, listener)

    @property
    def lost(self) -> bool:
        """Tell whether the data directory or its lock file is not the one that was taken."""
        try:
            return not os.path.samestat(self._paths.memory_lock.stat(), os.fstat(self._lock))
        except OSError:
            return True

    def retire(self) -> None:
        """Stop listening, but keep the next owner out; a lost directory is left as it is."""
        self.listener.close()
        if not self.lost:
            self._paths.memory_socket.unlink(missing_ok=True)
            os.ftruncate(self._lock, 0)

    def release(self) -> None:
        """Stop listening and let the next owner in."""
        self.retire()
        os.close(self._lock)


def _take_lock(paths: Paths) -> int:
    try:
        lock = os.open(paths.memory_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    except OSError as error:
        raise MemoryUnavailable(
            f"the lock {paths.memory_lock} cannot be opened: {error.strerror or error}",
            "Make its directory writable, or set PKTUI_DATA_DIR to another place",
        ) from error
    for _ in range(_ATTEMPTS):
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            return lock
        time.sleep(_PAUSE_S)  # a client that looks for an owner holds it for a moment
    owner = os.pread(lock, 20, 0).decode(errors="replace").strip()
    os.close(lock)
    raise MemoryUnavailable(
        f"another memory service (process {owner or 'not known'}) has {paths.data_dir}",
        "Use that one, or end it with pktui memory stop",
    )


def _listen(paths: Paths) -> socket.socket:
    paths.memory_socket.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(paths.memory_socket))
        paths.memory_socket.chmod(PRIVATE_FILE)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener
