"""Gemini CLI: `tmp/<project>/chats/session-*.jsonl`, a log of messages and patches.

A line is a header (`sessionId`), a message (`id`), which comes again when it has grown, or a patch:
`{"$set": {…}}` merges members, and its `messages` replace the conversation; `{"$rewindTo": ID}`
drops a message and all after it. `--resume` adds a header and sets all messages anew, with new
times and without tokens and calls, so what a message's own line told is kept over what a patch
tells. A file is read twice: for where each message is told best, then for the messages, so that
memory holds one line and the ids.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import msgspec

from pktui.memory.importers.calls import (
    SETTLED_S,
    Call,
    Masks,
    Outcome,
    arguments_of,
)
from pktui.memory.importers.lines import UNREADABLE, Line, decode, read_part
from pktui.memory.importers.source import LONGEST_PATH, LONGEST_TITLE, instant, kept, key
from pktui.memory.importers.transcripts import SessionReading, Transcripts, headed, written_at
from pktui.memory.interchange import MessageRecord, Record, SessionRecord, UsageRecord

if TYPE_CHECKING:
    from pktui.memory.importers.files import Found
    from pktui.memory.records import Role

SOURCE: Final = "gemini"
MAX_MESSAGES = 200_000
_SKIPPED = frozenset({"info", "warning", "error"})
_CONTEXT = "<session_context>"
_SPOKEN: Final[dict[str, Role]] = {"user": "user", "gemini": "agent"}
_OUTCOMES: Final[dict[str, Outcome]] = {
    "success": "ok",
    "error": "error",
    "cancelled": "cancelled",
}


class _FunctionCall(msgspec.Struct):
    id: str | None = None
    name: str | None = None
    args: Any = None


class _FunctionResponse(msgspec.Struct):
    id: str | None = None
    response: Any = None


class _Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: Any = None
    function_call: _FunctionCall | None = None
    function_response: _FunctionResponse | None = None


class _ToolCall(msgspec.Struct):
    id: str | None = None
    name: str | None = None
    args: Any = None
    result: list[_Part] | None = None
    status: str | None = None
    timestamp: str | None = None


class _Tokens(msgspec.Struct):
    input: int = 0
    output: int = 0
    cached: int = 0
    thoughts: int = 0


class _Message(msgspec.Struct, rename="camel"):
    id: str | None = None
    type: str = ""
    timestamp: str | None = None
    content: str | _Part | list[_Part | str] | None = None
    tool_calls: list[_ToolCall] | None = None
    tokens: Any = None
    model: str | None = None

    @property
    def parts(self) -> list[_Part]:
        """The content as parts."""
        whole = self.content if isinstance(self.content, list) else [self.content or ""]
        return [_Part(part) if isinstance(part, str) else part for part in whole]

    @property
    def text(self) -> str:
        """The words of the content."""
        return "".join(part.text for part in self.parts if part.text and not part.thought)


class _Patch(msgspec.Struct):
    messages: list[_Message] | None = None
    summary: str | None = None


class _Line(_Message, rename="camel"):
    session_id: str | None = None
    start_time: str | None = None
    summary: str | None = None
    messages: list[_Message] | None = None
    patch: _Patch | None = msgspec.field(default=None, name="$set")
    rewind_to: str | None = msgspec.field(default=None, name="$rewindTo")


_LINE = msgspec.json.Decoder(_Line)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a message is told: a line, and its place in the line's messages (None: the line)."""

    number: int
    offset: int
    length: int
    index: int | None


