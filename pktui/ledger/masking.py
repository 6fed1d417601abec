"""Secrets taken out of arguments before they are kept, and long arguments cut.

A secret is known by its shape (tokens with a known prefix, JWT, PEM, credentials in a URL or in an
`Authorization` value, `password=…` in text) or by the name of the member that holds it. Each
pattern is tried only where its literal occurs, starts where a token can start and never looks
twice at the same text, so the cost is linear in the length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Literal

from pktui.ledger.canonical import json_text

ArgumentsMode = Literal["masked", "full", "keys", "hash"]

MASK = "[masked]"
CUT = "… [cut]"
MAX_DEPTH = 64
_SIGHT = 4096
_TOO_LARGE = '{"…":"too large to keep"}'.encode()
_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_TYPE_NAMES: dict[type, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
    list: "array",
    tuple: "array",
}
_CUTS = (16384, 2048, 256, 32)
"""Characters a text, and members a list or object, are cut to until all of it fits."""

_KEY_ENDS = (
    *("password", "passwd", "pwd", "passphrase", "passcode", "secret", "token", "apikey"),
    *("accesskey", "privatekey", "secretkey", "signingkey", "encryptionkey", "accountkey"),
    *("credential", "credentials", "authorization", "cookie", "cookies", "connectionstring"),
)
_KEY_PARTS = ("password", "passphrase", "apikey", "privatekey", "secretkey", "clientsecret")
_KEY_WHOLE = frozenset({"pin", "otp", "cvv", "cvc", "auth", "bearer", "jwt", "pat", "secrets"})
_LONGEST_KEY = 128
_SHORTEST = 10
"""Characters; no secret that is known by its shape is shorter."""
_NOT_LETTERS = re.compile("[^a-z0-9]+")

_START = r"(?<![A-Za-z0-9_-])"


def _token(prefixes: str, rest: str) -> Iterator[tuple[str, re.Pattern[str]]]:
    """Give each prefix with the pattern of the whole token; both must begin where a word can."""
    for prefix in prefixes.split():
        yield prefix, re.compile(_START + re.escape(prefix) + rest, re.ASCII | re.DOTALL)


def _mark_of(literal: str) -> str:
    return next((mark for mark in "_-.:" if mark in literal), "")


_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = (
    *_token("eyJ", r"[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+)?"),
    *_token("sk-", r"[\w-]{16,}+"),
    *_token("sk_live_ sk_test_ rk_live_ rk_test_ pk_live_ pk_test_", r"\w{8,}+"),
    *_token("ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ hf_ npm_", r"\w{20,}+"),
    *_token("glpat- pypi- ya29.", r"[\w-]{16,}+"),
    *_token("AKIA ASIA", r"[A-Z0-9]{16}(?![A-Za-z0-9])"),
    *_token("AIza", r"[\w-]{30,}+"),
    *_token("xoxa- xoxb- xoxe- xoxp- xoxr- xoxs- xapp-", r"[\w-]{10,}+"),
    *_token("SG.", r"[\w-]{16,}+\.[\w-]{16,}+"),
    *_token("shpat_ shpca_ shppa_ shpss_ dop_v1_ doo_v1_ dor_v1_", r"\w{16,}+"),
    (
        "-----BEGIN ",
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[^-]{0,10}-----"
            r".*?(?:-----END [A-Z0-9 ]{0,60}-----|\Z)",
            re.DOTALL,
        ),
    ),
    ("hooks.slack.com/", re.compile(r"(hooks\.slack\.com/services/)[\w/]{8,}+", re.ASCII)),
    ("://", re.compile(r"(://)[^\s/:@\"']{0,128}:[^\s/@\"']{1,256}(?=@)")),
)
"""Literal and pattern; what the pattern's group holds is kept."""

_BY_MARK = tuple(
    (mark, tuple((literal, shape) for literal, shape in _SHAPES if _mark_of(literal) == mark))
    for mark in ("_", "-", ".", ":", "")
)
"""The shapes by a character that each of their literals holds, so that plain text is read once."""

_VALUE = r"(?:\"[^\"\n]{1,4096}+\"|'[^'\n]{1,4096}+'|[^\s\"'&;,]{4,}+)"
_NAMED: tuple[tuple[str, re.Pattern[str]], ...] = (
    *(
        (name, re.compile(rf"({name}[ \t]{{1,4}})[\w.~+/=-]{{16,}}+", re.IGNORECASE | re.ASCII))
        for name in ("bearer", "basic")
    ),
    *(
        (
            name,
            re.compile(
                rf"({name}(?:[_-]?key)?(?:[\"']?[ \t]{{0,3}}[=:][ \t]{{0,3}}"
                rf"|(?<=--{name})[ \t]{{1,3}})){_VALUE}",
                re.IGNORECASE,
            ),
        )
        for name in ("password", "passwd", "passphrase", "secret", "token")
    ),
    *(
        (
            name,
            re.compile(
                rf"({name}[_-]?key(?:[\"']?[ \t]{{0,3}}[=:][ \t]{{0,3}}"
                rf"|(?<=--{name}-key)[ \t]{{1,3}})){_VALUE}",
                re.IGNORECASE,
            ),
        )
        for name in ("api", "access", "private")
    ),
)
"""The same for names that stand before a secret, in lower case."""


