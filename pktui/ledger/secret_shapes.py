"""Secrets known by their shape, or by the name of what holds them.

Tokens with a known prefix, JWT, PEM, credentials in a URL or after `Bearer`, `password=…` in text,
and members named like a password. Each pattern is compiled when first needed, tried only where
its literal occurs, starts where a token can start and never looks twice at the same text, so the
cost is linear in the length.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MASK = "[masked]"
"""What stands where a secret stood."""

_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
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

Shape = tuple[str, str, int]
"""Literal, pattern and its flags; what the pattern's first group holds is kept."""

_START = r"(?<![A-Za-z0-9_-])"


def _token(prefixes: str, rest: str) -> Iterator[Shape]:
    """Give each prefix with the pattern of the whole token; both must begin where a word can."""
    for prefix in prefixes.split():
        yield prefix, _START + prefix.replace(".", r"\.") + rest, re.ASCII


def _mark_of(literal: str) -> str:
    return next((mark for mark in "_-.:" if mark in literal), "")


_SHAPES: tuple[Shape, ...] = (
    *_token("eyJ", r"[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+)?"),
    *_token("sk-", r"[\w-]{16,}+"),
    *_token("sk_live_ sk_test_ rk_live_ rk_test_ pk_live_ pk_test_", r"\w{8,}+"),
    *_token("ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ hf_ npm_", r"\w{20,}+"),
    *_token(
        "glpat- pypi- ya29. pktui_ gsk_ xai- pplx- GOCSPX- ATATT3x hvs. tskey-", r"[\w-]{16,}+"
    ),
    *_token(
        "lin_api_ sbp_ sb_secret_ ntn_ whsec_ dckr_pat_ r8_ glsa_ glrt- rubygems_", r"\w{16,}+"
    ),
    *_token("AGE-SECRET-KEY-1", r"[A-Z0-9]{20,}+"),
    *_token("AKIA ASIA", r"[A-Z0-9]{16}(?![A-Za-z0-9])"),
    *_token("AIza", r"[\w-]{30,}+"),
    *_token("xoxa- xoxb- xoxe- xoxp- xoxr- xoxs- xapp-", r"[\w-]{10,}+"),
    *_token("SG.", r"[\w-]{16,}+\.[\w-]{16,}+"),
    *_token("shpat_ shpca_ shppa_ shpss_ dop_v1_ doo_v1_ dor_v1_", r"\w{16,}+"),
    (
        "-----BEGIN ",
        (
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[^-]{0,10}-----"
            r".*?(?:-----END [A-Z0-9 ]{0,60}-----|\Z)"
        ),
        re.DOTALL,
    ),
    ("hooks.slack.com/", r"(hooks\.slack\.com/services/)[\w/]{8,}+", re.ASCII),
    ("://", r"(://)[^\s/:@\"']{0,128}:[^\s/@\"']{1,256}(?=@)", 0),
)

_BY_MARK = tuple(
    (mark, tuple(shape for shape in _SHAPES if _mark_of(shape[0]) == mark))
    for mark in ("_", "-", ".", ":", "")
)
"""The shapes by a character that each of their literals holds, so that plain text is read once."""

_VALUE = r"(?:\"[^\"\n]{1,4096}+\"|'[^'\n]{1,4096}+'|[^\s\"'&;,]{4,}+)"
_NAMED: tuple[Shape, ...] = (
    *(
        (name, rf"({name}[ \t]{{1,4}})[\w.~+/=-]{{16,}}+", re.IGNORECASE | re.ASCII)
        for name in ("bearer", "basic")
    ),
    *(
        (
            name,
            (
                rf"({name}(?:[_-]?key)?(?:[\"']?[ \t]{{0,3}}[=:][ \t]{{0,3}}"
                rf"|(?<=--{name})[ \t]{{1,3}})){_VALUE}"
            ),
            re.IGNORECASE,
        )
        for name in ("password", "passwd", "passphrase", "secret", "token")
    ),
    *(
        (
            name,
            (
                rf"({name}[_-]?key(?:[\"']?[ \t]{{0,3}}[=:][ \t]{{0,3}}"
                rf"|(?<=--{name}-key)[ \t]{{1,3}})){_VALUE}"
            ),
            re.IGNORECASE,
        )
        for name in ("api", "access", "private")
    ),
)
"""The same for names that stand before a secret, in lower case."""


_GATES = tuple((mark, tuple(shape[0] for shape in shapes)) for mark, shapes in _BY_MARK)
_NAMES = tuple(shape[0] for shape in _NAMED)


def shows_secret(text: str) -> bool:
    """Tell whether the text holds what any shape looks for; where not, none masks any part of it.

    That holds for JSON text and the texts in it alike: no literal has a character that JSON
    escapes.
    """
    for mark, literals in _GATES:
        if mark in text:
            for literal in literals:  # a generator costs more than the search
                if literal in text:
                    return True
    lower = text.lower()
    for name in _NAMES:  # noqa: SIM110
        if name in lower:
            return True
    return False


def mask_text(text: str) -> str:
    """Return the text with every secret in it replaced by `[masked]`."""
    if len(text) < _SHORTEST:
        return text
    for mark, shapes in _BY_MARK:
        if mark in text:
            for shape in shapes:
                if shape[0] in text:
                    text = _replace(text, text, shape)
    lower = _lower(text)
    for shape in _NAMED:
        if shape[0] in lower:
            text = _replace(text, lower, shape)
            lower = _lower(text)
    return text


def _replace(text: str, seen: str, shape: Shape) -> str:
    """Mask what the pattern matches where the literal stands in `seen`, the text as searched."""
    literal, source, flags = shape
    pattern = _compiled(source, flags)
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


@cache
def _compiled(source: str, flags: int) -> re.Pattern[str]:
    return re.compile(source, flags)
