"""Who may come in: by which name they call, from which page, and with whose token.

The names a client may reach the gateway by are checked because a stranger's page can make a browser
send requests to a name that resolves here (DNS rebinding; MCP, Streamable HTTP, "Security").
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from pktui.gateway.http.errors import Refusal

if TYPE_CHECKING:
    from starlette.datastructures import Headers

    from pktui.ledger.records import Grant

_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
_SCHEMES: Final = ("http", "https")
_REALM: Final = 'Bearer realm="pktui"'
_LONGEST_TOKEN: Final = 512


def own_hosts(host: str, port: int) -> tuple[str, ...]:
    """Return the `HOST:PORT` by which clients on this machine reach an address listened on.

    An address that stands for all of a machine's is no name to reach it by.
    """
    names = list(_LOOPBACK)
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


class Door:
    """Checks names, pages and tokens. `find` looks a token up, `clock` gives microseconds UTC."""

    def __init__(
        self,
        find: Callable[[str], Grant | None],
        clock: Callable[[], int],
        *,
        hosts: Iterable[str],
        more_hosts: Iterable[str] = (),
        more_origins: Iterable[str] = (),
    ) -> None:
        """`hosts` are the gateway's own; `more_hosts` and `more_origins` are set by a person."""
        own = tuple(hosts)
        self._find = find
        self._clock = clock
        self._hosts = frozenset((*own, *(host.lower() for host in more_hosts)))
        self._origins = frozenset(
            (
                *(f"{scheme}://{host}" for scheme in _SCHEMES for host in own),
                *(origin.lower().rstrip("/") for origin in more_origins),
            )
        )

    def check_names(self, headers: Headers) -> None:
        """Raise `Refusal` where the request was made for another host, or by a foreign page."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            raise Refusal(
                HTTPStatus.FORBIDDEN, "this host is not one of http.allowed_hosts of pktui"
            )
        if any(origin.lower() not in self._origins for origin in headers.getlist("origin")):
            raise Refusal(
                HTTPStatus.FORBIDDEN, "this origin is not one of http.allowed_origins of pktui"
            )

    def admit(self, headers: Headers) -> Grant:
        """Return the grant of the request's token, or raise `Refusal`."""
        given = headers.getlist("authorization")
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or len(token) > _LONGEST_TOKEN:
            raise _unknown("give the token of a grant: Authorization: Bearer …", _REALM)
        grant = self._find(token)
        standing = grant.standing(self._clock()) if grant is not None else "unknown"
        if grant is None or standing != "valid":
            why = f"the token is {standing}; pktui grants create makes another"
            raise _unknown(why, f'{_REALM}, error="invalid_token"')
        return grant


def _unknown(why: str, challenge: str) -> Refusal:
    return Refusal(HTTPStatus.UNAUTHORIZED, why, {"WWW-Authenticate": challenge})


def _stands_for_all(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return not host
