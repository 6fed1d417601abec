"""`pktui insight`: the figures of days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pktui.agent_names import friendly
from pktui.cli import backends, output
from pktui.cli.commands import Option
from pktui.cli.now import spark, spending_words

if TYPE_CHECKING:
    from pktui.insight.activity import Insight
    from pktui.insight.spending import Spending

_MOST_ROWS = 12
# Hours a bar, of few days and of so many that their bars would not fit a terminal.
_STEP_HOURS, _DAY_HOURS, _MOST_BARS = 6, 24, 60


def insight(
    days: Annotated[int, Option(min=1, max=90, help="How many days back.")] = 7,
    json: output.JsonFlag = False,
) -> None:
    """Show calls by day, slow tools, denials by rule, and what asking cost."""
    from pktui.gateway.enforcement.budget import refresh_usage
    from pktui.insight.activity import Activity
    from pktui.settings import Paths
    from pktui.times import now_us

    if not backends.used_before():
        if json:
            output.json(None)
        output.note("Nothing is on record yet.")
        return
    with backends.ledger() as ledger:
        backends.count_all(ledger)
        refresh_usage(Paths.from_environment(), ledger, now_us())
        found = Activity(ledger, now_us, backends.purse()).read(days)
    if json:
        output.json(found)
        return
    asked, denied = sum(one.asked for one in found.hours), sum(one.denied for one in found.hours)
    output.line(f"{found.total:,} calls in {days} days: {asked:,} asked, {denied:,} denied")
    step = _STEP_HOURS if days * _DAY_HOURS <= _MOST_BARS * _STEP_HOURS else _DAY_HOURS
    output.line(f"{spark(_steps(found, step))}  {step} hours a bar, the last is now")
    if found.spending:
        output.line(spending_words(found.spending))
    for budget in found.budgets:
        left = f"{budget.used:,.2f} of {budget.limit:,.2f} {budget.unit}"
        output.line(f"budget of today{f' for {budget.whose}' if budget.whose else ''}: {left}")
    _tell(found)


def _steps(found: Insight, step: int) -> tuple[int, ...]:
    counts = [hour.ran + hour.asked + hour.denied for hour in found.hours]
    return tuple(sum(counts[start : start + step]) for start in range(0, len(counts), step))


def _tell(found: Insight) -> None:
    """Print each list that has anything in it."""
    by_model: dict[tuple[str, str], list[Spending]] = {}
    for one in found.spending:
        by_model.setdefault((one.agent, one.model), []).append(one)
    lists: dict[tuple[str, ...], list[tuple[str, ...]]] = {
        ("asked about", "asked", "allowed", "denied", "unanswered", "waited", "median"): [
            (
                *(f"{one.server}.{one.tool}", f"{one.asked:,}", f"{one.allowed:,}"),
                *(f"{one.denied:,}", f"{one.unanswered:,}"),
                *(output.span(one.waited_us), output.span(one.median_us)),
            )
            for one in found.bill
        ],
        ("denied by", "server", "times", "mostly", "to", "last"): [
            (
                *(one.rule, one.server, f"{one.count:,}", one.tool, friendly(one.agent)),
                output.moment(one.last_us),
            )
            for one in found.denials
        ],
        ("slowest", "calls", "half within", "95% within"): [
            (
                *(f"{one.server}.{one.tool}", f"{one.calls:,}"),
                *(output.span(one.p50_us), output.span(one.p95_us)),
            )
            for one in found.slow
        ],
        ("agent", "model", "took"): [
            (*names, spending_words(spent)) for names, spent in by_model.items()
        ],
        ("most called", "calls", "by hour of the day, 0 to 23"): [
            (f"{one.server}.{one.tool}", f"{one.total:,}", spark(one.calls)) for one in found.heat
        ],
    }
    for headers, rows in lists.items():
        if rows:
            output.line()
            output.table(headers, rows[:_MOST_ROWS])
