"""What is kept of an agent's session from one of its hooks to the next, in small files."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pktui.files import make_directories, open_private

if TYPE_CHECKING:
    from pktui.settings import Paths

# Bytes of a file that are read: a directory's name, or the ids of calls under way.
_MOST_BYTES = 64 * 1024
# A session of which nothing was seen for so long has ended, though no hook said so.
_LASTS_S = 30 * 24 * 3600.0


class SessionState:
    """Where the session began, and its calls under way; raises `OSError`."""

    def __init__(self, paths: Paths, agent: str, session: str) -> None:
        self._directory = paths.data_dir / "agents"
        self._seen = paths.agent_seen_file(agent)
        self._session = session
        self._stem = f"{agent}-{_digest(session)}"

    def seen(self) -> None:
        """Note that a hook of the agent ran just now."""
        make_directories(self._directory)
        os.close(open_private(self._seen, os.O_WRONLY))
        os.utime(self._seen)

    def sweep(self) -> None:
        """Remove what is kept of sessions that ended without a word: nothing was seen of them."""
        oldest = time.time() - _LASTS_S
        for file in self._directory.glob("*.*"):
            with suppress(FileNotFoundError):
                if file.suffix != self._seen.suffix and file.stat().st_mtime < oldest:
                    file.unlink()

    def project(self, directory: str) -> str:
        """Return the directory that the session began in, which is `directory` the first time."""
        if not self._session:
            return directory
        file = self._file("project")
        make_directories(self._directory)
        try:
            descriptor = open_private(file, os.O_WRONLY | os.O_EXCL)
        except FileExistsError:
            os.utime(file)
            return _read(file) or directory
        with os.fdopen(descriptor, "wb") as written:
            written.write(directory.encode(errors="surrogateescape"))
        return directory

    def opened(self, call: str, call_id: str) -> None:
        """Note the id that a call got here; `call` is what tells it from others."""
        descriptor = open_private(self._file(_digest(call)), os.O_WRONLY | os.O_APPEND)
        with os.fdopen(descriptor, "wb") as written:
            written.write(f"{call_id}\n".encode())

    def closed(self, call: str) -> str:
        """Return the id of the oldest such call under way, empty where none is known."""
        file = self._file(_digest(call))
        first, _, rest = _read(file).partition("\n")
        if rest:
            file.write_text(rest)
        else:
            file.unlink(missing_ok=True)
        return first

    def forget(self) -> None:
        """Remove all of it: the session has ended, and may go on in another directory."""
        for file in self._directory.glob(f"{self._stem}.*"):
            file.unlink(missing_ok=True)

    def _file(self, what: str) -> Path:
        return self._directory / f"{self._stem}.{what}"


def _read(file: Path) -> str:
    try:
        with file.open("rb") as kept:
            return kept.read(_MOST_BYTES).decode(errors="surrogateescape")
    except FileNotFoundError:
        return ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:24]
