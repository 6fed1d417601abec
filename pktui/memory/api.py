"""What the memory can be asked: every verb once, with its arguments and what it answers.

A verb is `POST /v1/<name>` with its arguments as a JSON object, answered with its answer as JSON;
one without arguments that changes nothing may be got with GET. `client.py` asks, and
`service/verbs.py` says who carries each out. Names and defaults of arguments are those of the
client's methods, which say what they mean.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec

from pktui.memory.interchange import ImportReport, Record
from pktui.memory.records import (
    Call,
    Entry,
    EntryStats,
    Facets,
    GroupedAnswer,
    Message,
    Mode,
    NewCall,
    Outline,
    Page,
    Role,
    SearchAnswer,
    Session,
    SessionChange,
    SessionSort,
    SessionStatus,
    SimilarEntry,
    Status,
    UsageSum,
)
from pktui.memory.tools.answer import ToolAnswer

MOST_CALLS: Final = 500

Id = Annotated[int, msgspec.Meta(ge=1, le=10**18)]
TimeUs = Annotated[int, msgspec.Meta(ge=-(10**18), le=10**18)]


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """No arguments; those of every other verb are made from this."""


class OfSession(Arguments, frozen=True):
    session_id: Id


class OfEntry(Arguments, frozen=True):
    entry_id: Id


class Sessions(Arguments, frozen=True):
    query: str = ""
    status: SessionStatus | None = None
    project: str | None = None
    cursor: str = ""
    limit: int = 50
    sort: SessionSort | None = None


class FacetsOf(Arguments, frozen=True):
    query: str = ""
    mode: Mode | Literal[""] = ""
    project: str | None = None
    edges_us: Annotated[tuple[TimeUs, ...], msgspec.Meta(max_length=200)] = ()
    wait: bool = True


class Messages(OfSession, frozen=True):
    before: int | None = None
    after: int | None = None
    limit: int = 200


class Calls(OfSession, frozen=True):
    after: int = 0
    limit: int = 200


class OutlineOf(OfSession, frozen=True):
    after: int = 0
    calls_after: int = 0
    calls_last: int | None = None


class Neighbours(Arguments, frozen=True):
    message_id: Id
    count: int = 2


class StartSession(Arguments, frozen=True):
    name: str = ""
    source: str = "mcp"
    source_id: str = ""


class Log(Arguments, frozen=True):
    role: Role
    content: str
    session_id: Id | None = None
    source_id: str = ""


class LogCalls(Arguments, frozen=True):
    calls: Annotated[tuple[NewCall, ...], msgspec.Meta(max_length=MOST_CALLS)]
    session_id: Id | None = None
    source: str = ""
    source_id: str = ""
    agent: str = ""
    project: str = ""


class EndSession(Arguments, frozen=True):
    session_id: Id | None = None
    summary: str | None = None


class Search(Arguments, frozen=True):
    query: str = ""
    mode: Mode = "hybrid"
    project: str | None = None
    limit: int = 20
    wait: bool = True


class SearchSessions(Search, frozen=True):
    hits: int = 3
    cursor: str = ""
    bands: bool = False
    sort: SessionSort | None = None


class SimilarEntries(OfEntry, frozen=True):
    limit: int = 5


class SearchEntries(Arguments, frozen=True):
    query: str = ""
    mode: Mode = "hybrid"
    limit: int = 20
    wait: bool = True


class Entries(Arguments, frozen=True):
    tags: tuple[str, ...] = ()
    cursor: str = ""
    limit: int = 50


class AddEntry(Arguments, frozen=True):
    title: str
    content: str
    source: str = ""
    tags: tuple[str, ...] = ()


class UpdateEntry(OfEntry, frozen=True):
    title: str | None = None
    content: str | None = None
    source: str | None = None
    tags: tuple[str, ...] | None = None


class Usage(Arguments, frozen=True):
    since: str = ""
    by_session: bool = False


class Import(Arguments, frozen=True):
    records: list[Record]


class CallTool(Arguments, frozen=True):
    """`agent` is who asks where the request's headers name nobody."""

    name: str
    arguments: dict[str, Any]
    agent: str = ""


Given = TypeVar("Given", bound=Arguments)
Made = TypeVar("Made")


@dataclass(frozen=True)
class Verb(Generic[Given, Made]):
    """One thing to ask. What changes something bears a key by which it is carried out once."""

    name: str
    arguments: type[Given]
    answer: type[Made]
    changes: bool = False

    @functools.cached_property
    def path(self) -> str:
        """Where it is asked."""
        return f"/v1/{self.name}"


def _changing(name: str, arguments: type[Given], answer: type[Made]) -> Verb[Given, Made]:
    return Verb(name, arguments, answer, changes=True)


STATUS = Verb("status", Arguments, Status)
STOP = _changing("stop", Arguments, type(None))
REINDEX = _changing("reindex", Arguments, Status)
USAGE = Verb("usage", Usage, tuple[UsageSum, ...])
IMPORT = _changing("import", Import, ImportReport)
TOOL = _changing("tool", CallTool, ToolAnswer)

SESSIONS = Verb("sessions", Sessions, Page[Session])
FACETS = Verb("facets", FacetsOf, Facets)
SESSION = Verb("session", OfSession, Session)
CURRENT_SESSION: Verb[Arguments, Session | None]
CURRENT_SESSION = Verb("current-session", Arguments, Session | None)  # type: ignore[arg-type]
MESSAGES = Verb("messages", Messages, Page[Message])
CALLS = Verb("calls", Calls, Page[Call])
OUTLINE = Verb("outline", OutlineOf, Outline)
NEIGHBOURS = Verb("neighbours", Neighbours, tuple[Message, ...])
SEARCH = Verb("search", Search, SearchAnswer)
SEARCH_SESSIONS = Verb("search-sessions", SearchSessions, GroupedAnswer)
START_SESSION = _changing("start-session", StartSession, Session)
LOG = _changing("log", Log, Message)
LOG_CALLS = _changing("log-calls", LogCalls, tuple[Call, ...])
END_SESSION = _changing("end-session", EndSession, SessionChange)
REOPEN_SESSION = _changing("reopen-session", OfSession, SessionChange)
DELETE_SESSION = _changing("delete-session", OfSession, type(None))

ENTRIES = Verb("entries", Entries, Page[Entry])
ENTRY = Verb("entry", OfEntry, Entry)
SEARCH_ENTRIES = Verb("search-entries", SearchEntries, SearchAnswer)
SIMILAR_ENTRIES = Verb("similar-entries", SimilarEntries, tuple[SimilarEntry, ...])
STATS = Verb("stats", Arguments, EntryStats)
ADD_ENTRY = _changing("add-entry", AddEntry, Entry)
UPDATE_ENTRY = _changing("update-entry", UpdateEntry, Entry)
DELETE_ENTRY = _changing("delete-entry", OfEntry, type(None))

VERBS: Final[dict[str, Verb[Any, Any]]] = {
    one.name: one for one in list(globals().values()) if isinstance(one, Verb)
}
