"""How figures of days look: bars over time, tables of tools and rules, a heat map of the day."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.cells import cell_len

from pktui.agent_names import friendly
from pktui.insight.spending import by_model
from pktui.text import one_line
from pktui.tui.moments import age, countdown, duration, span_words
from pktui.tui.views.feed.rate import sparkline
from pktui.tui.widgets.columns import Column, Table

if TYPE_CHECKING:
    from rich.style import Style

    from pktui.budget import Spent
    from pktui.insight.activity import Insight
    from pktui.insight.spending import Spending
    from pktui.tui.theme import Ink
    from pktui.tui.widgets.rows import Pen, Run

Part = Literal["calls", "bill", "heat", "slow", "denials", "budgets", "spent"]
_TITLES: dict[Part, str] = {
    "calls": "calls an hour",
    "bill": "what asking cost",
    "heat": "tools by hour of day",
    "slow": "slowest tools",
    "denials": "denied by",
    "budgets": "the day's budgets",
    "spent": "tokens and money",
}
# What a row below 0 says.
_NONE, _EMPTY = -2, -3
_SAID = {
    _NONE: "none",
    _EMPTY: "No calls yet. Those through pktui are added up here; 0 says how to begin.",
}
_BAR = 20
_LABEL = 9
_FIGURE = 9
_BILL = (
    Column("tool", most=44),
    Column("asked", right=True, most=14),
    Column("allowed", order=2, right=True, most=14),
    Column("denied", order=3, right=True, most=14),
    Column("waited", right=True, most=30),
    Column("median", order=1, right=True, most=16),
)
_HEAT = (Column("tool", most=40), Column("hours", order=1, most=48), Column("total", right=True))
_SLOW = (
    Column("tool", most=44),
    Column("calls", order=1, right=True),
    Column("p50", right=True, most=16),
    Column("p95", right=True, most=16),
)
_DENIALS = (
    Column("rule", most=52),
    Column("count", right=True),
    Column("tool", order=1, most=36),
    Column("agent", order=2, most=18),
    Column("last", order=3, right=True, most=14),
)
_BUDGETS = (
    Column("whose", most=40),
    Column("bar", order=2, most=_BAR),
    Column("used", right=True, most=40),
    Column("share", order=1, right=True, most=8),
)
_SPENT = (
    Column("agent", most=18),
    Column("model", order=1, most=36),
    Column("project", order=3, most=30),
    Column("in", right=True, most=18),
    Column("out", right=True, most=18),
    Column("cached", order=2, right=True, most=18),
    Column("money", right=True, most=16),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a part; `at` is its place in the part's list, below 0 for titles and bars.

    `server` and `tool` are what it can be opened at.
    """

    part: Part
    at: int
    kind: Literal["head", "bar", "axis", "item", "none"] = "item"
    server: str = ""
    tool: str = ""


def rows_of(insight: Insight) -> tuple[Row, ...]:
    """Return what the list shows, from top to bottom."""
    return tuple(_rows(insight))


def _rows(insight: Insight) -> Iterator[Row]:
    if not insight.total:
        yield Row("calls", _EMPTY, "none")
        yield Row("calls", -1, "none")
    yield Row("calls", -1, "head")
    yield from (Row("calls", at, "bar") for at in range(3))
    yield Row("calls", -1, "axis")
    lists: dict[Part, Sequence[tuple[str, str]]] = {
        "bill": [(one.server, one.tool) for one in insight.bill],
        "heat": [(one.server, one.tool) for one in insight.heat],
        "slow": [(one.server, one.tool) for one in insight.slow],
        "denials": [(one.server, one.tool) for one in insight.denials],
    }
    if insight.budgets:
        lists["budgets"] = [("", "")] * len(insight.budgets)
    spent = by_model(insight.spending)
    if spent:
        lists["spent"] = [("", "")] * len(spent)
    for part, names in lists.items():
        yield Row(part, -1, "none")
        yield Row(part, -1, "head")
        if part == "heat" and names:
            yield Row(part, -1, "axis")
        for at, (server, tool) in enumerate(names):
            yield Row(part, at, "item", server, tool)
        if not names:
            yield Row(part, _NONE, "none")


