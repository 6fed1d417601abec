"""Names with `*`, which stands for any run of characters; nothing else is special.

What an author writes into a policy may be a pattern. A name that comes from outside, from an agent
or a server, is never one: where a rule is made from such a name, `is_pattern` refuses it first.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

# No rule can hold a name with one of these.
PATTERN_MARKS = frozenset("*?[]")


class Glob(msgspec.Struct, frozen=True):
    """A pattern cut at its stars."""

    pattern: str
    prefix: str
    middle: tuple[str, ...]
    suffix: str

    @classmethod
    def of(cls, pattern: str) -> Glob:
        """Cut a pattern that holds at least one star."""
        first, *rest = pattern.split("*")
        return cls(pattern, first, tuple(part for part in rest[:-1] if part), rest[-1])

    def matches(self, name: str) -> bool:
        """Return whether the whole name fits, in time linear to its length."""
        at, end = len(self.prefix), len(name) - len(self.suffix)
        if end < at or not name.startswith(self.prefix) or not name.endswith(self.suffix):
            return False
        for part in self.middle:
            found = name.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True


def is_glob(name: str) -> bool:
    """Return whether the name stands for several."""
    return "*" in name


def is_pattern(name: str) -> bool:
    """Return whether the name would be, or would look like, a pattern in a policy."""
    return not PATTERN_MARKS.isdisjoint(name)


def covers(wide: str, narrow: str) -> bool:
    """Return whether every name that fits `narrow`, a name or a pattern, fits the pattern `wide`.

    Only a star of `wide` takes a star of `narrow`, so matching the pattern itself is enough.
    """
    return Glob.of(wide).matches(narrow)


def overlap(left: str, right: str) -> bool:
    """Return whether any name fits both patterns."""
    row = {0}
    row = _through_stars(right, row)
    for character in left:
        row = _step(character, right, row)
        if not row:
            return False
    return len(right) in row


def _step(character: str, right: str, row: set[int]) -> set[int]:
    """Advance every place reached in `right` by one character of `left`."""
    if character == "*":
        return set(range(min(row), len(right) + 1))
    onward: set[int] = set()
    for place in row:
        if place < len(right) and right[place] == "*":
            onward.add(place)
        elif place < len(right) and right[place] == character:
            onward.add(place + 1)
    return _through_stars(right, onward)


def _through_stars(right: str, row: set[int]) -> set[int]:
    """Add the places reached by letting stars stand for nothing."""
    reached = set(row)
    for place in sorted(row):
        while place < len(right) and right[place] == "*":
            place += 1
            reached.add(place)
    return reached


def matches_run(
    words: Sequence[str], pattern: Sequence[Glob | str], *, run: str, prefix: bool = False
) -> bool:
    """Return whether words fit a pattern of words, globs, and `run`, which is any number of words.

    `prefix`: it is enough that the first words do. Takes time linear to words times pattern.
    """
    reached = {0}
    for word in words:
        reached = _through_runs(pattern, reached, run)
        if prefix and len(pattern) in reached:
            return True
        onward = {at for at in reached if at < len(pattern) and pattern[at] == run}
        onward |= {
            at + 1
            for at in reached
            if at < len(pattern) and pattern[at] != run and _fits(word, pattern[at])
        }
        if not onward:
            return False
        reached = onward
    return len(pattern) in _through_runs(pattern, reached, run)


def _through_runs(pattern: Sequence[Glob | str], reached: set[int], run: str) -> set[int]:
    """Add the places reached by letting runs stand for nothing."""
    passed = set(reached)
    for place in sorted(reached):
        while place < len(pattern) and pattern[place] == run:
            place += 1
            passed.add(place)
    return passed


def _fits(word: str, part: Glob | str) -> bool:
    return part.matches(word) if isinstance(part, Glob) else word == part
