"""One HTTP request that was let in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.datastructures import Headers

    from pktui.gateway.http.backend import Backend
    from pktui.gateway.http.client_sessions import Session
    from pktui.gateway.http.floor import Floor
    from pktui.gateway.http.reply import Reply
    from pktui.gateway.http.threads import Work
    from pktui.ledger.records import Grant


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked, by whom, in which session, and how it is answered."""

    headers: Headers
    grant: Grant
    floor: Floor
    session: Session | None
    backend: Backend
    reply: Reply
    work: Work
    scope: str
    """A name that no other request of this gateway has."""

    def within(self, session: Session) -> Asked:
        """Return the same request in a session."""
        return replace(self, session=session, backend=session.server)
