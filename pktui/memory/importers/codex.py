"""Codex: `sessions/YYYY/MM/DD/rollout-*.jsonl`, one file a session, and titles in `state_N.sqlite`.

A line is `{timestamp, type, payload}`. Words stand twice in a turn: as `event_msg` of the type
`item_completed`, without what Codex put in itself, and as `response_item`, which older versions
wrote alone. So each turn is read from the first where it has any. A call stands twice under one id
and is taken once: the item where there is one, since it waits for the end of a command, else call
and output. A call without its end at the end of the file is left for the next time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pktui.memory.importers import codex_lines as form
from pktui.memory.importers.calls import SETTLED_S, Call, Masks, PendingCalls, call_record
from pktui.memory.importers.codex_titles import titles
from pktui.memory.importers.lines import UNREADABLE, Line
from pktui.memory.importers.source import Rejects, instant, key
from pktui.memory.importers.transcripts import Transcripts, headed
from pktui.memory.interchange import MessageRecord, Record, SessionRecord, UsageRecord

if TYPE_CHECKING:
    from pktui.memory.importers.files import Found
    from pktui.memory.records import Role

SOURCE: Final = "codex"
_DIRECTORIES: Final = ("sessions", "archived_sessions")
# Characters that are held back of an output.
_MOST_HELD: Final = 8192
# Tools that have items of their own, written when what they started has ended.
_LASTING: Final = frozenset(("apply_patch", "exec_command", "shell", "shell_command"))


def default_place() -> Path:
    """Return the directory where Codex keeps its sessions."""
    chosen = os.environ.get("CODEX_HOME")
    return Path(chosen) if chosen else Path.home() / ".codex"


class CodexSource(Transcripts):
    """Codex's directory, one in it, or one rollout; `wall` tells the time as file times do."""

    def __init__(self, path: Path, masks: Masks, wall: Callable[[], float] = time.time) -> None:
        home = path if (path / _DIRECTORIES[0]).is_dir() else None
        super().__init__(
            path, _is_rollout, lambda one: one.parent != home or one.name in _DIRECTORIES
        )
        self._path = path
        self._masks = masks
        self._wall = wall

    @cached_property
    def _titles(self) -> Mapping[str, str]:
        return titles(self._path, self.rejects)

    def _records(self, found: Found) -> Iterator[Record]:
        seen = _survey(self._files.lines(found, Rejects()))
        session = _session(seen, self._titles)
        if session is None:
            if seen.lines:
                self.rejects.add(self._files.name(found), "has no session_meta that can be read")
            return
        said = _Rollout(session, seen, self._masks, self.rejects)
        yield from headed(session, self._messages(found, said, seen.lines))

    def _messages(self, found: Found, said: _Rollout, lines: int) -> Iterator[Record]:
        for line in self._lines(found):
            if line.number > lines:
                break
            try:
                yield from said.read(line)
            except UNREADABLE as error:
                self._refuse(found, line, error)
        if self._wall() - found.written_at > SETTLED_S:
            yield from said.unanswered()


def _is_rollout(path: Path) -> bool:
    return path.name.startswith("rollout-") and path.suffix == ".jsonl"


@dataclass(slots=True)
class _Survey:
    """A rollout seen once: whole lines, head, last time, and whether a turn's words are items.

    What comes before the first turn counts as one.
    """

    lines: int = 0
    meta: form.Meta | None = None
    ended_at: datetime | None = None
    has_items: list[bool] = field(default_factory=lambda: [False])


def _survey(lines: Iterable[Line]) -> _Survey:
    seen, last = _Survey(), b""
    for line in lines:
        if not line.whole:
            break
        if seen.lines == 0:
            seen.meta = form.meta(line.text)
        elif b'_started"' in line.text and form.kinds(line.text)[0] in form.TURN_STARTS:
            seen.has_items.append(False)
        elif b'"item_completed"' in line.text and form.kinds(line.text)[1] in form.WORDS:
            seen.has_items[-1] = True
        seen.lines, last = line.number, line.text
    with suppress(*UNREADABLE):
        seen.ended_at = instant(form.head(last).timestamp)
    return seen


