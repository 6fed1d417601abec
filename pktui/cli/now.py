"""`pktui now`, `status` and `wait`: what agents do now, and whether it needs a person."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

from pktui.agent_names import friendly
from pktui.cli import backends, output
from pktui.cli.commands import Exit, Option
from pktui.errors import UsageError
from pktui.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pktui.insight.now import Agent, Now
    from pktui.insight.spending import Spending
    from pktui.ledger.records import Approval

_LOOK_SECONDS = 0.5
# Of a line that says what a call wants.
_MOST_CHARACTERS = 2_000
_BARS = "▁▂▃▄▅▆▇"
_SIGNS = {"waiting": "▲", "running": "●", "denied": "✗", "idle": "●", "gone": "○"}


def now(json: output.JsonFlag = False) -> None:
    """Show what needs you, which agents are here, the last hour, and what is odd."""
    from pktui.agents.clients import Places
    from pktui.agents.discovery import around_pktui

    found = _read(around_pktui(Places.here()))
    if json:
        output.json(found)
        return
    if found is None:
        output.note("Nothing is on record yet.")
        return
    _tell_needs(found)
    seats = ("machine",) if any(one.machine for one in found.agents) else ()
    rows = [_agent_row(one, found.at_us, seats) for one in found.agents]
    headers = ("", "agent", *seats, "project", "state", "last hour", "calls", "denied", "here for")
    output.table(headers, rows, empty="No agent is here.")
    hour = found.hour
    output.line()
    waited = f", median {output.span(hour.median_wait_us)}" if hour.median_wait_us else ""
    output.line(
        f"Last hour: {spark(hour.calls)} {hour.total:,} calls, {hour.denied:,} denied,"
        f" {hour.asked:,} asked ({hour.allowed:,} allowed{waited}),"
        f" {hour.new_tools:,} new tools"
    )
    if found.today:
        output.line(f"Today: {spending_words(found.today)}")
    for budget in found.budgets:
        if budget.over:
            output.line(budget.words)
    for odd in found.odd:
        when = f", {output.age(found.at_us - odd.at_us)} ago" if odd.at_us else ""
        output.line(f"Odd: {one_line(odd.words)}{when}")


def status(
    tmux: Annotated[bool, Option("--tmux", help="With tmux's colours, for a status line.")] = False,
    json: output.JsonFlag = False,
) -> None:
    """Say in one line what waits, who is here and what the last hour was."""
    if tmux and json:
        raise UsageError("--tmux and --json are two forms", "Give one")
    found = _read()
    if json:
        output.json(_status_record(found))
        return
    if found is None:
        output.line("nothing yet")
        return
    waits, here = len(found.needs), sum(one.state != "gone" for one in found.agents)
    parts = [
        (f"■ stopped by {found.stopped_by}", "red") if found.stopped_by else ("", ""),
        (f"▲{waits} waiting", "yellow") if waits else ("", ""),
        (f"≠ {len(found.odd)} odd", "yellow") if found.odd else ("", ""),
        ("1 agent" if here == 1 else f"{here} agents", ""),
        (f"{found.hour.total:,} calls/h", ""),
        (f"{found.hour.denied:,} denied", "red") if found.hour.denied else ("", ""),
    ]
    shown = " · ".join(_coloured(*part, tmux=tmux) for part in parts if part[0])
    output.line(one_line(shown, _MOST_CHARACTERS))


def wait(
    timeout: Annotated[
        float | None, Option(min=0, help="Seconds after which to give up, with exit status 1.")
    ] = None,
    new: Annotated[bool, Option("--new", help="Only for what is not waiting yet.")] = False,
    json: output.JsonFlag = False,
) -> None:
    """Block until a call needs a person, then print it."""
    until = None if timeout is None else time.monotonic() + timeout
    known: set[str] | None = None if new else set()
    while True:
        waiting = _waiting()
        if known is None:
            known = {one.id for one in waiting}
        found = [one for one in waiting if one.id not in known]
        if found:
            break
        if until is not None and not time.monotonic() < until:  # nan is over at once
            raise Exit(1)
        left = _LOOK_SECONDS if until is None else until - time.monotonic()
        time.sleep(max(0.0, min(_LOOK_SECONDS, left)))
    if json:
        output.json(found)
        return
    for one in found:
        asker = one.grant or friendly(one.agent) or "an unnamed agent"
        asker += f" on {one.seat}" if one.machine else ""
        asked = one_line(f"{asker} {one.server}.{one.tool} {one.arguments}", _MOST_CHARACTERS)
        output.line(f"{one.id} {asked}")


def spark(counts: tuple[int, ...]) -> str:
    """Return counts as bars; an empty step is a low line."""
    most = max(counts, default=0)
    return "".join(
        _BARS[min(len(_BARS) - 1, count * len(_BARS) // (most + 1))] if count else "_"
        for count in counts
    )


def spending_words(spending: Sequence[Spending]) -> str:
    """Say the tokens of some answers, and what they cost as far as prices are known."""
    tokens_in, tokens_out, cached = (
        sum(getattr(one, kind) for one in spending)
        for kind in ("tokens_in", "tokens_out", "cached")
    )
    money = [one.money for one in spending if one.money is not None]
    cost = (
        f", {sum(money):,.2f}" + ("" if len(money) == len(spending) else " and more")
        if money
        else ""
    )
    return f"{tokens_in:,} tokens in, {tokens_out:,} out, {cached:,} cached{cost}"


def _read(around: tuple[str, ...] = ()) -> Now | None:
    from pktui.insight.now import NowReader
    from pktui.times import now_us

    if not backends.used_before():
        return None
    with backends.ledger() as ledger:
        backends.count_all(ledger)
        return NowReader(ledger, now_us, backends.purse()).read(around)


def _waiting() -> tuple[Approval, ...]:
    if not backends.used_before():
        return ()
    with backends.ledger() as ledger:
        return ledger.approvals.pending()


def _tell_needs(found: Now) -> None:
    if found.stopped_by:
        output.line(f"Everything is stopped by {one_line(found.stopped_by)}.")
    seats = ("machine",) if any(need.approval.machine for need in found.needs) else ()
    rows = [
        (
            *(need.approval.id, need.approval.grant or need.approval.agent),
            *[str(need.approval.seat) for _ in seats],
            need.approval.project,
            *(f"{need.approval.server}.{need.approval.tool}", output.span(need.waits_us)),
            need.approval.reason,
        )
        for need in found.needs
    ]
    if rows:
        output.table(("needs you", "agent", *seats, "project", "tool", "waits", "why"), rows)
        output.line()


def _agent_row(one: Agent, now_us: int, seats: Sequence[str]) -> tuple[str, ...]:
    return (
        *(_SIGNS[one.state], friendly(one.agent) or "an unnamed agent"),
        *[str(one.seat) for _ in seats],
        one.project,
        " ".join(_state_words(one, now_us)),
        *(spark(one.spark), f"{one.calls:,}", f"{one.denied:,}"),
        output.age(now_us - one.first_us),
    )


def _state_words(one: Agent, now_us: int) -> Iterator[str]:
    if one.stopped:
        yield "stopped,"
    since = output.age(now_us - one.since_us)
    if one.state in ("waiting", "running"):
        yield f"{one.state} {one.doing} for {since}"
    elif one.state == "denied":
        yield f"silent for {since} after a denial of {one.doing}"
    elif one.state == "gone":
        yield f"gone for {since}"
    else:
        yield f"idle for {since}"


def _status_record(found: Now | None) -> dict[str, object]:
    agents = found.agents if found else ()
    return {
        "waiting": len(found.needs) if found else 0,
        "oldest_wait_us": max((need.waits_us for need in found.needs), default=0) if found else 0,
        "agents": sum(one.state != "gone" for one in agents),
        "running": sum(one.state == "running" for one in agents),
        "calls_hour": found.hour.total if found else 0,
        "denied_hour": found.hour.denied if found else 0,
        "stopped_by": found.stopped_by if found else "",
        "odd": [odd.words for odd in found.odd] if found else [],
    }


def _coloured(text: str, colour: str, *, tmux: bool) -> str:
    if not tmux:
        return text
    plain = text.replace("#", "##")
    return f"#[fg={colour}]{plain}#[default]" if colour else plain