@dataclass(slots=True)
class _Conversation:
    """A session as its file leaves it: messages by id, in order, each where it is told best.

    It is `full` at `MAX_MESSAGES`, whatever of them the file took back.
    """

    session_id: str = ""
    started_at: datetime | None = None
    last_at: datetime | None = None
    title: str = ""
    order: dict[str, _Place] = field(default_factory=dict)
    _told: dict[str, _Place] = field(default_factory=dict)

    @property
    def full(self) -> bool:
        """Whether it holds all that is taken of one file."""
        return len(self._told) >= MAX_MESSAGES

    def take(self, line: Line, said: _Line) -> bool:
        """Apply a line; False where nobody knows what it is."""
        place = _Place(line.number, line.offset, len(line.text), None)
        patch = said.patch or _Patch(said.messages, said.summary)
        self.title = patch.summary or self.title
        if said.session_id is not None:
            self.session_id = self.session_id or said.session_id
            self.started_at = self.started_at or instant(said.start_time)
        elif said.id is not None:
            self._tell(said.id, said, place)
        elif said.rewind_to is not None:
            self._rewind(said.rewind_to)
        elif said.patch is None:
            return False
        if patch.messages is not None:
            self._replace(patch.messages, place)
        return True

    def _tell(self, message_id: str, said: _Message, place: _Place) -> None:
        self._told[message_id] = self.order[message_id] = place
        self._see(said)

    def _replace(self, messages: list[_Message], place: _Place) -> None:
        self.order = {}
        for index, message in enumerate(messages):
            message_id = message.id or f"line {place.number}:{index}"
            if message_id not in self._told:
                self._told[message_id] = replace(place, index=index)
                self._see(message)
            self.order[message_id] = self._told[message_id]

    def _rewind(self, message_id: str) -> None:
        while message_id in self.order:
            self.order.popitem()

    def _see(self, message: _Message) -> None:
        when = instant(message.timestamp)
        if when is not None:
            self.started_at = self.started_at or when
            self.last_at = max(self.last_at or when, when)


def default_place() -> Path:
    """Return the directory where Gemini CLI keeps its sessions."""
    chosen = os.environ.get("GEMINI_CLI_HOME")
    return (Path(chosen) if chosen else Path.home()) / ".gemini" / "tmp"


class GeminiSource(Transcripts):
    """A `tmp` directory, the directory that it is in, a project's, or one session's file.

    `wall` tells the time as file times do, in seconds.
    """

    def __init__(self, path: Path, masks: Masks, wall: Callable[[], float] = time.time) -> None:
        below = path / "tmp"
        super().__init__(below if below.is_dir() else path, _is_chat)
        self._masks = masks
        self._wall = wall

    def _records(self, found: Found) -> Iterator[Record]:
        conversation = self._conversation(found)
        session = _session(found, conversation)
        reading = _Reading(session, self._masks)
        yield from headed(session, self._messages(found, conversation, reading))

    def _conversation(self, found: Found) -> _Conversation:
        conversation = _Conversation()
        for line in self._lines(found):
            try:
                said = decode(line.text, _LINE)
                known = conversation.take(line, said)
            except UNREADABLE as error:
                self._refuse(found, line, error)
                continue
            if not known:
                self.rejects.pass_over(said.type)
            if conversation.full:
                at = f"{self._files.name(found)} line {line.number}"
                self.rejects.add(at, f"has the last of {MAX_MESSAGES} messages that are taken in")
                break
        return conversation

    def _messages(
        self, found: Found, conversation: _Conversation, reading: _Reading
    ) -> Iterator[Record]:
        settled = self._wall() - found.written_at > SETTLED_S
        with self._files.opened(found) as file:
            tellings = _Tellings(file)
            for message_id, place in conversation.order.items():
                try:
                    message = tellings.at(place)
                    said = list(reading.take(message, message_id, settled=settled))
                except (*UNREADABLE, IndexError) as error:
                    at = f"{self._files.name(found)} line {place.number}"
                    self.rejects.add(at, f"changed while it was read: {error}")
                    continue
                if message.type not in _SPOKEN and message.type not in _SKIPPED:
                    self.rejects.pass_over(message.type)
                yield from said
        if settled:
            yield from reading.unanswered()