class Figures:
    """Draws the rows of one reading."""

    def __init__(self, insight: Insight, glyphs: Literal["unicode", "ascii"]) -> None:
        self._insight, self._glyphs = insight, glyphs
        self._tables: dict[Part, Table] = {
            "bill": Table(_BILL, [_bill(insight, at) for at in range(len(insight.bill))]),
            "heat": Table(_HEAT, [_heat(insight, at, glyphs) for at in range(len(insight.heat))]),
            "slow": Table(_SLOW, [_slow(insight, at) for at in range(len(insight.slow))]),
            "denials": Table(_DENIALS, [_rule(insight, at) for at in range(len(insight.denials))]),
            "budgets": Table(_BUDGETS, [_budget(one, glyphs) for one in insight.budgets]),
            "spent": Table(_SPENT, [_spent(one) for one in by_model(insight.spending)]),
        }

    def draw(self, row: Row, pen: Pen) -> Sequence[Sequence[Run]]:
        """Draw a row on one line."""
        ink = pen.ink
        if row.kind == "head":
            return [self._head(row.part, pen)]
        if row.kind == "bar":
            return [self._bar(row.at, pen)]
        if row.kind == "axis":
            return [self._axis(row.part, pen)]
        if row.kind == "none":
            return [[(_SAID.get(row.at, ""), ink.dim if row.at == _EMPTY else ink.faint)]]
        styles = _styles(row.part, ink)
        if row.part == "budgets" and self._insight.budgets[row.at].over:
            styles = dict.fromkeys(styles, ink.wait)
        return [self._tables[row.part].draw(row.at, pen.width, styles)]

    def _head(self, part: Part, pen: Pen) -> list[Run]:
        insight, title = self._insight, _TITLES[part].upper()
        days = "24 hours" if insight.days == 1 else f"{insight.days} days"
        note = ""
        if part == "calls":
            note = f"{insight.total:,} in {days}"
            note += f", {insight.behind:,} not counted yet" if insight.behind else ""
        elif part == "bill" and insight.bill:
            note = f"{span_words(sum(one.waited_us for one in insight.bill))} waited in {days}"
        room = max(0, pen.width - cell_len(title) - cell_len(note) - 3)
        rule = pen.glyphs.rule * (room if note else room + 1)
        end: list[Run] = [(f" {note} ", pen.ink.dim)] if note else []
        return [(f"{title} ", pen.ink.dim), (rule, pen.ink.line), *end]

    def _bar(self, at: int, pen: Pen) -> list[Run]:
        name, counts, style = self._series(pen.ink)[at]
        cells = max(8, pen.width - _LABEL - _FIGURE - 1)
        line = sparkline(squeezed(counts, cells), self._glyphs, top=self._top(cells))
        return [
            (name.ljust(_LABEL), pen.ink.dim),
            (line.ljust(cells), style),
            (f"{sum(counts):,}".rjust(_FIGURE), pen.ink.text if sum(counts) else pen.ink.faint),
        ]

    def _series(self, ink: Ink) -> tuple[tuple[str, tuple[int, ...], Style], ...]:
        hours = self._insight.hours
        return (
            ("ran", tuple(hour.ran for hour in hours), ink.ok),
            ("asked", tuple(hour.asked for hour in hours), ink.info),
            ("denied", tuple(hour.denied for hour in hours), ink.bad),
        )

    def _top(self, cells: int) -> int:
        """Return the highest bar of all three, so that their heights compare."""
        hours = self._insight.hours
        rows = ([h.ran for h in hours], [h.asked for h in hours], [h.denied for h in hours])
        return max((max(squeezed(tuple(row), cells), default=0) for row in rows), default=0)

    def _axis(self, part: Part, pen: Pen) -> list[Run]:
        if part == "heat":
            widths = self._tables["heat"].widths(pen.width)
            if "hours" not in widths:
                return [("", pen.ink.faint)]
            hours = "".join(f"{hour:<12}" for hour in (0, 6, 12, 18))
            return [(" " * (widths["tool"] + 2) + hours, pen.ink.faint)]
        cells = max(8, pen.width - _LABEL - _FIGURE - 1)
        return [(" " * _LABEL + _time_axis(self._insight, cells), pen.ink.faint)]


