"""Which keys a terminal can send, by the names that Textual gives them.

Asked of Textual's own parser: what no byte sequence of its table becomes never arrives. Names
that only the Kitty keyboard protocol can send (`ctrl+space`, `ctrl+slash`) count as never, since
most terminals do not speak it.
"""

from __future__ import annotations

import string
import unicodedata
from functools import lru_cache

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._xterm_parser import XTermParser
from textual.keys import _character_to_key

from pktui.suggest import nearest

# From here on characters have names (`banana`) but no keyboard has them.
BEYOND_KEYBOARDS = "\u2100"
# Longer words may be misspelt; a function key that is not there is none that is near.
LAST_F = len("f12")
# Keys that terminals and multiplexers keep for themselves.
EATEN = frozenset(f"ctrl+{letter}" for letter in "abhijmqs")
# What people write, and what the same press is called when it arrives.
_OTHER_NAMES = {
    "ctrl+/": "ctrl+underscore",
    "ctrl+slash": "ctrl+underscore",
    "ctrl+-": "ctrl+underscore",
    "ctrl+minus": "ctrl+underscore",
    "ctrl+space": "ctrl+@",
    "ctrl+at": "ctrl+@",
    "ctrl+[": "escape",
    "ctrl+]": "ctrl+right_square_bracket",
    "ctrl+\\": "ctrl+backslash",
    "ctrl+^": "ctrl+circumflex_accent",
    "return": "enter",
    "esc": "escape",
    "del": "delete",
    "ins": "insert",
    "pgup": "pageup",
    "page_up": "pageup",
    "pgdn": "pagedown",
    "page_down": "pagedown",
    "spacebar": "space",
    "dash": "minus",
    "backtab": "shift+tab",
}


def arrives(key: str) -> bool:
    """Tell whether a terminal can send a key of this name."""
    return key in _named_keys() or _is_character(key)


def right_name(key: str) -> str:
    """Return what a key that never arrives is called when it does, "" where nothing is near."""
    low = key.lower().replace(" ", "")
    modifier, _, last = key.rpartition("+")
    candidates = [_OTHER_NAMES.get(low, "")]
    if modifier.lower() == "shift" and last.isalpha():
        candidates.append(last.upper())
    if modifier.lower() == "alt" and last.isupper():
        candidates.append(f"alt+shift+{last.lower()}")
    candidates.append(low)
    if modifier and len(last) == 1:
        candidates.append(f"{modifier.lower()}+{_character_to_key(last)}")
    for candidate in candidates:
        if candidate and arrives(candidate) and candidate not in EATEN:
            return candidate
    words = [name for name in _named_keys() if "+" not in name and len(name) > LAST_F]
    return nearest(low, words, cutoff=0.75) if len(low) > LAST_F else ""


@lru_cache(maxsize=1)
def _named_keys() -> frozenset[str]:
    """Return the names of all keys that are one press: control, function, arrow and alt keys."""
    parser = XTermParser()
    found = set()
    for sequence in ANSI_SEQUENCES_KEYS:
        keys = [event.key for event in parser._sequence_to_key_events(sequence)]  # noqa: SLF001
        if len(keys) == 1:
            found.add(keys[0])
    for letter in string.ascii_letters + string.digits:
        if f"\x1b{letter}" not in ANSI_SEQUENCES_KEYS:
            found |= {
                event.key
                for event in parser._sequence_to_key_events(letter, alt=True)  # noqa: SLF001
            }
    return frozenset(found - {"<ignore>"})


def _is_character(key: str) -> bool:
    """Tell whether it is a character's name, as the parser gives it."""
    character = key if len(key) == 1 else _lookup(key)
    if not character or not character.isprintable():
        return False
    parser = XTermParser()
    return [event.key for event in parser._sequence_to_key_events(character)] == [key]  # noqa: SLF001


def _lookup(key: str) -> str:
    """Return the character whose name Textual shortens to this key (`minus`, `slash`)."""
    for sign in string.punctuation:
        if _character_to_key(sign) == key:
            return sign
    try:
        character = unicodedata.lookup(key.replace("_", " "))
    except KeyError:
        return ""
    return character if character < BEYOND_KEYBOARDS else ""
