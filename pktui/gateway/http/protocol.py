"""What MCP says about the HTTP around a message: which headers must agree, and which statuses.

Streamable HTTP of 2025-03-26 to 2025-11-25 ("handshake" versions) and of 2026-07-28, where headers
repeat what is in the body ("Request Metadata") and a server must refuse what does not agree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.gateway.http.errors import Refusal
from pktui.gateway.protocol import headers as names
from pktui.gateway.protocol import jsonrpc
from pktui.gateway.protocol.jsonrpc import Refused

if TYPE_CHECKING:
    from pktui.gateway.protocol.jsonrpc import Message

HANDSHAKE_VERSIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
EVENTS: Final = "text/event-stream"
JSON: Final = "application/json"
BOTH: Final = f"{JSON}, {EVENTS}"
# Seconds between two signs to a client that its answer is on its way.
KEEP_ALIVE: Final = 15.0
# Seconds that an answer may take to go out alone, with the status it asks for, by whether it is of
# the stateless era. Then a stream begins, which shows that it is on its way and can carry more.
PROMPT_SECONDS: Final = {True: KEEP_ALIVE, False: 1.0}
# The code of a request that was cancelled, as the Language Server Protocol has it.
REQUEST_CANCELLED: Final = -32800

_NUMBER: Final = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")
_ROUTING: Final = (names.VERSION, names.METHOD, names.NAME)
# Notifications that leave a trace: a call that is none, and the end of one.
_RECORDED: Final = frozenset({"tools/call", "notifications/cancelled"})
_PARAM: Final = names.PARAM_PREFIX.lower()
_PARAM_BYTES: Final = _PARAM.encode()
_VERSION: Final = names.VERSION.lower().encode()
_HANDSHAKE: Final = frozenset(version.encode() for version in HANDSHAKE_VERSIONS)
_BOTH: Final = BOTH.encode()
_NOT_REPEATED: Final[Mapping[bytes, Sequence[bytes]]] = {}
_METHOD, _NAME = names.METHOD.lower().encode(), names.NAME.lower().encode()
# By error code, on the stateless era; -32021 a missing capability, -32022 an unknown version.
_STATUSES: Final[Mapping[int, HTTPStatus]] = {
    jsonrpc.PARSE_ERROR: HTTPStatus.BAD_REQUEST,
    jsonrpc.INVALID_REQUEST: HTTPStatus.BAD_REQUEST,
    jsonrpc.INVALID_PARAMS: HTTPStatus.BAD_REQUEST,
    names.HEADER_MISMATCH: HTTPStatus.BAD_REQUEST,
    -32021: HTTPStatus.BAD_REQUEST,
    -32022: HTTPStatus.BAD_REQUEST,
    jsonrpc.METHOD_NOT_FOUND: HTTPStatus.NOT_FOUND,
}


class Headers:
    """The headers of a request; a name may be asked for in any case."""

    __slots__ = ("first", "more")

    def __init__(
        self, first: Mapping[bytes, bytes], more: Mapping[bytes, Sequence[bytes]] = _NOT_REPEATED
    ) -> None:
        """`first` has the first value of each name, in lower case, `more` those that follow it.

        Each byte of a value stands for a character, as Starlette reads them.
        """
        self.first = first
        self.more = more

    @classmethod
    def read(cls, raw: Iterable[tuple[bytes, bytes]]) -> Headers:
        """Return the headers of these names, in lower case, and values."""
        first: dict[bytes, bytes] = {}
        more: dict[bytes, list[bytes]] = {}
        for name, value in raw:
            if name in first:
                more.setdefault(name, []).append(value)
            else:
                first[name] = value
        return cls(first, more)

    def get(self, name: str, default: str = "") -> str:
        """Return the first header of a name."""
        found = self.first.get(_key(name))
        return default if found is None else found.decode("latin-1")

    def getlist(self, name: str) -> list[str]:
        """Return every header of a name."""
        key = _key(name)
        if key not in self.first:
            return []
        found = (self.first[key], *self.more.get(key, ()))
        return [value.decode("latin-1") for value in found]

    def is_repeated(self, name: str) -> bool:
        """Tell whether a header is given more than once."""
        return bool(self.more) and _key(name) in self.more

    def __contains__(self, name: str) -> bool:
        return _key(name) in self.first

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self.first)

    @property
    def has_parameters(self) -> bool:
        """Whether any header repeats an argument."""
        return any(name.startswith(_PARAM_BYTES) for name in self.first)


@lru_cache(maxsize=256)
def _key(name: str) -> bytes:
    return name.lower().encode("latin-1", "replace")


class _Error(msgspec.Struct):
    code: int = 0


class _Answer(msgspec.Struct):
    error: _Error | None = None


_ANSWER: Final = msgspec.json.Decoder(_Answer)


def is_modern(headers: Headers, message: Message | None = None) -> bool:
    """Tell whether a request is of the stateless era, by its message or its version header."""
    if message is not None and message.meta and message.modern:
        return True
    version = headers.first.get(_VERSION)
    return version is not None and version not in _HANDSHAKE


def writes(message: Message) -> bool:
    """Tell whether taking a client's message writes to the ledger: most that ask nothing do not."""
    return message.kind == "request" or message.method in _RECORDED


