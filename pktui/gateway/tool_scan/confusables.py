"""Names of tools that are made to be taken for others.

Letters of other alphabets that look Latin (the common ones of Unicode TR39's confusables),
compatibility forms (NFKC), digits that look like letters, and the slips of a quick reader: two
letters swapped, one left out, one doubled. Names that differ in case or separators only are not
look-alikes: `readFile` and `read-file` are what different authors call the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

from pktui.text import without_hidden

_LATIN: Final = str.maketrans(
    "аеорсухѕіјԁɡһӏԛԝѵɩıοαυνικρτхβεηγωѡոսօցеАВЕКМНОРСТХІЈЅΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aeopcyxsijdghlqwviioauvikptxbenywwnuogeABEKMHOPCTXIJSABEZHIKMNOPTYX",
)
_SIMILAR: Final = str.maketrans({"0": "o", "1": "l", "i": "l", "|": "l"})
_PAIRS: Final = (("rn", "m"), ("vv", "w"))
_SEPARATORS: Final = re.compile(r"[_\-. /]")
# Characters; shorter names are one letter apart by chance.
_SHORTEST: Final = 7
# Names that are compared with.
MOST: Final = 10_000


def latin(text: str) -> str:
    """Return the text as it looks: without what shows nothing, in compatibility form, with Latin
    letters for those that look like them."""
    return unicodedata.normalize("NFKC", without_hidden(text)).translate(_LATIN)


def is_disguised(name: str) -> bool:
    """Tell whether a name reads as one in ASCII and is another, or mixes alphabets."""
    if name.isascii():
        return False
    return latin(name).isascii() or any("a" <= letter <= "z" for letter in name.casefold())


def _skeleton(name: str) -> str:
    """Return what a name looks like; two names with the same skeleton look alike."""
    text = latin(name).casefold().translate(_SIMILAR)
    for pair, single in _PAIRS:
        text = text.replace(pair, single)
    return text


def plain(name: str) -> str:
    """Return what names have in common that differ in case and separators only."""
    return _SEPARATORS.sub("", name).casefold()


class Names:
    """Tool names that a new one is compared with; only the first `MOST` count."""

    def __init__(self, names: Iterable[str]) -> None:
        self.all = frozenset(name for name, _ in zip(names, range(MOST), strict=False))
        self._skeletons: dict[str, str] = {}
        self._shortened: dict[str, str] = {}
        self._lengths = {len(name) for name in self.all}
        self._letters = {_letters(name) for name in self.all}
        for name in sorted(self.all):
            self._skeletons.setdefault(_skeleton(name), name)
            for short in _without_one(name):
                self._shortened.setdefault(short, name)

    def like(self, name: str) -> str:
        """Return a name that this one could be taken for, empty where there is none."""
        if not self.all or name in self.all:
            return ""
        found = self._skeletons.get(_skeleton(name)) or self._slip(name)
        return found if found and plain(found) != plain(name) else ""

    def _slip(self, name: str) -> str | None:
        if len(name) < _SHORTEST:
            return None
        left_out = self._shortened.get(name)
        if left_out is not None:
            return left_out
        changed: list[str] = []
        if len(name) - 1 in self._lengths:
            changed += _without_one(name)
        if _letters(name) in self._letters:
            changed += _swapped(name)
        return next((other for other in changed if other in self.all), None)


def _letters(name: str) -> str:
    """Return what a name has in common with those that have two of its letters swapped."""
    return "".join(sorted(name))


def _without_one(name: str) -> Iterator[str]:
    """Yield the name with one letter left out that is neither the last nor the first of a word."""
    if len(name) < _SHORTEST:
        return
    for at in range(1, len(name) - 1):
        if name[at].isalpha() and name[at - 1].isalpha() and name[at + 1].isalpha():
            yield name[:at] + name[at + 1 :]


def _swapped(name: str) -> Iterator[str]:
    for at in range(len(name) - 1):
        one, two = name[at], name[at + 1]
        if one != two and one.isalpha() and two.isalpha():
            yield name[:at] + two + one + name[at + 2 :]
