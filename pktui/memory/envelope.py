"""What surrounds a request to the memory service: its headers, and the shape of a failure."""

from __future__ import annotations

from collections.abc import Mapping
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


def read_identity(headers: Mapping[str, str]) -> Identity:
    """Return the identity that the headers name."""
    return Identity(*[unquote(headers.get(name, "")) for name in IDENTITY_HEADERS])