def accepts(headers: Headers, kind: str) -> bool:
    """Tell whether the client takes that media type."""
    if headers.first.get(b"accept") == _BOTH:  # what SDKs send
        return True
    family = kind.partition("/")[0] + "/*"
    given = ",".join(headers.getlist("accept")).lower()
    return any(one.partition(";")[0].strip() in ("*/*", family, kind) for one in given.split(","))


def check_session_headers(headers: Headers) -> None:
    """Raise `Refusal` (400) where a session, or a place in a stream, is named twice.

    Two readers could take another one each, and the session is checked here but used there.
    """
    for name in (names.SESSION, names.LAST_EVENT):
        if headers.is_repeated(name):
            raise Refusal(HTTPStatus.BAD_REQUEST, f"the header {name} is given twice")


def check_headers(headers: Headers, message: Message) -> None:
    """Raise `Refused` (-32020) where a header says other than the body, twice, or is missing.

    Whoever routes by the headers must see what the policy sees in the body.
    """
    first, modern = headers.first, bool(message.meta) and message.modern
    plain = not headers.more and _METHOD not in first and _NAME not in first
    if message.method == "tools/call" and plain and not modern:
        return
    for name in _ROUTING:
        if headers.is_repeated(name):
            raise _mismatch(message, f"the header {name} is given twice")
    needed = message.modern and message.kind == "request"
    if message.modern:
        version = message.meta[jsonrpc.PROTOCOL_VERSION_KEY]
        _compare(headers, names.VERSION, version, message, needed=needed)
    _compare(headers, names.METHOD, message.method, message, needed=needed)
    named = _name(message)
    _compare(headers, names.NAME, named, message, needed=needed and named is not None)
    if message.method != "tools/call" and headers.has_parameters and is_modern(headers, message):
        given = next(iter(parameters_in(headers)))
        raise _mismatch(message, f"the header {given} stands for no argument")


def parameters_in(headers: Headers) -> list[str]:
    """Return the names of the headers that repeat arguments, in lower case."""
    return [name for name in headers if name.startswith(_PARAM)]


def check_parameters(headers: Headers, message: Message, schema: object) -> None:
    """Raise `Refused` (-32020) where a header says other than the argument it stands for.

    `schema` is the tool's input schema: a header for anything but what it marks is refused, for
    whoever routes by headers would act on what no policy saw. None may be missing either (MCP,
    Streamable HTTP, "Server Validation").
    """
    marked = names.marked_parameters(schema)
    wanted = names.parameter_headers(marked, message.params.get("arguments", {}))
    expected = {name.lower(): value for name, value in wanted.items()}
    for name in parameters_in(headers):
        if name not in expected:
            why = f"the header {name} stands for no argument of this call that its tool marks"
            raise _mismatch(message, f"{why}; list the tools again")
    for name, value in wanted.items():
        given = headers.getlist(name)
        if not given:
            raise _mismatch(message, f"the header {name} is missing")
        if len(given) > 1 or not _same_value(given[0], value):
            raise _mismatch(message, f"the header {name} is not what the message says")


def _same_value(given: str, expected: str) -> bool:
    """Compare as text, or as numbers, which may be written as 42 and 42.0."""
    text = names.decode_value(given)
    if text is not None and text == names.decode_value(expected):
        return True
    return bool(_NUMBER.fullmatch(given) and _NUMBER.fullmatch(expected)) and (
        Decimal(given) == Decimal(expected)
    )


def _name(message: Message) -> str | None:
    value = message.params.get(names.NAMED.get(message.method, ""))
    return value if isinstance(value, str) else None


def _compare(
    headers: Headers, name: str, wanted: str | None, message: Message, *, needed: bool
) -> None:
    if name not in headers:
        if needed:
            raise _mismatch(message, f"the header {name} is missing")
        return
    given = headers.get(name)
    if names.decode_value(given) != wanted:
        raise _mismatch(message, f"the header {name} is not what the message says")


def _mismatch(message: Message, why: str) -> Refused:
    request_id = message.id_text if message.id is not None else jsonrpc.NULL
    return Refused(names.HEADER_MISMATCH, why, request_id)


def status_of(line: bytes, *, modern: bool) -> HTTPStatus:
    """Return the HTTP status of an answer that goes out alone."""
    try:
        error = _ANSWER.decode(line).error
    except msgspec.MsgspecError:
        return HTTPStatus.OK
    if error is None or not modern:
        return HTTPStatus.OK
    return _STATUSES.get(error.code, HTTPStatus.OK)
