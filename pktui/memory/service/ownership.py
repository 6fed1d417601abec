"""One owner a data directory: a lock with the owner's pid, and the address that it is met at.

The lock is the kernel's (`flock`), so it ends with the process however that ends. What a killed
owner left behind, its pid, its address and its socket, is replaced by the next one, which alone
holds the lock.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pktui import files
from pktui.errors import MemoryUnavailable, SettingsError, StoreError
from pktui.files import PRIVATE_FILE, check_own_directory, make_private_directory, open_private
from pktui.memory import rendezvous
from pktui.memory.rendezvous import Meeting, State

if TYPE_CHECKING:
    from pktui.settings import Paths

BACKLOG = 128
# A client that looks for an owner holds the lock for a moment.
_PATIENCE_S = 0.5


class Ownership:
    """The lock and the listening socket of a data directory, held until `release`."""

    def __init__(self, paths: Paths, lock: int) -> None:
        self._paths = paths
        self._lock = lock
        self._lock_file = paths.memory_lock
        rendezvous.clear(paths)
        self._say("starting")
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self.listener, self.socket = _listen(paths)
        self._socket_stat = self.socket.lstat()
        self._say("listening")

    @classmethod
    def take(cls, paths: Paths) -> Ownership:
        """Become the owner and listen; raises `MemoryUnavailable` naming the owner there is."""
        make_private_directory(paths.data_dir)
        lock = _take_lock(paths)
        try:
            return cls(paths, lock)
        except OSError as error:
            os.close(lock)
            raise MemoryUnavailable(
                f"the address {paths.memory_address} cannot be written: {error.strerror or error}",
                "Make its directory writable",
            ) from error
        except BaseException:
            os.close(lock)
            raise

    @property
    def lost(self) -> bool:
        """Tell whether the data directory or its lock file is not the one that was taken."""
        try:
            return not os.path.samestat(self._lock_file.stat(), os.fstat(self._lock))
        except OSError:
            return True

    def check(self) -> None:
        """Raise `StoreError` where nothing may be written any more."""
        if self.lost:
            raise StoreError(f"the data directory {self._paths.data_dir} is gone", "Ask again")

    @property
    def unreachable(self) -> bool:
        """Tell whether its socket was removed or replaced, so that no new client comes in."""
        try:
            return not os.path.samestat(self.socket.lstat(), self._socket_stat)
        except OSError:
            return True

    def end(self) -> None:
        """Say that no more requests are taken: clients wait for the next owner, and start one."""
        if not self.lost:
            with suppress(OSError):  # who cannot be told waits a moment in vain
                self._say("ending")

    def retire(self) -> None:
        """Stop listening, but keep the next owner out; a lost directory is left as it is."""
        self.listener.close()
        if not self.lost:
            rendezvous.clear(self._paths)
            os.ftruncate(self._lock, 0)

    def release(self) -> None:
        """Stop listening and let the next owner in."""
        self.retire()
        os.close(self._lock)

    def _say(self, state: State) -> None:
        name = "" if state == "starting" else rendezvous.socket_name(self._paths, self.socket)
        rendezvous.write(self._paths, Meeting(os.getpid(), state, name))


def _take_lock(paths: Paths) -> int:
    try:
        lock = open_private(paths.memory_lock, os.O_RDWR)
    except OSError as error:
        raise MemoryUnavailable(
            f"the lock {paths.memory_lock} cannot be opened: {error.strerror or error}",
            "Make its directory writable, or set PKTUI_DATA_DIR to another place",
        ) from error
    if files.lock(lock, seconds=_PATIENCE_S):
        os.ftruncate(lock, 0)
        return lock
    owner = os.pread(lock, 20, 0).decode(errors="replace").strip()
    os.close(lock)
    raise MemoryUnavailable(
        f"another memory service (process {owner or 'not known'}) has {paths.data_dir}",
        "Use that one, or end it with pktui memory stop",
    )


def _listen(paths: Paths) -> tuple[socket.socket, Path]:
    """Listen in the first directory that will do; raises `MemoryUnavailable` where none does."""
    refusals = []
    for directory in rendezvous.socket_directories(paths):
        path = directory / rendezvous.SOCKET
        if len(os.fsencode(path)) > rendezvous.SOCKET_PATH_LIMIT:
            refusals.append(f"{directory}: its path is too long")
            continue
        try:
            check_own_directory(make_private_directory(directory))
            return _bound(path), path
        except (SettingsError, OSError) as error:
            refusals.append(f"{directory}: {error}")
    raise MemoryUnavailable(
        f"no directory takes the memory's socket: {'; '.join(refusals)}",
        "Make one of them writable, and yours alone",
    )


def _bound(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(os.fsencode(path))
        path.chmod(PRIVATE_FILE)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener
