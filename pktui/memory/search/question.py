"""What a person or an agent asks the memory for: the one syntax of console, commands and API.

    deploy token          words, in any order and form: "deployed" too; the more of them the better
    "token expired"       a phrase: must stand there as it is, in any case
    -cache  -"no such"    must not be there
    session:12            only there; likewise role:user, agent:claude, project:shop, source:mcp,
                          status:active, after:2026-01-31, before:2026-01-31T08:00, since:7d;
                          for knowledge tag:net, source:wiki, after:, before:, since:
    -role:tool            everywhere but there

Several values of one filter mean any of them, several filters all of them; they hold before
anything is ranked. Filters alone list the newest. How a query is split is in `pktui.query`, what
each filter means in `pktui.memory.search.filters`.

Modes: `hybrid` ranks by words, meaning and times that are mentioned; `meaning` by nothing but
meaning, `words` by nothing but words; `exact` finds the words as they were typed, in any case, with
all signs: also parts of words, code and punctuation. In `hybrid` and `words` what holds the query
as it was typed comes before the rest. Equal hits come with the newest first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pktui.errors import InvalidRequest
from pktui.memory.records import MODES, Mode
from pktui.memory.search.filters import Filters, compile_filters
from pktui.memory.search.tokens import words
from pktui.query import Query, parse_query
from pktui.text import one_line

if TYPE_CHECKING:
    from datetime import datetime

LONGEST = 10_000
"""Characters of a query."""


@dataclass(frozen=True, slots=True)
class Question:
    """A query, read. `text` is what it says without filters, quotes and what is not wanted.

    `exact` are its parts as they were typed, with their spaces: runs of words, and phrases.
    """

    text: str
    exact: tuple[str, ...]
    words: tuple[str, ...]
    phrases: tuple[str, ...]
    unwanted_words: tuple[str, ...]
    unwanted_phrases: tuple[str, ...]
    filters: Filters


def read_question(query: str, keys: tuple[str, ...], now: datetime) -> Question:
    """Read a query; raises `InvalidRequest` with the part that cannot be used."""
    if len(query) > LONGEST:
        raise InvalidRequest(
            f"the query has {len(query)} characters, at most {LONGEST} can be searched for",
            "Ask for what is special about it",
        )
    parsed = parse_query(query, keys)
    filters = compile_filters(parsed, keys, now)
    wanted = [term for term in parsed.terms if not term.negated]
    unwanted = [term for term in parsed.terms if term.negated]
    text = " ".join(term.text for term in wanted)
    return Question(
        text=text,
        exact=_as_typed(query, parsed),
        words=tuple(words(text)),
        phrases=tuple(term.text for term in wanted if term.phrase and term.text),
        unwanted_words=tuple(term.text for term in unwanted if not term.phrase),
        unwanted_phrases=tuple(term.text for term in unwanted if term.phrase and term.text),
        filters=filters,
    )


def _as_typed(query: str, parsed: Query) -> tuple[str, ...]:
    """Return the runs of wanted words that nothing else interrupts, and the phrases."""
    breaks = [(one.start, one.end) for one in parsed.filters]
    breaks += [(one.start, one.end) for one in parsed.terms if one.phrase or one.negated]
    parts = [one.text for one in parsed.terms if one.phrase and not one.negated and one.text]
    at = 0
    for start, end in [*sorted(breaks), (len(query), len(query))]:
        parts.append(query[at:start].strip())
        at = end
    return tuple(part for part in parts if part)


def read_mode(mode: str) -> Mode:
    """Return the mode, or raise `InvalidRequest` with the ones there are."""
    for known in MODES:
        if mode == known:
            return known
    raise InvalidRequest(
        f"mode {one_line(mode, 40)!r} is not known", f"Use one of {', '.join(MODES)}"
    )
