"""A feed filter as conditions that SQLite can follow an index for.

A filter on tools or on effects becomes one condition per value, each served by that value's index,
and rare outcomes are looked up first. Any other filter walks the log from where a page begins
until the page is full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pktui.ledger.feed.filter import BECAME
from pktui.ledger.journal.segment import MACHINE_BITS
from pktui.ledger.schema import CALLS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.ledger.database import Database
    from pktui.ledger.feed.filter import FeedFilter, Match

# Tools above which following each one's index costs more than walking the log.
_MANY = 64
# Ends up to which they are looked up first; what is not rare is soon met by walking.
_RARE = 5000
# Tools on record above which names are compared row by row.
_MOST_TOOLS = 5000

_SEARCHED = ("arguments", "server || '.' || tool", "agent", "rule", "reason", "detail")
_COLUMNS = {"grant": "grant_name"}
_FAILED = "FROM events INDEXED BY events_failed WHERE kind = 'outcome' AND outcome <> 'ok'"
_TOOLS = f"""WITH RECURSIVE each (call_tool) AS (
    SELECT min(call_tool) FROM events WHERE call_tool > ''
    UNION ALL
    SELECT (SELECT min(call_tool) FROM events WHERE call_tool > each.call_tool)
    FROM each WHERE call_tool IS NOT NULL LIMIT {_MOST_TOOLS + 1})
    SELECT call_tool, substr(call_tool, 1, instr(call_tool, char(31)) - 1) AS server,
        substr(call_tool, instr(call_tool, char(31)) + 1) AS tool
    FROM each WHERE call_tool IS NOT NULL"""  # noqa: S608


_OUTCOMES = (
    "EXISTS (SELECT 1 FROM events later WHERE later.call_id = events.call_id"
    " AND later.call_id <> '' AND later.kind = 'outcome'{})"
)
_ASKED = "(effect = 'approve' OR effect = 'allow' AND approval_id <> '')"
_BECAME = {
    "running": "(effect = 'allow' AND NOT " + _OUTCOMES.format("") + ")",
    "approved": f"({_ASKED} AND " + _OUTCOMES.format(" AND later.outcome = 'ok'") + ")",
    "failed": "(effect IN ('allow', 'approve') AND "
    + _OUTCOMES.format(" AND later.outcome IN ('tool_error', 'error', 'lost')")
    + ")",
    "expired": "(effect IN ('allow', 'approve') AND "
    + _OUTCOMES.format(" AND later.outcome IN ('expired', 'cancelled')")
    + ")",
}


# One of a team's machines, by its name.
_ON_MACHINE = f"""segment >> {MACHINE_BITS} IN
    (SELECT n FROM machines WHERE name LIKE ? ESCAPE '\\')"""  # noqa: S608


class Condition(msgspec.Struct, frozen=True):
    """What follows WHERE, with its values; empty: any row."""

    sql: str
    values: tuple[str | int, ...] = ()

    def __and__(self, other: Condition) -> Condition:
        if not (self.sql and other.sql):
            return self if self.sql else other
        return Condition(f"{self.sql} AND {other.sql}", (*self.values, *other.values))


_ALWAYS = Condition("")
# Written so that the index of rare kinds serves it.
_REQUESTS = Condition("kind NOT IN ('decision', 'outcome') AND kind = 'request'")


def branches(database: Database, wanted: FeedFilter) -> list[Condition]:
    """Return disjoint conditions on `events` that together are the filter."""
    groups = _alternatives(wanted.matches)
    servers, tools = groups.pop("server", ()), groups.pop("tool", ())
    outcomes = groups.pop("outcome", ())
    named_effects = groups.pop("effect", ())
    effects = sorted({match.pattern for match in named_effects})
    shown = _REQUESTS if wanted.requests else Condition(CALLS)
    rest = shown & _times(database, wanted) & _excluded(wanted)
    for alternatives in (*((word,) for word in wanted.words if not word.negated), *groups.values()):
        rest = rest & _any(alternatives)
    if outcomes:
        rest = rest & _ended(database, outcomes)
    if any(effect in BECAME for effect in effects):
        return [rest & _any(named_effects) & _any_of(servers) & _any_of(tools)]
    if effects and "allow" not in effects:
        rest = rest & _any_of(servers) & _any_of(tools) & Condition("effect <> 'allow'")
        return [Condition("effect = ?", (effect,)) & rest for effect in effects]
    rest = rest & _in("effect", effects) if effects else rest
    named = None if wanted.requests else _named(database, servers, tools)
    if named is not None:
        return [Condition("call_tool = ?", (key,)) & rest for key in named]
    return [rest & _any_of(servers) & _any_of(tools)]


def _first_since(database: Database, at_us: int) -> int:
    """Return the `seq` of the earliest call at that time or later, beyond the last if none."""
    if not at_us:
        return 0
    row = database.row(
        "SELECT seq FROM events WHERE call_us >= ? ORDER BY call_us, seq LIMIT 1",
        (at_us,),
    )
    return int(row[0]) if row else 2**62


def _last_before(database: Database, at_us: int) -> int:
    row = database.row(
        "SELECT seq FROM events WHERE call_us < ? ORDER BY call_us DESC, seq DESC LIMIT 1",
        (at_us,),
    )
    return int(row[0]) if row else 0


def _times(database: Database, wanted: FeedFilter) -> Condition:
    condition = _ALWAYS
    if wanted.requests:
        until = wanted.before_us or 2**62
        return Condition("at_us >= ? AND at_us < ?", (wanted.since_us, until))
    if wanted.since_us:
        first = _first_since(database, wanted.since_us)
        condition = Condition("at_us >= ? AND seq >= ?", (wanted.since_us, first))
    if wanted.before_us:
        last = _last_before(database, wanted.before_us)
        condition = condition & Condition("at_us < ? AND seq <= ?", (wanted.before_us, last))
    return condition


def _excluded(wanted: FeedFilter) -> Condition:
    tests = [_test(match) for match in (*wanted.matches, *wanted.words) if match.negated]
    if not tests:
        return _ALWAYS
    values = tuple(value for test in tests for value in test.values)
    return Condition(f"NOT ({' OR '.join(test.sql for test in tests)})", values)


def _named(
    database: Database, servers: Sequence[Match], tools: Sequence[Match]
) -> list[str] | None:
    """Return the `call_tool` of every tool that matches, None where that is no help."""
    if not servers and not tools:
        return None
    condition = _any(servers) & _any(tools) if servers and tools else _any(servers or tools)
    rows = database.rows(
        f"SELECT call_tool, {condition.sql} FROM ({_TOOLS})",  # noqa: S608
        condition.values,
    )
    found = [key for key, fits in rows if fits]
    return found if len(found) <= _MANY and len(rows) <= _MOST_TOOLS else None


def _ended(database: Database, outcomes: Sequence[Match]) -> Condition:
    """Return the condition that a call ended so."""
    patterns = [match.pattern for match in outcomes]
    fits = " OR ".join(["outcome LIKE ? ESCAPE '\\'"] * len(patterns))
    fine = database.row(f"SELECT 1 FROM (SELECT 'ok' AS outcome) WHERE {fits}", patterns)  # noqa: S608
    if fine is None:
        found = f"SELECT decision_seq {_FAILED} AND ({fits})"
        count = database.row(f"SELECT count(*) FROM ({found} LIMIT ?)", (*patterns, _RARE + 1))  # noqa: S608
        if count and count[0] <= _RARE:
            return Condition(f"seq IN ({found})", tuple(patterns))
    return _any(outcomes)


def _alternatives(matches: Sequence[Match]) -> dict[str, tuple[Match, ...]]:
    groups: dict[str, tuple[Match, ...]] = {}
    for match in matches:
        if not match.negated:
            groups[match.column] = (*groups.get(match.column, ()), match)
    return groups


def _any_of(alternatives: Sequence[Match]) -> Condition:
    return _any(alternatives) if alternatives else _ALWAYS


def _any(alternatives: Sequence[Match]) -> Condition:
    tests = [_test(match) for match in alternatives]
    values = tuple(value for test in tests for value in test.values)
    return Condition(f"({' OR '.join(test.sql for test in tests)})", values)


def _in(column: str, values: Sequence[str]) -> Condition:
    return Condition(f"{column} IN ({', '.join('?' * len(values))})", tuple(values))


def _test(match: Match) -> Condition:
    """Return the condition that a row fits a pattern; never unknown, so that NOT excludes."""
    if match.column == "":
        tests = " OR ".join(f"{column} LIKE ? ESCAPE '\\'" for column in _SEARCHED)
        return Condition(f"({tests})", (match.pattern,) * len(_SEARCHED))
    if match.column == "tool":
        return Condition(
            "(tool LIKE ? ESCAPE '\\' OR server || '.' || tool LIKE ? ESCAPE '\\')",
            (match.pattern, match.pattern),
        )
    if match.column == "session":
        return Condition(
            "(session LIKE ? ESCAPE '\\' OR coalesce(agent_session, '') LIKE ? ESCAPE '\\')",
            (match.pattern, match.pattern),
        )
    if match.column == "effect" and match.pattern in _BECAME:
        return Condition(_BECAME[match.pattern])
    if match.column == "machine":
        return Condition(_ON_MACHINE, (match.pattern,))
    if match.column == "effect":
        return Condition("effect = ?", (match.pattern,))
    if match.column == "outcome":
        return Condition(
            "EXISTS (SELECT 1 FROM events later WHERE later.call_id = events.call_id"
            " AND later.call_id <> '' AND later.kind = 'outcome'"
            " AND later.outcome LIKE ? ESCAPE '\\')",
            (match.pattern,),
        )
    return Condition(
        f"{_COLUMNS.get(match.column, match.column)} LIKE ? ESCAPE '\\'", (match.pattern,)
    )
