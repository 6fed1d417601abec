"""Claude Code: `projects/<directory>/<session>.jsonl`, one JSON object a line, appended.

One answer of the model is several `assistant` lines, one block of content each. A `user` line is
the person's words, or a tool's result, or what Claude Code itself tells the model. The lines make a
tree, whose chain from the last line misses parallel results, so they are read in order and a result
is joined to its call by the call's id. Subagents have files of their own,
`<session>/subagents/agent-<id>.jsonl`, and are sessions of their own here.

Most of a file is no conversation: a line is skipped by its `type` before it is decoded.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace as replaced

from pktui.memory.importers.calls import (
    SETTLED_S,
    Masks,
    Outcome,
)
from pktui.memory.importers.lines import UNREADABLE, decode, read_part
from pktui.memory.importers.source import (
    LONGEST_PATH,
    LONGEST_TITLE,
    Rejects,
    instant,
    kept,
    key,
)
from pktui.memory.importers.transcripts import SessionReading, Transcripts, headed, written_at
from pktui.memory.interchange import MessageRecord, Record, SessionRecord, UsageRecord

if TYPE_CHECKING:
    from pktui.memory.importers.files import Found
    from pktui.memory.records import Role

SOURCE: Final = "claude-code"

_SPOKEN = frozenset({"user", "assistant"})
_QUEUED = b'"queued_command"'
# Kinds of lines that hold nothing that was said.
_OTHER = frozenset(
    (
        *("ai-title", "custom-title", "attachment"),
        *("system", "summary", "progress", "queue-operation", "last-prompt", "cost-state", "mode"),
        *("api-request", "api-request-blob", "api-request-shape", "atis-latch", "tools-used"),
        *("permission-mode", "file-history-snapshot", "agent-name", "tag", "pr-link"),
    )
)

_COMMAND = re.compile(r"<command-name>(.*?)</command-name>", re.DOTALL)
_COMMAND_ARGS = re.compile(r"<command-args>(.*?)</command-args>", re.DOTALL)
_SHELL = re.compile(r"<bash-input>(.*?)</bash-input>", re.DOTALL)
_INJECTED = re.compile(
    r"<(?:local-command-(?:stdout|stderr|caveat)|bash-(?:stdout|stderr)|task-notification"
    r"|system-reminder|ide_[a-z_]+)>"
)
_CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_EMPTY_ANSWERS = frozenset({"", "(no content)", "No response requested."})


class _Head(msgspec.Struct, rename="camel"):
    type: str = ""
    timestamp: str | None = None
    cwd: str | None = None
    ai_title: str | None = None
    custom_title: str | None = None


class _Kind(msgspec.Struct):
    type: str = ""


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None
    id: str | None = None
    name: str | None = None
    input: Any = None
    tool_use_id: str | None = None
    content: Any = None
    is_error: bool | None = None


class _Usage(msgspec.Struct):
    input_tokens: int = 0
    cache_creation_input_tokens: int | None = 0
    cache_read_input_tokens: int | None = 0
    output_tokens: int = 0


class _Message(msgspec.Struct):
    content: str | list[_Block] | None = None
    model: str | None = None
    id: str | None = None
    usage: Any = None

    @property
    def blocks(self) -> list[_Block]:
        """The content as blocks."""
        if isinstance(self.content, str):
            return [_Block("text", self.content)]
        return self.content or []


class _Row(msgspec.Struct, rename="camel"):
    type: str
    uuid: str | None = None
    timestamp: str | None = None
    is_sidechain: bool | None = None
    is_meta: bool | None = None
    is_compact_summary: bool | None = None
    origin: Any = None
    permission_decision: Any = None
    message: _Message | None = None
    attachment: Any = None


_HEAD = msgspec.json.Decoder(_Head)
_KIND = msgspec.json.Decoder(_Kind)
_ROW = msgspec.json.Decoder(_Row)


def default_place() -> Path:
    """Return the directory where Claude Code keeps its sessions."""
    chosen = os.environ.get("CLAUDE_CONFIG_DIR")
    return (Path(chosen) if chosen else Path.home() / ".claude") / "projects"


class ClaudeCodeSource(Transcripts):
    """A `projects` directory, the directory that it is in, a project's, or one session's file.

    `wall` tells the time as file times do, in seconds.
    """

    def __init__(self, path: Path, masks: Masks, wall: Callable[[], float] = time.time) -> None:
        projects = path / "projects"
        super().__init__(projects if projects.is_dir() else path, _is_transcript)
        self._masks = masks
        self._wall = wall

    def _records(self, found: Found) -> Iterator[Record]:
        session = self._session(found)
        settled = self._wall() - found.written_at > SETTLED_S
        reading = _Reading(session, self._masks)
        yield from headed(session, self._messages(found, reading, settled=settled))

    def _session(self, found: Found) -> SessionRecord:
        """Read what a file says about its session as a whole: its titles come anywhere."""
        head = _Heading()
        for line in self._files.lines(found, Rejects()):
            try:
                head.take(decode(line.text, _HEAD))
            except UNREADABLE:
                continue
        written = written_at(found)
        source_id, parent = _native_ids(found.path)
        return SessionRecord(
            source=SOURCE,
            source_id=source_id,
            started_at=head.first or written,
            ended_at=head.last or written,
            name=kept(head.custom_title or head.ai_title, LONGEST_TITLE),
            summary=f"A subagent of session {parent}" if parent else "",
            agent=SOURCE,
            project=kept(head.cwd, LONGEST_PATH),
        )

    def _messages(self, found: Found, reading: _Reading, *, settled: bool) -> Iterator[Record]:
        for line in self._lines(found):
            try:
                kind = decode(line.text, _KIND).type
                if kind in _SPOKEN or (kind == "attachment" and _QUEUED in line.text):
                    row = decode(line.text, _ROW)
                    records = list(reading.take(row, row.uuid or f"line {line.number}"))
                else:
                    records = []
            except UNREADABLE as error:
                self._refuse(found, line, error)
                continue
            if kind not in _SPOKEN and kind not in _OTHER:
                self.rejects.pass_over(kind)
            yield from records
        if settled:
            yield from reading.unanswered()


@dataclass(slots=True)
class _Heading:
    first: datetime | None = None
    last: datetime | None = None
    cwd: str = ""
    ai_title: str = ""
    custom_title: str = ""

    def take(self, head: _Head) -> None:
        """Take in what a line says of the session: the first directory, the last titles."""
        self.ai_title = head.ai_title or self.ai_title
        self.custom_title = head.custom_title or self.custom_title
        if head.type not in _SPOKEN:
            return
        self.cwd = self.cwd or head.cwd or ""
        when = instant(head.timestamp)
        if when is not None:
            self.first = min(self.first or when, when)
            self.last = max(self.last or when, when)


class _Reading(SessionReading):
    """One file being read."""

    def __init__(self, session: SessionRecord, masks: Masks) -> None:
        super().__init__(session, masks)
        self._usage: UsageRecord | None = None

    def take(self, row: _Row, native_id: str) -> Iterator[Record]:
        """Yield what a line says, and the calls that it answers."""
        self.now = instant(row.timestamp) or self.now
        if row.type == "attachment":
            yield from self.message(native_id, "user", _queued_prompt(row.attachment))
        elif row.message is None:
            return
        elif row.type == "assistant":
            yield from self._answer(row.message, native_id)
            yield from self._used(row.message)
        else:
            for block in row.message.blocks:
                if block.type == "tool_result":
                    text = _result_text(block.content)
                    yield from self.end(block.tool_use_id, _outcome(row, block), text)
            yield from self._prompt(row, row.message, native_id)

    def _answer(self, message: _Message, native_id: str) -> Iterator[MessageRecord]:
        role: Role = "system" if message.model == "<synthetic>" else "agent"
        for number, block in enumerate(message.blocks):
            if block.type == "text":
                text = block.text or ""
                one = native_id if number == 0 else f"{native_id}:{number}"
                if text.strip() not in _EMPTY_ANSWERS:
                    yield from self.message(one, role, text)
            elif block.type in _CALLS:
                yield from self.begin(block.id or f"{native_id}:{number}", block.name, block.input)

    def _used(self, message: _Message) -> Iterator[UsageRecord]:
        """Yield the usage of an answer, which each of its lines carries, where it has grown."""
        usage = read_part(message.usage, _Usage)
        if usage is None or not message.id or message.model in (None, "<synthetic>"):
            return
        used = self.usage(
            message.id,
            message.model or "",
            tokens_in=usage.input_tokens + (usage.cache_creation_input_tokens or 0),
            tokens_out=usage.output_tokens,
            cached=usage.cache_read_input_tokens or 0,
        )
        if self._usage is None or replaced(used, created_at=self._usage.created_at) != self._usage:
            self._usage = used
            yield used

    def _prompt(self, row: _Row, message: _Message, native_id: str) -> Iterator[MessageRecord]:
        if row.is_meta:
            return
        texts = [_text(block) for block in message.blocks]
        role, text = _spoken("\n".join(text for text in texts if text))
        if row.is_compact_summary or (row.is_sidechain and not self.session.summary):
            role = "system"
        if _is_foreign(row.origin):
            role = "system"
        if text and role == "user" and not row.is_sidechain:
            yield from self.unanswered()
        yield from self.message(native_id, role, text)


def _is_transcript(path: Path) -> bool:
    return path.suffix == ".jsonl"


def _native_ids(path: Path) -> tuple[str, str]:
    """Return a session's own id, and for a subagent's file the one of the session it is of."""
    folders = path.parts
    if "subagents" not in folders[1:-1]:
        return key(path.stem), ""
    parent = folders[folders.index("subagents") - 1]
    return key(f"{parent}/{path.stem}"), key(parent)


def _text(block: _Block) -> str:
    """Return a block's words; what Claude Code put there for the model is none."""
    if block.type in ("image", "document"):
        return f"[{block.type}]"
    text = block.text or "" if block.type == "text" else ""
    return "" if _INJECTED.match(text.lstrip()) else text