def mask_arguments(
    arguments: Mapping[str, object] | None,
    mode: ArgumentsMode = "masked",
    max_bytes: int = 64 * 1024,
) -> str:
    """Return the JSON text of a call's arguments as the ledger keeps it, at most `max_bytes`.

    `masked`: secrets replaced by `[masked]`; `full`: as they are; `keys`: each value replaced by
    its type; `hash`: empty, the arguments' hash stands for them. Text that is cut ends in a count
    of the characters left out and stays valid JSON. None gives an empty text.
    """
    if arguments is None or mode == "hash":
        return ""
    value: object = _types(arguments, 0) if mode == "keys" else arguments
    mask = mode == "masked"
    for cut in (max_bytes, *_CUTS):
        shape = _Shape(mask=mask, cut=min(cut, max_bytes), room=max_bytes)
        text = _encode(shape.of(value, 0))
        if not shape.full and len(text) <= max_bytes:
            return text.decode()
    text = _encode(_Shape(mask=mask, cut=_CUTS[-1], room=max_bytes // 8).of(value, 0))
    return (text if len(text) <= max_bytes else _TOO_LARGE).decode()


def mask_text(text: str) -> str:
    """Return the text with every secret in it replaced by `[masked]`."""
    if len(text) < _SHORTEST:
        return text
    for mark, shapes in _BY_MARK:
        if mark in text:
            for literal, pattern in shapes:
                if literal in text:
                    text = _replace(text, text, literal, pattern)
    lower = _lower(text)
    for name, pattern in _NAMED:
        if name in lower:
            text = _replace(text, lower, name, pattern)
            lower = _lower(text)
    return text


def _replace(text: str, seen: str, literal: str, pattern: re.Pattern[str]) -> str:
    """Mask what the pattern matches where the literal stands in `seen`, the text as searched."""
    parts: list[str] = []
    done, at = 0, seen.find(literal)
    while at >= 0:
        found = pattern.match(text, at)
        if found is None:
            at = seen.find(literal, at + 1)
            continue
        parts += (text[done:at], found[1] if pattern.groups else "", MASK)
        done = found.end()
        at = seen.find(literal, done)
    return "".join((*parts, text[done:])) if parts else text


def _lower(text: str) -> str:
    """Return the text in lower case with every character in its place."""
    lower = text.lower()
    return lower if len(lower) == len(text) else text.translate(_ASCII_LOWER)


def names_secret(key: str) -> bool:
    """Tell whether a member of that name holds a secret: `db_password`, `X-Api-Key`."""
    return _names_secret(key if len(key) <= _LONGEST_KEY else key[-_LONGEST_KEY:])


@lru_cache(maxsize=1024)
def _names_secret(key: str) -> bool:
    plain = _NOT_LETTERS.sub("", key.lower())
    return (
        plain.endswith(_KEY_ENDS)
        or plain in _KEY_WHOLE
        or any(part in plain for part in _KEY_PARTS)
    )


class _Shape:
    """A copy of a value with secrets masked, and texts, lists and objects no longer than `cut`.

    Once more than `room` characters are kept it is `full`: what follows is cut unseen.
    """

    def __init__(self, *, mask: bool, cut: int, room: int) -> None:
        self._mask = mask
        self._cut = cut
        self._room = room

    @property
    def full(self) -> bool:
        """Whether the copy holds more than it has room for."""
        return self._room < 0

    def of(self, value: object, depth: int) -> object:
        self._room -= 2
        if isinstance(value, str):
            return self._text(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        if depth >= MAX_DEPTH or self.full:
            return CUT
        if isinstance(value, Mapping):
            return self._object(value, depth + 1)
        if isinstance(value, Sequence):
            items = [self.of(item, depth + 1) for item in value[: self._cut]]
            return [*items, CUT] if len(value) > self._cut else items
        return f"[{type(value).__name__}]"

    def _object(self, value: Mapping[str, object], depth: int) -> dict[str, object]:
        copy: dict[str, object] = {}
        for key in islice(value, self._cut):
            if self.full:
                break
            copy[self._text(key)] = self._member(key, value[key], depth)
        if len(value) > len(copy):
            copy["…"] = CUT
        return copy

    def _member(self, key: str, value: object, depth: int) -> object:
        if self._mask and value not in ("", None, True, False) and names_secret(key):
            return MASK
        return self.of(value, depth)

    def _text(self, text: str) -> str:
        """Mask with what follows the cut in sight, so that half a secret is known for one."""
        if self.full:
            return CUT
        seen = text[: self._cut + _SIGHT]
        kept = mask_text(seen) if self._mask else seen
        self._room -= min(len(kept), self._cut)
        return kept if len(kept) <= self._cut else kept[: self._cut] + CUT


def _types(value: object, depth: int) -> object:
    if isinstance(value, Mapping) and depth < MAX_DEPTH:
        return {key: _types(value[key], depth + 1) for key in value}
    if isinstance(value, list | tuple) and depth < MAX_DEPTH:
        return [_types(item, depth + 1) for item in value]
    return _TYPE_NAMES.get(type(value), "object")


def _encode(value: object) -> bytes:
    return json_text(value).encode()
