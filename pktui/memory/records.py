"""What the memory keeps and answers with: frozen records, the same in store, service and client.

Times are aware UTC datetimes. Ids are whole numbers from 1, one range for each kind, and never
used twice, not even after a deletion.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Generic, Literal, TypeVar, get_args
from urllib.parse import quote

import msgspec

T = TypeVar("T")

SessionStatus = Literal["active", "ended"]
Role = Literal["user", "agent", "tool", "system"]
Mode = Literal["hybrid", "meaning", "words", "exact"]
StoreState = Literal["opening", "ready", "failed"]
# Whether the search index on disk is near enough to what is kept, or to be written anew.
IndexState = Literal["kept", "due"]
ModelState = Literal["absent", "loading", "ready", "failed", "mismatch"]

ROLES: tuple[Role, ...] = ("user", "agent", "tool", "system")
# How a call ended.
Outcome = Literal["ok", "error", "denied", "cancelled", "no result"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
# What a query may filter calls by.
CALL_KEYS = ("tool", "file", "cmd")
# What a query for messages and calls may filter by.
QUERY_KEYS = (
    "in", "session", "role", *CALL_KEYS,
    "agent", "project", "source", "status", "after", "before", "since",
)  # fmt: skip
# What a query for sessions by what they are may filter by.
SESSION_KEYS = ("session", "agent", "project", "source", "status", "after", "before", "since")
MODES: tuple[Mode, ...] = ("hybrid", "meaning", "words", "exact")


_CONNECTION = "connection "


class Identity(msgspec.Struct, frozen=True):
    """Who asks. The current session belongs to `key`: the grant, else agent and directory.

    A grant is authenticated and an agent's name is not, so that no name can stand for a grant.
    `connection` tells two windows of one agent apart: it is of one run, and never comes again.
    """

    agent: str = ""
    grant: str = ""
    project: str = ""
    connection: str = ""

    @property
    def key(self) -> str:
        """The name that the current session is kept under; "" for one who says nothing."""
        if self.grant:
            return f"grant {self.grant}"
        return f"agent {self.agent}\n{self.project}" if self.agent or self.project else ""

    @property
    def owner(self) -> str:
        """The key with the connection, if there is one: see `key_of_owner`."""
        key = self.key
        if not (key and self.connection):
            return key
        return f"{_CONNECTION}{quote(self.connection, safe='')}\n{key}"


def key_of_owner(owner: str) -> str:
    """Return the part of an `Identity.owner` that outlives a connection, its key."""
    return owner.partition("\n")[2] if owner.startswith(_CONNECTION) else owner


class Session(msgspec.Struct, frozen=True):
    """A conversation. `title` is the name, else the first line that a user wrote."""

    id: int
    name: str
    status: SessionStatus
    started_at: datetime
    ended_at: datetime | None = None
    summary: str = ""
    agent: str = ""
    project: str = ""
    source: str = "mcp"
    source_id: str = ""
    message_count: int = 0
    last_activity: datetime | None = None
    title: str = ""


class UsageSum(msgspec.Struct, frozen=True):
    """The tokens of one agent, project and model on one local day (`2026-11-30`).

    `session` is the agent's own id where sums are by session. `tokens_in` without the cached ones.
    """

    day: str
    agent: str
    project: str
    model: str
    tokens_in: int
    tokens_out: int
    cached: int
    session: str = ""


class SessionChange(msgspec.Struct, frozen=True):
    """A session after it was asked to end or reopen; `changed` is false where it was so before."""

    session: Session
    changed: bool


class NewMessage(msgspec.Struct, frozen=True):
    """A message to append. Without `created_at` it is of the moment it arrives."""

    session_id: int
    role: Role
    content: str
    created_at: datetime | None = None
    source_id: str = ""


class Message(msgspec.Struct, frozen=True):
    """A message as kept; `seq` counts from 1 within its session."""

    id: int
    session_id: int
    seq: int
    role: Role
    content: str
    created_at: datetime
    source_id: str = ""


class NewCall(msgspec.Struct, frozen=True):
    """A tool call to append, its secrets masked; without `created_at` it is of this moment.

    `arguments` is JSON text, `result` the first lines of what the agent was given, `call_id` the
    agent's own id of it: one that the session has is not appended again.
    """

    tool: str
    arguments: str = ""
    outcome: Outcome = "ok"
    result: str = ""
    created_at: datetime | None = None
    call_id: str = ""


class Call(msgspec.Struct, frozen=True):
    """A tool call as kept; `seq` counts the session's calls from 1."""

    id: int
    session_id: int
    seq: int
    tool: str
    arguments: str
    outcome: Outcome
    result: str
    created_at: datetime
    call_id: str = ""


class CallBrief(msgspec.Struct, frozen=True, array_like=True):
    """What is told of a call in its session's outline; `at_us` is in microseconds, UTC."""

    seq: int
    at_us: int
    tool: str
    outcome: Outcome
    call_id: str


class Outline(msgspec.Struct, frozen=True):
    """All that is in a session, without its texts.

    `times_us` and `roles` are those of its messages in their order, a letter a role (`u`, `a`,
    `t`, `s`).
    """

    times_us: tuple[int, ...]
    roles: str
    calls: tuple[CallBrief, ...]


class Entry(msgspec.Struct, frozen=True):
    """A piece of knowledge."""

    id: int
    title: str
    content: str
    source: str
    tags: tuple[str, ...]
    created_at: datetime
    updated_at: datetime


