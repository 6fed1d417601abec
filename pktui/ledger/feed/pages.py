"""Every call with its outcome, read in pages that stay fast however long the log is.

A page is bounded by a `seq`, never by an offset. A filter on tools, effects or failures follows
the index of each value it names and merges what comes; any other filter walks the log from where
the page begins until the page is full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pktui.ledger.feed.filter import FeedFilter
from pktui.ledger.feed.sql import Condition, branches, first_since, tools_of
from pktui.ledger.records import CallRow
from pktui.ledger.schema import CALLS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pktui.ledger.database import Database, Row

MINUTE_US = 60_000_000
_AT_ONCE = 500
"""Values in one query."""
_COLUMNS = (
    "seq, call_id, at_us, agent, grant_name, session, project, server, tool, arguments, effect,"
    " rule, reason, approval_id, detail, args_hash"
)


class Feed:
    """Reads calls out of the log, on a connection of its own.

    A long search so never keeps a decision waiting; `reader` opens it when it is first needed.
    """

    def __init__(self, reader: Callable[[], Database], clock: Callable[[], int]) -> None:
        self._reader = reader
        self._clock = clock

    @property
    def _database(self) -> Database:
        return self._reader()

    def page(
        self,
        wanted: FeedFilter = FeedFilter(),  # noqa: B008  frozen
        *,
        before_seq: int | None = None,
        after_seq: int | None = None,
        limit: int = 100,
    ) -> tuple[CallRow, ...]:
        """Return up to `limit` calls, oldest first.

        `before_seq`: the newest ones below it; `after_seq`: the oldest ones above it; neither:
        the newest of all.
        """
        upwards = after_seq is not None and before_seq is None
        bound = _bound(before_seq, after_seq)
        seqs: list[int] = []
        for branch in branches(self._database, wanted):
            seqs += self._walk(bound & branch, upwards=upwards, limit=limit)
        seqs.sort(reverse=not upwards)
        return self._joined(self._rows(sorted(seqs[:limit])))

    def count(self, wanted: FeedFilter = FeedFilter(), *, cap: int = 100_000) -> int:  # noqa: B008
        """Return how many calls match; counting stops at `cap`, so that figure means "or more"."""
        if not wanted:
            return self._count(Condition("call_us IS NOT NULL"), cap)
        total = 0
        for branch in branches(self._database, wanted):
            total += self._count(branch, cap - total)
            if total >= cap:
                break
        return total

    def call(self, call_id: str) -> CallRow | None:
        """Return the call of that id, or None."""
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM events WHERE call_id = ? AND call_id <> '' AND {CALLS}"  # noqa: S608
            " ORDER BY seq DESC LIMIT 1",
            (call_id,),
        )
        return self._joined(rows)[0] if rows else None

    def changed_at(self, server: str, tool: str) -> int:
        """Return when the definition of a tool was last seen to be another, 0 where it was not."""
        row = self._database.row(
            "SELECT at_us FROM events WHERE kind NOT IN ('decision', 'outcome') AND kind = 'pin'"
            " AND effect IN ('changed', 'flagged') AND server = ? AND tool = ?"
            " ORDER BY seq DESC LIMIT 1",
            (server, tool),
        )
        return int(row[0]) if row else 0

    def per_minute(self, minutes: int = 60) -> tuple[int, ...]:
        """Return the calls of each of the last minutes, oldest first, the present one last."""
        this = self._clock() // MINUTE_US
        first = this - minutes + 1
        rows = self._database.rows(
            f"SELECT call_us / {MINUTE_US}, count(*) FROM events"  # noqa: S608
            " WHERE call_us >= ? AND call_us < ? GROUP BY 1",
            (first * MINUTE_US, (this + 1) * MINUTE_US),
        )
        counts: dict[int, int] = dict(rows)
        return tuple(counts.get(minute, 0) for minute in range(first, this + 1))

    def tool_counts(self, server: str, since_us: int) -> Mapping[str, int]:
        """Return how often each tool of a server was called at that time or later."""
        lowest = first_since(self._database, since_us)
        counts: dict[str, int] = {}
        for key, tool in tools_of(self._database, server):
            row = self._database.row(
                "SELECT count(*) FROM events WHERE call_tool = ? AND seq >= ?", (key, lowest)
            )
            if row and row[0]:
                counts[tool] = row[0]
        return counts

    def _walk(self, branch: Condition, *, upwards: bool, limit: int) -> list[int]:
        rows = self._database.rows(
            f"SELECT seq FROM events WHERE {branch.sql}"  # noqa: S608
            f" ORDER BY seq {'ASC' if upwards else 'DESC'} LIMIT ?",
            (*branch.values, limit),
        )
        return [row[0] for row in rows]

    def _count(self, branch: Condition, cap: int) -> int:
        row = self._database.row(
            f"SELECT count(*) FROM (SELECT 1 FROM events WHERE {branch.sql} LIMIT ?)",  # noqa: S608
            (*branch.values, cap),
        )
        return int(row[0]) if row else 0

    def _rows(self, seqs: Sequence[int]) -> list[Row]:
        rows: list[Row] = []
        for start in range(0, len(seqs), _AT_ONCE):
            part = seqs[start : start + _AT_ONCE]
            rows += self._database.rows(
                f"SELECT {_COLUMNS} FROM events WHERE seq IN ({', '.join('?' * len(part))})"  # noqa: S608
                " ORDER BY seq",
                part,
            )
        return rows

    def _joined(self, rows: Sequence[Row]) -> tuple[CallRow, ...]:
        """Add the outcomes; of several for one call the first counts."""
        outcomes: dict[str, Row] = {}
        ids = [row[1] for row in rows if row[1]]
        for start in range(0, len(ids), _AT_ONCE):
            part = ids[start : start + _AT_ONCE]
            found = self._database.rows(
                "SELECT call_id, outcome, duration_us, detail FROM events"  # noqa: S608
                f" WHERE call_id IN ({', '.join('?' * len(part))}) AND call_id <> ''"
                " AND kind = 'outcome' ORDER BY seq DESC",
                part,
            )
            outcomes |= {row[0]: row for row in found}
        return tuple(_call(row, outcomes.get(row[1])) for row in rows)


def _call(row: Row, outcome: Row | None) -> CallRow:
    seq, call_id, at_us, agent, grant, session, project, server, tool, arguments = row[:10]
    effect, rule, reason, approval_id, detail, args_hash = row[10:]
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
    )


def _bound(before_seq: int | None, after_seq: int | None) -> Condition:
    """Return where a page begins; put it first: SQLite searches by the first bound it meets."""
    if before_seq is not None and after_seq is not None:
        return Condition("seq < ? AND seq > ?", (before_seq, after_seq))
    if before_seq is not None:
        return Condition("seq < ?", (before_seq,))
    return Condition("seq > ?", (after_seq,)) if after_seq is not None else Condition("")
