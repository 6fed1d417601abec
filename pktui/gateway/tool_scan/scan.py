"""Asks a server which tools it has: as a client of its own, and in the server's own words.

The definitions are those a relay sees, every member as the server wrote it, so that their hashes
are the ones that calls are judged by. Servers of the older era are initialized; one that refuses
is asked in the way of the stateless era.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui import __version__
from pktui.errors import UpstreamFailed
from pktui.gateway.lineio.lines import TooLong
from pktui.gateway.protocol.jsonrpc import CLIENT_INFO_KEY, PROTOCOL_VERSION_KEY
from pktui.gateway.protocol.server_messages import Unanswered, mended
from pktui.gateway.protocol.tool_list import Doubtful, Listing, read_listing
from pktui.gateway.upstream.last_words import LastWords, quoted
from pktui.text import one_line

if TYPE_CHECKING:
    from pktui.gateway.servers.entries import ServerEntry
    from pktui.gateway.upstream.process import Upstream

PATIENCE_SECONDS: Final = 60.0
_GRACE_SECONDS: Final = 1.0
_MOST_PAGES: Final = 1000
_MOST_TOOLS: Final = 20_000
_MOST_LINES: Final = 10_000
_LINE_LIMIT: Final = 64 * 1024 * 1024
_OLDER: Final = "2025-11-25"
_STATELESS: Final = "2026-07-28"
_CLIENT: Final = {"name": "pktui", "version": __version__}
# Some servers have tools only for clients that can do these.
_ABLE: Final[Mapping[str, Any]] = {"roots": {}, "sampling": {}, "elicitation": {}}
_ANSWERS: Final[Mapping[str, Any]] = {"ping": {}, "roots/list": {"roots": []}}
_METHOD_NOT_FOUND: Final = -32601
_WORDS: Final = 300

Definitions = tuple[Mapping[str, Any], ...]


def scan(entry: ServerEntry, patience: float = PATIENCE_SECONDS) -> Definitions:
    """Return the definitions of all the server's tools, in its order.

    Call it from the main thread. Raises `UpstreamFailed` where the server cannot be started,
    reached or understood in `patience` seconds, `SettingsError` where its entry cannot be used.
    """
    if entry.builtin:
        return _of_memory()
    heard = _Heard()
    server = _upstream(entry, heard)
    try:
        return _Visit(entry.name, server, heard, time.monotonic() + patience).tools()
    finally:
        server.end(_GRACE_SECONDS)


def _of_memory() -> Definitions:
    from pktui.memory import mcp_server

    answer = mcp_server.respond({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    assert isinstance(answer, mcp_server.Answer)
    listing = read_listing(answer.body)
    assert listing is not None
    return listing.definitions


def _upstream(entry: ServerEntry, heard: _Heard) -> Upstream:
    if entry.url:
        from pktui.gateway.upstream.remote import RemoteServer

        return RemoteServer(entry, lambda _sentence: None, _LINE_LIMIT)
    from pktui.gateway.upstream.process import ProcessServer

    return ProcessServer(entry, heard, _LINE_LIMIT)


class _Heard:
    """What came from the server: its lines, None at its end; and the last it said on stderr."""

    def __init__(self) -> None:
        self.lines: queue.Queue[bytes | TooLong | Unanswered | None] = queue.Queue(_MOST_LINES)
        self.words = LastWords()

    def take(self, *lines: bytes | TooLong | Unanswered) -> None:
        for line in lines:
            self.lines.put(line)

    def ended(self) -> None:
        self.lines.put(None)

    def quote(self, _server: str, words: bytes) -> None:
        """Remember a line of stderr."""
        self.words.hear(words)


class _Error(msgspec.Struct):
    code: int = 0
    message: str = ""
    data: Any = None


class _Line(msgspec.Struct):
    id: Any = None
    method: str = ""
    error: _Error | None = None


class _Refusal(Exception):
    """The server answered with an error."""

    def __init__(self, error: _Error) -> None:
        super().__init__(error.message)
        self.error = error


class _Visit:
    """One conversation with a server, up to a moment of the monotonic clock."""

    def __init__(self, name: str, server: Upstream, heard: _Heard, until: float) -> None:
        self._name = name
        self._server = server
        self._heard = heard
        self._until = until
        self._number = 0
        self._envelope: dict[str, Any] = {}

    def tools(self) -> Definitions:
        """Return the server's tools."""
        self._server.start(self._heard.take, self._heard.ended)
        try:
            try:
                self._initialize()
            except _Refusal:
                self._envelope = _envelope(_STATELESS)
            return self._pages()
        except _Refusal as refusal:
            raise self._failed(
                f"it answered: {one_line(str(refusal), _WORDS).rstrip('.')}"
            ) from refusal

    def _initialize(self) -> None:
        params = {"protocolVersion": _OLDER, "capabilities": _ABLE, "clientInfo": _CLIENT}
        self._ask("initialize", params)
        self._send({"method": "notifications/initialized"})

    def _pages(self) -> Definitions:
        found: list[Mapping[str, Any]] = []
        cursors: set[str] = set()
        cursor = ""
        for _ in range(_MOST_PAGES):
            asked = {**self._envelope, **({"cursor": cursor} if cursor else {})}
            listing = self._listing(self._ask("tools/list", asked))
            if listing is None:
                raise self._failed("its list of tools cannot be read")
            found += listing.definitions
            if len(found) > _MOST_TOOLS:
                raise self._failed(f"it lists more than {_MOST_TOOLS} tools")
            cursor = listing.next_cursor
            if not cursor or cursor in cursors:
                break
            cursors.add(cursor)
        return tuple(found)

    def _listing(self, line: bytes) -> Listing | None:
        try:
            return read_listing(line)
        except Doubtful as doubt:
            raise self._failed(f"its list of tools is doubtful: {doubt}") from doubt

    def _ask(self, method: str, params: Mapping[str, Any]) -> bytes:
        """Return the line of the answer; raises `_Refusal` at an error."""
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params})
        while True:
            line = self._next()
            read = self._read(line)
            if read is None:
                line = mended(line) or b""
                read = self._read(line)
            if read is None:
                continue
            if read.method:
                self._answer(read)
            elif read.id == self._number:
                if read.error is not None:
                    raise _Refusal(read.error)
                return line

    def _next(self) -> bytes:
        try:
            line = self._heard.lines.get(timeout=max(0.0, self._until - time.monotonic()))
        except queue.Empty:
            raise self._failed("it did not answer in time") from None
        if line is None:
            raise self._failed("it ended before it listed its tools")
        if isinstance(line, TooLong):
            raise self._failed("a message of it is too large")
        if isinstance(line, Unanswered):
            raise self._failed(one_line(line.why, _WORDS).rstrip("."))
        return line

    def _read(self, line: bytes) -> _Line | None:
        try:
            return msgspec.json.decode(line, type=_Line)
        except (msgspec.MsgspecError, RecursionError):
            return None

    def _answer(self, question: _Line) -> None:
        """Answer what the server asks meanwhile, for there is nobody here who could."""
        if question.id is None:
            return
        if question.method in _ANSWERS:
            self._send({"id": question.id, "result": _ANSWERS[question.method]})
        else:
            error = {"code": _METHOD_NOT_FOUND, "message": "this is a scan; there is nobody to ask"}
            self._send({"id": question.id, "error": error})

    def _send(self, members: Mapping[str, Any]) -> None:
        self._server.send(msgspec.json.encode({"jsonrpc": "2.0", **members}))

    def _failed(self, why: str) -> UpstreamFailed:
        said = quoted(self._heard.words.text)
        return UpstreamFailed(
            f"server {self._name} did not list its tools: {why}",
            f"Start it by hand to see what keeps it{said}",
        )


def _envelope(version: str) -> dict[str, Any]:
    capabilities = PROTOCOL_VERSION_KEY.rpartition("/")[0] + "/clientCapabilities"
    return {"_meta": {PROTOCOL_VERSION_KEY: version, CLIENT_INFO_KEY: _CLIENT, capabilities: _ABLE}}