class _Rollout:
    """What is said and done in one file, read line by line."""

    def __init__(
        self, session: SessionRecord, seen: _Survey, masks: Masks, rejects: Rejects
    ) -> None:
        self._session = session.source_id
        self._project = session.project
        self._model = ""
        self._now = session.started_at
        self._seen = seen
        self._masks = masks
        self._rejects = rejects
        self._turn = 0
        self._calls = PendingCalls(masks)
        self._held: dict[str, form.Ended] = {}

    def read(self, line: Line) -> list[Record]:
        """Return what a line completes; raises one of `UNREADABLE`."""
        return list(self._line(line))

    def unanswered(self) -> Iterator[MessageRecord]:
        """Yield the calls whose items did not come."""
        held, self._held = self._held, {}
        for number, end in held.items():
            yield from self._records(self._calls.end(number, end.outcome, end.result))
        yield from self._records(self._calls.give_up())

    def _line(self, line: Line) -> Iterator[Record]:
        head = form.head(line.text)
        self._now = instant(head.timestamp) or self._now
        if head.type == "event_msg":
            yield from self._event(line.text)
        elif head.type == "response_item":
            yield from self._response(line, form.response(line.text))
        elif head.type == "turn_context":
            self._model = form.model(line.text) or self._model
        elif head.type == "token_usage_record":
            yield from self._used(form.usage(line.text))
        elif head.type not in form.QUIET_LINES:
            self._rejects.pass_over(head.type)

    def _used(self, used: form.Used) -> Iterator[UsageRecord]:
        tokens = used.usage
        if used.response_id:
            yield UsageRecord(
                source=SOURCE,
                session=self._session,
                source_id=key(used.response_id),
                created_at=self._now,
                model=self._model,
                tokens_in=max(0, tokens.input_tokens - tokens.cached_input_tokens),
                tokens_out=tokens.output_tokens,
                cached=tokens.cached_input_tokens,
                project=self._project,
            )

    def _event(self, text: bytes) -> Iterator[MessageRecord]:
        event = form.event(text)
        if event.type in form.TURN_STARTS or event.type in form.TURN_ENDS:
            yield from self.unanswered()
            self._turn += event.type in form.TURN_STARTS
        elif event.type == "item_completed" and event.item:
            yield from self._item(event.item.type, text)
        elif event.type not in form.QUIET_EVENTS:
            self._rejects.pass_over(f"event_msg {event.type}")

    def _item(self, kind: str, line: bytes) -> Iterator[MessageRecord]:
        if kind in form.WORDS:
            number, text = form.words_item(line)
            yield from self._words(form.WORDS[kind], number, text)
        elif kind in form.CALL_ITEMS:
            number, tool, arguments, end = form.call_item(kind, line)
            self._held.pop(number, None)
            begun = next(self._calls.end(number, end.outcome, end.result), None)
            made_at = begun.made_at if begun else self._now
            told = Call(number, tool, arguments, made_at, end.outcome, end.result)
            yield from self._records([told])
        elif kind not in form.QUIET_ITEMS:
            self._rejects.pass_over(f"item {kind}")

    def _response(self, line: Line, response: form.Response) -> Iterator[MessageRecord]:
        number = response.call_id or response.id or f"line {line.number}"
        if response.type == "message":
            said = None if self._has_items else form.response_words(response)
            # The item of a prompt is written right behind it.
            if said and not (said[0] == "user" and line.number == self._seen.lines):
                yield from self._words(said[0], number, said[1])
        elif response.type in form.CALL_STARTS:
            tool, arguments = form.response_call(response)
            begun = Call(number, tool, arguments, self._now)
            yield from self._records(self._calls.begin(begun))
        elif response.type in form.CALL_ENDS:
            yield from self._ended(number, response)
        elif response.type not in form.QUIET_RESPONSES:
            self._rejects.pass_over(f"response_item {response.type}")

    def _ended(self, number: str, response: form.Response) -> Iterator[MessageRecord]:
        end = form.response_end(response.output)
        tool = self._calls.tool(number)
        if self._has_items and (tool in _LASTING or tool.startswith("mcp__")):
            self._held[number] = form.Ended(end.outcome, end.result[:_MOST_HELD])
        else:
            yield from self._records(self._calls.end(number, end.outcome, end.result))

    @property
    def _has_items(self) -> bool:
        return self._seen.has_items[self._turn]

    def _words(self, role: Role, number: str, text: str) -> Iterator[MessageRecord]:
        if text.strip():
            yield MessageRecord(SOURCE, self._session, key(number), role, text, self._now)

    def _records(self, calls: Iterable[Call]) -> Iterator[MessageRecord]:
        for call in calls:
            yield call_record(SOURCE, self._session, call, self._masks)


def _session(seen: _Survey, names: Mapping[str, str]) -> SessionRecord | None:
    meta = seen.meta
    started_at = instant(meta.timestamp) if meta else None
    if meta is None or started_at is None or not meta.id:
        return None
    return SessionRecord(
        source=SOURCE,
        source_id=key(meta.id),
        started_at=started_at,
        ended_at=max(seen.ended_at or started_at, started_at),
        name=names.get(meta.id, ""),
        summary=f"A subagent of session {meta.parent}" if meta.parent else "",
        agent=SOURCE,
        project=meta.cwd,
    )
