"""Every call with its outcome, read in pages that stay fast however long the log is.

A page is bounded by a `seq`, never by an offset. A filter on tools, effects or failures follows
the index of each value it names and merges what comes; any other filter walks the log from where
the page begins until the page is full.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pktui.ledger.feed_filter import FeedFilter, Match
from pktui.ledger.records import CallRow
from pktui.ledger.schema import CALLS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pktui.ledger.database import Database, Row

MINUTE_US = 60_000_000
_COLUMNS = (
    "seq, call_id, at_us, agent, grant_name, session, project, server, tool, arguments, effect,"
    " rule, reason, approval_id, detail, args_hash"
)
_SEARCHED = (
    "arguments || char(10) || server || '.' || tool || char(10) || agent || char(10) || rule"
    " || char(10) || reason || char(10) || detail"
)
_NAMES = {"grant": "grant_name"}
_MANY = 64
"""Values above which following each one's index costs more than walking the log."""

_TOOLS = f"""WITH RECURSIVE pair (server, tool) AS (
    SELECT * FROM (SELECT server, tool FROM events INDEXED BY events_tool WHERE {CALLS}
        ORDER BY server, tool LIMIT 1)
    UNION ALL
    SELECT (SELECT server FROM events INDEXED BY events_tool WHERE {CALLS}
            AND (server, tool) > (pair.server, pair.tool) ORDER BY server, tool LIMIT 1),
           (SELECT tool FROM events INDEXED BY events_tool WHERE {CALLS}
            AND (server, tool) > (pair.server, pair.tool) ORDER BY server, tool LIMIT 1)
    FROM pair WHERE pair.server IS NOT NULL)
    SELECT server, tool FROM pair WHERE server IS NOT NULL"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class _Condition:
    sql: str
    values: tuple[str | int, ...] = ()

    def __and__(self, other: _Condition) -> _Condition:
        return _Condition(f"{self.sql} AND {other.sql}", (*self.values, *other.values))


class Feed:
    """Reads calls out of the log."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock

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
        found: list[Row] = []
        for branch in self._branches(wanted):
            found += self._walk(branch & bound, upwards=upwards, limit=limit)
        found.sort(key=_seq, reverse=not upwards)
        return self._joined(sorted(found[:limit], key=_seq))

    def count(self, wanted: FeedFilter = FeedFilter(), *, cap: int = 100_000) -> int:  # noqa: B008
        """Return how many calls match; counting stops at `cap`, so that figure means "or more"."""
        total = 0
        for branch in self._branches(wanted):
            row = self._database.row(
                f"SELECT count(*) FROM (SELECT 1 FROM events WHERE {branch.sql} LIMIT ?)",  # noqa: S608
                (*branch.values, cap - total),
            )
            total += row[0] if row else 0
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

    def per_minute(self, minutes: int = 60) -> tuple[int, ...]:
        """Return the calls of each of the last minutes, oldest first, the present one last."""
        this = self._clock() // MINUTE_US
        first = this - minutes + 1
        rows = self._database.rows(
            f"SELECT at_us / {MINUTE_US}, count(*) FROM events INDEXED BY events_time"  # noqa: S608
            f" WHERE {CALLS} AND at_us >= ? AND at_us < ? GROUP BY 1",
            (first * MINUTE_US, (this + 1) * MINUTE_US),
        )
        counts: dict[int, int] = dict(rows)
        return tuple(counts.get(minute, 0) for minute in range(first, this + 1))

    def tool_counts(self, server: str, since_us: int) -> Mapping[str, int]:
        """Return how often each tool of a server was called at that time or later."""
        lowest = self._first_since(since_us)
        counts: dict[str, int] = {}
        for of_server, tool in self._database.rows(_TOOLS):
            if of_server != server:
                continue
            row = self._database.row(
                f"SELECT count(*) FROM events INDEXED BY events_tool WHERE {CALLS}"  # noqa: S608
                " AND server = ? AND tool = ? AND seq >= ?",
                (server, tool, lowest),
            )
            if row and row[0]:
                counts[tool] = row[0]
        return counts

    def _walk(self, branch: _Condition, *, upwards: bool, limit: int) -> list[Row]:
        return self._database.rows(
            f"SELECT {_COLUMNS} FROM events WHERE {branch.sql}"  # noqa: S608
            f" ORDER BY seq {'ASC' if upwards else 'DESC'} LIMIT ?",
            (*branch.values, limit),
        )

    def _branches(self, wanted: FeedFilter) -> list[_Condition]:
        """Return disjoint conditions, each of which an index or the log's order serves."""
        rest = _Condition(CALLS) & self._times(wanted)
        for match in (*wanted.matches, *wanted.words):
            if match.negated:
                rest = rest & _Condition(f"NOT ({_test(match).sql})", _test(match).values)
        for word in wanted.words:
            if not word.negated:
                rest = rest & _test(word)
        groups = _alternatives(wanted.matches)
        tools = self._tools(groups.pop("server", ()), groups.pop("tool", ()))
        effects = sorted({match.pattern for match in groups.pop("effect", ())})
        for alternatives in groups.values():
            rest = rest & _any(alternatives)
        if tools is not None and len(tools) <= _MANY:
            if effects:
                rest = rest & _in("effect", effects)
            return [rest & _Condition("server = ? AND tool = ?", pair) for pair in tools]
        if tools is not None:
            marks = ", ".join(["(?, ?)"] * len(tools))
            names = tuple(name for pair in tools for name in pair)
            rest = rest & _Condition(f"(server, tool) IN (VALUES {marks})", names)
        if effects and "allow" not in effects:
            rare = _Condition("effect <> 'allow'") & rest
            return [rare & _Condition("effect = ?", (effect,)) for effect in effects]
        return [rest & _in("effect", effects)] if effects else [rest]

    def _tools(
        self, servers: Sequence[Match], tools: Sequence[Match]
    ) -> list[tuple[str, str]] | None:
        """Return the (server, tool) pairs on record that match, None where any does."""
        if not servers and not tools:
            return None
        pairs = f"SELECT server, tool FROM ({_TOOLS}) WHERE "  # noqa: S608
        condition = _any(servers) & _any(tools) if servers and tools else _any(servers or tools)
        rows = self._database.rows(pairs + condition.sql, condition.values)
        return [(server, tool) for server, tool in rows]

    def _times(self, wanted: FeedFilter) -> _Condition:
        condition = _Condition("seq >= ?", (self._first_since(wanted.since_us),))
        if wanted.since_us:
            condition = condition & _Condition("at_us >= ?", (wanted.since_us,))
        if wanted.before_us:
            condition = condition & _Condition("at_us < ?", (wanted.before_us,))
            condition = condition & _Condition("seq <= ?", (self._last_before(wanted.before_us),))
        return condition

    def _first_since(self, at_us: int) -> int:
        """Return the `seq` of the earliest call at that time or later, beyond the last if none."""
        if not at_us:
            return 0
        row = self._database.row(
            f"SELECT seq FROM events INDEXED BY events_time WHERE {CALLS} AND at_us >= ?"  # noqa: S608
            " ORDER BY at_us, seq LIMIT 1",
            (at_us,),
        )
        return int(row[0]) if row else 2**62

    def _last_before(self, at_us: int) -> int:
        row = self._database.row(
            f"SELECT seq FROM events INDEXED BY events_time WHERE {CALLS} AND at_us < ?"  # noqa: S608
            " ORDER BY at_us DESC, seq DESC LIMIT 1",
            (at_us,),
        )
        return int(row[0]) if row else 0

    def _joined(self, rows: Sequence[Row]) -> tuple[CallRow, ...]:
        """Add the outcomes; of several for one call the first counts."""
        outcomes: dict[str, Row] = {}
        ids = [row[1] for row in rows if row[1]]
        for start in range(0, len(ids), 500):
            part = ids[start : start + 500]
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


