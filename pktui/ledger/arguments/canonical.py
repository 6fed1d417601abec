"""Canonical JSON (RFC 8785) and the hash that binds an approval to its arguments.

Keys are sorted by UTF-16 code units, floats are written as ECMAScript writes them, nothing is
escaped that need not be. Two deviations, so that every argument has a hash and no two integers
or texts share one: integers are written exactly, also beyond 2**53, and a lone surrogate is
written as its lower-case `\\udxxx` escape. The `rfc8785` package refuses both, which would make
a call with a large id impossible to approve; the rules fit on this page.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence

import msgspec

_ENCODE = msgspec.json.Encoder().encode
_ENCODE_SORTED = msgspec.json.Encoder(order="sorted").encode
_PLAIN = frozenset({str, int, bool, type(None)})
_NOT_KEPT = re.compile(r"[0-9]+ characters, not kept")
_ESCAPE = re.compile('["\\\\\x00-\x1f\ud800-\udfff]')
_SHORT = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\f": "\\f",
    "\r": "\\r",
}


def canonical_json(value: object) -> bytes:
    """Return the one JSON text of a decoded value, in UTF-8.

    Raises `ValueError` for NaN, infinities, values JSON has no form for, and nesting beyond the
    interpreter's recursion limit.
    """
    try:
        return _ENCODE_SORTED(value) if _is_plain(value) else _write(value, ordered=True).encode()
    except (UnicodeEncodeError, OverflowError):
        return _write(value, ordered=True).encode()
    except RecursionError as error:
        raise ValueError("nested too deep for canonical JSON") from error


def args_hash(value: object) -> str:
    """Return the SHA-256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def call_hash(arguments: Mapping[str, object], beside: Mapping[str, object]) -> str:
    """Return what an approval of a call is bound to: its arguments, and what goes out beside them.

    Without anything beside them it is the hash of the arguments; a list is never one of those.
    """
    bound = [arguments, beside] if beside else arguments
    return hashlib.sha256(canonical_json(bound)).hexdigest()


def json_text(value: object) -> str:
    """Return compact JSON text with members in their own order; raises like `canonical_json`."""
    try:
        return _ENCODE(value).decode()
    except (UnicodeEncodeError, OverflowError, RecursionError, TypeError):
        pass
    try:
        return _write(value, ordered=False)
    except RecursionError as error:
        raise ValueError("nested too deep for JSON text") from error


def _is_plain(value: object) -> bool:
    """Tell whether msgspec writes the value as the standard wants: no floats, names in ASCII."""
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str or not key.isascii():
                return False
            if type(item) not in _PLAIN and not _is_plain(item):
                return False
        return True
    if isinstance(value, list):
        for item in value:  # noqa: SIM110  a generator costs more than what it looks at
            if type(item) not in _PLAIN and not _is_plain(item):
                return False
        return True
    return type(value) in _PLAIN


def _write(value: object, *, ordered: bool) -> str:
    if isinstance(value, str):
        return _string(value)
    if value is None or isinstance(value, bool):
        return "null" if value is None else "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, Mapping):
        keys = sorted(value, key=_sort_key) if ordered else value
        inside = (f"{_string(key)}:{_write(value[key], ordered=ordered)}" for key in keys)
        return "{" + ",".join(inside) + "}"
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return "[" + ",".join([_write(item, ordered=ordered) for item in value]) + "]"
    raise ValueError(f"{type(value).__name__} has no form in JSON")


def _sort_key(key: object) -> bytes:
    if not isinstance(key, str):
        raise ValueError(f"a member's name must be text, not {type(key).__name__}")  # noqa: TRY004
    return key.encode("utf-16-be", "surrogatepass")


def _string(text: object) -> str:
    if not isinstance(text, str):
        raise ValueError(f"a member's name must be text, not {type(text).__name__}")  # noqa: TRY004
    return f'"{_ESCAPE.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    return _SHORT.get(character) or f"\\u{ord(character):04x}"


def _float(number: float) -> str:
    """Write a float as ECMAScript's Number::toString does (ECMA-262, 6.1.6.1.20)."""
    if not math.isfinite(number):
        raise ValueError(f"{number} is no JSON number")
    if number == 0:
        return "0"
    sign, text = ("-", repr(-number)) if number < 0 else ("", repr(number))
    mantissa, _, exponent = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    return sign + _place_point(digits, point)


def _place_point(digits: str, point: int) -> str:
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    power = point - 1
    mantissa = digits if count == 1 else f"{digits[0]}.{digits[1:]}"
    return f"{mantissa}e{'+' if power > 0 else '-'}{abs(power)}"


def is_hash_of(digest: str, text: str) -> bool:
    """Tell whether a kept definition is the one that the hash is of.

    One that was too long to keep cannot be told from another, so it counts as it.
    """
    try:
        value = json.loads(text)
        if isinstance(value, dict) and _NOT_KEPT.fullmatch(str(value.get("…", ""))):
            return True
        return hashlib.sha256(canonical_json(value)).hexdigest() == digest
    except (ValueError, RecursionError):
        return False
