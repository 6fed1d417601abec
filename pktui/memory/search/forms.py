"""One form for text that is the same to a reader: what is searched, and where it stands.

Composed and decomposed accents, half and full width are one (Unicode NFKC); terminal sequences
for colours and the cursor, and characters that show nothing, count for nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from unicodedata import is_normalized, normalize

# CSI and character-set sequences (ECMA-48), soft hyphens, zero-width characters and variation
# selectors.
_SILENT = re.compile(
    "\x1b\\[[0-?]*[ -/]*[@-~]|\x1b[()][0-9A-Za-z]|\x9b[0-?]*[ -/]*[@-~]"
    "|[\u00ad\u200b-\u200d\u2060\ufe00-\ufe0f\ufeff]"
)
# A piece is normalised by itself: no character after white space changes one before it.
_PIECE = re.compile("\\s+|\\S+")
_MARKS = (
    "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff"
    "\u3099\u309a\ufe20-\ufe2f\uff9e\uff9f"
)
_CLUSTER = re.compile(
    f"(?:{_SILENT.pattern})+|[\u1100-\u11ff]+|.(?:(?:{_SILENT.pattern})*[{_MARKS}])*", re.DOTALL
)


def one_form(text: str) -> str:
    """Return the text in the form that is searched, upper and lower case kept."""
    if text.isascii():
        return _SILENT.sub("", text) if "\x1b" in text else text
    return normalize("NFKC", _SILENT.sub("", text))


def folded(text: str) -> str:
    """Return the text in the form that is searched where case does not matter."""
    if text.isascii():
        return one_form(text).lower()
    return normalize("NFKC", one_form(text).casefold())


def is_plain(text: str) -> bool:
    """Tell whether nothing but the case of ASCII letters differs from the `folded` form."""
    return text.isascii() and "\x1b" not in text


@dataclass(frozen=True, slots=True)
class Placed:
    """A text in one form; `starts` are places in it, `origins` and `ends` those they come from.

    Where a piece is as long as what it comes from, it stands there letter by letter.
    """

    text: str
    starts: tuple[int, ...]
    origins: tuple[int, ...]
    ends: tuple[int, ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where in the text it was made from a part that is not empty stands."""
        return self._place(start)[0], self._place(end - 1)[1]

    def _place(self, at: int) -> tuple[int, int]:
        piece = bisect_right(self.starts, at) - 1
        following = self.starts[piece + 1] if piece + 1 < len(self.starts) else len(self.text)
        first, last = self.origins[piece], self.ends[piece]
        if following - self.starts[piece] == last - first:
            first += at - self.starts[piece]
            return first, first + 1
        return first, last


def placed(text: str, first: int, last: int) -> Placed:
    """Return the part of the text in one form, with where each piece of it stands in the text."""
    part = text[first:last]
    if is_plain(part) or (not _SILENT.search(part) and is_normalized("NFKC", part)):
        return Placed(part, (0,), (first,), (first + len(part),))
    made: list[str] = []
    starts, origins, ends = [], [], []
    at = 0
    for start, end, form in _pieces(part):
        if form:
            made.append(form)
            starts.append(at)
            origins.append(first + start)
            ends.append(first + end)
            at += len(form)
    return Placed("".join(made), tuple(starts), tuple(origins), tuple(ends))


def _pieces(text: str) -> list[tuple[int, int, str]]:
    """Return where each piece starts and ends, and its form; as long only where it is the same."""
    found: list[tuple[int, int, str]] = []
    for piece in _PIECE.finditer(text):
        if not _SILENT.search(piece[0]) and is_normalized("NFKC", piece[0]):
            found.append((*piece.span(), piece[0]))
            continue
        for cluster in _CLUSTER.finditer(piece[0]):
            start, end = piece.start() + cluster.start(), piece.start() + cluster.end()
            found.append((start, end, one_form(cluster[0])))
    return found
