"""What MCP says about the HTTP around a message: which headers must agree, and which statuses.

Streamable HTTP of 2025-03-26 to 2025-11-25 ("handshake" versions) and of 2026-07-28, where headers
repeat what is in the body ("Request Metadata") and a server must refuse what does not agree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.gateway.http.errors import Refusal
from pktui.gateway.protocol import headers as names
from pktui.gateway.protocol import jsonrpc
from pktui.gateway.protocol.jsonrpc import Refused

if TYPE_CHECKING:
    from starlette.datastructures import Headers

    from pktui.gateway.protocol.jsonrpc import Message

HANDSHAKE_VERSIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
EVENTS: Final = "text/event-stream"
JSON: Final = "application/json"
KEEP_ALIVE: Final = 15.0
"""Seconds between two signs to a client that its answer is on its way."""
REQUEST_CANCELLED: Final = -32800
"""The code of a request that was cancelled, as the Language Server Protocol has it."""

SESSION_ID: Final = re.compile(r"[\x21-\x7e]{1,512}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")
_ROUTING: Final = (names.VERSION, names.METHOD, names.NAME)
_PASSED_ON: Final = frozenset(
    name.lower() for name in ("accept", *_ROUTING, "traceparent", "tracestate")
)
_OF_SESSIONS: Final = frozenset({names.SESSION.lower(), names.LAST_EVENT.lower()})
_RECORDED: Final = frozenset({"tools/call", "notifications/cancelled"})
"""Notifications that leave a trace: a call that is none, and the end of one."""
_PARAM: Final = names.PARAM_PREFIX.lower()
_OF_A_MESSAGE: Final = frozenset({names.METHOD.lower(), names.NAME.lower(), "last-event-id"})
_STATUSES: Final[Mapping[int, HTTPStatus]] = {
    jsonrpc.PARSE_ERROR: HTTPStatus.BAD_REQUEST,
    jsonrpc.INVALID_REQUEST: HTTPStatus.BAD_REQUEST,
    jsonrpc.INVALID_PARAMS: HTTPStatus.BAD_REQUEST,
    names.HEADER_MISMATCH: HTTPStatus.BAD_REQUEST,
    -32021: HTTPStatus.BAD_REQUEST,
    -32022: HTTPStatus.BAD_REQUEST,
    jsonrpc.METHOD_NOT_FOUND: HTTPStatus.NOT_FOUND,
}
"""By error code, on the stateless era; -32021 a missing capability, -32022 an unknown version."""


class _Error(msgspec.Struct):
    code: int = 0


class _Answer(msgspec.Struct):
    error: _Error | None = None


_ANSWER: Final = msgspec.json.Decoder(_Answer)


def prompt(*, modern: bool) -> float:
    """Return how many seconds an answer may take to go out alone, with the status it asks for.

    After that a stream begins, which shows that the answer is on its way and can carry more.
    """
    return KEEP_ALIVE if modern else 1.0


def is_modern(headers: Headers, message: Message | None = None) -> bool:
    """Tell whether a request is of the stateless era, by its message or its version header."""
    version = headers.get(names.VERSION)
    if message is not None and message.modern:
        return True
    return version is not None and version not in HANDSHAKE_VERSIONS


def writes(message: Message) -> bool:
    """Tell whether taking a client's message writes to the ledger: most that ask nothing do not."""
    return message.kind == "request" or message.method in _RECORDED


def accepts(headers: Headers, kind: str) -> bool:
    """Tell whether the client takes that media type."""
    family = kind.partition("/")[0] + "/*"
    given = ",".join(headers.getlist("accept")).lower()
    return any(one.partition(";")[0].strip() in ("*/*", family, kind) for one in given.split(","))


def check_session_headers(headers: Headers) -> None:
    """Raise `Refusal` (400) where a session, or a place in a stream, is named twice.

    Two readers could take another one each, and the session is checked here but used there.
    """
    for name in (names.SESSION, names.LAST_EVENT):
        if len(headers.getlist(name)) > 1:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"the header {name} is given twice")


def check_headers(headers: Headers, message: Message) -> None:
    """Raise `Refused` (-32020) where a header says other than the body, twice, or is missing.

    Whoever routes by the headers must see what the policy sees in the body.
    """
    for name in _ROUTING:
        if len(headers.getlist(name)) > 1:
            raise _mismatch(message, f"the header {name} is given twice")
    needed = message.modern and message.kind == "request"
    if message.modern:
        version = message.meta[jsonrpc.PROTOCOL_VERSION_KEY]
        _compare(headers, names.VERSION, version, message, needed=needed)
    _compare(headers, names.METHOD, message.method, message, needed=needed)
    named = _name(message)
    _compare(headers, names.NAME, named, message, needed=needed and named is not None)
    given = parameters_in(headers) if message.method != "tools/call" else ()
    if given and is_modern(headers, message):
        raise _mismatch(message, f"the header {given[0]} stands for no argument")


def parameters_in(headers: Headers) -> list[str]:
    """Return the names of the headers that repeat arguments, in lower case."""
    return [name for name in headers if name.startswith(_PARAM)]


def check_parameters(headers: Headers, message: Message, schema: object, *, all_of: bool) -> None:
    """Raise `Refused` (-32020) where a header says other than the argument it stands for.

    `schema` is the tool's input schema: a header for anything but what it marks is refused, for
    whoever routes by headers would act on what no policy saw. `all_of`: none may be missing
    either, which is the server's to say (MCP, Streamable HTTP, "Server Validation").
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
        if not given and all_of:
            raise _mismatch(message, f"the header {name} is missing")
        if len(given) > 1 or (given and not _same_value(given[0], value)):
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
    given = headers.get(name)
    if given is None and not needed:
        return
    if given is None:
        raise _mismatch(message, f"the header {name} is missing")
    if names.decode_value(given) != wanted:
        raise _mismatch(message, f"the header {name} is not what the message says")


def _mismatch(message: Message, why: str) -> Refused:
    request_id = message.id_text if message.id is not None else jsonrpc.NULL
    return Refused(names.HEADER_MISMATCH, why, request_id)


def passed_on(headers: Headers, *, modern: bool) -> Iterator[tuple[str, str]]:
    """Yield the headers that go to a server behind a URL; credentials and cookies never do.

    The stateless era knows no sessions and no resuming, whatever a client sends, and only it has
    arguments in headers, which `check_parameters` has compared by then.
    """
    for name, value in headers.items():
        of_session = name in _OF_SESSIONS and not modern
        if name in _PASSED_ON or of_session or (modern and name.startswith(_PARAM)):
            yield name, value


def asked_by_gateway(headers: Headers, method: str, *, modern: bool) -> dict[str, str]:
    """Return the headers of a request that the gateway makes on a client's connection."""
    own = {
        name: value
        for name, value in passed_on(headers, modern=modern)
        if name not in _OF_A_MESSAGE and not name.startswith(_PARAM)
    }
    own |= {"accept": f"{JSON}, {EVENTS}", "content-type": JSON}
    return own | {names.METHOD.lower(): method} if modern else own


def status_of(line: bytes, *, modern: bool) -> HTTPStatus:
    """Return the HTTP status of an answer that goes out alone."""
    try:
        error = _ANSWER.decode(line).error
    except msgspec.MsgspecError:
        return HTTPStatus.OK
    if error is None or not modern:
        return HTTPStatus.OK
    return _STATUSES.get(error.code, HTTPStatus.OK)