def _time_axis(insight: Insight, cells: int) -> str:
    """Name the days, or the hours of one day, below where they begin."""
    hours = insight.hours
    if not hours:
        return ""
    line = [" "] * cells
    for place, hour in enumerate(hours):
        local = datetime.fromtimestamp(hour.at_us / 1_000_000, UTC).astimezone()
        starts = local.hour % 6 == 0 if insight.days == 1 else local.hour == 0
        word = f"{local:%H:00}" if insight.days == 1 else f"{local:%a}"
        at = place * cells // len(hours)
        if starts and at + len(word) <= cells and line[max(0, at - 1)] == " ":
            line[at : at + len(word)] = word
    return "".join(line)


def squeezed(counts: Sequence[int], cells: int) -> tuple[int, ...]:
    """Spread counts over so many cells, or add neighbours up where there are more of them."""
    total = len(counts)
    if total == 0:
        return ()
    if total <= cells:
        wide = cells // total
        return tuple(count for count in counts for _ in range(wide))
    edges = [at * total // cells for at in range(cells + 1)]
    return tuple(sum(counts[a:b]) for a, b in itertools.pairwise(edges))


def _name(server: str, tool: str) -> str:
    return f"{one_line(server, 40)}.{one_line(tool, 80)}"


def _bill(insight: Insight, at: int) -> tuple[str, ...]:
    one = insight.bill[at]
    return (
        _name(one.server, one.tool),
        f"asked {one.asked:,}x",
        f"allowed {one.allowed:,}",
        f"denied {one.denied:,}" if one.denied else "",
        f"waited {span_words(one.waited_us)}",
        f"median {countdown(one.median_us)}" if one.median_us else "",
    )


def _heat(insight: Insight, at: int, glyphs: Literal["unicode", "ascii"]) -> tuple[str, ...]:
    one = insight.heat[at]
    top = max((max(each.calls, default=0) for each in insight.heat), default=0)
    shades = sparkline(one.calls, glyphs, top=top)
    return _name(one.server, one.tool), "".join(shade * 2 for shade in shades), f"{one.total:,}"


def _slow(insight: Insight, at: int) -> tuple[str, ...]:
    one = insight.slow[at]
    calls = f"{one.calls:,} {'call' if one.calls == 1 else 'calls'}"
    return (
        _name(one.server, one.tool), calls,
        f"p50 {duration(one.p50_us)}", f"p95 {duration(one.p95_us)}",
    )  # fmt: skip


def _rule(insight: Insight, at: int) -> tuple[str, ...]:
    one = insight.denials[at]
    where = f"{one_line(one.server, 40)} {one_line(one.rule, 120)}"
    return (
        where, f"{one.count:,}x", one_line(one.tool, 80), one_line(friendly(one.agent), 40),
        f"{age(insight.at_us - one.last_us)} ago" if one.last_us else "",
    )  # fmt: skip


def _budget(one: Spent, glyphs: Literal["unicode", "ascii"]) -> tuple[str, ...]:
    share = float(one.used / one.limit) if one.limit else 1.0
    full = min(_BAR, round(share * _BAR))
    bar = ("█" if glyphs == "unicode" else "#") * full
    rest = ("░" if glyphs == "unicode" else ".") * (_BAR - full)
    return one_line(one.whose, 40) or "all agents", bar + rest, one.figures, f"{share:.0%}"


def _spent(one: Spending) -> tuple[str, ...]:
    return (
        one_line(one.agent, 18), one_line(one.model, 40), one_line(Path(one.project).name, 30),
        f"in {one.tokens_in:,}", f"out {one.tokens_out:,}", f"cached {one.cached:,}",
        f"{one.money:,.2f}" if one.money is not None else "no price",
    )  # fmt: skip


def _styles(part: Part, ink: Ink) -> dict[str, Style]:
    names = {
        column.name
        for columns in (_BILL, _HEAT, _SLOW, _DENIALS, _BUDGETS, _SPENT)
        for column in columns
    }
    styles = dict.fromkeys(names, ink.dim)
    first = {"denials": "rule", "spent": "agent", "budgets": "whose"}.get(part, "tool")
    return {**styles, first: ink.text, "waited": ink.text, "hours": ink.accent, "p95": ink.text,
            "count": ink.text, "money": ink.text, "bar": ink.accent, "used": ink.text}  # fmt: skip
