"""The relay between one client and one server: what comes in on one side, and what goes out.

It knows nothing of pipes or sockets: lines are handed in, and sent through two functions. Client
lines come from one thread, server lines from another; held calls are released by a third.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.gateway import answers, jsonrpc, redaction
from pktui.gateway.calls import Decision, Outcome, Ruling, ToolCall
from pktui.gateway.continuing import Continuations
from pktui.gateway.holding import Held, Holder, Pace
from pktui.gateway.inflight import InFlight, Waiting
from pktui.gateway.jsonrpc import Limits, Message, Refused
from pktui.gateway.lines import HEAD, TooLong
from pktui.gateway.listing import read_listing
from pktui.gateway.mending import mended
from pktui.gateway.responses import Answer, id_in, read_answer, read_batch, read_result
from pktui.text import one_line

if TYPE_CHECKING:
    from pktui.gateway.enforcer import Enforcer
    from pktui.gateway.jsonrpc import Id
    from pktui.gateway.methods import Ask
    from pktui.ledger.records import Caller

_NAME_LIMIT: Final = 100


class Wiring(msgspec.Struct, frozen=True):
    """What a relay is given besides its Enforcer.

    `ticks` is a monotonic clock in nanoseconds. `log` takes one sentence for the person who runs
    the gateway. `named` is told the client's name whenever it changes.
    """

    to_client: Callable[[bytes], None]
    to_server: Callable[[bytes], None]
    log: Callable[[str], None]
    named: Callable[[str], None]
    new_id: Callable[[], str]
    now_us: Callable[[], int]
    ticks: Callable[[], int]


class Pending(msgspec.Struct, frozen=True):
    """What waits: forwarded requests, held calls, and calls that the server asked more about.

    Relays of one client's connection share it, so that one can cancel what came through another.
    `scope` tells their held calls from those of other connections in the same holder.
    """

    holder: Holder
    in_flight: InFlight
    continuations: Continuations
    scope: str = ""

    @classmethod
    def of(cls, enforcer: Enforcer, pace: Pace, ticks: Callable[[], int]) -> Pending:
        """Return that of a connection of its own; `ticks` is monotonic, in nanoseconds."""
        holder = Holder(enforcer, pace, lambda: ticks() / 1e9)
        return cls(holder, InFlight(), Continuations())


class Relay:
    """One client's connection to one server, policed."""

    def __init__(
        self, enforcer: Enforcer, caller: Caller, wiring: Wiring, limits: Limits, pending: Pending
    ) -> None:
        self._enforcer = enforcer
        self._methods = enforcer.methods
        self._caller = caller
        self._wiring = wiring
        self._limits = limits
        self._holder = pending.holder
        self._in_flight = pending.in_flight
        self._continuations = pending.continuations
        self._scope = pending.scope
        self._client_info: object = None
        self._ended = ""

    # from the client

    def from_client(self, line: bytes | TooLong) -> None:
        """Take one line of the client, without its newline."""
        if isinstance(line, bytes) and not line.strip():
            return
        try:
            if isinstance(line, TooLong):
                raise jsonrpc.too_large(self._limits.size)
            self._take(jsonrpc.parse(line, self._limits))
        except Refused as refused:
            self.refuse(refused, line.head if isinstance(line, TooLong) else line)

    def take(self, message: Message) -> None:
        """Take one message of the client, parsed before."""
        try:
            self._take(message)
        except Refused as refused:
            self.refuse(refused, message.raw)

    def refuse(self, refused: Refused, line: bytes) -> None:
        """Record a client line that was not understood, and answer it."""
        self._enforcer.refused(self._caller, refused, line)
        self._reply(jsonrpc.error_line(refused.code, refused.why, refused.request_id))

    def _take(self, message: Message) -> None:
        self._learn_name(message)
        if message.kind == "request":
            self._take_request(message)
        elif message.method == "tools/call":
            dropped = Refused(jsonrpc.INVALID_REQUEST, "tools/call was sent as a notification")
            self._enforcer.refused(self._caller, dropped, message.raw)
        elif message.method != "notifications/cancelled" or not self._take_cancel(message):
            self._wiring.to_server(message.raw)

    def _take_request(self, message: Message) -> None:
        assert message.id is not None
        if message.id in self._in_flight or self._key(message.id) in self._holder:
            raise Refused(
                jsonrpc.INVALID_REQUEST, "a request with this id still waits", message.id_text
            )
        if self._ended or self._in_flight.full:
            why = self._ended or "too many requests wait for the server"
            self._reply(jsonrpc.error_line(jsonrpc.SERVER_ERROR, why, message.id_text))
        elif message.method == "tools/call":
            self._take_call(message)
        elif why := self._methods.take(self._caller, message.method, message.params):
            self._reply(jsonrpc.error_line(jsonrpc.METHOD_NOT_FOUND, why, message.id_text))
        else:
            self._send(message, None, 0)

    def _take_call(self, message: Message) -> None:
        arguments = message.params.get("arguments", {})
        call = ToolCall(self._wiring.new_id(), message.params["name"], arguments, self._caller)
        origin = self._continuations.origin(message.params.get("requestState"), call)
        call = msgspec.structs.replace(call, continues=origin) if origin else call
        decision = self._enforcer.decide(call, hold=not self._holder.full)
        if decision.ruling is Ruling.HOLD:
            key = self._key(message.id)
            held = Held(key, message, call, decision, self._release, self._tell_progress)
            self._holder.hold(held)
        else:
            self._carry_out(message, call, decision)

    def _carry_out(self, message: Message, call: ToolCall, decision: Decision) -> None:
        if decision.ruling is Ruling.FORWARD:
            self._send(message, call, decision.seq)
            return
        now_us = self._wiring.now_us()
        self._reply(
            answers.refusal_line(decision, message.id_text, modern=message.modern, now_us=now_us)
        )

    def _send(self, message: Message, call: ToolCall | None, seq: int) -> None:
        assert message.id is not None
        waiting = Waiting(
            message.id_text, message.method, message.modern, call, self._wiring.ticks(), seq
        )
        self._in_flight.add(message.id, waiting)
        self._wiring.to_server(message.raw)
        if self._ended and self._in_flight.take(message.id):
            self._fail(waiting)

    def _learn_name(self, message: Message) -> None:
        info = _client_info(message)
        if info is None or info == self._client_info:
            return
        self._client_info = info
        agent = client_name(message)
        if agent:
            self._caller = msgspec.structs.replace(self._caller, agent=agent)
            self._wiring.named(agent)

    def _take_cancel(self, message: Message) -> bool:
        request_id = message.params.get("requestId")
        if isinstance(request_id, bool) or not isinstance(request_id, str | int | float):
            return False
        return self.cancel(request_id)

    def cancel(self, request_id: Id) -> bool:
        """Take back a held call, which its server never saw, or note that a call was cancelled.

        Tells whether it was held.
        """
        if self._holder.withdraw(self._key(request_id)):
            return True
        self.close(request_id, "cancelled")
        return False

    def close(self, request_id: Id, outcome: Outcome) -> bool:
        """Record how a forwarded request ended that gets no answer; tell whether it waited."""
        waiting = self._in_flight.take(request_id)
        if waiting is None:
            return False
        self._settle(waiting, outcome)
        return True

    def close_all(self, outcome: Outcome) -> None:
        """Record how everything ended that waits for the server."""
        for waiting in self._in_flight.take_all():
            self._settle(waiting, outcome)

    def _key(self, request_id: Id | None) -> tuple[str, Id | None]:
        return self._scope, request_id

    # from the server

    def from_server(self, line: bytes | TooLong) -> None:
        """Take one line of the server, without its newline."""
        if isinstance(line, TooLong):
            self._drop(line)
            return
        try:
            line.decode()
            answer = read_answer(line)
        except msgspec.ValidationError:
            self._take_batch(line)
            return
        except RecursionError:
            self._drop(TooLong(line[:HEAD]))
            return
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._take_unreadable(line)
            return
        asks = self._methods.asked_of_client(line)
        if asks and self._withhold(asks, answer):
            return
        if not answer.method:
            line = self._take_answer(answer, line)
        self._reply(line)

    def _take_unreadable(self, line: bytes) -> None:
        if (whole := mended(line)) is not None:
            self.from_server(whole)
        elif line.strip():
            self._wiring.log(f"not JSON: {_shown(line)}")

    def _withhold(self, asks: Sequence[Ask], answer: Answer) -> bool:
        """Record what the server asks of the client; where it may not, answer it here."""
        denied = [
            why for ask in asks if (why := self._methods.take(self._caller, ask.method, ask.params))
        ]
        if not denied:
            return False
        why = denied[0]
        self._wiring.log(f"kept from the client: {why}")
        if answer.method:
            if answer.id is not None:
                request_id = msgspec.json.encode(answer.id)
                refusal = jsonrpc.error_line(jsonrpc.METHOD_NOT_FOUND, why, request_id)
                self._wiring.to_server(refusal)
            return True
        waiting = self._waiting_for(answer)
        if waiting is not None and waiting.call is not None:
            self._settle(waiting, "tool_error")
            self._reply(answers.withheld_line(why, waiting.id_text, modern=waiting.modern))
        elif waiting is not None:
            self._reply(jsonrpc.error_line(jsonrpc.METHOD_NOT_FOUND, why, waiting.id_text))
        return True

    def _drop(self, line: TooLong) -> None:
        """Tell the request that the message seems to answer that its answer was too much."""
        self._wiring.log(f"dropped a message too large or too deep: {_shown(line.head)}")
        request_id = id_in(line.head)
        waiting = self._in_flight.take(request_id) if request_id is not None else None
        if waiting is not None:
            self._settle(waiting, "error")
            why = "the server's answer is too large or too deep to be looked at"
            self._reply(jsonrpc.error_line(jsonrpc.SERVER_ERROR, why, waiting.id_text))

    def _take_batch(self, line: bytes) -> None:
        """Take the messages of a batch one by one; anything else that is no object goes to the log.

        The 2025-03-26 protocol had batches, and a list of tools could hide in one.
        """
        try:
            messages = read_batch(line)
        except msgspec.MsgspecError:
            self._wiring.log(f"not a message: {_shown(line)}")
            return
        for message in map(bytes, messages):
            if message.startswith(b"{"):
                self.from_server(message)

    def _take_answer(self, answer: Answer, line: bytes) -> bytes:
        waiting = self._waiting_for(answer)
        if self._enforcer.redacts and (waiting is None or waiting.method in redaction.METHODS):
            line = redaction.redacted(line) or _unreadable(waiting)
        if waiting is not None and waiting.call is not None:
            self._settle(waiting, self._outcome(answer, waiting.call))
            return line
        if waiting is None or waiting.method == "tools/list":
            modern = waiting is not None and waiting.modern
            return self._filtered(answer, line, modern=modern)
        return line

    def _waiting_for(self, answer: Answer) -> Waiting | None:
        known = isinstance(answer.id, str | int | float)
        return self._in_flight.take(answer.id) if known else None

    def _outcome(self, answer: Answer, call: ToolCall) -> Outcome:
        if answer.error:
            return "error"
        try:
            result = read_result(answer.result)
        except msgspec.MsgspecError:
            return "ok"
        if result.result_type == "input_required" and result.request_state:
            self._continuations.remember(result.request_state, call)
        return "tool_error" if result.is_error else "ok"

    def _filtered(self, answer: Answer, line: bytes, *, modern: bool) -> bytes:
        """Return the line without hidden tools; an answer to nothing known is looked at too."""
        if not answer.result or b'"tools"' not in line:
            return line
        listing = read_listing(line)
        if listing is None:
            return line
        self._enforcer.saw(listing.definitions, complete=listing.complete)
        return listing.without(self._enforcer.hidden, modern=modern) or line

    def _settle(self, waiting: Waiting, outcome: Outcome) -> None:
        """Record how a call ended; other requests have no record."""
        if waiting.call is not None:
            duration_us = (self._wiring.ticks() - waiting.started_ns) // 1000
            self._enforcer.settle(waiting.call, outcome, duration_us, seq=waiting.seq)

    # held calls

    def _release(self, held: Held, decision: Decision) -> None:
        self._carry_out(held.message, held.call, decision)

    def _tell_progress(self, held: Held) -> None:
        """Keep the client waiting; the steps are small so that the server's progress exceeds them.

        Progress must grow with every notification (MCP, progress).
        """
        token = held.message.meta.get("progressToken")
        if isinstance(token, bool) or not isinstance(token, str | int):
            return
        approval = held.decision.approval
        named = f" (approval {approval.id})" if approval is not None else ""
        params = {
            "progressToken": token,
            "progress": held.steps / 1_000_000,
            "message": f"Waiting for a person to allow {held.call.tool}{named}",
        }
        self._reply(jsonrpc.notification_line("notifications/progress", params))

    # ends

    def stop(self, why: str) -> None:
        """Take no further requests: answer them, and the held calls, with this reason."""
        self._ended = self._ended or why
        for held, decision in self._holder.withdraw_all():
            held.release(held, decision)

    @property
    def busy(self) -> bool:
        """Tell whether the server owes an answer."""
        return not self._in_flight.wait_empty(0)

    def wait_idle(self, seconds: float) -> bool:
        """Wait until the server has answered everything; tell whether it has."""
        return self._in_flight.wait_empty(seconds)

    def server_lost(self, why: str) -> None:
        """Answer everything that waits for a server that is gone, and whatever comes yet."""
        self._ended = why
        self.stop(why)
        for waiting in self._in_flight.take_all():
            self._fail(waiting)

    def _fail(self, waiting: Waiting) -> None:
        self._settle(waiting, "lost")
        self._reply(jsonrpc.error_line(jsonrpc.SERVER_ERROR, self._ended, waiting.id_text))

    def _reply(self, line: bytes) -> None:
        self._wiring.to_client(line)


def client_name(message: Message) -> str:
    """Return the name that the client gives itself in this message, empty where it does not."""
    info = _client_info(message)
    name = info.get("name") if isinstance(info, dict) else None
    return one_line(name, _NAME_LIMIT) if isinstance(name, str) else ""


def _client_info(message: Message) -> object:
    if message.method == "initialize":
        return message.params.get("clientInfo")
    return message.meta.get(jsonrpc.CLIENT_INFO_KEY)


def _unreadable(waiting: Waiting | None) -> bytes:
    why = "the server's answer cannot be looked into, and its secrets must be masked"
    request_id = waiting.id_text if waiting is not None else jsonrpc.NULL
    return jsonrpc.error_line(jsonrpc.SERVER_ERROR, why, request_id)


def _shown(line: bytes) -> str:
    return one_line(line.decode(errors="replace"), 500)
