"""Secrets taken out of arguments before they are kept, and long arguments cut.

What is a secret, `pktui.ledger.arguments.secrets` knows. Work and result are bounded by the size
that is kept, however large the arguments are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import islice
from typing import Literal

from pktui.ledger.arguments.canonical import json_text
from pktui.ledger.arguments.secrets import mask_text, mask_value, masked, names_secret, shows_secret

ArgumentsMode = Literal["masked", "full", "keys", "hash"]

CUT = "… [cut]"
MAX_DEPTH = 64
_SIGHT = 4096
# Characters of a refused message that are kept.
_LINE_HEAD = 1000
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
# Characters a text, and members a list or object, are cut to until all of it fits.
_CUTS = (16384, 2048, 256, 32)
# Characters of JSON text that are first looked at as a whole: most arguments hold no secret.
_SHORT = 4096
_SCALARS = frozenset({str, int, float, bool, type(None)})


def mask_arguments(
    arguments: Mapping[str, object] | None,
    mode: ArgumentsMode = "masked",
    max_bytes: int = 64 * 1024,
) -> str:
    """Return the JSON text of a call's arguments as the ledger keeps it, at most `max_bytes`.

    `masked`: secrets replaced by `[masked 12 characters]`; `full`: as they are; `keys`: each value
    replaced by its type; `hash`: empty, the arguments' hash stands for them. What is cut says so,
    and the whole stays valid JSON. None gives an empty text.
    """
    if arguments is None or mode == "hash":
        return ""
    if mode == "masked":
        try:
            text = json_text(arguments)
        except ValueError:
            text = ""
        short = 0 < len(text) <= min(_SHORT, max_bytes // 4)
        flat = short and text.count("{") + text.count("[") < MAX_DEPTH
        if flat and _is_harmless(arguments) and not shows_secret(text):
            return text  # as most are: nothing in it is to be masked or cut
    value: object = _types(arguments, 0) if mode == "keys" else arguments
    cuts = [min(cut, max_bytes) for cut in (max_bytes, *_CUTS)]
    return fitted(value, partial(Shape, mask=mode == "masked"), cuts, max_bytes)


def fitted(value: object, shape: Callable[..., Shape], cuts: Sequence[int], most: int) -> str:
    """Return the JSON text of a value's copy of at most `most` bytes, cut where it has to be.

    `shape` makes the copy; `cuts` are tried one after the other until all of it fits.
    """
    for cut in cuts:
        copy = shape(cut=cut, room=most)
        text = _encode(copy.of(value, 0))
        if not copy.full and len(text) <= most:
            return text.decode()
    text = _encode(shape(cut=cuts[-1], room=most // 8).of(value, 0))
    return (text if len(text) <= most else _TOO_LARGE).decode()


def mask_line(line: bytes, mode: ArgumentsMode = "masked") -> str:
    """Return the beginning of a message that is no JSON, or none that was understood.

    `masked`: with its secrets masked; `full`: as it came; else empty, for names and values in it
    cannot be told apart.
    """
    if mode in ("keys", "hash"):
        return ""
    head = line[: _LINE_HEAD + _SIGHT].decode(errors="replace")
    return (mask_text(head) if mode == "masked" else head)[:_LINE_HEAD]


def _is_harmless(value: object) -> bool:
    """Tell whether a value is of plain JSON types, and no member of it is named like a secret."""
    inner: Iterable[object]
    if type(value) is dict:
        if not _are_harmless(tuple(value)):
            return False
        inner = value.values()
    elif type(value) is list:
        inner = value
    else:
        return False
    for item in inner:  # noqa: SIM110  a generator costs more than what it looks at
        if type(item) not in _SCALARS and not _is_harmless(item):
            return False
    return True


@lru_cache(maxsize=256)
def _are_harmless(names: tuple[object, ...]) -> bool:
    return not any(isinstance(name, str) and names_secret(name) for name in names)


class Shape:
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
        """Return the copy of a value that stands so deep."""
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
        if self._mask and names_secret(key):
            return self._secret(value, depth)
        return self.of(value, depth)

    def _secret(self, value: object, depth: int) -> object:
        """Mask a value whose name says it is secret; lists and objects keep their shape."""
        self._room -= 2
        if isinstance(value, str):
            return self._text(value, mask_value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return masked(len(json_text(value)))
        if depth >= MAX_DEPTH or self.full:
            return CUT
        if isinstance(value, Mapping):
            copy = {
                self._text(key): self._secret(value[key], depth + 1)
                for key in islice(value, self._cut)
            }
            return copy if len(copy) == len(value) else copy | {"…": CUT}
        if isinstance(value, Sequence):
            items = [self._secret(item, depth + 1) for item in value[: self._cut]]
            return [*items, CUT] if len(value) > self._cut else items
        return f"[{type(value).__name__}]"

    def _text(self, text: str, mask: Callable[[str], str] = mask_text) -> str:
        """Mask with what follows the cut in sight, so that half a secret is known for one."""
        if self.full:
            return CUT
        seen = text[: self._cut + _SIGHT]
        kept = mask(seen) if self._mask else seen
        self._room -= min(len(kept), self._cut)
        return kept if len(kept) <= self._cut else kept[: self._cut] + CUT


def _types(value: object, depth: int) -> object:
    if isinstance(value, Mapping) and depth < MAX_DEPTH:
        return {mask_text(key): _types(value[key], depth + 1) for key in value}
    if isinstance(value, list | tuple) and depth < MAX_DEPTH:
        return [_types(item, depth + 1) for item in value]
    return _TYPE_NAMES.get(type(value), "object")


def _encode(value: object) -> bytes:
    return json_text(value).encode()
