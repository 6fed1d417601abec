"""What `/v1` is asked with: the queries and bodies of its requests."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from pktui.memory.exchange import Record
from pktui.memory.records import Mode, NewCall, Role, SessionStatus

MOST_CALLS = 500


class Nothing(msgspec.Struct, frozen=True):
    """A body without members."""


class ListSessions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`GET /v1/sessions`."""

    query: str = ""
    status: SessionStatus | None = None
    project: str | None = None
    cursor: str = ""
    limit: int = 50


class ListMessages(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`GET /v1/sessions/{id}/messages`; `before` and `after` are a message's `seq`."""

    before: int | None = None
    after: int | None = None
    limit: int = 200


class Search(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`GET /v1/search`; with `wait` one that finds nothing waits for a model that is loading."""

    query: str = ""
    mode: Mode = "hybrid"
    project: str | None = None
    limit: int = 20
    wait: bool = True


class SearchSessions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`GET /v1/search/sessions`."""

    query: str = ""
    mode: Mode = "hybrid"
    project: str | None = None
    limit: int = 20
    hits: int = 3
    cursor: str = ""
    wait: bool = True


class ListCalls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`GET /v1/sessions/{id}/calls`; `after` is a call's `seq`."""

    after: int = 0
    limit: int = 200


class LogCalls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /v1/calls`: to a session by its id, by where it comes from, or the current one."""

    calls: Annotated[tuple[NewCall, ...], msgspec.Meta(max_length=MOST_CALLS)]
    session_id: int | None = None
    source: str = ""
    source_id: str = ""
    agent: str = ""
    project: str = ""


class SearchEntries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`GET /v1/entries/search`."""

    query: str = ""
    mode: Mode = "hybrid"
    limit: int = 20
    wait: bool = True


class Similar(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`GET /v1/entries/{id}/similar`."""

    limit: int = 5


class Neighbours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`GET /v1/messages/{id}/neighbours`."""

    n: int = 2


class ListEntries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`GET /v1/entries`; `tag` may be repeated."""

    tag: tuple[str, ...] = ()
    cursor: str = ""
    limit: int = 50


class StartSession(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /v1/sessions`."""

    name: str = ""
    source: str = "mcp"
    source_id: str = ""


class LogMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /v1/messages`; without a session id it goes to the current session."""

    role: Role
    content: str
    session_id: int | None = None
    source_id: str = ""


class EndSession(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /v1/sessions/{id}/end`."""

    summary: str | None = None


class AddEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /v1/entries`."""

    title: str
    content: str
    source: str = ""
    tags: tuple[str, ...] = ()


class UpdateEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`PATCH /v1/entries/{id}`; what is left out stays."""

    title: str | None = None
    content: str | None = None
    source: str | None = None
    tags: tuple[str, ...] | None = None


class CallTool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /v1/tools`; `agent` is who asks where the request's headers name nobody."""

    name: str
    arguments: dict[str, Any]
    agent: str = ""


class AskUsage(msgspec.Struct, forbid_unknown_fields=True):
    """From which local day on (all: empty), and whether by session."""

    since: str = ""
    by_session: bool = False


class Import(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /v1/import`."""

    records: list[Record]
