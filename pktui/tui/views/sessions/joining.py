"""Which of the memory's calls and which rows of the ledger are of one session, each call once.

A row is of a session by the agent's own id of the session, or by its connection: one of whose calls
bears an id that the agent also wrote into its own record of the session. The same call in both is
known by its key in the ledger, by the id that a hook gave it, or by the agent's id of use; where an
agent has none, of the session's calls of that tool it is the nearest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.agent_names import hooked_call_id, recorded_key
from pktui.tui.effects import State, state_of
from pktui.tui.views.sessions.timeline import LineCall

if TYPE_CHECKING:
    from pktui.ledger.records import CallRow
    from pktui.memory.records import CallBrief, Outcome, Session

# Of `_meta`: Claude Code's own id of a call.
USE_MEMBER: Final = "claudecode/toolUseId"

# A call in both records bears nearly the same time.
_NEAR_US: Final = 60_000_000

# Agents whose hooks tell no id of a call.
_WITHOUT_IDS: Final = frozenset({"gemini"})

_MEMORY: Final = "memory"
# Calls that the messages themselves stand for.
_LOGGING: Final = frozenset({"start_logging_session", "log_message", "end_session"})
_STATES: Final[Mapping[Outcome, State]] = {
    "ok": "allowed",
    "error": "failed",
    "denied": "denied",
    "cancelled": "expired",
    "no result": "expired",
}
_WORDS: Final[Mapping[Outcome, str]] = {"ok": "", "error": "failed"}


def by_key(briefs: Iterable[CallBrief]) -> Mapping[int, CallBrief]:
    """Return the calls that the memory was told of with their key in the ledger, by that."""
    return {key: brief for brief in briefs if (key := recorded_key(brief.call_id))}


def told_by(row: CallRow, briefs: Mapping[int, CallBrief]) -> CallBrief | None:
    """Return the call that the memory was told of with the key of this row; `briefs` by that key.

    One of an imported session may bear a key of another machine's ledger: the time shows it.
    """
    brief = briefs.get(row.seq)
    return brief if brief is not None and brief.at_us == row.at_us else None


def use_of(detail: str) -> str:
    """Return the agent's id of use out of a row's detail, "" where there is none."""
    if USE_MEMBER not in detail:
        return ""
    try:
        meta = msgspec.json.decode(detail, type=dict[str, object]).get("_meta")
    except (msgspec.MsgspecError, RecursionError):
        return ""
    use = meta.get(USE_MEMBER) if isinstance(meta, dict) else ""
    return use if isinstance(use, str) else ""


def joined(
    session: Session,
    briefs: Sequence[CallBrief],
    rows: Iterable[CallRow],
    answered: Collection[str] = (),
) -> tuple[LineCall, ...]:
    """Return the calls of a session; `rows` are those of the ledger that are its own.

    `answered` are the ids of the newest calls whose results are there.
    """
    known = _Known(session, briefs)
    calls = []
    for row in rows:
        if row.tool and not (row.server == _MEMORY and row.tool in _LOGGING):
            brief = known.take(row)
            kept = brief.seq if brief else 0
            calls.append(_of_row(row, kept, session, answered=row.call_id in answered))
    calls += [_of_brief(brief) for brief in known.left()]
    return tuple(calls)


class _Known:
    """The memory's calls, each taken once."""

    def __init__(self, session: Session, briefs: Sequence[CallBrief]) -> None:
        self._session = session
        self._left = {brief.seq: brief for brief in briefs}
        self._by_key = by_key(briefs)
        self._by_use = {brief.call_id: brief for brief in briefs if brief.call_id}
        self._by_hook: dict[str, CallBrief] | None = None
        self._by_name: dict[str, list[CallBrief]] | None = None

    def take(self, row: CallRow) -> CallBrief | None:
        found = (
            told_by(row, self._by_key)
            or (self._by_use.get(use) if (use := use_of(row.detail)) else None)
            or self._hooked(row)
            or self._alike(row)
        )
        return self._left.pop(found.seq, None) if found else None

    def _hooked(self, row: CallRow) -> CallBrief | None:
        if row.session != self._session.source_id:
            return None
        if self._by_hook is None:
            agent, session = self._session.source, self._session.source_id
            self._by_hook = {
                hooked_call_id(agent, session, use): brief for use, brief in self._by_use.items()
            }
        return self._by_hook.get(row.call_id)

    def _alike(self, row: CallRow) -> CallBrief | None:
        """Return the nearest call of the same tool, of a row that is of this session by its id."""
        if row.agent_session != self._session.source_id:
            return None
        if row.agent_session == row.session and self._session.source not in _WITHOUT_IDS:
            return None
        if self._by_name is None:
            self._by_name = defaultdict(list)
            for brief in self._left.values():
                self._by_name[brief.tool].append(brief)
        alike = [
            brief
            for name in _names_of_agents(row.server, row.tool)
            for brief in self._by_name.get(name, ())
            if brief.seq in self._left and abs(brief.at_us - row.at_us) < _NEAR_US
        ]
        return min(alike, key=lambda brief: abs(brief.at_us - row.at_us), default=None)

    def left(self) -> Iterable[CallBrief]:
        return self._left.values()


def _of_row(row: CallRow, kept: int, session: Session, *, answered: bool) -> LineCall:
    state = state_of(row)
    own = row.server == session.source  # a tool of the agent itself, told by its hook
    return LineCall(
        at_us=row.at_us,
        server="" if own else row.server,
        tool=row.tool,
        state=state,
        word="" if state in {"allowed", "approved"} else state,
        took_us=row.duration_us if row.outcome else 0,
        kept=kept,
        row=row.seq,
        answered=answered,
    )


def _of_brief(brief: CallBrief) -> LineCall:
    server, tool = names_of(brief.tool)
    return LineCall(
        at_us=brief.at_us,
        server=server,
        tool=tool,
        state=_STATES[brief.outcome],
        word=_WORDS.get(brief.outcome, brief.outcome),
        kept=brief.seq,
    )


def _names_of_agents(server: str, tool: str) -> Sequence[str]:
    """Return what agents call a server's tool in their own records."""
    plain = "".join(one if one.isalnum() or one in "_-" else "_" for one in server)
    forms = (f"mcp__{plain}__{tool}", f"mcp_{plain}_{tool}", f"{plain}_{tool}", f"{server}.{tool}")
    return (*forms, tool)


@lru_cache(maxsize=1_000)
def names_of(tool: str) -> tuple[str, str]:
    """Return server and tool of a name as agents write it: `mcp__files__read` is of `files`."""
    if tool.startswith("mcp__"):
        server, between, name = tool.removeprefix("mcp__").partition("__")
        if between and name:
            return server, name
    return "", tool
