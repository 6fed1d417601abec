"""A policy tried on what was recorded: how many calls it would run, ask about and deny."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pktui.insight.in_force import Layers
from pktui.ledger.feed.filter import FeedFilter, Match, exactly
from pktui.policy.document.policy import parse_policy
from pktui.policy.layers import managed_file
from pktui.policy.trial import Tried, try_on
from pktui.settings import bundled

if TYPE_CHECKING:
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import CallRow
    from pktui.policy.document.policy import Policy

PRESETS: Final = ("observe", "read-only", "balanced", "strict")
# The newest calls that a policy is tried on; deciding each takes some 50 µs.
MOST_CALLS: Final = 20_000
# The differences that are kept, the newest.
MOST_SHOWN: Final = 500
_PAGE: Final = 500
_DECISIONS: Final = {"allow": "run", "approve": "ask", "deny": "denied", "hide": "denied"}


@dataclass(frozen=True, slots=True)
class Figures:
    """What a policy makes of recorded calls: `differ` are decided otherwise than they were.

    `partial`: their arguments are on record masked or cut, so that conditions on them may err.
    """

    calls: int = 0
    run: int = 0
    ask: int = 0
    denied: int = 0
    differ: int = 0
    partial: int = 0
    # How many of those denied are by each managed file.
    managed: Mapping[str, int] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """The figures in one line: `of 1,812 calls: 1,640 run, 160 ask, 12 denied`.

        Where managed policies deny some of them, it says so: `12 denied (9 by managed x.json)`.
        """
        parts = f"{self.run:,} run, {self.ask:,} ask, {self.denied:,} denied"
        by = ", ".join(f"{count:,} by managed {file}" for file, count in self.managed.items())
        return f"of {self.calls:,} calls: {parts}" + (f" ({by})" if by else "")


@dataclass(frozen=True, slots=True)
class Trial:
    """The figures and the calls that differ, the newest first."""

    figures: Figures
    changed: tuple[Tried, ...]


@dataclass(frozen=True, slots=True)
class PresetTrial:
    """A ready-made policy: its document, and what it would have made of the recorded calls."""

    name: str
    description: str
    document: bytes
    figures: Figures


def recorded(
    ledger: Ledger, server: str, since_us: int, most: int = MOST_CALLS
) -> tuple[CallRow, ...]:
    """Return the newest calls of a server since then, oldest first; `most` of them at most."""
    wanted = FeedFilter(matches=(exactly("server", server),), since_us=since_us)
    found: deque[CallRow] = deque()
    before: int | None = None
    while len(found) < most:
        rows = ledger.feed.page(wanted, before_seq=before, limit=min(_PAGE, most - len(found)))
        if not rows:
            break
        found.extendleft(row for row in reversed(rows) if row.server == server)
        before = rows[0].seq
    return tuple(found)


def try_policy(
    policy: Policy,
    calls: Iterable[CallRow],
    layers: Layers = Layers(),  # noqa: B008  frozen
) -> Trial:
    """Decide recorded calls, oldest first, by a policy that may be a draft, as a gateway would."""
    counts: Counter[str] = Counter()
    managed: Counter[str] = Counter()
    changed: deque[Tried] = deque(maxlen=MOST_SHOWN)
    laid = layers.over(policy)
    for tried in try_on(laid, calls, layers.surroundings):
        decision = _DECISIONS[tried.now.decision.value]
        counts["calls"] += 1
        counts[decision] += 1
        counts["partial"] += tried.partial
        if decision == "denied" and (file := _managed(laid, tried)):
            managed[file] += 1
        if tried.changed:
            counts["differ"] += 1
            changed.appendleft(tried)
    return Trial(Figures(**counts, managed=dict(managed)), tuple(changed))


def _managed(policy: Policy, tried: Tried) -> str:
    """Return the managed file that denies a call, empty where none does."""
    hides = (one.unlisted.rule for one in policy.over if one.hides(tried.call.tool))
    return managed_file(next(hides, tried.now.limit_rule or tried.now.rule or ""))


def try_presets(
    calls: Sequence[CallRow],
    layers: Layers = Layers(),  # noqa: B008  frozen
    more: Mapping[str, bytes] = {},
) -> Iterator[PresetTrial]:
    """Try the ready-made policies on recorded calls, and documents by name after them."""
    shipped = {name: bundled("config", "policies", f"{name}.json").read_bytes() for name in PRESETS}
    for name, document in (shipped | dict(more)).items():
        policy = parse_policy(document)
        figures = try_policy(policy, calls, layers).figures
        yield PresetTrial(name, policy.description, document, figures)


def asks(ledger: Ledger, server: str, tool: str, most: int = 200) -> tuple[CallRow, ...]:
    """Return the newest calls of a tool that a person was asked about, each question once."""
    wanted = FeedFilter(
        matches=(
            exactly("server", server),
            exactly("tool", tool),
            Match("effect", "approve"),
        )
    )
    found: dict[str, CallRow] = {}
    before: int | None = None
    while len(found) < most:
        rows = ledger.feed.page(wanted, before_seq=before, limit=_PAGE)
        if not rows:
            break
        for row in reversed(rows):
            if (row.server, row.tool) == (server, tool):
                found.setdefault(row.approval_id or row.call_id, row)
        before = rows[0].seq
    return tuple(found.values())[:most]
