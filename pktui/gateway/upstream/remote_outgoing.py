"""A client's line on its way out: what it is, and which headers go with it.

The era is read from the message: one that names its protocol version is of the stateless era and
carries everything itself; any other belongs to the session that `initialize` opened.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from pktui.gateway.protocol import headers
from pktui.gateway.protocol.jsonrpc import PROTOCOL_VERSION_KEY, Id, is_id

Kind = Literal["request", "notification", "response"]
CANCELLED: Final = "notifications/cancelled"
INITIALIZE: Final = "initialize"
INITIALIZED: Final = "notifications/initialized"
# Tools whose marks are remembered: a server could name new ones on every list.
_MOST_TOOLS: Final = 10_000
_PLAIN: Final = re.compile(r"[\x21-\x7e]{1,1024}")


class _Head(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw()
    method: str | None = None
    params: Any = None


class _IdOnly(msgspec.Struct):
    id: Any = None


_read_head: Final = msgspec.json.Decoder(_Head)
_read_id: Final = msgspec.json.Decoder(_IdOnly)


class Outgoing(msgspec.Struct, frozen=True):
    """One line of the client; `version` is the protocol version it names, empty where none."""

    line: bytes
    kind: Kind
    id: Id | None
    id_text: bytes
    method: str
    params: Mapping[str, Any]
    version: str

    @property
    def cancels(self) -> Id | None:
        """The request that this notification takes back, None where it takes back none."""
        if self.kind != "notification" or self.method != CANCELLED:
            return None
        named = self.params.get("requestId")
        return named if is_id(named) else None


def read_outgoing(line: bytes) -> Outgoing:
    """Read a line that the relay has found to be good JSON-RPC."""
    head = _read_head.decode(line)
    asks = head.method is not None
    params = head.params if asks and isinstance(head.params, dict) else {}
    meta = params.get("_meta")
    version = meta.get(PROTOCOL_VERSION_KEY) if isinstance(meta, dict) else None
    has_id = bool(bytes(head.id)) and bytes(head.id) != b"null"
    kind: Kind = "response" if not asks else "request" if has_id else "notification"
    return Outgoing(
        line,
        kind,
        _read_id.decode(line).id if has_id else None,
        bytes(head.id) or b"null",
        head.method or "",
        params,
        version if isinstance(version, str) else "",
    )


class Session:
    """What the server must be told with every message of the older era."""

    def __init__(self) -> None:
        self.id = ""  # empty where the server gave none
        self.opened = False  # `initialize` was answered
        self.headers: dict[str, str] = {}  # of a message that belongs to the session

    def forget(self) -> None:
        """Begin anew: the client initializes."""
        self.open("", "")
        self.opened = False

    def open(self, session_id: str, version: str) -> None:
        """Take what the server's answer to `initialize` gave."""
        self.opened = True
        self.id = session_id if _PLAIN.fullmatch(session_id) else ""
        named = version if _PLAIN.fullmatch(version) else ""
        pairs = ((headers.SESSION, self.id), (headers.VERSION, named))
        self.headers = {name: value for name, value in pairs if value}


class ToolMarks:
    """Which arguments of which tool go into headers, as the server's lists of tools say."""

    def __init__(self) -> None:
        self._marked: dict[str, dict[headers.Path, str]] = {}

    def learn(self, line: bytes) -> None:
        """Take note of an answer to `tools/list`."""
        try:
            listed = _LISTED.decode(line)
        except msgspec.MsgspecError:
            return
        for tool in listed.result.tools:
            marked = headers.marked_parameters(tool.input_schema)
            if marked and (tool.name in self._marked or len(self._marked) < _MOST_TOOLS):
                self._marked[tool.name] = marked
            else:
                self._marked.pop(tool.name, None)

    def headers(self, message: Outgoing) -> dict[str, str]:
        """Return the headers for the marked arguments of a call."""
        marked = self._marked.get(str(message.params.get("name")))
        if not marked or message.method != "tools/call":
            return {}
        return headers.parameter_headers(marked, message.params.get("arguments"))


class _Tool(msgspec.Struct, rename="camel", frozen=True):
    name: str
    input_schema: Any = None


class _Tools(msgspec.Struct, frozen=True):
    tools: tuple[_Tool, ...] = ()


class _Listed(msgspec.Struct, frozen=True):
    result: _Tools = _Tools()


_LISTED: Final = msgspec.json.Decoder(_Listed)
