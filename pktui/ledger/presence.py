"""Which consoles and gateways run now, and which ended without a word."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pktui.ledger.records import PresenceKind, Present

if TYPE_CHECKING:
    from collections.abc import Callable

    from pktui.ledger.database import Database

_COLUMNS = "token, kind, pid, server, agent, project, started_us, detail"


class Presence:
    """The register of running processes, each by its pid and the time that pid was started."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], int],
        elsewhere: Callable[[PresenceKind | None], tuple[Present, ...]] = lambda _kind: (),
    ) -> None:
        """`elsewhere` gives what runs on a team's other machines."""
        self._database = database
        self._clock = clock
        self._elsewhere = elsewhere

    def announce(
        self,
        kind: PresenceKind,
        *,
        server: str = "",
        agent: str = "",
        project: str = "",
        detail: str = "",
        pid: int | None = None,
        token: str = "",
    ) -> str:
        """Say that this process (or `pid`) runs; return the token to update and leave with.

        A `token` that is on record already goes over to the process; said of the same one again,
        it changes nothing.
        """
        token = token or os.urandom(8).hex()
        process = os.getpid() if pid is None else pid
        with self._database.transaction():
            self._database.run(
                f"INSERT INTO presence ({_COLUMNS}, born) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
                " ON CONFLICT DO UPDATE SET pid = excluded.pid, born = excluded.born,"
                " started_us = excluded.started_us"
                " WHERE pid <> excluded.pid OR born <> excluded.born",
                (
                    *(token, kind, process, server, agent, project, self._clock(), detail),
                    process_birth(process) or "",
                ),
            )
        return token

    def update(self, token: str, *, agent: str | None = None, detail: str | None = None) -> bool:
        """Change who is served or what is said of it; False where the token has left."""
        with self._database.transaction():
            return (
                self._database.run(
                    "UPDATE presence SET agent = coalesce(?, agent), detail = coalesce(?, detail)"
                    " WHERE token = ?",
                    (agent, detail, token),
                )
                > 0
            )

    def leave(self, token: str) -> bool:
        """Say that it ends; False where that was said before."""
        with self._database.transaction():
            return self._database.run("DELETE FROM presence WHERE token = ?", (token,)) > 0

    def alive(self, kind: PresenceKind | None = None) -> tuple[Present, ...]:
        """Return what runs now, oldest first; what runs on other machines comes last.

        Consoles that died are removed; gateways are once their calls are settled.
        """
        alive, dead = self._seen(kind)
        gone = [present.token for present in dead if present.kind == "console"]
        if gone and not self._database.read_only:
            with self._database.transaction():
                for token in gone:
                    self.leave(token)
        return alive + self._elsewhere(kind)

    def forget(self, kind: PresenceKind, before_us: int) -> None:
        """Remove what ended, of those that began before then."""
        with self._database.transaction():
            for one in self.dead(kind):
                if one.started_us < before_us:
                    self.leave(one.token)

    def here(self) -> tuple[Present, ...]:
        """Return what runs on this machine now, oldest first."""
        return self._seen(None)[0]

    def dead(self, kind: PresenceKind) -> tuple[Present, ...]:
        """Return what ended without a word, oldest first."""
        return self._seen(kind)[1]

    def _seen(self, kind: PresenceKind | None) -> tuple[tuple[Present, ...], tuple[Present, ...]]:
        rows = self._database.rows(
            f"SELECT {_COLUMNS}, born FROM presence WHERE kind = coalesce(?, kind)"  # noqa: S608
            " ORDER BY started_us, token",
            (kind,),
        )
        births = {pid: process_birth(pid) for pid in {row[2] for row in rows}}
        alive = tuple(Present(*row[:-1]) for row in rows if births[row[2]] == row[-1])
        dead = tuple(Present(*row[:-1]) for row in rows if births[row[2]] != row[-1])
        return alive, dead


def process_birth(pid: int) -> str | None:
    """Return a text that no later process of the same pid shares, or None where none runs."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{pid}/stat").read_bytes()
            state, *fields = stat[stat.rindex(b")") + 2 :].split()
            return None if state in (b"Z", b"X") else fields[18].decode()
        if Path("/proc/self/stat").exists():
            return None
    return _birth_by_ps(pid)


def _birth_by_ps(pid: int) -> str | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    import subprocess

    try:
        answer = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return " ".join(answer.stdout.split()) or None
