"""Foreign text made visible: the one function between what agents write and what a person sees.

Text from agents, servers, files and messages is data. Control characters, terminal escapes,
bidirectional overrides, zero-width and tag characters are replaced by a visible form, so that
nothing in it can move the cursor, recolour the screen, hide words or reverse their order
(Unicode TR36, TR39; CVE-2021-42574 "Trojan Source").
"""

from __future__ import annotations

import re
import unicodedata

_ESCAPED = {0x1B: "␛", 0x7F: "␡"} | {code: chr(0x2400 + code) for code in range(0x20)}
_SUSPECT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff9-\uffff"
    "\ud800-\udfff\ue000-\uf8ff\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
_ONE_LINE = re.compile("[\t\n]+")


def visible(text: str, *, limit: int | None = None) -> str:
    """Return the text with everything invisible or active shown; newlines and tabs stay.

    `limit` is a number of characters: longer text is cut and ends in a count of what is left.
    """
    if limit is not None and len(text) > limit:
        return f"{visible(text[:limit])}… (+{len(text) - limit} characters)"
    if text.isascii() and text.isprintable():
        return text
    return _SUSPECT.sub(_show, text.replace("\r\n", "\n"))


def one_line(text: str, limit: int = 200) -> str:
    """Return the text visible, on one line, at most `limit` characters and an ellipsis."""
    cut = text[: limit + 1]
    line = _ONE_LINE.sub(" ", visible(cut)).strip()
    return f"{line[:limit]}…" if len(text) > limit else line


def escaped(json_text: str) -> str:
    """Return JSON with everything invisible or active as JSON escapes: same value, safe to show.

    The text must be valid JSON; only its own line breaks are left as they are.
    """
    return _SUSPECT.sub(_json_escape, json_text)


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


def has_hidden(text: str) -> bool:
    """Tell whether the text holds anything that `visible` would replace."""
    return bool(_SUSPECT.search(text.replace("\r\n", "\n")))


def _show(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code in _ESCAPED:
        return _ESCAPED[code]
    name = unicodedata.name(match.group(), "")
    return f"⟨U+{code:04X}{' ' + name if name else ''}⟩"


def _json_escape(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
