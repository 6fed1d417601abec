"""Appending messages, in groups, and reading them back."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from pktui.errors import InvalidRequest, NotFound, SessionEnded
from pktui.memory.records import ROLES, Message, NewMessage, Page, Session
from pktui.memory.search.corpus import Document
from pktui.memory.store.commits import GroupCommit
from pktui.memory.store.schema import MessageRow
from pktui.text import one_line, storable
from pktui.times import from_microseconds, microseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pktui.memory.records import Identity
    from pktui.memory.search.corpus import Corpus
    from pktui.memory.store.state import State


_LETTERS = tuple(role[0] for role in ROLES)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Messages to be committed together; one of session 0 goes to the owner's current session."""

    messages: tuple[NewMessage, ...]
    request: str
    allow_ended: bool = False
    owner: str = ""


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
        return self._group.run(_Batch(tuple(messages), request, allow_ended)) if messages else ()

    def log(self, message: NewMessage, who: Identity, request: str) -> Message:
        """Keep one message, in the identity's current session where it names none.

        Raises `NotFound` where there is no such session, `InvalidRequest` for one that has ended.
        """
        _check(message)
        return self._group.run(_Batch((message,), request, owner=storable(who.owner)))[0]

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
                        made.extend(map(MessageRow, outcome, repeat(batch.request)))
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
                sessions = list(map(self._open_session, batch.messages, repeat(batch)))
        except (NotFound, InvalidRequest) as error:
            return error
        made = []
        for message, session in zip(batch.messages, sessions, strict=True):
            last = session.message_count + ahead.get(session.id, 0)
            ahead[session.id] = ahead.get(session.id, 0) + 1
            made.append(
                Message(
                    id=state.next_id("message"),
                    session_id=session.id,
                    seq=last + 1,
                    role=message.role,
                    content=storable(message.content),
                    created_at=message.created_at or now,
                    source_id=storable(message.source_id),
                )
            )
        return tuple(made)

    def _open_session(self, message: NewMessage, batch: _Batch) -> Session:
        if message.session_id:
            session = self._state.catalogue.get(message.session_id).session
        elif (current := self._state.catalogue.current(batch.owner)) is not None:
            return current
        else:
            cure = "Start one, or name a session by its id"
            raise NotFound("there is no current session", cure)
        if session.status == "ended" and not batch.allow_ended:
            raise SessionEnded(
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
                state.catalogue.grow(session_id, its)
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


def document(message: Message) -> Document:
    """Return the message as the search sees it."""
    time_us = microseconds(message.created_at)
    role = ROLES.index(message.role)
    return Document(
        message.id, message.session_id, role, time_us, message.content, message.source_id
    )


def message_at(corpus: Corpus, position: int) -> Message:
    """Return the message whose `document` is at the position of the corpus."""
    return Message(
        id=int(corpus.facts["ids"][position]),
        session_id=int(corpus.groups["ids"][corpus.facts["slots"][position]]),
        seq=int(corpus.facts["numbers"][position]),
        role=ROLES[corpus.facts["roles"][position]],
        content=corpus.texts[position],
        created_at=from_microseconds(int(corpus.facts["times"][position])),
        source_id=corpus.origins[position],
    )


def _check(message: NewMessage) -> None:
    if message.role not in ROLES:
        raise InvalidRequest(
            f"role {one_line(str(message.role), 40)!r} is not known", f"Use {', '.join(ROLES)}"
        )
    if message.created_at is not None and message.created_at.tzinfo is None:
        raise InvalidRequest("a message's time has no time zone", "Give it in UTC")
