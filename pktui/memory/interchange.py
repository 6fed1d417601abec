"""The exchange format: sessions, messages and knowledge on their way in or out.

One JSON object a line (JSONL, UTF-8), told apart by `type`:

    {"type":"session","source":"claude-code","source_id":"6f1…","name":"…","status":"ended",
     "started_at":"2026-01-31T08:00:00Z","ended_at":…,"summary":"…","agent":"…","project":"/…"}
    {"type":"message","source":"claude-code","session":"6f1…","source_id":"12","role":"user",
     "content":"…","created_at":"2026-01-31T08:00:01Z"}
    {"type":"usage","source":"claude-code","session":"6f1…","source_id":"msg_1","model":"…",
     "created_at":…,"tokens_in":1200,"tokens_out":40,"cached":0,"project":"/…"}
    {"type":"entry","title":"…","content":"…","source":"https://…","tags":["…"],
     "created_at":…,"updated_at":…}

A tool call is a message of the role `tool` whose `source_id` is `call:` and the agent's own id of
it: a first line with the tool and its arguments as JSON, a line with the outcome (ok, error,
denied, cancelled, no result), then the first lines of the result.

A session is known by `source` and `source_id`, a message by its session and `source_id`, an entry
by the time it was made and its title or content: what is known already is not added again. A
message comes after its session, in this file or in an earlier one. Times are ISO 8601 with an
offset, from the year 2 to 9998, so that every zone can name them; members that are not listed here
are ignored, so that newer files can be read.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

from pktui.memory.records import OUTCOMES, Call, NewCall, Role, SessionStatus
from pktui.text import one_line

LONGEST_KEY: Final = 400
_EARLIEST: Final = datetime(2, 1, 1, tzinfo=UTC)
_END: Final = datetime(9999, 1, 1, tzinfo=UTC)

CALL_MARK: Final = "call:"
_HEAD: Final = re.compile(r"(?P<tool>.*?)(?: (?P<arguments>\{.*))?", re.DOTALL)

Key = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_KEY)]
Time = Annotated[datetime, msgspec.Meta(tz=True)]


class SessionRecord(msgspec.Struct, frozen=True, tag_field="type", tag="session"):
    """A session on its way in or out."""

    source: Key
    source_id: Key
    started_at: Time
    name: str = ""
    status: SessionStatus = "ended"
    ended_at: Time | None = None
    summary: str = ""
    agent: str = ""
    project: str = ""


class MessageRecord(msgspec.Struct, frozen=True, tag_field="type", tag="message"):
    """A message on its way in or out; `session` is its session's `source_id`."""

    source: Key
    session: Key
    source_id: Key
    role: Role
    content: str
    created_at: Time


class EntryRecord(msgspec.Struct, frozen=True, tag_field="type", tag="entry"):
    """A knowledge entry on its way in or out; `source` is what the entry refers to."""

    title: str
    content: str
    created_at: Time
    updated_at: Time
    source: str = ""
    tags: tuple[str, ...] = ()


class UsageRecord(msgspec.Struct, frozen=True, tag_field="type", tag="usage"):
    """The tokens that one answer of a model took, by the agent's own id of the answer.

    `tokens_in` are those that were not read from a cache; `cached` those that were.
    """

    source: Key
    session: Key
    source_id: Key
    created_at: Time
    model: str
    tokens_in: int = 0
    tokens_out: int = 0
    cached: int = 0
    project: str = ""


Record = SessionRecord | MessageRecord | EntryRecord | UsageRecord


def check_times(record: Record) -> None:
    """Raise `ValueError` where a time of the record could not be shown everywhere."""
    match record:
        case SessionRecord(started_at=first, ended_at=second):
            times = (first, second or first)
        case MessageRecord(created_at=first) | UsageRecord(created_at=first):
            times = (first, first)
        case EntryRecord(created_at=first, updated_at=second):
            times = (first, second)
    for when in times:
        if not _EARLIEST <= when < _END:
            raise ValueError(f"the time {when.isoformat()} is too near an end of the calendar")


def call_of_message(
    role: str, source_id: str, content: str, created_at: datetime
) -> NewCall | None:
    """Return the call that a message of the exchange format is; None for a real message."""
    if role != "tool" or not source_id.startswith(CALL_MARK):
        return None
    lines = content.split("\n")
    ends = [at for at, line in enumerate(lines) if at and line in OUTCOMES]
    head = _HEAD.fullmatch("\n".join(lines[: ends[0]])) if ends else None
    if head is None or not head["tool"].strip():
        return None
    return NewCall(
        tool=head["tool"],
        arguments=head["arguments"] or "",
        outcome=OUTCOMES[OUTCOMES.index(lines[ends[0]])],
        result="\n".join(lines[ends[0] + 1 :]),
        created_at=created_at,
        call_id=source_id.removeprefix(CALL_MARK),
    )


def call_content(call: Call) -> str:
    """Return the call as the content of a message of the exchange format."""
    head = f"{one_line(call.tool, 200)} {call.arguments}".strip()
    return "\n".join(part for part in (head, call.outcome, call.result) if part)


class Reject(msgspec.Struct, frozen=True):
    """A record that could not be taken, and why; `at` says where it came from, as in `line 12`."""

    at: str
    why: str


class Unknown(msgspec.Struct, frozen=True):
    """A kind of record that this version knows nothing of, and how many were passed over."""

    kind: str
    records: int


class ImportProgress(msgspec.Struct, frozen=True):
    """How far an import is: so much `done` of the `whole` of its source, 0 where that is unknown.

    `taken` counts the messages, calls and sessions that were added, `known` records that were not.
    """

    done: int
    whole: int
    taken: int
    known: int


class ImportReport(msgspec.Struct, frozen=True):
    """What an import did: numbers added, numbers known already, and what was refused.

    `rejects` names the first refused records, `rejected` counts all of them.
    """

    sessions: int = 0
    messages: int = 0
    entries: int = 0
    known: int = 0
    rejected: int = 0
    rejects: tuple[Reject, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    calls: int = 0

    def plus(self, other: ImportReport) -> ImportReport:
        """Return the sum of both; at most 100 rejects are named."""
        return ImportReport(
            self.sessions + other.sessions,
            self.messages + other.messages,
            self.entries + other.entries,
            self.known + other.known,
            self.rejected + other.rejected,
            (self.rejects + other.rejects)[:100],
            self.unknown + other.unknown,
            self.calls + other.calls,
        )
