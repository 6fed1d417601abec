"""What hides in a tool's definition: marks for a person to look at, never a decision by itself.

Every text counts, names of members and values alike: a model reads all of it, a person sees the
first line of a description, if that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from pktui.gateway.tool_scan import phrases
from pktui.gateway.tool_scan.confusables import Names, is_disguised, latin
from pktui.ledger.records import Flag, FlagKind
from pktui.text import has_hidden, hidden, one_line, visible

# Flags of one tool; more say nothing more.
MOST_FLAGS: Final = 20
# Characters of one definition that are looked at.
MOST_TEXT: Final = 256 * 1024
_MOST_NODES: Final = 20_000
# Bytes of a definition that holds no more values than that, however it is written.
_MOST_AT_ONCE: Final = 2 * _MOST_NODES
_SHOWN: Final = 160
# Characters of a name that is looked for in texts; shorter ones are words.
_SHORTEST_NAME: Final = 6

# What kind a hidden character is of: the first that it matches.
_HIDDEN: Final[tuple[tuple[FlagKind, re.Pattern[str]], ...]] = (
    ("tag", re.compile("[\U000e0000-\U000e007f]")),
    ("bidi", re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")),
    ("control", re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufff9-\ufffb]")),
    ("invisible", re.compile("")),
)
_PADDING: Final = re.compile(r"[ \t\u00a0\u2000-\u200a\u3000]{200}|(?:[ \t\r]{0,4}\n){30}")
# Characters that a text with padding has more than it has when its spaces are single.
_LEAST_PADDING: Final = 25
_WORD: Final = re.compile(r"[A-Za-z0-9_-]+")
_NAME: Final = re.compile(r"[A-Za-z0-9]+[_-][A-Za-z0-9]|[a-z][A-Z]")
_NO_WORD: Final = {code: " " for code in range(128) if not _WORD.match(chr(code))}
_encode: Final = msgspec.json.Encoder().encode


def flags_of(
    definition: Mapping[str, Any], others: Iterable[str] = (), own: Iterable[str] = ()
) -> tuple[Flag, ...]:
    """Return what a person should look at in a tool's definition, at most `MOST_FLAGS`.

    `others` are the names of other servers' tools, `own` those of the same server.
    """
    return Flagger(others, own).flags(definition)


class Flagger:
    """Flags the tools of one server; made once for all of them."""

    def __init__(self, others: Iterable[str] = (), own: Iterable[str] = ()) -> None:
        self._own = frozenset(own)
        self._others = Names(name for name in others if name not in self._own)
        self._named = frozenset(
            name for name in self._others.all if len(name) >= _SHORTEST_NAME and _NAME.search(name)
        )

    def flags(self, definition: Mapping[str, Any]) -> tuple[Flag, ...]:
        """Return the flags of one definition, each kind once in each place."""
        found: dict[tuple[FlagKind, str], Flag] = {}
        for flag in self._all(definition):
            found.setdefault((flag.kind, flag.where), flag)
            if len(found) == MOST_FLAGS:
                break
        return tuple(found.values())

    def _all(self, definition: Mapping[str, Any]) -> Iterator[Flag]:
        name = definition.get("name")
        if isinstance(name, str):
            yield from self._in_name(name)
        if not self._is_worth_a_look(definition):
            return
        left = MOST_TEXT
        for where, text in _texts(definition):
            if left <= 0:
                yield Flag("unread", where, "what follows is too long to be looked at")
                return
            yield from self._in_text(where, text[:left])
            if text != name:
                yield from self._mentions(where, text[:left])
            left -= len(text)

    def _is_worth_a_look(self, definition: Mapping[str, Any]) -> bool:
        """Tell whether any text of a definition may be flagged: all are looked at at once, as JSON.

        What stands between two texts there belongs to no word and is no space, so that whatever
        would be found in one text is found in all of them together.
        """
        raw = _flat(definition)
        if raw is None:
            return True
        words = raw.split()
        if len(raw) - sum(map(len, words)) - len(words) >= _LEAST_PADDING and _PADDING.search(raw):
            return True
        if not raw.isascii() and has_hidden(raw):
            return True
        if self._named:
            named = raw.translate(_NO_WORD).split() if raw.isascii() else _WORD.findall(raw)
            if not self._named.isdisjoint(word.strip("-_") for word in set(named)):
                return True
        seen = " ".join(words)
        return phrases.may_speak(seen.lower() if seen.isascii() else phrases.folded(latin(seen)))

    def _in_name(self, name: str) -> Iterator[Flag]:
        if is_disguised(name):
            shown = f"{one_line(name)} reads as {one_line(latin(name))}"
            yield Flag("look-alike", "/name", shown)
        elif like := self._others.like(name):
            yield Flag("look-alike", "/name", f"{one_line(name)} looks like {one_line(like)}")

    def _in_text(self, where: str, text: str) -> Iterator[Flag]:
        yield from _hidden(where, text)
        seen = phrases.folded(latin(text))
        for words in phrases.instructions(seen):
            yield Flag("instruction", where, one_line(words, _SHOWN))
        if words := phrases.secret_files(seen):
            yield Flag("secret file", where, one_line(words, _SHOWN))

    def _mentions(self, where: str, text: str) -> Iterator[Flag]:
        for found in _WORD.finditer(text):
            word = found[0].strip("-_")
            if word in self._named:
                yield Flag("other tool", where, _around(text, found))


def several(flagger: Flagger, definitions: Sequence[Mapping[str, Any]]) -> list[Flag]:
    """Return the flags of all definitions that a server lists under one name."""
    flags = [flag for definition in definitions for flag in flagger.flags(definition)]
    if len(definitions) > 1:
        words = f"listed {len(definitions)} times with different definitions"
        flags.insert(0, Flag("twice", "/name", words))
    return flags[:MOST_FLAGS]


def _texts(definition: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield every text with its JSON Pointer, also names of members; in the order written."""
    waiting: list[tuple[str, Any]] = [("", definition)]
    nodes = 0
    while waiting:
        where, value = waiting.pop()
        nodes += 1
        if isinstance(value, str):
            yield where, value
        elif nodes > _MOST_NODES:
            yield where, " " * MOST_TEXT
        elif isinstance(value, Mapping):
            inner = [(f"{where}/{_step(key)}", value[key]) for key in value]
            waiting += reversed(inner)
            yield from ((f"{where}/{_step(key)}", key) for key in value if not _is_plain(key))
        elif isinstance(value, list | tuple):
            waiting += reversed([(f"{where}/{at}", item) for at, item in enumerate(value)])


