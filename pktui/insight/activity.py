"""What happened over days: calls by hour, slow tools, denials by rule, and what asking cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING, Final

from pktui.insight.spending import Purse, Spending

if TYPE_CHECKING:
    from pktui.budget import Spent
    from pktui.ledger.feed.rollup import Denials, HourOfEffect, ToolSums
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import Question

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
_HOURS_A_DAY: Final = 24
_LONGEST_LISTS: Final = 50


@dataclass(frozen=True, slots=True)
class HourCalls:
    """The calls of an hour that begins at `at_us`."""

    at_us: int
    ran: int
    asked: int
    denied: int


@dataclass(frozen=True, slots=True)
class ToolHours:
    """How often a tool was called in each hour of the day, as the person's clock counts them."""

    server: str
    tool: str
    calls: tuple[int, ...]
    total: int


@dataclass(frozen=True, slots=True)
class ToolTime:
    """How long a tool's calls took."""

    server: str
    tool: str
    calls: int
    p50_us: int
    p95_us: int


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How often a rule denied; `tool` and `agent` are those it denied most."""

    server: str
    rule: str
    tool: str
    agent: str
    count: int
    last_us: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What asking about a tool cost: how often, with what answer, and what the agents waited.

    `waited_us` is the sum, `median_us` of those that were answered.
    """

    server: str
    tool: str
    asked: int
    allowed: int
    denied: int
    unanswered: int
    waited_us: int
    median_us: int


@dataclass(frozen=True, slots=True)
class Insight:
    """The figures of some days. `behind`: rows of the record that are not counted yet."""

    at_us: int
    days: int
    since_us: int
    behind: int
    hours: tuple[HourCalls, ...]
    heat: tuple[ToolHours, ...]
    slow: tuple[ToolTime, ...]
    denials: tuple[RuleCount, ...]
    bill: tuple[Asked, ...]
    spending: tuple[Spending, ...] = ()
    budgets: tuple[Spent, ...] = ()

    @property
    def total(self) -> int:
        """All calls of that time."""
        return sum(hour.ran + hour.asked + hour.denied for hour in self.hours)


class Activity:
    """Reads the figures from sums; costs by what is new. Raises `LedgerUnavailable`."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Callable[[], int],
        purse: Purse = Purse(),  # noqa: B008  frozen
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._purse = purse

    def read(self, days: int = 7, *, seconds: float = 0.5) -> Insight:
        """Return the figures of the last days; what is new is counted for at most `seconds`."""
        now, rollup = self._clock(), self._ledger.rollup
        since = (now // HOUR_US + 1) * HOUR_US - days * DAY_US
        behind = rollup.catch_up(seconds)
        tools, sums = rollup.sums_of_tools(since), self._ledger.usage.sums()
        slow = (
            ToolTime(one.server, one.tool, one.timed, one.quantile_us(50), one.quantile_us(95))
            for one in tools
            if one.times
        )
        return Insight(
            at_us=now,
            days=days,
            since_us=since,
            behind=behind,
            hours=_by_hour(rollup.hours(since), since, now),
            heat=_heat(tools),
            slow=tuple(sorted(slow, key=lambda one: -one.p95_us)[:_LONGEST_LISTS]),
            denials=_by_rule(rollup.denials(since))[:_LONGEST_LISTS],
            bill=_bill(self._ledger.approvals.asked_since(since), now)[:_LONGEST_LISTS],
            spending=self._purse.spending(sums, since),
            budgets=self._purse.budgets(sums, now),
        )


def _by_hour(rows: Iterable[HourOfEffect], since_us: int, now_us: int) -> tuple[HourCalls, ...]:
    counts = {hour: [0, 0, 0] for hour in range(since_us // HOUR_US, now_us // HOUR_US + 1)}
    for row in rows:
        if row.hour in counts:
            kind = 0 if row.effect == "allow" else 1 if row.effect == "approve" else 2
            counts[row.hour][kind] += row.calls
    return tuple(HourCalls(hour * HOUR_US, *found) for hour, found in counts.items())


def _heat(tools: Iterable[ToolSums]) -> tuple[ToolHours, ...]:
    local: dict[int, int] = {}
    heat = []
    for tool in tools:
        day = [0] * _HOURS_A_DAY
        for hour, calls in tool.calls.items():
            if hour not in local:
                moment = datetime.fromtimestamp(hour * 3600, UTC)
                local[hour] = moment.astimezone().hour
            day[local[hour]] += calls
        if tool.calls:
            heat.append(ToolHours(tool.server, tool.tool, tuple(day), sum(day)))
    return tuple(sorted(heat, key=lambda one: (-one.total, one.server, one.tool))[:_LONGEST_LISTS])


def _by_rule(rows: Sequence[Denials]) -> tuple[RuleCount, ...]:
    rules: dict[tuple[str, str], list[Denials]] = {}
    for row in rows:
        rules.setdefault((row.server, row.rule), []).append(row)
    counts = []
    for (server, rule), found in rules.items():
        most = max(found, key=lambda one: one.calls)
        total, last = sum(one.calls for one in found), max(one.last_us for one in found)
        counts.append(RuleCount(server, rule, most.tool, most.agent, total, last))
    return tuple(sorted(counts, key=lambda one: (-one.count, one.server, one.rule)))


def _bill(questions: Iterable[Question], now_us: int) -> tuple[Asked, ...]:
    tools: dict[tuple[str, str], list[Question]] = {}
    for one in questions:
        tools.setdefault((one.server, one.tool), []).append(one)
    bill = []
    for tool, asked in tools.items():
        answered = [one.waited_us(now_us) for one in asked if one.decided_by]
        allowed = sum(one.allowed for one in asked)
        bill.append(
            Asked(
                *tool,
                asked=len(asked),
                allowed=allowed,
                denied=len(answered) - allowed,
                unanswered=len(asked) - len(answered),
                waited_us=sum(one.waited_us(now_us) for one in asked),
                median_us=int(median(answered)) if answered else 0,
            )
        )
    return tuple(sorted(bill, key=lambda one: (-one.waited_us, one.server, one.tool)))
