"""What tools answered, put on record behind the calls and read again.

Results are rows of the journal in segments of their own, so that they never push out what happened,
and so that whoever writes them keeps no call waiting. The index says where the line of each begins.
Secrets are masked, bytes of files left out, long answers cut; of one that is too long only as much
is decoded as can be looked into.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from pktui import lasting
from pktui.ledger.arguments.canonical import json_text
from pktui.ledger.arguments.masking import CUT, MAX_DEPTH, Shape, fitted
from pktui.ledger.arguments.secrets import mask_text, names_secret, shows_secret
from pktui.ledger.journal.segment import CONTENT, decode_row, file_of, line_at
from pktui.ledger.records import Result

if TYPE_CHECKING:
    from pktui.ledger.database import Database
    from pktui.ledger.journal.journal import Journal
    from pktui.settings import AuditSettings

ResultsMode = Literal["masked", "off", "hash"]

_DETAIL: Final = CONTENT.index("detail")
_AT_ONCE: Final = 500
_decode_result: Final = msgspec.json.Decoder(Result).decode
# Seconds in which results are collected: waking a thread for each costs more than writing it.
_COLLECT: Final = 0.05
# Calls come fast where that many end meanwhile: then writing waits, so that it takes no time from
# them, but for no longer than those seconds and no more than those bytes.
_FAST: Final = 20
_LATEST: Final = 1.0
_LATEST_BYTES: Final = 8 * 1024 * 1024
# Results in one write.
_IN_ONE_WRITE: Final = 32
# Bytes that wait to be written; what comes beyond them is not kept, and that is said.
_MOST_WAITING: Final = 64 * 1024 * 1024
_TOO_MUCH: Final = (
    "tools answer more than can be put on record: until that is written, results are not kept"
)
_END_SECONDS: Final = 5.0

# Bytes of JSON text that are kept of a result.
MOST_BYTES: Final = 16 * 1024
_CUTS: Final = (12 * 1024, 4096, 1024, 256, 32)
# What is longer is decoded in parts, of which long texts are cut unread.
_DECODED: Final = 64 * 1024
_PARTS: Final = 4096
# Members of content, and of agents' own results, that hold a file's bytes in base64.
_FILES: Final = frozenset({"data", "blob", "base64"})
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{64}")
_NAMES: Final = re.compile(r'"([^"\\]*)"\s*:')
_LONGEST_ESCAPE: Final = 12
_decode: Final = msgspec.json.Decoder().decode
_decode_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_array: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Answered(msgspec.Struct, frozen=True):
    """What a tool answered; `seq` is the row of its call's decision, `outcome` how that ended.

    `result` is the JSON text that went to the agent.
    """

    call_id: str
    server: str
    tool: str
    outcome: str
    result: bytes | msgspec.Raw
    seq: int = 0


class Recorder:
    """Takes what calls were answered from any thread, and writes it on one of its own.

    A call waits for nothing of this: what is collected is masked and written once calls come less
    fast, a second later at most. A gateway that is killed loses what it had not written yet.
    """

    def __init__(self, results: Callable[[], Results], log: lasting.Log) -> None:
        """`results` opens what is written to, once there is something to write."""
        self._results = results
        self._log = log
        self._lock = threading.Lock()
        self._waiting: deque[Answered] = deque()
        self._size = 0
        self._full = False
        self._bell = threading.Event()
        self._ending = False
        self._thread: threading.Thread | None = None
        self._said = ""

    def take(self, answered: Iterable[Answered]) -> None:
        """Take what calls were answered; returns at once."""
        with self._lock:
            was_full = self._full
            for one in answered:
                if self._size <= _MOST_WAITING:
                    self._size += len(one.result)
                    self._waiting.append(one)
                else:
                    self._full = True
            told = was_full or not self._full
            if self._waiting and not self._bell.is_set():
                self._bell.set()
                if self._thread is None:
                    self._thread = lasting.start("results", self._run, log=self._log)
        if not told:
            self._log(_TOO_MUCH)

    def close(self) -> None:
        """Write what is left; takes at most some seconds."""
        with self._lock:
            self._ending = True
            thread = self._thread
            if thread is not None:
                self._bell.set()
        if thread is not None:
            thread.join(_END_SECONDS)
            if left := len(self._waiting):
                self._log(f"pktui ends, and what {left:,} calls were answered is not on record")

    def _run(self) -> None:
        surviving = lasting.Survived("recording what tools answered", self._say)
        # What was taken just before the end is written yet.
        while not self._ending or self._waiting:
            self._bell.wait()
            # There is time to write once calls come less fast, or else too much to be written.
            until, before = time.monotonic() + _LATEST, -_FAST
            while not self._ending and len(self._waiting) - before >= _FAST:
                if time.monotonic() >= until or self._size >= _LATEST_BYTES:
                    break
                before = len(self._waiting)
                time.sleep(_COLLECT)
            self._bell.clear()
            while self._waiting:
                some: list[Answered] = []
                with self._lock:
                    while self._waiting and len(some) < _IN_ONE_WRITE:
                        some.append(self._waiting.popleft())
                        self._size -= len(some[-1].result)
                try:
                    self._results().add(some)
                    self._said = ""
                except Exception as error:  # noqa: BLE001  it is said, and the rest is written
                    surviving.say(error)
            self._full = False

    def _say(self, sentence: str) -> None:
        if sentence != self._said:
            self._said = sentence
            self._log(sentence)


class Results:
    """Adds results, as one thread at a time, and reads them, as any thread."""

    def __init__(
        self,
        journal: Journal,
        index: Callable[[], Database],
        clock: Callable[[], int],
        audit: AuditSettings,
    ) -> None:
        """`journal` is written to by nobody else; `index` gives the index, up to date."""
        self._journal = journal
        self._index = index
        self._clock = clock
        self._mode = audit.results

    def add(self, answered: Iterable[Answered]) -> None:
        """Put results on record, as the settings let them be kept; raises `LedgerUnavailable`."""
        if self._mode == "off":
            return
        try:
            for one in answered:
                kept = kept_result(bytes(one.result), self._mode)
                content: list[Any] = [
                    0, self._clock(), "result", one.call_id, one.seq, one.server, one.tool,
                    "", "", "", "",
                    "", "", "", "", "", one.outcome, 0, "", kept,
                ]  # fmt: skip
                self._journal.add(content, "results")
            self._journal.flush()
        finally:
            self._journal.discard()

    def of(self, call_ids: Sequence[str]) -> dict[str, Result]:
        """Return what is on record of the results of these calls, by their ids."""
        found: dict[str, Result] = {}
        for call_id, segment, offset in self._places(call_ids):
            # What is gone was pruned meanwhile; what is no row is for `audit verify`.
            with suppress(OSError, ValueError):
                line = line_at(file_of(self._journal.directory, segment), offset)
                found[call_id] = _decode_result(decode_row(line)[_DETAIL])
        return found

    def kept(self, call_ids: Sequence[str]) -> frozenset[str]:
        """Return those of the calls that a result is on record of; it is not read."""
        return frozenset(call_id for call_id, _, _ in self._places(call_ids))

    def _places(self, call_ids: Sequence[str]) -> Iterator[tuple[str, int, int]]:
        ids = [one for one in call_ids if one]
        for start in range(0, len(ids), _AT_ONCE):
            part = ids[start : start + _AT_ONCE]
            found = "SELECT call_id, segment, offset FROM results WHERE call_id IN"
            marks = ", ".join("?" * len(part))
            yield from self._index().rows(f"{found} ({marks})", part)

    def close(self) -> None:
        """Seal what this process alone wrote to."""
        self._journal.close()


def kept_result(answered: bytes, mode: ResultsMode) -> str:
    """Return what a result's row says, the JSON text of a `pktui.ledger.records.Result`.

    `answered` is the result, or the error, as the agent got it, JSON text. `masked`: at most
    `MOST_BYTES` of it, secrets replaced by masks and files by their sizes; `hash`: its SHA-256.
    """
    size = len(answered)
    if mode == "hash":
        return json_text({"bytes": size, "sha256": hashlib.sha256(answered).hexdigest()})
    if size <= MOST_BYTES and b"\\u" not in answered:
        text = answered.decode(errors="replace")
        flat = text.count("{") + text.count("[") < MAX_DEPTH
        if flat and _are_plain(*_NAMES.findall(text)) and not shows_secret(text):
            return f'{{"bytes":{size},"result":{text}}}'  # as most are: nothing is masked or cut
    shape = partial(_ResultShape, mask=True)
    text = fitted(_without_echo(_opened(answered)), shape, _CUTS, MOST_BYTES)
    return f'{{"bytes":{size},"result":{text}}}'


@lru_cache(maxsize=256)
def _are_plain(*names: str) -> bool:
    return not any(name in _FILES or names_secret(name) for name in names)


def _opened(answered: bytes, depth: int = 0) -> Any:
    """Decode JSON text; of what is long only as much as can be kept."""
    if len(answered) <= _DECODED:
        with suppress(msgspec.DecodeError, RecursionError):
            return _decode(answered)
        return CUT
    if answered.startswith(b'"'):
        return _head(answered)
    if depth < MAX_DEPTH and answered.count(b"{") + answered.count(b"[") <= _PARTS:
        with suppress(msgspec.DecodeError, RecursionError):
            if answered.startswith(b"{"):
                members = _decode_object(answered)
                return {name: _opened(bytes(one), depth + 1) for name, one in members.items()}
            return [_opened(bytes(one), depth + 1) for one in _decode_array(answered)]
    return CUT


def _head(written: bytes) -> str:
    """Return the beginning of a long text; it may end in the middle of an escape or a character."""
    head = written[: 2 * MOST_BYTES]
    for back in range(_LONGEST_ESCAPE):
        with suppress(msgspec.DecodeError):
            # So long that it is known for more than is kept, and for how long a file is.
            return _Long(_decode(head[: len(head) - back] + b'"'), len(written) - 2)
    return CUT


class _Long(str):
    """The beginning of a text of that length."""

    whole = 0

    def __new__(cls, head: str, whole: int) -> _Long:
        made = super().__new__(cls, head)
        made.whole = whole
        return made


def _without_echo(value: Any) -> Any:
    """Leave out structured content that a text says as well, as MCP wants it for older clients."""
    if not isinstance(value, dict) or "structuredContent" not in value:
        return value
    content, structured = value.get("content"), value["structuredContent"]
    blocks = content if isinstance(content, list) else ()
    texts = [block.get("text") for block in blocks if isinstance(block, dict)]
    said = [texts[0]] if len(texts) == 1 and isinstance(texts[0], str) else []
    with suppress(msgspec.DecodeError, RecursionError):
        said += [_decode(text) for text in said]
    if structured in said or any(structured == {"result": one} for one in said):
        return {name: one for name, one in value.items() if name != "structuredContent"}
    return value


class _ResultShape(Shape):
    """The copy of a result: files are their sizes, and JSON inside of a text is masked as such."""

    _inside = False

    def _member(self, key: str, value: object, depth: int) -> object:
        if key in _FILES and isinstance(value, str) and _BASE64.match(value):
            long = value.whole if isinstance(value, _Long) else len(value)
            return f"[{long * 3 // 4:,} bytes]"
        return super()._member(key, value, depth)

    def _text(self, text: str, mask: Callable[[str], str] = mask_text) -> str:
        if text[:1] in ("{", "[") and not self._inside and not isinstance(text, _Long):
            with suppress(msgspec.DecodeError, RecursionError):
                value = _decode(text)
                self._inside = True
                try:
                    text = json_text(self.of(value, 1))
                finally:
                    self._inside = False
        return super()._text(text, mask)