class _Tellings:
    """Messages of a file by their places; the line that was read last is kept."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._offset = -1
        self._line = _Line()

    def at(self, place: _Place) -> _Message:
        """Return the message that is told there; raises one of `UNREADABLE`, `IndexError`."""
        if place.offset != self._offset:
            self._file.seek(place.offset)
            self._line = decode(self._file.read(place.length), _LINE)
            self._offset = place.offset
        if place.index is None:
            return self._line
        patch = self._line.patch or _Patch(self._line.messages)
        return (patch.messages or [])[place.index]


class _Reading(SessionReading):
    """A conversation as records, in order."""

    def take(self, message: _Message, message_id: str, *, settled: bool) -> Iterator[Record]:
        """Yield what a message says, and the calls that are told in it or answered by it."""
        self.now = instant(message.timestamp) or self.now
        if message.type not in _SPOKEN:
            return
        text = message.text
        for part in message.parts:
            yield from self._result(part)
        if message.type == "user" and text.strip():
            if text.lstrip().startswith(_CONTEXT):
                return
            yield from self.unanswered()
        yield from self.message(message_id, _SPOKEN[message.type], text)
        for part in () if message.tool_calls else message.parts:
            yield from self._begin(part, message_id)
        for number, call in enumerate(message.tool_calls or ()):
            yield from self._told_call(call, f"{message_id}:{number}", settled=settled)
        tokens = read_part(message.tokens, _Tokens)
        if tokens is not None:
            yield self._used(tokens, message.model or "", message_id)

    def _used(self, tokens: _Tokens, model: str, message_id: str) -> UsageRecord:
        return self.usage(
            message_id,
            model,
            tokens_in=max(0, tokens.input - tokens.cached),
            tokens_out=tokens.output + tokens.thoughts,
            cached=tokens.cached,
        )

    def _told_call(self, told: _ToolCall, place: str, *, settled: bool) -> Iterator[MessageRecord]:
        """Yield a call that is told with its result, once it has one."""
        outcome = _OUTCOMES.get(told.status or "")
        if outcome is None and not settled:
            return
        yield self.call(
            Call(
                told.id or place,
                told.name or "",
                arguments_of(told.args),
                self.now,
                outcome or "no result",
                "\n".join(_output(part) for part in told.result or ()),
            )
        )

    def _begin(self, part: _Part, place: str) -> Iterator[MessageRecord]:
        called = part.function_call
        if called is None:
            return
        yield from self.begin(called.id or place, called.name, called.args)

    def _result(self, part: _Part) -> Iterator[MessageRecord]:
        answer = part.function_response
        if answer is None:
            return
        failed = isinstance(answer.response, dict) and "error" in answer.response
        outcome: Outcome = "error" if failed else "ok"
        yield from self.end(answer.id, outcome, _output(part))


def _session(found: Found, conversation: _Conversation) -> SessionRecord:
    written = written_at(found)
    parent = "" if found.path.parent.name == "chats" else found.path.parent.name
    native_id = conversation.session_id or found.path.stem
    return SessionRecord(
        source=SOURCE,
        source_id=key(f"{parent}/{native_id}" if parent else native_id),
        started_at=conversation.started_at or written,
        ended_at=conversation.last_at or written,
        name=kept(conversation.title, LONGEST_TITLE),
        summary=f"A subagent of session {key(parent)}" if parent else "",
        agent=SOURCE,
        project=_project(found.path),
    )


def _project(chat: Path) -> str:
    """Return the directory that a chat's project is, as the file beside `chats` says."""
    for folder in chat.parents[:3]:
        path = folder / ".project_root"
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                return file.read(LONGEST_PATH).decode(errors="replace").strip()
    return ""


def _is_chat(path: Path) -> bool:
    return path.suffix == ".jsonl" and "chats" in path.parent.parts


def _output(part: _Part) -> str:
    """Return the words of a tool's result, without what tells the model not to trust them."""
    answer = part.function_response.response if part.function_response else None
    if not isinstance(answer, dict):
        return part.text or ""
    texts = (answer.get(name) for name in ("output", "error"))
    whole = "\n".join(text for text in texts if isinstance(text, str))
    return whole.replace("<untrusted_context>\n", "").replace("\n</untrusted_context>", "")
