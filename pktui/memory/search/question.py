"""What a person or an agent asks the memory for: the one syntax of console, commands and API.

    deploy token          words, in any order and form: "deployed" too; the more of them the better
    "token expired"       a phrase: must stand there as it is, in any case
    -"no such"            must not be there
    session:12            only there; likewise role:user, agent:claude, project:shop, source:mcp,
                          status:active, after:2026-01-31, before:2026-01-31T08:00, since:7d;
                          for knowledge tag:net, source:wiki, after:, before:, since:
    -role:tool            everywhere but there

Several values of one filter mean any of them, several filters all of them; they hold before
anything is ranked. Filters alone list the newest. How a query is split is in `pktui.query`, what
each filter means in `pktui.memory.search.filters`.

Modes: `hybrid` ranks by words, meaning and times that are mentioned; `meaning` by nothing but
meaning, `words` by nothing but words; `exact` finds the text as it was typed, in any case, with all
signs, quotes among them: also parts of words, code and punctuation. In `hybrid` and `words` what
holds the query as it was typed comes before the rest. Equal hits come with the newest first.
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

# Characters of a query.
LONGEST = 10_000


_INTERROGATIVES = frozenset(
    [
        *("what", "when", "where", "which", "who", "whom", "whose", "why", "how"),
        *("did", "does", "is", "are", "was", "were", "has", "have", "had"),
        *("can", "could", "would", "will", "should"),
    ]
)
# Words; fewer are a name or a key word, whatever they begin with.
_LEAST_ASKED = 3


@dataclass(frozen=True, slots=True)
class Question:
    """A query, read. `text` is what it says without filters, quotes and what is not wanted.

    `exact` are its parts as they were typed, with their spaces: runs of words, and phrases.
    """

    text: str
    exact: tuple[str, ...]
    words: tuple[str, ...]
    phrases: tuple[str, ...]
    unwanted: tuple[str, ...]
    """Phrases that must not occur."""
    filters: Filters

    @property
    def asks(self) -> bool:
        """Tell whether it is a question in a sentence, and not key words."""
        if len(self.words) < _LEAST_ASKED:
            return False
        return self.text.rstrip().endswith("?") or self.words[0].lower() in _INTERROGATIVES


def read_question(query: str, keys: tuple[str, ...], now: datetime, mode: Mode) -> Question:
    """Read a query; raises `InvalidRequest` with the part that cannot be used."""
    if len(query) > LONGEST:
        raise InvalidRequest(
            f"the query has {len(query)} characters, at most {LONGEST} can be searched for",
            "Ask for what is special about it",
        )
    parsed = parse_query(query, keys)
    wanted = [term for term in parsed.terms if not term.negated]
    text = " ".join(term.text for term in wanted)
    return Question(
        text=text,
        exact=_as_typed(query, parsed, whole=mode == "exact"),
        words=tuple(words(text)),
        phrases=tuple(term.text for term in wanted if term.phrase),
        unwanted=tuple(term.text for term in parsed.terms if term.negated),
        filters=compile_filters(parsed, now),
    )


def _as_typed(query: str, parsed: Query, *, whole: bool) -> tuple[str, ...]:
    """Return the runs of text that no operator interrupts, and the phrases.

    Where the `whole` is meant as it stands, a phrase beside words is a part of them with its
    quotes, as in `git commit -m "first try"`.
    """
    wanted = [term for term in parsed.terms if not term.negated]
    if whole and not all(term.phrase for term in wanted):
        apart = [term for term in parsed.terms if term.negated]
        parts = []
    else:
        apart = [term for term in parsed.terms if term.phrase]
        parts = [term.text for term in wanted if term.phrase]
    breaks = [(one.start, one.end) for one in parsed.filters]
    breaks += [(one.start, one.end) for one in apart]
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
