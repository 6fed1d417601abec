"""Client lines parsed strictly: what cannot be understood without doubt is refused.

Two parsers that read one line differently are a way past any policy, so a line that readers are
known to disagree about never reaches the server: invalid UTF-8, duplicate names, numbers out of
range, names that differ in case, a carriage return between tokens (a reader with universal
line ends sees two messages). The rules follow JSON-RPC 2.0 and the MCP specification; the codes
are JSON-RPC's: -32700 not acceptable JSON, -32600 not a request, -32602 unreadable parameters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeGuard

import msgspec

from pktui import strict_json
from pktui.gateway.protocol.ids import ids_in
from pktui.ledger.arguments.canonical import json_text
from pktui.settings import SWITCHABLE
from pktui.strict_json import Doubt
from pktui.text import storable

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
SERVER_ERROR: Final = -32000
NULL: Final = b"null"
PROTOCOL_VERSION_KEY: Final = "io.modelcontextprotocol/protocolVersion"
CLIENT_INFO_KEY: Final = "io.modelcontextprotocol/clientInfo"

# Whole numbers up to it are the same to every reader.
EXACT: Final = 2**53
# Characters of a tool's name: no rule can name such a long one, and all are on record.
_LONGEST_NAME: Final = 1024
_CALL: Final = "tools/call"
# The methods that more than counting depends on.
_POLICED: Final = frozenset((_CALL, *SWITCHABLE))
_FOLDED: Final = {method.casefold(): method for method in _POLICED}

_NOTHING: Final[Mapping[str, Any]] = {}
_KNOWN = frozenset({"jsonrpc", "id", "method", "params", "name", "arguments", "_meta"})

_CALL_MEMBERS = frozenset({"jsonrpc", "id", "method", "params"})
_CALL_PARAMS = frozenset({"name", "arguments", "_meta"})

Id = str | int | float
Kind = Literal["request", "notification", "response"]


class Refused(Exception):
    """A client line that is answered here and never forwarded.

    `request_id` is the id as the client wrote it (JSON text), `null` where there is none.
    """

    def __init__(self, code: int, why: str, request_id: bytes = NULL) -> None:
        super().__init__(why)
        self.code = code
        self.why = why
        self.request_id = request_id


class Limits(msgspec.Struct, frozen=True):
    """What one line may be: bytes, and objects and lists inside each other."""

    size: int = 4 * 1024 * 1024
    depth: int = 64


class Message(msgspec.Struct, frozen=True):
    """One client line that is good JSON-RPC; `raw` is what came, and what goes on."""

    raw: bytes
    kind: Kind
    method: str
    id: Id | None
    params: Mapping[str, Any]
    meta: Mapping[str, Any]
    """`params._meta`, empty where there is none."""

    @property
    def modern(self) -> bool:
        """Tell whether the message is of the stateless era: it names its protocol version."""
        return isinstance(self.meta.get(PROTOCOL_VERSION_KEY), str)

    @property
    def id_text(self) -> bytes:
        """Return the id as written, JSON text."""
        if type(self.id) is int and self.id:  # 0 may be written -0
            return b"%d" % self.id
        return _written_id(self.raw)


class _IdOnly(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw(NULL)


_read_id = msgspec.json.Decoder(_IdOnly)


_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def with_arguments(message: Message, arguments: Mapping[str, Any]) -> Message:
    """Return a tool call with other arguments; all else in it stays as it was written."""
    members = _MEMBERS.decode(message.raw)
    params = _MEMBERS.decode(members["params"])
    params["arguments"] = msgspec.Raw(json_text(arguments).encode())
    members["params"] = msgspec.Raw(msgspec.json.encode(params))
    return msgspec.structs.replace(
        message,
        raw=msgspec.json.encode(members),
        params={**message.params, "arguments": arguments},
    )


def is_id(value: object) -> TypeGuard[Id]:
    """Tell whether it is text or a number; true is neither, though it equals 1."""
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def progress_token(message: Message) -> str | int | None:
    """Return the token that progress of a request is told by, None where it gave none."""
    token = message.meta.get("progressToken")
    return token if is_id(token) and not isinstance(token, float) else None


def same_id(request_id: Id) -> Id:
    """Return what an id is known by: one and the same for ids that any reader takes for one.

    JavaScript rounds whole numbers beyond 2**53, Go's SDK cuts fractions off, and the SDKs for
    Python and TypeScript read "7" as 7.
    """
    if type(request_id) is int and -EXACT <= request_id <= EXACT:
        return request_id
    try:
        return int(float(request_id))
    except (ValueError, OverflowError):
        return request_id


def parse(line: bytes, limits: Limits) -> Message:
    """Parse one client line, without its newline, or raise `Refused`.

    A call as nearly all are written, compact and with the members that it needs alone, is read
    here; `_parse_carefully` makes the same of it, and of whatever else comes.
    """
    if len(line) > limits.size:
        raise too_large(limits.size, ids_in(line).single)
    value = plainly_written(line)
    if type(value) is dict and value.keys() == _CALL_MEMBERS and value["method"] == _CALL:
        params, request_id = value["params"], value["id"]
        if type(params) is dict and params.keys() <= _CALL_PARAMS and value["jsonrpc"] == "2.0":
            name, arguments = params.get("name"), params.get("arguments", _NOTHING)
            meta = params.get("_meta", _NOTHING)
            if (
                (type(request_id) is int or type(request_id) is str)
                and type(name) is str
                and 0 < len(name) <= _LONGEST_NAME
                and name.isprintable()
                and (arguments is _NOTHING or type(arguments) is dict)
                and (meta is _NOTHING or type(meta) is dict)
                and line.count(b"{") + line.count(b"[") <= limits.depth
            ):
                return Message(line, "request", _CALL, request_id, params, meta)
    return _parse_carefully(line, limits, value)


def _parse_carefully(line: bytes, limits: Limits, value: Any = None) -> Message:
    """Parse a line; `value` is what it holds where that is known for certain."""
    members = _checked_object(line, limits, value)
    try:
        return _classify(line, members)
    except Refused as refused:
        raise Refused(refused.code, refused.why, _echo(members, line)) from None


def too_large(size: int, request_id: bytes) -> Refused:
    """Return the refusal of a line beyond the limit; `request_id` as in `Refused`."""
    return Refused(INVALID_REQUEST, f"the message is larger than {size} bytes", request_id)


def _checked_object(line: bytes, limits: Limits, value: Any) -> dict[str, Any]:
    try:
        if value is None:
            value = _decode(line)
    except UnicodeDecodeError:
        raise Refused(PARSE_ERROR, "the message is not UTF-8", ids_in(line).single) from None
    except Doubt as doubt:
        raise Refused(PARSE_ERROR, f"the message {doubt}", ids_in(line).single) from None
    except RecursionError:
        raise _too_deep(line, limits) from None
    except ValueError as error:
        why = error.msg if isinstance(error, json.JSONDecodeError) else "a number is too long"
        why = f"the message is not JSON: {why}"
        raise Refused(PARSE_ERROR, why, ids_in(line).single) from None
    if isinstance(value, list):
        why = "batches are not accepted; send one message a line"
        raise Refused(INVALID_REQUEST, why, ids_in(line).single)
    if not isinstance(value, dict):
        raise Refused(INVALID_REQUEST, "the message is not a JSON object")
    if strict_json.is_deeper(value, line, limits.depth):
        raise _too_deep(line, limits)
    return value


def plainly_written(line: bytes) -> Any:
    """Return the value of a line that is written as a compact writer writes it, or as Python does.

    What encodes to the very same bytes again, with a space after each comma and colon or none,
    holds no name twice, nothing that readers disagree about, and no more than its value. None
    where it cannot be told so; the careful look that follows takes three times as long.
    """
    try:
        value = _quick_decode(line)
        written = _quick_encode(value)
        if written != line and msgspec.json.format(written, indent=0) != line:
            return None
    except (msgspec.MsgspecError, UnicodeError, ValueError, OverflowError, RecursionError):
        return None
    return value


def _decode(line: bytes) -> Any:
    if line.find(b"\r", 0, len(line) - 1) >= 0:
        raise Doubt("holds a carriage return")
    text = line.decode("utf-8")
    if text.startswith("\ufeff"):
        raise Doubt("begins with a byte order mark; send plain UTF-8")
    value = _DECODER.decode(text)
    strict_json.refuse_halves(value, text)
    return value


_quick_decode = msgspec.json.Decoder().decode
_quick_encode = msgspec.json.Encoder().encode
_DECODER = strict_json.decoder()


def _too_deep(line: bytes, limits: Limits) -> Refused:
    why = f"the message is nested deeper than {limits.depth} levels"
    return Refused(INVALID_REQUEST, why, ids_in(line).single)


def _classify(line: bytes, members: dict[str, Any]) -> Message:
    _refuse_case_variants(members)
    if members.get("jsonrpc") != "2.0":
        raise Refused(INVALID_REQUEST, 'the member jsonrpc must be "2.0"')
    answers = "result" in members or "error" in members
    request_id = _checked_id(members)
    if "method" not in members:
        if not answers:
            raise Refused(INVALID_REQUEST, "the message has no method")
        return Message(line, "response", "", request_id, _NOTHING, _NOTHING)
    method = members["method"]
    if answers:
        raise Refused(INVALID_REQUEST, "the message is a request and a response at once")
    if not isinstance(method, str) or not method.isprintable():
        raise Refused(INVALID_REQUEST, "the method must be printable text")
    if method not in _POLICED and (meant := _FOLDED.get(method.casefold())) is not None:
        raise Refused(INVALID_REQUEST, f"the method differs from {meant} in case only")
    if "id" in members and (request_id is None or isinstance(request_id, float)):
        raise Refused(INVALID_REQUEST, "the id of a request must be text or a whole number")
    params = _checked_params(method, members)
    kind: Kind = "notification" if request_id is None else "request"
    return Message(line, kind, method, request_id, params, params.get("_meta", _NOTHING))


def _refuse_case_variants(members: Mapping[str, Any]) -> None:
    if members.keys() <= _KNOWN:
        return
    for name in members:
        folded = name if name in _KNOWN else name.casefold()
        if folded != name and folded in _KNOWN:
            raise Refused(INVALID_REQUEST, f"member {name!r} differs from {folded!r} in case only")


def _checked_id(members: Mapping[str, Any]) -> Id | None:
    request_id = members.get("id")
    if request_id is None:
        return None
    if not is_id(request_id):
        raise Refused(INVALID_REQUEST, "the id must be text or a whole number")
    return request_id


def _checked_params(method: str, members: Mapping[str, Any]) -> Mapping[str, Any]:
    params = members.get("params", _NOTHING)
    called = method == _CALL
    if not isinstance(params, dict):
        if called:
            raise Refused(INVALID_PARAMS, "the params of tools/call must be an object")
        return _NOTHING
    _refuse_case_variants(params)
    if not isinstance(params.get("_meta", _NOTHING), dict):
        raise Refused(INVALID_PARAMS, "_meta must be an object")
    if called:
        _check_call(params)
        if "arguments" in params and params["arguments"] is None:
            return {**params, "arguments": {}}  # some clients write null for none
    return params


def _check_call(params: Mapping[str, Any]) -> None:
    name = params.get("name")
    if not isinstance(name, str) or not name or not name.isprintable():
        raise Refused(INVALID_PARAMS, "tools/call needs the name of a tool, as printable text")
    if len(name) > _LONGEST_NAME:
        raise Refused(INVALID_PARAMS, f"a tool's name has at most {_LONGEST_NAME} characters")
    arguments = params.get("arguments")
    if arguments is not None and not isinstance(arguments, dict):
        raise Refused(INVALID_PARAMS, "the arguments of tools/call must be an object")


def _echo(members: Mapping[str, Any], line: bytes) -> bytes:
    """Return the id as written where it is text or a number, else `null`."""
    return _written_id(line) if is_id(members.get("id")) else NULL


def _written_id(line: bytes) -> bytes:
    try:
        return bytes(_read_id.decode(line).id)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ids_in(line).single


def error_line(code: int, message: str, request_id: bytes) -> bytes:
    """Return a JSON-RPC error as one line without newline; `request_id` is JSON text."""
    text = msgspec.json.encode({"code": code, "message": storable(message)})
    return b'{"jsonrpc":"2.0","id":' + request_id + b',"error":' + text + b"}"


def result_line(result: Mapping[str, Any], request_id: bytes) -> bytes:
    """Return a JSON-RPC result as one line without newline; `request_id` is JSON text."""
    text = msgspec.json.encode(result)
    return b'{"jsonrpc":"2.0","id":' + request_id + b',"result":' + text + b"}"


def notification_line(method: str, params: Mapping[str, Any]) -> bytes:
    """Return a JSON-RPC notification as one line without newline."""
    return msgspec.json.encode({"jsonrpc": "2.0", "method": method, "params": params})
