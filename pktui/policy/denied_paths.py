"""Paths that no tool of any server may be given: `_paths.json` beside the policies.

    {"version": "1", "deny": ["~/.ssh/**", "**/.env"]}

An argument is a path where its name or the tool's schema says so, and where it is absolute, begins
with `~` or is a `file:` address. In the text of a command every word counts that reads like a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import msgspec

from pktui.errors import PolicyError
from pktui.policy.call_place import Place
from pktui.policy.text.jsontext import decode
from pktui.policy.text.problems import BadOperand, quote
from pktui.policy.within import Area, area_of, inside, without_dots

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.policy.argument_check import Definition
    from pktui.policy.values import Arguments, Truth

RULE: Final = "(denied path)"
FILE: Final = "_paths.json"
# Names of arguments that hold paths, in whatever spelling.
_PATH_NAME: Final = re.compile(
    r"path|file|dir(?:ector(?:y|ies))?s?$|folder|cwd|root|^(?:source|destination|target|src|dst)$",
    re.IGNORECASE,
)
# Names of arguments that a shell, or a patch, is read from.
_COMMAND_NAME: Final = re.compile(r"^(?:command|cmd|script|patch|input)s?$", re.IGNORECASE)
_SAYS_PATH: Final = re.compile(r"\bpaths?\b", re.IGNORECASE)
_WORD: Final = re.compile(r"[^\s;|&<>(){}'\"`,=]+")
_HOME: Final = re.compile(r"^\$(?:HOME\b|\{HOME\})")
# Characters of a path, and of a name in it.
_LONGEST: Final = 4096
_LONGEST_NAME: Final = 255
# Texts, and paths in them, that are looked at; a call that holds more is denied.
_MOST: Final = 10_000
_CURE: Final = 'Write {"version": "1", "deny": ["~/.ssh/**"]}'


class DeniedPaths(msgspec.Struct, frozen=True):
    """The entries of a file as written and as compiled; `problem` says why it cannot be used.

    A file that cannot be used denies every path.
    """

    entries: tuple[tuple[str, Area], ...] = ()
    problem: str = ""

    def beside(self, other: DeniedPaths | None) -> DeniedPaths:
        """Return both: a path that either denies is denied."""
        if other is None:
            return self
        return DeniedPaths(self.entries + other.entries, self.problem or other.problem)

    def reason(self, arguments: Arguments, definition: Definition, place: Place) -> str:
        """Say why the arguments may not be passed on, empty where they may."""
        declared = _declared(definition.text)
        place = Place(place.project, place.home, cache(place.real_path))
        for count, (path, certain) in enumerate(_paths(arguments, declared, place)):
            if self.problem and path:
                return f"{self.problem} Until it is mended no path is passed on."
            if count == _MOST:
                return f"It holds more than {_MOST:,} texts, too many to be looked at for paths."
            found, written = self._lies_in(path, place) if path else (False, "")
            if found or (found is None and certain):
                doubt = "" if found else " may lead there: it"
                return f"{quote(path, 200)}{doubt} lies in {written}, which no tool may reach."
        return ""

    def _lies_in(self, path: str, place: Place) -> tuple[Truth, str]:
        """Return whether a path, however its reader takes it, is in an entry, and in which."""
        doubtful = ""
        for reading in _readings(path):
            real = place.real_path(reading)
            for written, area in self.entries:
                found: Truth = None if real is None else inside(real, area, place)
                if found:
                    return True, written
                if found is None:
                    doubtful = doubtful or written
        return (None, doubtful) if doubtful else (False, "")


def read_denied(raw: bytes, source: Path) -> DeniedPaths:
    """Return what a file says; one that cannot be used says so in `problem`."""
    try:
        return DeniedPaths(tuple(_entries(raw)))
    except (PolicyError, ValueError, RecursionError) as error:
        return DeniedPaths(problem=f"{source} cannot be used: {error}.")


def _entries(raw: bytes) -> Iterator[tuple[str, Area]]:
    document = decode(raw.decode("utf-8-sig"))
    if not isinstance(document, dict) or set(document) != {"version", "deny"}:
        raise PolicyError("it holds a version and deny, nothing else", _CURE)
    if document["version"] != "1" or not isinstance(document["deny"], list):
        raise PolicyError("its version is not 1, or deny is no list", _CURE)
    for entry in document["deny"]:
        try:
            # One that begins with stars is about every directory, not about the project's.
            area = area_of(f"/{entry}" if str(entry).startswith("**/") else entry)
        except BadOperand as error:
            raise PolicyError(f"{entry!r}: {error}", _CURE) from error
        yield str(entry), area


def _paths(
    arguments: Arguments, declared: frozenset[str], place: Place
) -> Iterator[tuple[str, bool]]:
    """Yield the paths in the arguments, absolute, and whether each certainly is meant as one.

    A text that holds none yields an empty one, so that it counts.
    """
    todo: list[tuple[str, Any]] = list(arguments.items())
    while todo:
        name, value = todo.pop()
        if isinstance(value, Mapping):
            todo += value.items()
            todo += [(name, key) for key in value]
        elif isinstance(value, list):
            todo += [(name, item) for item in value]
        elif isinstance(value, str):
            yield from _of_text(name, value, name in declared, place)


def _of_text(name: str, text: str, declared: bool, place: Place) -> Iterator[tuple[str, bool]]:
    if _COMMAND_NAME.search(name):
        for word in dict.fromkeys(_WORD.findall(text)):
            yield _absolute(_HOME.sub("~", word), place, relative=True), False
        return
    named, text = declared or bool(_PATH_NAME.search(name)), text.strip()
    yield _absolute(text, place, relative=named), named and _may_be_path(text)


def _may_be_path(text: str) -> bool:
    """Return whether files can be called that; contents, whatever their argument's name, cannot."""
    if len(text) > _LONGEST or "\n" in text:
        return False
    return all(len(part) <= _LONGEST_NAME for part in text.split("/"))


def _readings(path: str) -> Iterator[str]:
    """Yield a path as those take it that follow links first, and that resolve its words first.

    What a longer text, or one of several lines, is beside that is no path.
    """
    readings = [path]
    if ".." in path or len(path) > _LONGEST:
        readings.append(without_dots(path))
    for reading in readings:
        if len(reading) <= _LONGEST and "\n" not in reading:
            yield reading


def _absolute(text: str, place: Place, *, relative: bool) -> str:
    """Return the absolute path that a text means, empty where it means none."""
    if text[:5].lower() == "file:":
        try:
            text = unquote(urlsplit(text).path)
        except ValueError:
            return ""
    text = text.partition("\0")[0]  # where a reader written in C ends it
    if text == "~" or text.startswith("~/"):
        return f"{place.home}{text[1:]}" if place.home else ""
    if text.startswith("/"):
        return text
    return f"{place.project}/{text}" if relative and text and place.project else ""


@lru_cache(maxsize=256)
def _declared(definition: str) -> frozenset[str]:
    """Return the names of arguments that the tool's schema calls paths."""
    try:
        tool = msgspec.json.decode(definition) if definition else None
    except msgspec.MsgspecError:
        return frozenset()
    schema = tool.get("inputSchema") if isinstance(tool, dict) else None
    members = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(members, dict):
        return frozenset()
    return frozenset(name for name, said in members.items() if _says_path(said))


def _says_path(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    if str(schema.get("format", "")) in ("path", "file-path", "directory-path"):
        return True
    return bool(_SAYS_PATH.search(str(schema.get("description", ""))[:500]))
