"""Secrets taken out of arguments before they are kept, and long arguments cut.

A secret is known by its shape (tokens with a known prefix, JWT, PEM, credentials in a URL or in an
`Authorization` value, `password=…` in text) or by the name of the member that holds it. Each
pattern is tried only where its literal occurs, starts where a token can start and never looks
twice at the same text, so the cost is linear in the length.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
_TYPE_NAMES: dict[type, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
    list: "array",
    tuple: "array",
}
_CUTS = (16384, 4096, 1024, 256, 64, 16)
"""Characters a text, and members a list or object, are cut to until all of it fits."""

_KEY_ENDS = (
    *("password", "passwd", "pwd", "passphrase", "passcode", "secret", "token", "apikey"),
    *("accesskey", "privatekey", "secretkey", "signingkey", "encryptionkey", "accountkey"),
    *("credential", "credentials", "authorization", "cookie", "cookies", "connectionstring"),
)
_KEY_PARTS = ("password", "passphrase", "apikey", "privatekey", "secretkey", "clientsecret")
_KEY_WHOLE = frozenset({"pin", "otp", "cvv", "cvc", "auth", "bearer", "jwt", "pat", "secrets"})
_LONGEST_KEY = 128
_NOT_LETTERS = re.compile("[^a-z0-9]+")

_START = r"(?<![A-Za-z0-9_-])"
_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("-----BEGIN", re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[^-]{0,10}-----"
                              r".*?(?:-----END [A-Z0-9 ]{0,60}-----|\Z)", re.DOTALL)),
    ("eyJ", re.compile(_START + r"eyJ[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+)?", re.ASCII)),
    ("sk-", re.compile(_START + r"sk-[\w-]{16,}+", re.ASCII)),
    ("k_", re.compile(_START + r"[rsp]k_(?:live|test)_\w{8,}+", re.ASCII)),
    ("gh", re.compile(_START + r"gh[opsur]_\w{20,}+", re.ASCII)),
    ("github_pat_", re.compile(_START + r"github_pat_\w{20,}+", re.ASCII)),
    ("glpat-", re.compile(_START + r"glpat-[\w-]{16,}+", re.ASCII)),
    ("A", re.compile(_START + r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])", re.ASCII)),
    ("AIza", re.compile(_START + r"AIza[\w-]{30,}+", re.ASCII)),
    ("ya29.", re.compile(_START + r"ya29\.[\w-]{16,}+", re.ASCII)),
    ("xox", re.compile(_START + r"xox[a-z]-[\w-]{10,}+", re.ASCII)),
    ("hooks.slack.com", re.compile(r"(?<=hooks\.slack\.com/services/)[\w/]{8,}+", re.ASCII)),
    ("xapp-", re.compile(_START + r"xapp-[\w-]{10,}+", re.ASCII)),
    ("hf_", re.compile(_START + r"hf_\w{20,}+", re.ASCII)),
    ("npm_", re.compile(_START + r"npm_\w{20,}+", re.ASCII)),
    ("pypi-", re.compile(_START + r"pypi-[\w-]{20,}+", re.ASCII)),
    ("SG.", re.compile(_START + r"SG\.[\w-]{16,}+\.[\w-]{16,}+", re.ASCII)),
    ("shp", re.compile(_START + r"shp(?:at|ca|pa|ss)_\w{16,}+", re.ASCII)),
    ("_v1_", re.compile(_START + r"do[opr]_v1_\w{16,}+", re.ASCII)),
    ("://", re.compile(r"(?<=://)[^\s/:@\"']{0,128}:[^\s/@\"']{1,256}(?=@)")),
)  # fmt: skip
_AUTHORIZATION = re.compile(
    r"\b((?:bearer|basic)[ \t]{1,4})[\w.~+/=-]{16,}+", re.IGNORECASE | re.ASCII
)
_ASSIGNMENT = re.compile(
    r"((?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)"
    r"[\"']?[ \t]{0,3}[=:][ \t]{0,3}|--(?:password|passphrase|secret|token|api-key)[ \t]{1,3})"
    r"(?:\"[^\"\n]{1,4096}+\"|'[^'\n]{1,4096}+'|[^\s\"'&;,]{4,}+)",
    re.IGNORECASE,
)
_SHORTEST = 10
"""Characters; no secret that is known by its shape is shorter."""


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
    shape = _Shape(mask=mode == "masked", cut=max_bytes)
    text = _encode(shape.of(value, 0))
    for cut in _CUTS:
        if len(text) <= max_bytes:
            break
        text = _encode(_Shape(mask=mode == "masked", cut=min(cut, max_bytes)).of(value, 0))
    return (text if len(text) <= max_bytes else _TOO_LARGE).decode()


def mask_text(text: str) -> str:
    """Return the text with every secret in it replaced by `[masked]`."""
    if len(text) < _SHORTEST:
        return text
    for literal, pattern in _SHAPES:
        if literal in text:
            text = pattern.sub(MASK, text)
    lower = text.lower()
    if "bearer" in lower or "basic" in lower:
        text = _AUTHORIZATION.sub(_keep_name, text)
    if "pass" in lower or "secret" in lower or "token" in lower or "key" in lower:
        text = _ASSIGNMENT.sub(_keep_name, text)
    return text


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
    """A copy of a value with secrets masked, and texts, lists and objects no longer than `cut`."""

    def __init__(self, *, mask: bool, cut: int) -> None:
        self._mask = mask
        self._cut = cut

    def of(self, value: object, depth: int) -> object:
        if isinstance(value, str):
            return self._text(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        if depth >= MAX_DEPTH:
            return CUT
        if isinstance(value, Mapping):
            return self._object(value, depth + 1)
        if isinstance(value, Sequence):
            items = [self.of(item, depth + 1) for item in value[: self._cut]]
            return [*items, CUT] if len(value) > self._cut else items
        return f"[{type(value).__name__}]"

    def _object(self, value: Mapping[str, object], depth: int) -> dict[str, object]:
        copy = {
            self._text(key): self._member(key, value[key], depth)
            for key in islice(value, self._cut)
        }
        if len(value) > self._cut:
            copy["…"] = CUT
        return copy

    def _member(self, key: str, value: object, depth: int) -> object:
        if self._mask and value not in ("", None, True, False) and names_secret(key):
            return MASK
        return self.of(value, depth)

    def _text(self, text: str) -> str:
        """Mask with what follows the cut in sight, so that half a secret is known for one."""
        seen = text[: self._cut + _SIGHT]
        kept = mask_text(seen) if self._mask else seen
        return kept if len(kept) <= self._cut else kept[: self._cut] + CUT


def _keep_name(match: re.Match[str]) -> str:
    return match[1] + MASK


def _types(value: object, depth: int) -> object:
    if isinstance(value, Mapping) and depth < MAX_DEPTH:
        return {key: _types(value[key], depth + 1) for key in value}
    if isinstance(value, list | tuple) and depth < MAX_DEPTH:
        return [_types(item, depth + 1) for item in value]
    return _TYPE_NAMES.get(type(value), "object")


def _encode(value: object) -> bytes:
    return json_text(value).encode()
