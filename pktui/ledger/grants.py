"""Grants: who may reach which servers over HTTP, known by a bearer token.

Only a token's SHA-256 is kept. It is looked up by the hash's first bytes, which nobody can steer,
and compared whole in constant time. A revoked grant keeps its row, so that a request that still
carries its token can be named in the log; its name can be given again.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.errors import GrantError
from pktui.ledger.records import Caller, Grant
from pktui.settings import check_server_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pktui.ledger.events import Events
    from pktui.ledger.transaction import Deciding, Row

PREFIX: Final = "pktui_"
EVERY_SERVER: Final = "*"

_TOKEN_BYTES: Final = 32
_KEY_BYTES: Final = 8
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_STORED: Final = "name, servers, policy, created_us, expires_us, revoked_us"
_COLUMNS: Final = f"{_STORED}, key, project"
_LIST: Final = "List them with: pktui grants list"


class Grants:
    """Makes, finds and revokes grants.

    `ended` is told the identity of a grant that has ended, in the same transaction;
    `stands` tells whether a row is as the journal says; `random_bytes` draws a token's bytes.
    """

    def __init__(
        self,
        database: Deciding,
        events: Events,
        clock: Callable[[], int],
        ended: Callable[[str], object],
        stands: Callable[[str, bytes], bool],
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._database = database
        self._events = events
        self._clock = clock
        self._ended = ended
        self._stands = stands
        self._random_bytes = random_bytes

    def create(
        self,
        name: str,
        servers: Sequence[str],
        policy: str = "",
        expires_us: int = 0,
        *,
        project: str = "",
        by: str = "",
    ) -> tuple[Grant, str]:
        """Make a grant and return it with its token, which nothing can tell again.

        `servers` are names, or `*` for all; `policy` is a file used instead of the servers' own;
        `expires_us` 0 means never; `project` is the directory its clients work in. Raises
        `GrantError` where the name cannot be used or a grant that stands has it, or the time has
        passed; `SettingsError` for a server's name; `LedgerUnavailable`.
        """
        _check(name, servers)
        secret = self._random_bytes(_TOKEN_BYTES)
        token = PREFIX + base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
        digest = _digest(token)
        with self._database.transaction():
            now = self._clock()
            if expires_us and expires_us <= now:
                raise GrantError(f"grant {name} would have expired already", "Give a later time")
            self._make_room(name, now)
            key = digest[:_KEY_BYTES]
            opened = tuple(dict.fromkeys(servers))
            grant = Grant(name, opened, policy, now, expires_us, key=key.hex(), project=project)
            self._database.run(
                f"INSERT INTO grants (key, digest, {_STORED}, project)"  # noqa: S608
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(key, digest, name, _encoded(grant.servers)),
                    *(policy, now, expires_us, 0, project),
                ),
            )
            self._record(grant, digest, "created", self._database.signed(by))
        return grant, token

    def find(self, token: str) -> Grant | None:
        """Return the grant of a token, also one that has expired or was revoked, or None."""
        digest = _digest(token)
        found: Row | None = None
        for row in self._database.rows(
            f"SELECT digest, {_COLUMNS} FROM grants WHERE key = ?",  # noqa: S608
            (digest[:_KEY_BYTES],),
        ):
            if compare_digest(row[0], digest) and self._stands("grants", digest):
                found = row[1:]
        return _grant(found) if found else None

    def list(self) -> tuple[Grant, ...]:
        """Return every grant there ever was, oldest first."""
        rows = self._database.rows(f"SELECT {_COLUMNS} FROM grants ORDER BY n")  # noqa: S608
        return tuple(map(_grant, rows))

    def revoke(self, name: str, *, by: str = "") -> Grant:
        """End a grant from the next request on; raises `GrantError` where none of that name is."""
        with self._database.transaction():
            held = self._held(name)
            if held is None:
                before = self._database.row("SELECT 1 FROM grants WHERE name = ?", (name,))
                what = f"grant {name} was revoked before" if before else f"there is no grant {name}"
                raise GrantError(what, _LIST)
            return self._revoke(*held, self._database.signed(by))

    def end_expired(self) -> None:
        """Take back what clients of grants were given whose time has passed."""
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM grants"  # noqa: S608
            " WHERE revoked_us = 0 AND expires_us > 0 AND expires_us <= ?",
            (self._clock(),),
        )
        for grant in map(_grant, rows):
            with self._database.transaction():
                self._ended(grant.identity)

    def stands(self, key: str) -> bool:
        """Tell whether the grant of that key counts now."""
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM grants WHERE key = ?",  # noqa: S608
            (bytes.fromhex(key),),
        )
        return any(_grant(row).standing(self._clock()) == "valid" for row in rows)

    def identified(self, caller: Caller) -> Caller:
        """Return a caller of a grant's name with the key of the grant that has the name now."""
        held = self._held(caller.grant)
        return caller if held is None else msgspec.structs.replace(caller, key=held[0].key)

    def _make_room(self, name: str, now: int) -> None:
        """Retire an expired grant of the name; raise where one that stands has it."""
        held = self._held(name)
        if held is None:
            return
        if held[0].standing(now) == "valid":
            raise GrantError(
                f"there is a grant {name} already",
                f"Take another name, or end that one with: pktui grants revoke {name}",
            )
        self._revoke(*held, "its successor")

    def _held(self, name: str) -> tuple[Grant, bytes] | None:
        """Return the grant that has the name now, and its token's hash."""
        row = self._database.row(
            f"SELECT {_COLUMNS}, digest FROM grants WHERE name = ? AND revoked_us = 0",  # noqa: S608
            (name,),
        )
        return (_grant(row[:-1]), row[-1]) if row else None

    def _revoke(self, grant: Grant, digest: bytes, by: str) -> Grant:
        now = self._clock()
        self._database.run(
            "UPDATE grants SET revoked_us = ? WHERE name = ? AND revoked_us = 0", (now, grant.name)
        )
        revoked = msgspec.structs.replace(grant, revoked_us=now)
        self._record(revoked, digest, "revoked", by)
        self._ended(grant.identity)
        return revoked

    def _record(self, grant: Grant, digest: bytes, effect: str, by: str) -> None:
        self._events.append(
            "grant",
            caller=Caller(grant=grant.name),
            effect=effect,
            detail={
                "sha256": digest.hex(),
                "servers": grant.servers,
                "policy": grant.policy,
                "project": grant.project,
                "expires_us": grant.expires_us,
                "by": by,
            },
            row=("grants", digest),
        )


def _check(name: str, servers: Sequence[str]) -> None:
    if not _NAME.fullmatch(name):
        raise GrantError(
            f"{name!r} cannot be the name of a grant",
            "Use at most 64 letters, digits, and . _ @ -, a letter or digit first",
        )
    if not servers:
        raise GrantError(f"grant {name} opens no server", "Name each, or * for all")
    for server in servers:
        if server != EVERY_SERVER:
            check_server_name(server)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "backslashreplace")).digest()


def _encoded(servers: Sequence[str]) -> str:
    return msgspec.json.encode(servers).decode()


def _grant(row: Row) -> Grant:
    name, servers, policy, created_us, expires_us, revoked_us, key, project = row
    opened = tuple(msgspec.json.decode(servers, type=list[str]))
    return Grant(name, opened, policy, created_us, expires_us, revoked_us, key.hex(), project)