def _seq(row: Row) -> int:
    return int(row[0])


def _bound(before_seq: int | None, after_seq: int | None) -> _Condition:
    if before_seq is not None and after_seq is not None:
        return _Condition("seq < ? AND seq > ?", (before_seq, after_seq))
    if before_seq is not None:
        return _Condition("seq < ?", (before_seq,))
    return _Condition("seq > ?", (after_seq or 0,))


def _alternatives(matches: Sequence[Match]) -> dict[str, tuple[Match, ...]]:
    groups: dict[str, tuple[Match, ...]] = {}
    for match in matches:
        if not match.negated:
            groups[match.column] = (*groups.get(match.column, ()), match)
    return groups


def _any(alternatives: Sequence[Match]) -> _Condition:
    tests = [_test(match) for match in alternatives]
    values = tuple(value for test in tests for value in test.values)
    return _Condition(f"({' OR '.join(test.sql for test in tests)})", values)


def _in(column: str, values: Sequence[str]) -> _Condition:
    return _Condition(f"{column} IN ({', '.join('?' * len(values))})", tuple(values))


def _test(match: Match) -> _Condition:
    """Return the condition that a row fits a pattern; never unknown, so that NOT excludes."""
    if match.column == "":
        return _Condition(f"({_SEARCHED}) LIKE ? ESCAPE '\\'", (match.pattern,))
    if match.column == "tool":
        return _Condition(
            "(tool LIKE ? ESCAPE '\\' OR server || '.' || tool LIKE ? ESCAPE '\\')",
            (match.pattern, match.pattern),
        )
    if match.column == "effect":
        return _Condition("effect = ?", (match.pattern,))
    if match.column == "outcome":
        return _Condition(
            "EXISTS (SELECT 1 FROM events later WHERE later.call_id = events.call_id"
            " AND later.call_id <> '' AND later.kind = 'outcome'"
            " AND later.outcome LIKE ? ESCAPE '\\')",
            (match.pattern,),
        )
    return _Condition(
        f"{_NAMES.get(match.column, match.column)} LIKE ? ESCAPE '\\'", (match.pattern,)
    )
