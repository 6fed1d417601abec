"""Foreign text made visible: the one function between what agents write and what a person sees.

Text from agents, servers, files and messages is data. Control characters, terminal escapes,
bidirectional overrides, zero-width and tag characters are replaced by a visible form, so that
nothing in it can move the cursor, recolour the screen, hide words or reverse their order
(Unicode TR36, TR39; CVE-2021-42574 "Trojan Source").
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache

_ESCAPED = {0x1B: "␛", 0x7F: "␡"} | {code: chr(0x2400 + code) for code in range(0x20)}
# Default_Ignorable_Code_Point, DerivedCoreProperties.txt of Unicode 17.0: a font shows nothing for
# them. The code points of this property do not change but for whole reserved ranges, which are in.
_IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
# Categories Cc (but tab and newline), Zl, Zp, Cs and Co, format characters that are not ignorable
# and show nothing of their own, U+FFFC, U+FFFD and what is no character.
_ACTIVE = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufff9-\uffff"
    "\U00013430-\U00013440\U000f0000-\U0010ffff"
    + "".join(
        f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0x10000, 0xF0000, 65536)
    )
)
# Drawn as empty space, though most are no spaces: Braille, Khitan, musical and Egyptian blanks, and
# two spaces that no keyboard has.
_BLANK = "\u202f\u205f\u2800\U00013441\U00013442\U00016fe4\U0001d159"

# Patterns as text: `re` makes each where it is first needed, and keeps it. Most of what a gateway
# starts with is plain ASCII, which needs none.
# Scripts whose letters join: Arabic and its kin, those of India and around it, Mongolian.
_JOINING = (
    "[\u0600-\u07ff\u0840-\u08ff\u0900-\u0dff\u1000-\u109f\u1780-\u18af\u1b00-\u1b7f\ua840-\ua87f"
    "\ua980-\ua9df\ufb50-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc]"
)
_MONGOLIAN = "[\u1820-\u18aa]"
_PICTURES = "\u2190-\u27ff\u2900-\u2bff\U0001f000-\U0001faff"
_PICTURE = f"[{_PICTURES}]"
_PICTURE_OR_STYLED = f"[{_PICTURES}\ufe0f]"
_STYLED = f"[\u00a9\u00ae\u203c\u2049\u2122\u2139\u3030\u303d\u3297\u3299{_PICTURES}]"
_KEYCAP = "[0-9#*]\ufe0f\u20e3"
_FLAG_BASE = "\U0001f3f4"
# The three flags of Unicode that are written with tag characters.
_FLAG = (
    f"{_FLAG_BASE}(?:"
    + "|".join("".join(chr(0xE0000 + ord(c)) for c in name) for name in ("gbeng", "gbsct", "gbwls"))
    + ")\U000e007f"
)
# The combining class of the sign that takes a letter's vowel, behind which a joiner shapes it.
_VIRAMA = 9
_ONE_LINE = "[\t\n]+"


@cache
def _suspect() -> re.Pattern[str]:
    return re.compile(f"[{_ACTIVE}{_IGNORABLE}{_BLANK}]")


def visible(text: str, *, limit: int | None = None) -> str:
    """Return the text with everything invisible or active shown; newlines and tabs stay.

    `limit` is a number of characters: longer text is cut and ends in a count of what is left.
    """
    if limit is not None and len(text) > limit:
        return f"{visible(text[:limit])}… (+{len(text) - limit} characters)"
    if text.isascii() and text.isprintable():
        return text
    return _suspect().sub(_show, text.replace("\r\n", "\n"))


def one_line(text: str, limit: int = 200) -> str:
    """Return the text visible, on one line, at most `limit` characters and an ellipsis."""
    cut = text[: limit + 1]
    line = re.sub(_ONE_LINE, " ", visible(cut)).strip()
    return f"{line[:limit]}…" if len(text) > limit else line


def escaped(json_text: str) -> str:
    """Return JSON with everything invisible or active as JSON escapes: same value, safe to show.

    The text must be valid JSON; only its own line breaks are left as they are.
    """
    return _suspect().sub(_json_escape, json_text)


def storable(text: str) -> str:
    """Return the text as UTF-8 can carry it: a half surrogate becomes a visible escape.

    For everything that the system gives and that goes into JSON, SQLite or a header: names of files
    and directories, arguments, the environment. A name that is not UTF-8 reaches Python with a half
    surrogate for each odd byte.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        return whole.encode("utf-8", "backslashreplace").decode()
    return text


def storable_parts(value: object) -> object:
    """Return JSON data in which every text, names too, is `storable`."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {storable_parts(name): storable_parts(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [storable_parts(part) for part in value]
    return value


def has_hidden(text: str) -> bool:
    """Tell whether the text holds anything that `visible` would replace."""
    return next(hidden(text.replace("\r\n", "\n")), None) is not None


def hidden(text: str) -> Iterator[int]:
    """Yield the places of what `visible` would replace, every carriage return included."""
    if text.isascii() and text.isprintable():
        return
    for found in _suspect().finditer(text):
        if not _belongs(text, found.start()):
            yield found.start()


def without_hidden(text: str) -> str:
    """Return the text without what `visible` would replace."""
    places = list(hidden(text))
    if not places:
        return text
    starts = (0, *(place + 1 for place in places))
    return "".join(text[start:end] for start, end in zip(starts, (*places, None), strict=True))


def _show(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    if code in _ESCAPED:
        return _ESCAPED[code]
    if _belongs(match.string, match.start()):
        return character
    name = unicodedata.name(character, "")
    return f"⟨U+{code:04X}{' ' + name if name else ''}⟩"


def _belongs(text: str, at: int) -> bool:
    """Tell whether a character that shows nothing by itself shapes the letter or emoji it is in."""
    character = text[at]
    if at == 0 or not (character >= "\u180b"):
        return False
    before, after = text[at - 1], text[at + 1 : at + 2]
    if character in "\u200c\u200d":
        joins = unicodedata.combining(before) == _VIRAMA or (_joins(before) and _joins(after))
        in_emoji = re.match(_PICTURE_OR_STYLED, before) and after and re.match(_PICTURE, after)
        return joins or (character == "\u200d" and bool(in_emoji))
    if character in "\ufe0e\ufe0f":
        return bool(re.match(_STYLED, before) or re.match(_KEYCAP, text[at - 1 : at + 2]))
    if character <= "\u180f":
        return re.match(_MONGOLIAN, before) is not None
    if "\U000e0020" <= character <= "\U000e007f":
        base = text.rfind(_FLAG_BASE, max(0, at - 6), at)
        flag = re.match(_FLAG, text[base : base + 8]) if base >= 0 else None
        return flag is not None and base + flag.end() > at
    return False


def _joins(character: str) -> bool:
    return (
        re.match(_JOINING, character) is not None and unicodedata.category(character)[0] in "LM"
        if character
        else False
    )


def _json_escape(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
