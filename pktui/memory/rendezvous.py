"""Where a data directory's memory service is met: an address that stands beside its lock.

The path of a socket is short, so the socket may lie elsewhere, and where depends on what the
service found when it started. Clients have other environments than it: all they need agree on is
the data directory, where the owner of the lock writes the address.
"""

from __future__ import annotations

import hashlib
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from pktui import __version__
from pktui.errors import MemoryUnreached, SettingsError
from pktui.files import check_own_directory, replacing

if TYPE_CHECKING:
    from pktui.settings import Paths

# Bytes; the kernel takes 103 (macOS) to 107 (Linux) in the address of a Unix socket.
SOCKET_PATH_LIMIT = 100
SOCKET = "memory.sock"

_LONGEST_BYTES = 4096
_OTHERS_WRITE = 0o022

State = Literal["starting", "listening", "ending"]


class Meeting(msgspec.Struct, frozen=True):
    """What the owner of a data directory says of itself.

    `socket` is a percent-encoded path, relative to the data directory where it lies in it, "" until
    it listens. An owner that is "ending" takes no more requests.
    """

    pid: int
    state: State
    socket: str = ""
    version: str = __version__


def write(paths: Paths, meeting: Meeting) -> None:
    """Say it in place of what was said before; raises `OSError`."""
    with replacing(paths.memory_address, sync=False, one_writer=True) as writer:
        writer.write(msgspec.json.encode(meeting))


def read(paths: Paths) -> Meeting | None:
    """Return what the last owner said, None where there is nothing that can be read.

    Raises `SettingsError` where others could have written it.
    """
    file = paths.memory_address
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(
            f"{file} cannot be read: {error.strerror or error}", "Check its owner and mode"
        ) from error
    with os.fdopen(descriptor, "rb") as reader:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise SettingsError(f"{file} is no file", f"Move {file} away")
        if found.st_uid != os.getuid() or found.st_mode & _OTHERS_WRITE:
            raise SettingsError(
                f"{file} could be another user's (uid {found.st_uid}, "
                f"mode {stat.S_IMODE(found.st_mode):04o})",
                "Remove it, or set PKTUI_DATA_DIR to a directory of your own",
            )
        raw = reader.read(_LONGEST_BYTES)
    with suppress(msgspec.MsgspecError):
        return msgspec.json.decode(raw, type=Meeting)
    return None


def socket_of(paths: Paths, meeting: Meeting) -> Path:
    """Return the path of its socket."""
    return paths.data_dir / os.fsdecode(unquote_to_bytes(meeting.socket))


def socket_name(paths: Paths, path: Path) -> str:
    """Return the path as a `Meeting` has it."""
    near = path.relative_to(paths.data_dir) if path.is_relative_to(paths.data_dir) else path
    return quote_from_bytes(os.fsencode(near), safe="/ ")


def connect(paths: Paths, timeout: float) -> socket.socket:
    """Return a connection to the service that listens.

    Raises `FileNotFoundError` or `ConnectionRefusedError` where none does, `MemoryUnreached` where
    it was stopped, `SettingsError` where the way there leads through what others made.
    """
    meeting = read(paths)
    if meeting is None or not meeting.socket:
        raise FileNotFoundError
    path = socket_of(paths, meeting)
    check_own_directory(path.parent)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        connection.connect(os.fsencode(path))
    except BaseException:
        connection.close()
        raise
    if _is_stopped(meeting.pid):
        connection.close()
        raise MemoryUnreached(
            f"the memory service (process {meeting.pid}) was stopped (ctrl+z, SIGSTOP)",
            f"Let it go on with kill -CONT {meeting.pid}, or end it with pktui memory stop",
        )
    return connection


def _is_stopped(pid: int) -> bool:
    """Tell whether the process is: the system takes connections for it all the same."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2][1:2] == b"T"
    except OSError:
        return False


def listens(paths: Paths) -> bool:
    """Tell whether a service takes connections; raises `SettingsError`, `MemoryUnreached`."""
    try:
        connect(paths, timeout=1).close()
    except OSError:
        return False
    return True


def socket_directories(paths: Paths) -> Iterator[Path]:
    """Yield where an owner may have its socket, the best first: the first that will do is taken.

    The data directory's file system may know no sockets, or its path may be too long. Another user
    may have been first at a name in the temporary directory, but not at all of them.
    """
    yield paths.data_dir / "run"
    key = hashlib.sha256(os.fsencode(paths.data_dir.resolve())).hexdigest()[:12]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_absolute() and Path(runtime).is_dir():
        yield Path(runtime) / "pktui" / key
    import tempfile

    mine = f"pktui-{os.getuid()}"
    yield Path(tempfile.gettempdir()) / mine / key
    yield Path("/tmp") / mine / key  # noqa: S108  owner and mode are checked
    yield Path(tempfile.mkdtemp(prefix=f"{mine}-", dir="/tmp"))


def clear(paths: Paths) -> None:
    """Remove the address and the socket it names; for the holder of the lock."""
    with suppress(SettingsError, OSError):
        meeting = read(paths)
        if meeting is not None and meeting.socket:
            path = socket_of(paths, meeting)
            check_own_directory(path.parent)
            if stat.S_ISSOCK(path.lstat().st_mode):
                path.unlink()
            if path.parent.parent != paths.data_dir:
                path.parent.rmdir()
    with suppress(OSError):
        paths.memory_address.unlink()
