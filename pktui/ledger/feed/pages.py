"""Every call with its outcome, read in pages that stay fast however long the log is.

A page is bounded by the key of a row, never by an offset. A filter on tools, effects or failures
follows the index of each value it names and merges what comes; any other filter walks the log from
where the page begins until the page is full.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

from pktui.ledger.feed.filter import FeedFilter
from pktui.ledger.feed.sql import Condition, branches
from pktui.ledger.journal.indexer import place_of
from pktui.ledger.journal.segment import KEY_SQL, MACHINE_BITS, split_key
from pktui.ledger.records import CallRow
from pktui.ledger.schema import CALLS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pktui.ledger.database import Database
    from pktui.ledger.transaction import Row

MINUTE_US = 60_000_000
# Values in one query.
_AT_ONCE = 500
_SEAT = ", ".join(
    f"(SELECT {column} FROM machines WHERE n = segment >> {MACHINE_BITS})"  # noqa: S608
    for column in ("name", "person")
)
_COLUMNS = (
    f"{KEY_SQL}, call_id, at_us, agent, grant_name, session, project, server, tool, arguments,"
    f" effect, rule, reason, approval_id, detail, args_hash, agent_session, {_SEAT}"
)

_WITHOUT_ARGUMENTS = _COLUMNS.replace(" arguments,", " '',", 1)

# Where a session stands, and what the index of that column is made of.
_SESSIONS = (("session", "session <> ''"), ("agent_session", "agent_session IS NOT NULL"))


class Feed:
    """Reads calls out of the index; a long search so never keeps a decision waiting."""

    def __init__(self, index: Callable[[], Database], clock: Callable[[], int]) -> None:
        """`index` gives the index, up to date."""
        self._index = index
        self._clock = clock

    def page(
        self,
        wanted: FeedFilter = FeedFilter(),  # noqa: B008  frozen
        *,
        before_seq: int | None = None,
        after_seq: int | None = None,
        limit: int = 100,
    ) -> tuple[CallRow, ...]:
        """Return up to `limit` calls, in the order they came.

        `before_seq`: the last ones before the row of that key; `after_seq`: the first ones after
        it; neither: the last of all.
        """
        index = self._index()
        upwards = after_seq is not None and before_seq is None
        bound = _bound(index, before_seq, after_seq)
        seqs: list[int] = []
        for branch in branches(index, wanted):
            seqs += _walk(index, bound & branch, upwards=upwards, limit=limit)
        seqs.sort(reverse=not upwards)
        return _joined(index, _rows(index, sorted(seqs[:limit])))

    def count(self, wanted: FeedFilter = FeedFilter(), *, cap: int = 100_000) -> int:  # noqa: B008
        """Return how many calls match; counting stops at `cap`, so that figure means "or more"."""
        index = self._index()
        if not wanted:
            return _count(index, Condition("call_us IS NOT NULL"), cap)
        total = 0
        for branch in branches(index, wanted):
            total += _count(index, branch, cap - total)
            if total >= cap:
                break
        return total

    def call(self, call_id: str) -> CallRow | None:
        """Return the call of that id, or None."""
        index = self._index()
        rows = index.rows(
            f"SELECT {_COLUMNS} FROM events WHERE call_id = ? AND call_id <> '' AND {CALLS}"  # noqa: S608
            " ORDER BY seq DESC LIMIT 1",
            (call_id,),
        )
        return _joined(index, rows)[0] if rows else None

    def named(self, seqs: Sequence[int]) -> tuple[CallRow, ...]:
        """Return the calls of these keys that are on record, in the order they came."""
        index, rows = self._index(), []
        for start in range(0, len(seqs), _AT_ONCE):
            part = [split_key(seq) for seq in seqs[start : start + _AT_ONCE]]
            rows += index.rows(
                f"SELECT seq, {_COLUMNS} FROM events WHERE (segment, number) IN"  # noqa: S608
                f" (VALUES {', '.join(['(?, ?)'] * len(part))}) AND {CALLS}",
                [number for key in part for number in key],
            )
        return _joined(index, [row[1:] for row in sorted(rows, key=itemgetter(0))])

    def of_sessions(
        self, sessions: Sequence[str], *, since_us: int, before_us: int, limit: int
    ) -> tuple[CallRow, ...]:
        """Return the last calls of these sessions or connections in that time, as they came.

        A session is an agent's own; a call of it came over a connection of another name. Without
        their arguments.
        """
        index = self._index()
        found: dict[int, Row] = {}
        for session in filter(None, sessions):
            for column, some in _SESSIONS:
                rows = index.rows(
                    f"SELECT seq, {_WITHOUT_ARGUMENTS} FROM events"  # noqa: S608
                    f" WHERE {column} = ? AND {some} AND call_us >= ? AND call_us < ?"
                    " AND call_us IS NOT NULL ORDER BY call_us DESC LIMIT ?",
                    (session, since_us, before_us, limit),
                )
                found |= {row[0]: row[1:] for row in rows}
        return _joined(index, [found[seq] for seq in sorted(found)[-limit:]])

    def uses(
        self, member: str, *, since_us: int, before_us: int, limit: int
    ) -> tuple[tuple[str, str], ...]:
        """Return connection and id of use of those of the last calls whose `_meta` has that member.

        At most `limit` calls are looked at.
        """
        rows = self._index().rows(
            "SELECT session, json_extract(detail, ?) FROM"
            " (SELECT session, detail FROM events WHERE call_us >= ? AND call_us < ?"
            " AND call_us IS NOT NULL ORDER BY call_us DESC LIMIT ?)"
            " WHERE instr(detail, ?) > 0 AND json_valid(detail)",
            (f'$._meta."{member}"', since_us, before_us, limit, member),
        )
        return tuple((session, use) for session, use in rows if isinstance(use, str))

    def changed_at(self, server: str, tool: str) -> int:
        """Return when the definition of a tool was last seen to be another, 0 where it was not."""
        row = self._index().row(
            "SELECT at_us FROM events WHERE kind NOT IN ('decision', 'outcome') AND kind = 'pin'"
            " AND effect IN ('changed', 'flagged') AND server = ? AND tool = ?"
            " ORDER BY seq DESC LIMIT 1",
            (server, tool),
        )
        return int(row[0]) if row else 0

    def per_minute(
        self,
        minutes: int = 60,
        wanted: FeedFilter = FeedFilter(),  # noqa: B008  frozen
    ) -> tuple[int, ...]:
        """Return the calls of each of the last minutes, oldest first, the present one last."""
        this = self._clock() // MINUTE_US
        first, index = this - minutes + 1, self._index()
        bound = Condition(
            "call_us >= ? AND call_us < ?", (first * MINUTE_US, (this + 1) * MINUTE_US)
        )
        counts: dict[int, int] = {}
        for branch in branches(index, wanted) if wanted else (Condition(""),):
            within = bound & branch
            rows = index.rows(
                f"SELECT call_us / {MINUTE_US}, count(*) FROM events"  # noqa: S608
                f" WHERE {within.sql} GROUP BY 1",
                within.values,
            )
            for minute, count in rows:
                counts[minute] = counts.get(minute, 0) + count
        return tuple(counts.get(minute, 0) for minute in range(first, this + 1))


def _walk(index: Database, branch: Condition, *, upwards: bool, limit: int) -> list[int]:
    rows = index.rows(
        f"SELECT seq FROM events WHERE {branch.sql}"  # noqa: S608
        f" ORDER BY seq {'ASC' if upwards else 'DESC'} LIMIT ?",
        (*branch.values, limit),
    )
    return [row[0] for row in rows]


def _count(index: Database, branch: Condition, cap: int) -> int:
    row = index.row(
        f"SELECT count(*) FROM (SELECT 1 FROM events WHERE {branch.sql} LIMIT ?)",  # noqa: S608
        (*branch.values, cap),
    )
    return int(row[0]) if row else 0


def _rows(index: Database, seqs: Sequence[int]) -> list[Row]:
    rows: list[Row] = []
    for start in range(0, len(seqs), _AT_ONCE):
        part = seqs[start : start + _AT_ONCE]
        rows += index.rows(
            f"SELECT {_COLUMNS} FROM events WHERE seq IN ({', '.join('?' * len(part))})"  # noqa: S608
            " ORDER BY seq",
            part,
        )
    return rows


def _joined(index: Database, rows: Sequence[Row]) -> tuple[CallRow, ...]:
    """Add the outcomes; of several for one call the first counts."""
    outcomes: dict[str, Row] = {}
    ids = [row[1] for row in rows if row[1]]
    for start in range(0, len(ids), _AT_ONCE):
        part = ids[start : start + _AT_ONCE]
        found = index.rows(
            "SELECT call_id, outcome, duration_us, detail FROM events"  # noqa: S608
            f" WHERE call_id IN ({', '.join('?' * len(part))}) AND call_id <> ''"
            " AND kind = 'outcome' ORDER BY seq DESC",
            part,
        )
        outcomes |= {row[0]: row for row in found}
    return tuple(_call(row, outcomes.get(row[1])) for row in rows)


def _call(row: Row, outcome: Row | None) -> CallRow:
    seq, call_id, at_us, agent, grant, session, project, server, tool, arguments = row[:10]
    effect, rule, reason, approval_id, detail, args_hash, agent_session, *seat = row[10:]
    return CallRow(
        seq=seq,
        call_id=call_id,
        at_us=at_us,
        agent=agent,
        grant=grant,
        session=session,
        project=project,
        server=server,
        tool=tool,
        arguments=arguments,
        effect=effect,
        rule=rule,
        reason=reason,
        outcome=outcome[1] if outcome else "",
        duration_us=outcome[2] if outcome else 0,
        approval_id=approval_id,
        detail=detail,
        outcome_detail=outcome[3] if outcome else "",
        args_hash=args_hash,
        agent_session=agent_session or "",
        machine=seat[0] or "",
        person=seat[1] or "",
    )


def _bound(index: Database, before: int | None, after: int | None) -> Condition:
    """Return where a page begins; put it first: SQLite searches by the first bound it meets."""
    condition = Condition("")
    if before is not None:
        condition = Condition("seq < ?", (place_of(index, before),))
    if after is not None:
        condition = condition & Condition("seq > ?", (place_of(index, after),))
    return condition