# What one entry is to another that is like it.
Relation = Literal["repeats", "may contradict", "near"]


class SimilarEntry(msgspec.Struct, frozen=True):
    """An entry that is near to another; `score` is from 0 to 1."""

    id: int
    title: str
    score: float
    relation: Relation


class TagCount(msgspec.Struct, frozen=True):
    """A tag and the number of entries that bear it."""

    tag: str
    entries: int


class EntryStats(msgspec.Struct, frozen=True):
    """Figures about the knowledge; tags come with the most used first."""

    total: int
    pending_vectors: int
    tags: tuple[TagCount, ...]
    sources: int
    oldest: datetime | None = None
    newest: datetime | None = None


# A column to sort sessions by; `count` is of messages in a list, of hits in a search.
SessionSort = Literal["title", "agent", "project", "count", "age"]
SESSION_SORTS: tuple[SessionSort, ...] = get_args(SessionSort)


class Facets(msgspec.Struct, frozen=True):
    """How many sessions of a list or a search each agent and each project has, the most first.

    `weeks` counts those before the first of the times that were asked for, then those from each
    time on until the next.
    """

    agents: tuple[tuple[str, int], ...]
    projects: tuple[tuple[str, int], ...]
    weeks: tuple[int, ...]


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Part of a list. `total` counts all of it; `cursor` asks for the next part, "" at the end."""

    items: tuple[T, ...]
    total: int
    cursor: str = ""


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """A range of characters in a snippet that matches: `start` included, `end` not."""

    start: int
    end: int


class Parts(msgspec.Struct, frozen=True):
    """What a score is made of; they add up to it.

    `words` and `meaning` are the text's own, `neighbours` what the messages beside it lent,
    `session` what its whole session did, `date` how near it is to the times in the question.
    """

    words: float = 0.0
    meaning: float = 0.0
    date: float = 0.0
    neighbours: float = 0.0
    session: float = 0.0


class Hit(msgspec.Struct, frozen=True):
    """A message or a call (with its session) or an entry that a search found.

    `score` is from 0 to 1, `parts` what it is made of.
    """

    score: float
    snippet: str
    marks: tuple[Mark, ...] = ()
    session: Session | None = None
    message: Message | None = None
    entry: Entry | None = None
    call: Call | None = None
    parts: Parts | None = None


# What a session was found by at its best: what it is called, its words, or their meaning.
Band = Literal["titles", "words", "meaning"]
BANDS: tuple[Band, ...] = get_args(Band)


class SessionHits(msgspec.Struct, frozen=True):
    """A session with its best hits, best first; `total` counts all that it has.

    One that was found by its title alone has none.
    """

    session: Session
    score: float
    total: int
    hits: tuple[Hit, ...]
    band: Band = "words"


class EntryHits(msgspec.Struct, frozen=True):
    """An entry among the sessions of a `GroupedAnswer`: `after` is how many of them it follows.

    One that was found by its title alone has no hit.
    """

    entry: Entry
    score: float
    after: int
    hit: Hit | None = None
    band: Band = "words"


class SearchAnswer(msgspec.Struct, frozen=True):
    """The best hits. `total` counts everything that matched (at least, for meaning).

    `mode` is what was used and `asked_mode` what was asked for; where they differ `note` says why.
    `awaits_meaning`: nothing was found, and what finds by meaning is about to be there.
    """

    hits: tuple[Hit, ...]
    total: int
    mode: Mode
    asked_mode: Mode
    note: str = ""
    awaits_meaning: bool = False


class GroupedAnswer(msgspec.Struct, frozen=True):
    """The best sessions. `total` counts the sessions with hits, `total_hits` their hits.

    Where they come one band after the other `bands` counts those of each of `BANDS`; the knowledge
    is among them then: `entries` are those of this page, `total_entries` counts all.
    `cursor` asks for what is next, "" at the end. The rest is as in `SearchAnswer`.
    """

    sessions: tuple[SessionHits, ...]
    total: int
    total_hits: int
    mode: Mode
    asked_mode: Mode
    cursor: str = ""
    note: str = ""
    awaits_meaning: bool = False
    bands: tuple[int, ...] = ()
    entries: tuple[EntryHits, ...] = ()
    total_entries: int = 0

    def in_order(self) -> Iterator[SessionHits | EntryHits]:
        """Yield the page's sessions, and its entries where they stand among them."""
        entries = iter(self.entries)
        entry = next(entries, None)
        for at in range(len(self.sessions) + 1):
            while entry is not None and entry.after <= at:
                yield entry
                entry = next(entries, None)
            if at < len(self.sessions):
                yield self.sessions[at]


class Status(msgspec.Struct, frozen=True):
    """The state of the memory; `pid` and `started_at` are those of the service.

    `state` is that of the store: until it is open all figures are 0.
    """

    uri: str
    sessions: int
    active_sessions: int
    messages: int
    entries: int
    vectors: int
    pending_vectors: int
    model: str
    model_state: ModelState
    note: str = ""
    files_on_disk: int = 0
    bytes_on_disk: int = 0
    pid: int = 0
    started_at: datetime | None = None
    state: StoreState = "ready"
    versions: int = 0
    """Versions of the tables that are still on disk; upkeep removes the old ones."""
    index: IndexState = "kept"
    resident_bytes: int = 0
    """Memory that the service holds now."""
    calls: int = 0
    journaled: int = 0
    """Messages and other rows in the journal that no batch has taken into the tables yet."""
