"""Secrets known by their shape, or by the name of what holds them.

Tokens with a known prefix, JWT, PEM, credentials in a URL or after `Bearer`, `password=…` in text,
and members named like a password. What is hidden is bounded by the alphabet and the length that
secrets have, so that no sentence and no command goes with it, and the mask says how long it was.
Each pattern is compiled when first needed, tried only where its literal occurs, starts where a
token can start and never looks twice at the same text, so the cost is linear in the length.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# What stands for a secret whose length is nobody's business.
MASK = "[masked]"

_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_KEY_ENDS = (
    *("password", "passwd", "pwd", "passphrase", "passcode", "secret", "token", "apikey"),
    *("accesskey", "privatekey", "secretkey", "signingkey", "encryptionkey", "accountkey"),
    *("credential", "credentials", "authorization", "cookie", "cookies", "connectionstring"),
)
_KEY_PARTS = ("password", "passphrase", "apikey", "privatekey", "secretkey", "clientsecret")
_KEY_WHOLE = frozenset({"pin", "otp", "cvv", "cvc", "auth", "bearer", "jwt", "pat", "secrets"})
# Last words of names that tell something about a secret: `password_changed_at`.
_ABOUT = frozenset(
    (
        *("changed", "updated", "created", "expires", "expired", "expiry", "expiration", "rotated"),
        *(
            "at",
            "on",
            "age",
            "policy",
            "length",
            "count",
            "required",
            "reset",
            "url",
            "uri",
            "hint",
        ),
        *("endpoint", "enabled", "type", "name", "min", "max", "date", "time", "days", "last"),
        *(
            "strength",
            "valid",
            "ttl",
            "status",
            "state",
            "limit",
            "usage",
            "used",
            "size",
            "budget",
        ),
        *("version", "format"),
    )
)
_ABOUT_ENDS = ("changedat", "updatedat", "createdat", "expiresat", "expiresin", "rotatedat")
# What stands before `token` where it is a place in a list, or a piece of text: `nextPageToken`.
_NO_SECRET = (
    *("page", "next", "previous", "prev", "continuation", "continue", "sync", "cursor", "paging"),
    *("pagination", "start", "resume", "delta", "progress", "marker", "max", "min", "num", "total"),
    *("input", "output", "prompt", "completion", "cached", "stop", "eos", "bos", "pad", "unk"),
)
# Last words that say nothing: `client_secret_value`.
_UNTOLD = frozenset({"value", "raw", "plain"})
_NAME_WORDS = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_BEFORE = re.compile(r"[\w-]{0,64}\Z")
_AT_HEAD = re.compile(r"[\w-]*")
_LONGEST_KEY = 128
# Characters; no secret that is known by its shape is shorter.
_SHORTEST = 10

# Literal, pattern and its flags; what the pattern's first group holds is kept.
Shape = tuple[str, str, int]

_START = r"(?<![A-Za-z0-9_-])"


def _token(prefixes: str, rest: str) -> Iterator[Shape]:
    """Give each prefix with the pattern of the whole token; both must begin where a word can."""
    for prefix in prefixes.split():
        yield prefix, _START + prefix.replace(".", r"\.") + rest, re.ASCII


def _mark_of(literal: str) -> str:
    return next((mark for mark in "_-.:" if mark in literal), "")


_SPACE = r"(?:\s|\\[nr])*+"
_PEM = (
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[^-]{0,10}-----"
    rf"(?:{_SPACE}[A-Za-z-]{{4,20}}: [\w,-]{{1,80}}+){{0,4}}+"
    rf"(?:{_SPACE}[A-Za-z0-9+/=]{{16,128}}+){{0,200}}+"
    rf"(?:{_SPACE}[A-Za-z0-9+/=]{{1,15}}+)?+"
    rf"(?:{_SPACE}-----END [A-Z0-9 ]{{0,60}}-----)?"
)
_SHAPES: tuple[Shape, ...] = (
    *_token("eyJ", r"[\w-]{8,4096}+\.[\w-]{8,8192}+(?:\.[\w-]{0,2048}+)?"),
    *_token("sk-", r"[\w-]{16,512}+"),
    *_token("sk_live_ sk_test_ rk_live_ rk_test_ pk_live_ pk_test_", r"\w{8,512}+"),
    *_token("ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ hf_ npm_", r"\w{20,512}+"),
    *_token(
        "glpat- pypi- ya29. pktui_ gsk_ xai- pplx- GOCSPX- ATATT3x hvs. tskey-", r"[\w-]{16,512}+"
    ),
    *_token(
        "lin_api_ sbp_ sb_secret_ ntn_ whsec_ dckr_pat_ r8_ glsa_ glrt- rubygems_", r"\w{16,512}+"
    ),
    *_token("AGE-SECRET-KEY-1", r"[A-Z0-9]{20,128}+"),
    *_token("AKIA ASIA", r"[A-Z0-9]{16}(?![A-Za-z0-9])"),
    *_token("AIza", r"[\w-]{30,128}+"),
    *_token("xoxa- xoxb- xoxe- xoxp- xoxr- xoxs- xapp-", r"[\w-]{10,512}+"),
    *_token("SG.", r"[\w-]{16,128}+\.[\w-]{16,128}+"),
    *_token("shpat_ shpca_ shppa_ shpss_ dop_v1_ doo_v1_ dor_v1_", r"\w{16,128}+"),
    ("-----BEGIN ", _PEM, re.ASCII),
    ("hooks.slack.com/", r"(hooks\.slack\.com/services/)[\w/]{8,128}+", re.ASCII),
    ("://", r"(://)[\w.~!*+,=%#$-]{0,128}:[\w.~!*+,=%#$?^:-]{1,256}(?=@)", 0),
)

# The shapes by a character that each of their literals holds, so that plain text is read once.
_BY_MARK = tuple(
    (mark, tuple(shape for shape in _SHAPES if _mark_of(shape[0]) == mark))
    for mark in ("_", "-", ".", ":", "")
)

# What secrets are made of; nothing that ends a command, begins another or quotes one.
_LETTER = r"[\w.~+/=:%@!#$*?^-]"
_EQUALS = r"(?:\\?[\"']?[ \t]{0,3}[=:][ \t]{0,3}\\?[\"']?"


def _named(name: str, key: str, option: str) -> Iterator[Shape]:
    """Give what stands behind a name: as a member of JSON, after `=` or `:`, or as an option."""
    yield name, rf"({name}{key}\"[ \t]{{0,3}}:[ \t]{{0,3}}\")[^\"\s]{{1,64}}(?=\")", re.IGNORECASE
    yield (
        name,
        rf"({name}{key}{_EQUALS}|(?<=--{option})[ \t]{{1,3}}[\"']?)){_LETTER}{{4,512}}+",
        re.IGNORECASE,
    )


# The same for names that stand before a secret, in lower case.
_NAMED: tuple[Shape, ...] = (
    *(
        (name, rf"({name}[ \t]{{1,4}})[\w.~+/=-]{{16,4096}}+", re.IGNORECASE | re.ASCII)
        for name in ("bearer", "basic")
    ),
    *(
        shape
        for name in ("password", "passwd", "passphrase", "secret", "token")
        for shape in _named(name, "(?:[_-]?key)?", name)
    ),
    *(
        shape
        for name in ("api", "access", "private")
        for shape in _named(name, "[_-]?key", f"{name}-key")
    ),
)

# Those that are no name of what holds a secret.
_SCHEMES = frozenset({"bearer", "basic"})

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


def masked(length: int) -> str:
    """Return what stands where so many characters stood."""
    return f"[masked {length} character{'' if length == 1 else 's'}]"


def mask_text(text: str) -> str:
    """Return the text with every secret in it replaced by a mask that says how long it was."""
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
            text = _replace(text, lower, shape, named=shape[0] not in _SCHEMES)
            lower = _lower(text)
    return text


_WHOLE = re.compile(rf"(?:{_LETTER}|,){{1,8192}}")
_SHORT = re.compile(r"\S{1,64}")
_SEVERAL = re.compile(rf"{_LETTER}+(?: {_LETTER}+)*")
_COOKIES = re.compile(rf"[\w.-]+={_LETTER}*(?:; ?[\w.-]+={_LETTER}*)*")
# Characters of a secret of several words.
_MOST_WORDS = 128


def mask_value(text: str) -> str:
    """Return a mask for the value of a member that is named like a secret.

    A value that no secret looks like, long or with commands in it, is only masked in part.
    """
    if not text:
        return text
    whole = _WHOLE.fullmatch(text) or _SHORT.fullmatch(text)
    if not whole and len(text) <= _MOST_WORDS:
        whole = _SEVERAL.fullmatch(text)
    if not whole and len(text) <= _LONGEST_COOKIES:
        whole = _COOKIES.fullmatch(text)
    return masked(len(text)) if whole else mask_text(text)


_LONGEST_COOKIES = 4096


def _replace(text: str, seen: str, shape: Shape, *, named: bool = False) -> str:
    """Mask what the pattern matches where the literal stands in `seen`, the text as searched.

    `named`: only where the literal is the end of a name that tells of a secret.
    """
    literal, source, flags = shape
    pattern = _compiled(source, flags)
    parts: list[str] = []
    done, at = 0, seen.find(literal)
    while at >= 0:
        found = pattern.match(text, at)
        if found is None or (named and not _is_named(text, at, found[1])):
            at = seen.find(literal, at + 1)
            continue
        kept = found[1] if pattern.groups else ""
        parts += (text[done:at], kept, masked(found.end() - at - len(kept)))
        done = found.end()
        at = seen.find(literal, done)
    return "".join((*parts, text[done:])) if parts else text


def _is_named(text: str, at: int, found: str) -> bool:
    before = _BEFORE.search(text, max(0, at - 64), at)
    head = _AT_HEAD.match(found)
    name = f"{before[0] if before else ''}{head[0] if head else ''}"
    return names_secret(name) or not name.isascii()


def _lower(text: str) -> str:
    """Return the text in lower case with every character in its place."""
    lower = text.lower()
    return lower if len(lower) == len(text) else text.translate(_ASCII_LOWER)


def names_secret(key: str) -> bool:
    """Tell whether a member of that name holds a secret: `db_password`, `X-Api-Key`."""
    return _names_secret(key if len(key) <= _LONGEST_KEY else key[-_LONGEST_KEY:])


@lru_cache(maxsize=1024)
def _names_secret(key: str) -> bool:
    words = [word.lower() for word in _NAME_WORDS.findall(key)]
    while words and (words[-1].isdigit() or words[-1] in _UNTOLD):
        words.pop()
    name = "".join(words)
    if not name or words[-1] in _ABOUT or name.endswith(_ABOUT_ENDS):
        return False
    if name.endswith("token") and name[: -len("token")].endswith(_NO_SECRET):
        return False
    return (
        name.endswith(_KEY_ENDS) or name in _KEY_WHOLE or any(part in name for part in _KEY_PARTS)
    )


@cache
def _compiled(source: str, flags: int) -> re.Pattern[str]:
    return re.compile(source, flags)
