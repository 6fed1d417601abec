"""What a person types over the feed, as conditions of the store.

    agent: grant: session: project:    part of the name, or a pattern with * and ?; a session is
                                       the agent's own, or its connection
    machine:                           the whole name of one of a team's, or a pattern
    server: tool:                      the whole name, or a pattern; tool: also takes server.tool
    effect:                            allow, deny, approve, hide, refused (or allowed, denied …);
                                       what became of it: running, approved, failed, expired
    outcome:                           ok, error … or a pattern
    since: after: before:              a date, a time or an age
    kind:                              request: what else than tool calls was asked for
    words and "phrases"                anywhere in arguments, names, rule, reason or answer

Everything is compared without regard to case. Values of one key are alternatives, all else must
hold together, and a "-" before a filter or a phrase excludes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from pktui.suggest import nearest

if TYPE_CHECKING:
    from pktui.query import Filter, Problem, Query

# The words that may stand before a colon.
KEYS = (
    *("agent", "grant", "session", "project", "server", "tool", "machine"),
    *("effect", "outcome", "since", "after", "before", "kind"),
)

EFFECTS = ("allow", "deny", "approve", "hide", "refused")
_EFFECT_WORDS = {
    **{effect: effect for effect in EFFECTS},
    "allowed": "allow",
    "denied": "deny",
    "approval": "approve",
    "ask": "approve",
    "asked": "approve",
    "hidden": "hide",
    "refuse": "refused",
}
# What became of a call, as the feed calls it, where that is not what was decided first.
BECAME = ("running", "approved", "failed", "expired")
_KINDS = {"call": False, "calls": False, "request": True, "requests": True}
_PARTS = frozenset({"agent", "grant", "session", "project"})
_SECOND = 1_000_000


class Match(msgspec.Struct, frozen=True):
    """A column and the pattern it must (not) fit: of SQL's LIKE, escaped with a backslash."""

    column: str
    pattern: str
    negated: bool = False


class FeedFilter(msgspec.Struct, frozen=True):
    """Which calls the feed shows; the empty one shows all."""

    matches: tuple[Match, ...] = ()
    words: tuple[Match, ...] = ()
    """Texts to be found anywhere; `column` is empty."""
    since_us: int = 0
    """Calls at this time or later."""
    before_us: int = 0
    """Calls before this time; 0: no bound."""
    requests: bool = False
    """Other requests instead of calls: their `tool` is the method."""

    @classmethod
    def parse(cls, text: str, *, now_us: int) -> tuple[FeedFilter, tuple[Problem, ...]]:
        """Return the filter that a text stands for, and what of it cannot be used and was left out.

        Ages count back from `now_us`.
        """
        from pktui.query import parse_query

        query = parse_query(text, KEYS)
        reader = _Reader(now_us)
        for item in query.filters:
            reader.read(item)
        return reader.filter(query), tuple(reader.problems)

    def __bool__(self) -> bool:
        return self != FeedFilter()


class _Reader:
    def __init__(self, now_us: int) -> None:
        self._now = datetime.fromtimestamp(now_us / _SECOND, UTC)
        self._matches: list[Match] = []
        self._since = 0
        self._before = 0
        self._requests = False
        self.problems: list[Problem] = []

    def read(self, item: Filter) -> None:
        if item.key in ("since", "after", "before"):
            self._read_time(item)
        elif item.key == "effect":
            self._read_effect(item)
        elif item.key == "kind":
            self._read_kind(item)
        else:
            pattern = like(item.value, part=item.key in _PARTS)
            self._matches.append(Match(item.key, pattern, item.negated))

    def filter(self, query: Query) -> FeedFilter:
        words = tuple(Match("", like(term.text, part=True, globs=False), term.negated)
                      for term in query.terms)  # fmt: skip
        return FeedFilter(tuple(self._matches), words, self._since, self._before, self._requests)

    def _read_kind(self, item: Filter) -> None:
        requests = _KINDS.get(item.value.lower())
        if requests is None or item.negated:
            self._problem(item, "use kind:request or kind:call")
        else:
            self._requests = requests

    def _read_effect(self, item: Filter) -> None:
        effect = _EFFECT_WORDS.get(item.value.lower())
        if item.value.lower() in BECAME:
            self._matches.append(Match("effect", item.value.lower(), item.negated))
        elif effect is None:
            near = nearest(item.value, (*_EFFECT_WORDS, *BECAME))
            words = f"did you mean {near}?" if near else f"use {', '.join((*EFFECTS, *BECAME))}"
            self._problem(item, f"no effect {item.value}: {words}")
        else:
            self._matches.append(Match("effect", effect, item.negated))

    def _read_time(self, item: Filter) -> None:
        from pktui.query import parse_when

        if item.negated:
            self._problem(item, "a time cannot be excluded: use since: or before:")
            return
        try:
            when = parse_when(item.value, self._now)
        except ValueError as error:
            self._problem(item, str(error))
            return
        at_us = int(when.timestamp() * _SECOND)
        if item.key == "before":
            self._before = min(self._before, at_us) if self._before else at_us
        else:
            self._since = max(self._since, at_us)

    def _problem(self, item: Filter, why: str) -> None:
        from pktui.query import Problem

        self.problems.append(Problem(item.start, item.end, why))


def exactly(column: str, name: str) -> Match:
    """Return the match of one name, whatever is in it; as everywhere in any case of letters."""
    return Match(column, like(name, part=False, globs=False))


def like(value: str, *, part: bool, globs: bool = True) -> str:
    """Return the LIKE pattern of a value: `*` and `?` if `globs`, found anywhere if `part`."""
    escaped = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    if globs and ("*" in value or "?" in value):
        return escaped.replace("*", "%").replace("?", "_")
    return f"%{escaped}%" if part else escaped
