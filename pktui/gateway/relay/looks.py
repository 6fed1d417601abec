"""Looks at what a call would change: a tool of the same server is asked, before a person is.

The client sees nothing of it: the requests have ids that it cannot guess, and their answers stay
here. How long an answer may take, and how much of it is read and kept, is bounded; whatever comes
instead of an answer is a word on the card, and never keeps the call waiting.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui.gateway.protocol.server_messages import Answer, read_answer, read_result
from pktui.gateway.relay import redaction
from pktui.gateway.relay.tool_discovery import OWN
from pktui.ledger.arguments.canonical import args_hash, json_text
from pktui.ledger.arguments.masking import mask_arguments
from pktui.ledger.records import Looked
from pktui.text import one_line, storable

if TYPE_CHECKING:
    from pktui.gateway.enforcement.decision import Looking, Outcome
    from pktui.gateway.protocol.jsonrpc import Message
    from pktui.gateway.relay.tool_discovery import Parked

SECONDS: Final = 5.0
# Bytes of an answer that is read; of a longer one only its hash is known.
MOST_BYTES: Final = 1024 * 1024
MOST_SHOWN: Final = 16_384
_MOST_SAID: Final = 200
_SHOWN: Final = ("content", "structuredContent", "isError")

Done = Callable[[Looked], None]


class LookUnderWay:
    """One look, from its request until there is an answer or none; safe from several threads.

    `done` is called once, by whoever brings the end: the server's thread, or the timer's.
    """

    def __init__(self, looking: Looking, parked: Parked, at_us: int, done: Done) -> None:
        """`parked` is the call that it is made for, and its request."""
        self.request_id: Final = OWN + os.urandom(8).hex()
        self.looking = looking
        self._parked = parked
        self._at_us = at_us
        self._done = done
        self._lock = threading.Lock()
        self._over = False
        self._timer: threading.Timer | None = None

    def begin(self, give_up: Callable[[LookUnderWay], None]) -> None:
        """Let the time run after which `give_up` is called, unless it is over already."""
        with self._lock:
            if self._over:
                return
            self._timer = threading.Timer(SECONDS, lambda: give_up(self))
            self._timer.daemon = True
            self._timer.start()

    @property
    def line(self) -> bytes:
        """The request, in the era of the call that it is made for."""
        message, call = self._parked[0], self.looking.call
        params: dict[str, Any] = {"name": call.tool, "arguments": call.arguments}
        if message.modern:
            params["_meta"] = {k: v for k, v in message.meta.items() if k != "progressToken"}
        members = {
            "jsonrpc": "2.0",
            "id": self.request_id,
            "method": "tools/call",
            "params": params,
        }
        return json_text(members).encode()

    @property
    def message(self) -> Message:
        """The request of the call that it is made for."""
        return self._parked[0]

    def withdraw(self, _key: object = None) -> Parked | None:
        """Take back the call that waits for it; None where it does not any more."""
        return self._parked if self._end() else None

    def fail(self, why: str) -> None:
        """Go on without an answer."""
        self._finish(why=why)

    def take(self, answer: Answer, line: bytes) -> Outcome:
        """Take the server's answer; return how the look ended."""
        try:
            failed = not answer.failed and read_result(answer.result).is_error
            self._take(answer, line, failed=failed)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            self._finish(why="its answer is none that can be read")
            return "error" if answer.failed else "ok"
        return "error" if answer.failed else "tool_error" if failed else "ok"

    def _take(self, answer: Answer, line: bytes, *, failed: bool) -> None:
        digest = _digest(answer.carried)
        if len(line) > MOST_BYTES:
            much = f"its answer is longer than {MOST_BYTES // 1024:,} KiB"
            self._finish(why=much, digest=digest)
            return
        masked = redaction.redacted(line)
        if masked is None:
            self._finish(why="its answer cannot be looked into", digest=digest)
        elif answer.failed:
            said = one_line(bytes(read_answer(masked).error).decode(), _MOST_SAID)
            self._finish(why=f"it answered with an error: {said}", digest=digest)
        elif read_result(answer.result).result_type == "input_required":
            self._finish(why="it asks for more than the call has")
        else:
            shown = _text_of(bytes(read_answer(masked).result))
            self._finish(shown=shown, failed=failed, digest=digest)

    def _finish(
        self, *, shown: str = "", why: str = "", failed: bool = False, digest: str = ""
    ) -> None:
        if not self._end():
            return
        call = self.looking.call
        looked = Looked(
            tool=call.tool,
            at_us=self._at_us,
            arguments=mask_arguments(call.arguments),
            shown=storable(shown[:MOST_SHOWN]),
            left_out=max(0, len(shown) - MOST_SHOWN),
            failed=failed,
            why=storable(why),
            digest=digest,
        )
        self._done(looked)

    def _end(self) -> bool:
        """Note that it is over; tell whether it was not before."""
        with self._lock:
            first, self._over = not self._over, True
        if self._timer is not None:
            self._timer.cancel()
        return first


def _digest(carried: bytes) -> str:
    """Return the hash of an answer, the same for every way of writing it, without its `_meta`."""
    try:
        value = msgspec.json.decode(carried)
        if isinstance(value, dict):
            kept = {name: value[name] for name in _SHOWN if name in value}
            return args_hash(kept or value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    return hashlib.sha256(carried).hexdigest()


def _text_of(result: bytes) -> str:
    """Return what a person reads of a result: its texts, and its structured content beside them."""
    value = msgspec.json.decode(result)
    if not isinstance(value, dict):
        return ""
    content = value.get("content")
    texts = [_block(one) for one in content] if isinstance(content, list) else []
    structured = value.get("structuredContent")
    if structured is not None and not _says(texts, structured):
        texts.append(msgspec.json.format(msgspec.json.encode(structured), indent=2).decode())
    return "\n".join(texts)


def _block(block: Any) -> str:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind == "text" and isinstance(block.get("text"), str):
        return str(block["text"])
    return f"[{one_line(str(kind), 40)}, not shown]"


def _says(texts: list[str], value: Any) -> bool:
    """Tell whether one text is the structured content once more, for clients that read texts.

    The SDKs put a text by itself into an object that has nothing else.
    """
    digest = _json_hash(msgspec.json.encode(value))  # once: there may be any number of texts
    if digest and any(_json_hash(text) == digest for text in texts):
        return True
    return any(value == {"result": text} for text in texts)


def _json_hash(text: str | bytes) -> str:
    """Return the hash of JSON text, empty where it is none."""
    try:
        return args_hash(msgspec.json.decode(text))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""
