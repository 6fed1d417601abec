"""A policy's text, line by line, with a mark at each problem and what to do about it below."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from pktui.text import one_line, visible
from pktui.tui.document import Line, Span, Tone

if TYPE_CHECKING:
    from pktui.policy.lint import Review
    from pktui.policy.text.problems import Problem
    from pktui.tui.glyphs import Glyphs

# JSON as it is, and of YAML what looks alike: texts and keys, numbers, words, notes.
_TOKENS = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"?|'[^']*'?)(?P<colon>\s*:)?"""
    r"""|(?P<bare>[\w*$.-]+)(?=\s*:(?:\s|$))|(?P<number>-?\b\d[\w.+-]*)"""
    r"""|(?P<word>\b(?:true|false|null)\b)|(?P<note>\#.*|//.*)"""
)
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"?|[\w.*$+-]+|.')
_TAB = "    "
_MOST_INDENT = 24


@dataclass(frozen=True, slots=True)
class Marked:
    """Lines to show, and which of them say what is wrong, by their indexes."""

    lines: tuple[Line, ...]
    marks: tuple[int, ...] = ()

    def with_words(self, wanted: str) -> Marked:
        """Return the lines with what was searched for made out; `marks` are those that have it."""
        if not wanted.strip():
            return self
        lines, hits = list(self.lines), []
        for at, line in enumerate(self.lines):
            places = re.finditer(re.escape(wanted.strip()), line.text, re.IGNORECASE)
            found: list[Span] = [(*place.span(), "hit") for place in places]
            if found:
                lines[at] = replace(line, spans=_over(line.spans, found))
                hits.append(at)
        return Marked(tuple(lines), tuple(hits))


def marked(text: str, review: Review, glyphs: Glyphs) -> Marked:
    """Lay a document out; problems are red, what is valid and probably not meant is not."""
    at: dict[int, list[tuple[Problem, bool]]] = defaultdict(list)
    for wrong, found in ((True, review.problems), (False, review.warnings)):
        for problem in found:
            at[problem.line].append((problem, wrong))
    raw = text.removesuffix("\n").split("\n")
    digits = len(str(len(raw)))
    lines: list[Line] = []
    marks: list[int] = []
    for number, line in enumerate(raw, 1):
        here = at.get(number, [])
        sign = (glyphs.denied if any(w for _, w in here) else glyphs.hit) if here else " "
        lead = f"{number:>{digits}} {sign} "
        tone: Tone = "removed" if sign == glyphs.denied else "number" if here else "note"
        lines.append(_line(line.removesuffix("\r"), here, lead, tone))
        if here:
            marks.append(len(lines) - 1)
        for problem, wrong in here:
            words = ". ".join(filter(None, (problem.what, problem.cure)))
            lead = " " * len(lines[marks[-1]].lead)
            lines.append(Line(one_line(words, 600), "removed" if wrong else "number", lead))
    return Marked(tuple(lines), tuple(marks))


def _line(text: str, here: Sequence[tuple[Problem, bool]], lead: str, tone: Tone) -> Line:
    """Show one line of the file; its parts are made visible one by one, so that tones fit.

    What it is indented by stands in the lead, so that the rest of a long line is below it.
    """
    indent = len(text) - len(text.lstrip(" "))
    spans: Sequence[Span] = _tones(text)
    for problem, wrong in here:
        found = _WORD.match(text, max(problem.column - 1, indent))  # the indent is in the lead
        if found is not None:
            spans = _over(spans, [(found.start(), found.end(), "wrong" if wrong else "doubtful")])
    ends = {edge for start, end, _ in spans for edge in (start, end)}
    edges = [indent, *sorted(ends), len(text)]
    places, shown = {indent: 0}, ""
    for start, end in pairwise(edges):
        shown += visible(text[start:end]).replace("\t", _TAB)
        places[end] = len(shown)
    moved = tuple((places[start], places[end], kind) for start, end, kind in spans)
    return Line(shown, "text", lead + " " * min(indent, _MOST_INDENT), tone, spans=moved)


def _tones(text: str) -> list[Span]:
    """Tell keys, texts, numbers and notes apart; what else stands there is punctuation."""
    found: list[Span] = []
    for token in _TOKENS.finditer(text):
        kind = token.lastgroup
        if kind in ("text", "colon"):
            found.append((*token.span("text"), "key" if token["colon"] else "string"))
        elif kind == "bare":
            found.append((*token.span(), "key"))
        else:
            found.append((*token.span(), "note" if kind == "note" else "number"))
    return found


def _over(under: Sequence[Span], over: Sequence[Span]) -> tuple[Span, ...]:
    """Lay spans over others: where both are, the upper ones hold."""
    left = list(under)
    for start, end, _ in over:
        left = [piece for span in left for piece in _without(span, start, end)]
    return tuple(sorted((*left, *over)))


def _without(span: Span, start: int, end: int) -> Iterator[Span]:
    first, last, tone = span
    if first < min(last, start):
        yield first, min(last, start), tone
    if max(first, end) < last:
        yield max(first, end), last, tone