def _spoken(text: str) -> tuple[Role, str]:
    """Return whose words a text is, and the words: a command without any is not a prompt."""
    command = _COMMAND.search(text)
    if command is not None and text.lstrip().startswith("<command-"):
        words = _COMMAND_ARGS.search(text)
        arguments = words[1].strip() if words else ""
        return ("user" if arguments else "system"), f"{command[1].strip()} {arguments}".strip()
    shell = _SHELL.match(text.lstrip())
    if shell is not None:
        return "system", f"! {shell[1].strip()}"
    return ("system" if text.startswith("[Request interrupted by user") else "user"), text


def _queued_prompt(attachment: object) -> str:
    """Return what the person typed while the model worked, or nothing."""
    if not isinstance(attachment, dict) or attachment.get("type") != "queued_command":
        return ""
    prompt = attachment.get("prompt")
    typed = attachment.get("commandMode", "prompt") == "prompt"
    return _result_text(prompt) if typed and not _is_foreign(attachment.get("origin")) else ""


def _is_foreign(origin: object) -> bool:
    """Tell whether a prompt came from something else than a person."""
    return isinstance(origin, dict) and origin.get("kind") not in (None, "human")


def _result_text(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") for part in content if isinstance(part, dict))
    return "\n".join(text for text in texts if isinstance(text, str))


def _outcome(row: _Row, block: _Block) -> Outcome:
    decision = row.permission_decision
    refused = isinstance(decision, dict) and decision.get("decision") not in (None, "accept")
    if refused:
        return "denied"
    return "error" if block.is_error else "ok"
