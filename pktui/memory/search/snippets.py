"""The part of a text that shows why it was found, with the matching words marked."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from pktui.memory.records import Mark
from pktui.memory.search.forms import one_form, placed
from pktui.memory.search.tokens import marked_words, terms

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pktui.memory.embed import Passage

# Characters of a snippet, ellipses not counted.
LENGTH = 240
# The best window is found among so many; a text of megabytes may hold a million.
MOST_MATCHES = 2_000


class Wanted(dict[str, bool]):
    """Whether a word has one of the terms; remembered, as the hits of a search share words."""

    def __init__(self, terms: Collection[str]) -> None:
        super().__init__()
        self.terms = frozenset(terms)
        self._initials = frozenset(term[0] for term in terms)

    def __missing__(self, word: str) -> bool:
        self[word] = self._may(word) and not self.terms.isdisjoint(terms(word))
        return self[word]

    def _may(self, word: str) -> bool:
        """Tell whether a term of the word may begin with a right letter; a stem takes longer."""
        if word.isascii() and (word.islower() or word.istitle() or word.isupper()):
            return word[0].lower() in self._initials or not word.isalpha()
        return True


def snippet(
    text: str, wanted: Wanted, exact: Sequence[str], passage: Passage | None
) -> tuple[str, tuple[Mark, ...]]:
    """Return the part of the text with the most that was asked for, and the marks in it.

    `exact` are texts to find as they stand. `passage` is where the meaning lies;
    words that match within it decide, else its beginning.
    """
    first, last = 0, len(text)
    if passage is not None:
        reach = LENGTH + max(map(len, exact), default=0)
        first, last = max(0, passage.start - reach), passage.end + reach
    found = _matches(text, first, last, wanted, exact)
    if passage is not None:
        within = [span for span in found if passage.start <= span[0] and span[1] <= passage.end]
        start = _window(within) if within else passage.start
    else:
        start = _window(found) if found else 0
    start, end = _on_words(text, start)
    marks = [(max(s, start), min(e, end)) for s, e in found if s < end and e > start]
    return _cut(text, start, end, marks)


def _matches(
    text: str, first: int, last: int, wanted: Wanted, exact: Sequence[str]
) -> list[tuple[int, int]]:
    """Return where the text from `first` to `last` matches, without overlaps."""
    form = placed(text, first, last)
    words = marked_words(form.text) if wanted.terms else iter(())
    found = [one.span() for one in islice((one for one in words if wanted[one[0]]), MOST_MATCHES)]
    for phrase in filter(None, map(one_form, exact)):
        pattern = re.compile(re.escape(phrase), re.IGNORECASE)
        found += [one.span() for one in islice(pattern.finditer(form.text), MOST_MATCHES)]
    found = [form.span(start, end) for start, end in found]
    return _merged(sorted(found))


def _merged(found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in found:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _window(found: list[tuple[int, int]]) -> int:
    """Return the start of the window that covers the most matches, the first of several."""
    best, most, last = found[0][0], 0, 0
    for first, (start, _) in enumerate(found):
        last = max(last, first)
        while last < len(found) and found[last][1] <= start + LENGTH:
            last += 1
        if last - first > most:
            best, most = start, last - first
    return max(0, best - LENGTH // 6)


def _on_words(text: str, start: int) -> tuple[int, int]:
    """Return where the snippet starts and ends: between words, near the start that is given."""
    if len(text) <= LENGTH:
        return 0, len(text)
    start = max(0, min(start, len(text) - LENGTH))
    if start:
        space = text.rfind(" ", max(0, start - 20), start + 1)
        start = space + 1 if space >= 0 else start
    end = min(len(text), start + LENGTH)
    if end < len(text):
        space = text.rfind(" ", end - 20, end)
        end = space if space > start else end
    return start, end


def _cut(
    text: str, start: int, end: int, marks: Sequence[tuple[int, int]]
) -> tuple[str, tuple[Mark, ...]]:
    before = "…" if start else ""
    after = "…" if end < len(text) else ""
    shift = len(before) - start
    shown = tuple(Mark(s + shift, e + shift) for s, e in marks if e > s)
    return f"{before}{text[start:end]}{after}", shown
