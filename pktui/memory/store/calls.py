"""Tool calls of sessions: appended, read back, and told apart from messages in older stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from pktui.errors import InvalidRequest
from pktui.memory.records import OUTCOMES, Call, CallBrief, Message, NewCall, Page
from pktui.memory.search.call_text import call_text
from pktui.memory.search.corpus import Document
from pktui.memory.store.schema import CallRow
from pktui.text import one_line, storable
from pktui.times import from_microseconds, microseconds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pktui.memory.search.corpus import Corpus
    from pktui.memory.store.state import State

_REMEMBERED_SESSIONS = 64


class _Facts(msgspec.Struct, frozen=True, array_like=True):
    """What of a call is kept beside the text that is searched."""

    tool: str
    arguments: str
    result: str
    call_id: str


# The same, with what is long left as it is.
_decode_names = msgspec.json.Decoder(tuple[str, msgspec.Raw, msgspec.Raw, str]).decode


class Calls:
    """The verbs on calls."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._known: dict[int, dict[str, int]] = {}
        """Ids of the calls of the sessions that were appended to last, by the agent's own id."""

    def append(self, session_id: int, calls: Sequence[NewCall]) -> tuple[Call, ...]:
        """Keep the calls that the session does not have yet; returns all of them as kept."""
        state = self._state
        for call in calls:
            _check(call)
        with state.writing:
            with state.lock:
                state.catalogue.get(session_id)  # raises where there is no such session
                known = self._ids(session_id)
            now, last = state.clock(), len(state.calls.members(session_id))
            made: list[Call] = []
            ids: list[int] = []
            fresh: dict[str, int] = {}
            for new in calls:
                found = known.get(new.call_id, fresh.get(new.call_id))
                if found is None:
                    last += 1
                    made.append(_made(new, state.next_id("call"), session_id, last, now))
                    found = made[-1].id
                    if new.call_id:
                        fresh[new.call_id] = found
                ids.append(found)
            state.rows.add("call", [CallRow(call) for call in made])
            known.update(fresh)
            with state.lock:
                state.calls.add([document(call) for call in made])
                state.calls.pending.clear()
        with state.lock:
            return tuple(self._get(one) for one in ids)

    def page(self, session_id: int, after: int, limit: int) -> Page[Call]:
        """Return calls of a session in their order, those after the `seq`; its cursor is one."""
        with self._state.lock:
            self._state.catalogue.get(session_id)
            members = self._state.calls.members(session_id)
            first = max(after, 0)
            shown = tuple(call_at(self._state.calls, at) for at in members[first : first + limit])
            last = first + len(shown)
            return Page(shown, len(members), str(last) if last < len(members) else "")

    def briefs(self, session_id: int, after: int, last: int | None) -> tuple[CallBrief, ...]:
        """Return the session's calls after that `seq`, without arguments and results.

        `last`: so many of them at the most, the last ones.
        """
        with self._state.lock:
            calls = self._state.calls
            if last is not None:
                after = max(after, len(calls.members(session_id)) - max(last, 0))
            members = np.asarray(calls.members(session_id)[after:], np.intp)
            rows = zip(
                members.tolist(),
                calls.facts["times"][members].tolist(),
                calls.facts["roles"][members].tolist(),
                strict=True,
            )
            made = []
            for seq, (at, time_us, outcome) in enumerate(rows, after + 1):
                tool, _, _, call_id = _decode_names(calls.origins[at])
                made.append(CallBrief(seq, time_us, tool, OUTCOMES[outcome], call_id))
            return tuple(made)

    def forget(self, session_id: int) -> None:
        """Forget what is remembered of a session that is removed."""
        self._known.pop(session_id, None)

    def _get(self, call_id: int) -> Call:
        position = self._state.calls.position(call_id)
        assert position is not None
        return call_at(self._state.calls, position)

    def _ids(self, session_id: int) -> dict[str, int]:
        if session_id not in self._known:
            calls = self._state.calls
            its = (call_at(calls, at) for at in calls.members(session_id))
            self._known[session_id] = {one.call_id: one.id for one in its if one.call_id}
            for oldest in list(self._known)[:-_REMEMBERED_SESSIONS]:
                del self._known[oldest]
        return self._known[session_id]


def document(call: Call) -> Document:
    """Return the call as the search sees it."""
    kept = _Facts(call.tool, call.arguments, call.result, call.call_id)
    return Document(
        id=call.id,
        group=call.session_id,
        role=OUTCOMES.index(call.outcome),
        time_us=microseconds(call.created_at),
        text=call_text(call),
        origin=msgspec.json.encode(kept).decode(),
    )


def call_at(corpus: Corpus, position: int) -> Call:
    """Return the call whose `document` is at the position of the corpus."""
    facts = corpus.facts
    kept = msgspec.json.decode(corpus.origins[position], type=_Facts)
    return Call(
        id=int(facts["ids"][position]),
        session_id=int(corpus.groups["ids"][facts["slots"][position]]),
        seq=int(facts["numbers"][position]),
        tool=kept.tool,
        arguments=kept.arguments,
        outcome=OUTCOMES[facts["roles"][position]],
        result=kept.result,
        created_at=from_microseconds(int(facts["times"][position])),
        call_id=kept.call_id,
    )


def moved_call(new: NewCall, number: int, message: Message) -> Call:
    """Return the call that an older store kept as the message."""
    return _made(new, number, message.session_id, message.seq, message.created_at)


def _made(new: NewCall, number: int, session_id: int, seq: int, now: datetime) -> Call:
    return Call(
        id=number,
        session_id=session_id,
        seq=seq,
        tool=storable(new.tool),
        arguments=storable(new.arguments),
        outcome=new.outcome,
        result=storable(new.result),
        created_at=new.created_at or now,
        call_id=storable(new.call_id),
    )


def _check(call: NewCall) -> None:
    if not call.tool.strip():
        raise InvalidRequest("a call has no tool", "Name the tool that was called")
    if call.outcome not in OUTCOMES:
        raise InvalidRequest(
            f"outcome {one_line(str(call.outcome), 40)!r} is not known",
            f"Use {', '.join(OUTCOMES)}",
        )
    if call.created_at is not None and call.created_at.tzinfo is None:
        raise InvalidRequest("a call's time has no time zone", "Give it in UTC")
