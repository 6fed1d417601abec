"""Text to terms: what counts as the same word.

A term is a lower-case word without accents, in its English stem. Names in code count as a whole
and in their parts (`getUserName`, `session_timeout`). In scripts without spaces between words each
character is a term and each pair of neighbours, as words of two characters are the most frequent.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from pktui.memory.search.forms import one_form
from pktui.memory.search.stem import stem

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # kana, ideographs
    "\uac00-\ud7af"  # Hangul: spaces part phrases there
)
_LONGEST_RUN = 32
_WORD = re.compile(f"[{_UNSPACED}]{{1,{_LONGEST_RUN}}}|[^\\W_{_UNSPACED}]+")
_MARKED = re.compile(f"[{_UNSPACED}]|[^\\W_{_UNSPACED}]+")
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^A-Za-z\d]+")
# Characters; what is longer is a key, a hash or data: its beginning stands for it.
_LONGEST = 64

# English words that say nothing about the subject of a question.
STOP_WORDS = frozenset({
    "a", "about", "above", "after", "again", "against", "all", "am", "an", "and", "any", "are",
    "as", "at", "be", "because", "been", "before", "being", "below", "between", "both", "but",
    "by", "can", "could", "d", "did", "do", "does", "doing", "down", "during", "each", "few",
    "for", "from", "further", "had", "has", "have", "having", "he", "her", "here", "hers",
    "herself", "him", "himself", "his", "how", "i", "if", "in", "into", "is", "it", "its",
    "itself", "just", "ll", "m", "me", "more", "most", "my", "myself", "no", "nor", "not", "now",
    "of", "off", "on", "once", "only", "or", "other", "our", "ours", "ourselves", "out", "over",
    "own", "re", "s", "same", "she", "should", "so", "some", "such", "t", "than", "that", "the",
    "their", "theirs", "them", "themselves", "then", "there", "these", "they", "this", "those",
    "through", "to", "too", "under", "until", "up", "ve", "very", "was", "we", "were", "what",
    "when", "where", "which", "while", "who", "whom", "why", "will", "with", "would", "you",
    "your", "yours", "yourself", "yourselves",
})  # fmt: skip


def words(text: str) -> list[str]:
    """Return the words of the text in one form, in order; scripts without spaces in runs."""
    return _WORD.findall(one_form(text))


def marked_words(text: str) -> Iterator[re.Match[str]]:
    """Yield where each word of the text is; scripts without spaces by character."""
    return _MARKED.finditer(text)


def spans(text: str) -> list[tuple[int, int]]:
    """Return where each word of the text starts and ends; scripts without spaces by character."""
    return [match.span() for match in _MARKED.finditer(text)]


@lru_cache(maxsize=10_000)
def terms(word: str) -> tuple[str, ...]:
    """Return the terms that a word stands for: itself, and the parts of a name in code."""
    if _IS_UNSPACED.match(word):
        return (*word, *map("".join, pairwise(word)))
    whole = _term(word)
    if word.isalpha() and (word.islower() or word.isupper() or word.istitle()):
        return (whole,)
    parts = _PARTS.findall(word)
    if len(parts) < 2:
        return (whole,)
    return (whole, *(_term(part) for part in parts if len(part) > 1))


def is_stop_word(word: str) -> bool:
    """Tell whether the word says nothing about the subject."""
    return word.lower() in STOP_WORDS


def _term(word: str) -> str:
    plain = word[:_LONGEST].casefold()
    if not plain.isascii():
        decomposed = unicodedata.normalize("NFKD", plain)
        plain = "".join(char for char in decomposed if not unicodedata.combining(char)) or plain
    return stem(plain) if plain.isascii() and plain.isalpha() else plain
