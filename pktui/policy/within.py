"""The operator `within`: a path that lies inside one of some directories, files or patterns.

Both sides are followed through every symbolic link first, by what is handed in: this room reads no
disk. A text that a server may take for another path than this one does can't be judged: `~`, an
address, spaces around it, a `..` that means something else once links are followed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final
from unicodedata import normalize

import msgspec

from pktui.policy.globs import Glob, is_glob, matches_run
from pktui.policy.text.problems import BadOperand
from pktui.policy.values import MISSING, Truth, read_json

if TYPE_CHECKING:
    from pktui.policy.call_place import Place

PROJECT: Final = "${project}"
# Characters of a path that are looked at.
_MAX_PATH: Final = 4096
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")

Pattern = tuple[Glob | str, ...]


class Area(msgspec.Struct, frozen=True):
    """One entry: the part that is followed, and the pattern of what lies below it.

    `folded` is the pattern for a disk that does not tell case apart.
    """

    base: str
    below: Pattern
    folded: Pattern


def compile_within(value: Any) -> Callable[[Any, Place], Truth]:
    """Return the test of a path; raises `BadOperand` where the value is no list of paths."""
    if not isinstance(value, list) or not value:
        raise BadOperand(
            'operator "within" wants a list of paths', 'Write a list, like ["${project}"]'
        )
    areas = [area_of(entry) for entry in value]

    def test(found: Any, place: Place) -> Truth:
        if found is None:
            return False
        real = _real(found, place) if isinstance(found, str) else None
        if real is None:
            return None
        unknown = False
        for area in areas:
            lies = inside(real, area, place)
            if lies:
                return True
            unknown = unknown or lies is None
        return None if unknown else False

    return test


def area_of(entry: Any) -> Area:
    """Compile one entry; raises `BadOperand` where it is no path."""
    if not isinstance(entry, str) or not entry.strip() or not entry.isprintable():
        raise BadOperand('"within" holds something that is no path', "Write each in double quotes")
    if entry.startswith("~") and entry[1:2] not in ("", "/"):
        raise BadOperand(f"{entry} names another person's home", "Write the whole path")
    rest = entry.removeprefix(PROJECT)
    if "${" in rest or (rest != entry and rest[:1] not in ("", "/")):
        raise BadOperand(
            f"{entry} holds a name that is not known here",
            f"Only {PROJECT} is, at the beginning, like {PROJECT}/src",
        )
    parts = entry.split("/")
    stars = next((at for at, part in enumerate(parts) if is_glob(part)), len(parts))
    pattern = [part for part in parts[stars:] if part not in ("", ".")]
    if ".." in pattern:
        raise BadOperand(f"{entry} goes up behind a star", "Write the directory itself")
    base = "/".join(parts[:stars]) or ("/" if stars else "")
    return Area(base, _pattern(pattern), _pattern(map(_fold, pattern)))


def _pattern(parts: Iterable[str]) -> Pattern:
    return tuple(Glob.of(part) if is_glob(part) and part != "**" else part for part in parts)


def _real(text: str, place: Place) -> str | None:
    """Return the path that a text means, whoever reads it; None where readers may differ."""
    doubtful = (
        not text
        or len(text) > _MAX_PATH
        or text != text.strip()
        or not text.isprintable()
        or text[0] in "~$%"
        or read_json(text) is not MISSING
        or _ADDRESS.match(text)
    )
    whole = None if doubtful else _absolute(text, place)
    if whole is None:
        return None
    real = place.real_path(whole)
    if ".." in whole.split("/") and real != place.real_path(without_dots(whole)):
        return None
    return real


def _absolute(text: str, place: Place) -> str | None:
    if text.startswith("/"):
        return text
    return f"{place.project}/{text}" if place.project else None


def without_dots(path: str) -> str:
    """Resolve `..` by its words alone, as a reader does that does not look at links first."""
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            kept = kept[:-1]
        elif part not in ("", "."):
            kept.append(part)
    return "/" + "/".join(kept)


def inside(real: str, area: Area, place: Place) -> Truth:
    """Return whether a real path is inside an area; None where only case or form differ."""
    base = _base(area.base, place)
    root = place.real_path(base) if base is not None else None
    if root is None:
        return None
    if _lies_in(_parts(real), _parts(root), area.below):
        return True
    return None if _lies_in(_parts(_fold(real)), _parts(_fold(root)), area.folded) else False


def _base(written: str, place: Place) -> str | None:
    """Return where an entry begins, absolute; None where that is not known."""
    if written.startswith(PROJECT):
        return f"{place.project}/{written.removeprefix(PROJECT)}" if place.project else None
    if written.startswith("~"):
        return f"{place.home}/{written[1:]}" if place.home else None
    return _absolute(written or ".", place)


def _lies_in(path: list[str], root: list[str], below: Pattern) -> bool:
    """Return whether the path, or a directory above it, is one the pattern names below the root."""
    if path[: len(root)] != root:
        return False
    return matches_run(path[len(root) :], below, run="**", prefix=True)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _fold(text: str) -> str:
    return normalize("NFC", text).casefold()
