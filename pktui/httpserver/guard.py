"""Who may come in: by which name they call, from which page, with which token.

Names are checked because a stranger's page can make a browser send requests to a name that resolves
here (DNS rebinding; MCP, Streamable HTTP, "Security").
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final, Literal
from urllib.parse import urlsplit

REALM: Final = 'Bearer realm="pktui"'
LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
_SCHEMES: Final = ("http", "https")
_LONGEST_TOKEN: Final = 512

Named = Literal["host", "origin"]


class Guard:
    """Compares the headers `Host` and `Origin` with what is listened for."""

    def __init__(
        self, hosts: Iterable[str], origins: Iterable[str] = (), *, numbers: bool = False
    ) -> None:
        """`hosts` are as in a URL; `origins` are pages that are let in besides those of the hosts.

        `numbers`: `hosts` are names without ports, which count on every port, and so does any
        address in figures, since no foreign name resolves to itself in figures.
        """
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(
            (
                *(f"{scheme}://{host}" for scheme in _SCHEMES for host in self._hosts),
                *(origin.lower().rstrip("/") for origin in origins),
            )
        )
        self._numbers = numbers

    def refused(self, hosts: Sequence[str], origins: Sequence[str]) -> Named | None:
        """Return which header keeps a request out, None where neither does."""
        if len(hosts) != 1 or not self._is_known(hosts[0].lower()):
            return "host"
        return None if all(self._is_own(origin.lower()) for origin in origins) else "origin"

    def _is_known(self, host: str) -> bool:
        return host in self._hosts or (self._numbers and self._is_name(f"//{host}"))

    def _is_own(self, origin: str) -> bool:
        return origin in self._origins or (self._numbers and self._is_name(origin))

    def _is_name(self, url: str) -> bool:
        try:
            name = urlsplit(url).hostname or ""
        except ValueError:
            return False
        return name in self._hosts or is_address(name)


def own_hosts(host: str, port: int) -> tuple[str, ...]:
    """Return the `HOST:PORT` by which clients on this machine reach an address listened on.

    An address that stands for all of a machine's is no name to reach it by.
    """
    names = list(LOOPBACK)
    if not _stands_for_all(host):
        names.append(f"[{host}]" if ":" in host else host.lower())
    ported = [f"{name}:{port}" for name in dict.fromkeys(names)]
    return (*ported, *dict.fromkeys(names)) if port == 80 else tuple(ported)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_address(host: str) -> bool:
    """Tell whether a host is written in figures."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def bearer_token(given: Sequence[str]) -> str:
    """Return the token of the header `Authorization`, empty where it holds none, or is repeated."""
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    token = token.strip()
    return token if scheme.lower() == "bearer" and len(token) <= _LONGEST_TOKEN else ""


def is_same_token(given: str, known: str) -> bool:
    """Compare two tokens in a time that does not depend on where they differ."""
    return bool(known) and hmac.compare_digest(given.encode("latin-1", "replace"), known.encode())


def _stands_for_all(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return not host