def _flat(definition: Mapping[str, Any]) -> str | None:
    """Return a definition as JSON text with its line ends, tabs and quotes as they are.

    None where it is too large for one look, or anything else in it is escaped.
    """
    try:
        raw = _encode(definition)
    except (UnicodeEncodeError, RecursionError):
        return None
    if len(raw) > _MOST_AT_ONCE or b"\x7f" in raw:
        return None
    if escapes := raw.count(b"\\"):
        known = raw.count(b'\\"') + raw.count(b"\\n") + raw.count(b"\\t")
        if escapes != known or b"\\\\" in raw:
            return None
        raw = raw.replace(b"\\n", b"\n").replace(b"\\t", b"\t").replace(b'\\"', b'"')
    return raw.decode()


def _is_plain(key: str) -> bool:
    return key.isascii() and key.isprintable() and len(key) <= 40


def _step(key: str) -> str:
    """Return a member's name as a step of a JSON Pointer (RFC 6901), safe to show."""
    return one_line(key, 60).replace("~", "~0").replace("/", "~1")


def _hidden(where: str, text: str) -> Iterator[Flag]:
    """Flag what shows nothing; a file's mark at the head and line ends are nobody's doing."""
    rest = text.removeprefix("\ufeff").rstrip().replace("\r\n", "\n")
    first: dict[FlagKind, int] = {}
    tags = ""
    for at in hidden(rest):
        kind = next(kind for kind, pattern in _HIDDEN if pattern.match(rest, at))
        first.setdefault(kind, at)
        if kind == "tag":
            tags += chr(ord(rest[at]) - 0xE0000)
    for kind, _ in _HIDDEN:
        if kind == "tag" and tags:
            yield Flag(kind, where, f"in tag characters: {one_line(tags, _SHOWN)}")
        elif kind in first:
            yield Flag(kind, where, _near(rest, first[kind]))
    if found := _PADDING.search(rest):
        below = one_line(rest[found.end() :].strip(), _SHOWN)
        yield Flag("padding", where, f"after much empty space: {below}")


def _near(text: str, at: int) -> str:
    return one_line(visible(text[max(0, at - 40) : at + 60]), 2 * _SHOWN)


def _around(text: str, found: re.Match[str]) -> str:
    return one_line(text[max(0, found.start() - 60) : found.end() + 60].strip(), _SHOWN)
