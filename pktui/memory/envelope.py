"""What surrounds a request to the memory service: its headers, and the shape of a failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote

import msgspec

from pktui.memory.records import Identity
from pktui.text import storable

AGENT_HEADER = "Pktui-Agent"
GRANT_HEADER = "Pktui-Grant"
PROJECT_HEADER = "Pktui-Project"
CONNECTION_HEADER = "Pktui-Connection"
IDENTITY_HEADERS = (AGENT_HEADER, GRANT_HEADER, PROJECT_HEADER, CONNECTION_HEADER)
# A key that the same request bears when it is sent again, so that it is carried out once.
REQUEST_HEADER = "Pktui-Request"
LONGEST_KEY = 64
FailureKind = Literal["not_found", "invalid", "unavailable", "store"]


class FailureDetail(msgspec.Struct, frozen=True):
    """What went wrong and what to do about it."""

    kind: FailureKind
    what: str
    cure: str = ""


class Failure(msgspec.Struct, frozen=True):
    """The body of every answer that is not a success."""

    error: FailureDetail


def identity_headers(identity: Identity) -> dict[str, str]:
    """Return the headers that say who asks; their values are percent-encoded UTF-8."""
    values = (identity.agent, identity.grant, identity.project, identity.connection)
    return {
        name: quote(storable(value), safe="/ @:")
        for name, value in zip(IDENTITY_HEADERS, values, strict=True)
        if value
    }


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and the key that the request bears when it is sent again, "" where it has none."""

    who: Identity
    key: str

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Caller:
        """Read the headers of a request."""
        agent, grant, project, connection, key = [
            headers.get(name, "") for name in (*IDENTITY_HEADERS, REQUEST_HEADER)
        ]
        who = Identity(unquote(agent), unquote(grant), unquote(project), unquote(connection))
        return cls(who, key[:LONGEST_KEY])

    def agent_or(self, agent: str) -> Identity:
        """Return who asks; where the headers name no agent, with this one."""
        if self.who.agent or not agent:
            return self.who
        return msgspec.structs.replace(self.who, agent=agent)
