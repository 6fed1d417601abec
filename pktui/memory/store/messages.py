"""Appending messages, in groups, and reading them back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pktui.errors import InvalidRequest, NotFound
from pktui.memory.records import ROLES, Message, NewMessage, Page, Session
from pktui.memory.store.commits import GroupCommit
from pktui.memory.store.loading import document, message_at
from pktui.memory.store.schema import MessageRow
from pktui.memory.store.session_catalogue import grown
from pktui.text import one_line, storable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pktui.memory.store.state import State


_LETTERS = tuple(role[0] for role in ROLES)


@dataclass(frozen=True, slots=True)
class _Batch:
    messages: tuple[NewMessage, ...]
    allow_ended: bool
    request: str


@dataclass(frozen=True, slots=True)
class _Group:
    """What one commit has made so far: messages by their sessions, and by their requests."""

    ahead: dict[int, int] = field(default_factory=dict)
    requests: dict[str, tuple[Message, ...]] = field(default_factory=dict)


class Messages:
    """The verbs on messages."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._group: GroupCommit[_Batch, tuple[Message, ...]] = GroupCommit(self._commit)

    def append(
        self, messages: Sequence[NewMessage], allow_ended: bool, request: str
    ) -> tuple[Message, ...]:
        """Keep the messages, all or none; returns when they are where the next owner finds them.

        A request that was carried out already returns the messages it made.
        """
        for message in messages:
            _check(message)
        return self._group.run(_Batch(tuple(messages), allow_ended, request)) if messages else ()

    def made_by(self, request: str) -> Message | None:
        """Return the last message that the request appended when it came before."""
        with self._state.lock:
            message_id = self._state.requests.find("message", request)
        found = [] if message_id is None else self.get_many([message_id])
        return found[0] if found else None

    def _commit(self, batches: Sequence[_Batch]) -> Sequence[tuple[Message, ...] | Exception]:
        """Commit several threads' messages at once; one that is refused does not hold the rest."""
        state = self._state
        with state.writing:
            group = _Group()
            outcomes: list[tuple[Message, ...] | Exception] = []
            made: list[MessageRow] = []
            for batch in batches:
                outcome: tuple[Message, ...] | Exception = self._made_before(batch, group)
                if not outcome:
                    outcome = self._prepare(batch, group.ahead)
                    if not isinstance(outcome, Exception):
                        group.requests[batch.request] = outcome
                        made += [MessageRow(message, batch.request) for message in outcome]
                outcomes.append(outcome)
            if made:
                state.rows.add("message", made)
                self._take_in(made)
        return outcomes

    def _made_before(self, batch: _Batch, group: _Group) -> tuple[Message, ...]:
        """Return what the same request made when it came before; nothing for a new one."""
        if not batch.request:
            return ()
        if batch.request in group.requests:
            return group.requests[batch.request]
        with self._state.lock:
            last = self._state.requests.find("message", batch.request)
        if last is None:
            return ()
        return tuple(self.get_many(range(last - len(batch.messages) + 1, last + 1)))

    def _prepare(self, batch: _Batch, ahead: dict[int, int]) -> tuple[Message, ...] | Exception:
        """Give the messages ids and places; `ahead` counts those of this commit by session."""
        state = self._state
        now = state.clock()
        try:
            with state.lock:
                sessions = {m.session_id: self._open_session(m, batch) for m in batch.messages}
        except (NotFound, InvalidRequest) as error:
            return error
        made = []
        for message in batch.messages:
            last = sessions[message.session_id].message_count + ahead.get(message.session_id, 0)
            ahead[message.session_id] = ahead.get(message.session_id, 0) + 1
            made.append(
                Message(
                    id=state.next_id("message"),
                    session_id=message.session_id,
                    seq=last + 1,
                    role=message.role,
                    content=storable(message.content),
                    created_at=message.created_at or now,
                    source_id=storable(message.source_id),
                )
            )
        return tuple(made)

    def _open_session(self, message: NewMessage, batch: _Batch) -> Session:
        session = self._state.catalogue.get(message.session_id).session
        if session.status == "ended" and not batch.allow_ended:
            raise InvalidRequest(
                f"session {session.id} has ended", "Reopen it, or start a new session"
            )
        return session

    def _take_in(self, rows: Sequence[MessageRow]) -> None:
        state = self._state
        by_session: dict[int, list[Message]] = {}
        for row in rows:
            by_session.setdefault(row.message.session_id, []).append(row.message)
        with state.lock:
            for session_id, its in by_session.items():
                state.catalogue.put(grown(state.catalogue.get(session_id), its))
            state.messages.add([document(row.message) for row in rows])
            for row in rows:
                state.requests.remember("message", row.request, row.message.id)

    def page(
        self, session_id: int, before: int | None, after: int | None, limit: int
    ) -> Page[Message]:
        """Return messages in order: the first ones, those after a `seq`, or the last before one.

        A session's messages are numbered without gaps, as none is ever removed alone.
        """
        with self._state.lock:
            total = self._state.catalogue.get(session_id).session.message_count
            members = self._state.messages.members(session_id)
            first = min(max(after or 0, 0), total)
            last = total if before is None else max(first, min(before - 1, total))
            from_end = before is not None and after is None
            if from_end:
                first, more = max(first, last - limit), last - limit > first
            else:
                last, more = min(last, first + limit), first + limit < last
            ids = [int(self._state.messages.facts["ids"][at]) for at in members[first:last]]
        edge = first + 1 if from_end else last
        return Page(tuple(self.get_many(ids)), total, str(edge) if more else "")

    def times_and_roles(self, session_id: int, after: int) -> tuple[tuple[int, ...], str]:
        """Return time, in microseconds, and role's letter of each message after that `seq`."""
        with self._state.lock:
            self._state.catalogue.get(session_id)
            facts = self._state.messages.facts
            members = np.asarray(self._state.messages.members(session_id)[after:], np.intp)
            roles = "".join(_LETTERS[role] for role in facts["roles"][members].tolist())
            return tuple(facts["times"][members].tolist()), roles

    def neighbours(self, message_id: int, count: int) -> tuple[Message, ...]:
        """Return the message with up to `count` messages before and after it in its session."""
        with self._state.lock:
            corpus = self._state.messages
            position = corpus.position(message_id)
            if position is None:
                raise NotFound(f"no message has the id {message_id}", "Search for it again")
            found = [position]
            back = ahead = position
            for _ in range(count):
                back = int(corpus.facts["before"][back]) if back >= 0 else -1
                ahead = int(corpus.facts["after"][ahead]) if ahead >= 0 else -1
                found += [at for at in (back, ahead) if at >= 0]
            ids = [int(corpus.facts["ids"][at]) for at in sorted(found)]
        return tuple(self.get_many(ids))

    def get_many(self, ids: Iterable[int]) -> list[Message]:
        """Return the messages that exist, in the order of their ids."""
        corpus = self._state.messages
        with self._state.lock:
            positions = (corpus.position(one) for one in sorted(ids))
            return [message_at(corpus, at) for at in positions if at is not None]


def _check(message: NewMessage) -> None:
    if message.role not in ROLES:
        raise InvalidRequest(
            f"role {one_line(str(message.role), 40)!r} is not known", f"Use {', '.join(ROLES)}"
        )
    if message.created_at is not None and message.created_at.tzinfo is None:
        raise InvalidRequest("a message's time has no time zone", "Give it in UTC")
