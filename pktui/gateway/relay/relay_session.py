"""The relay between one client and one server: what comes in on one side, and what goes out.

It knows nothing of pipes or sockets: lines are handed in, as many as came together, and sent
through two functions. Held calls are released by a thread of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Final

import msgspec

from pktui import lasting
from pktui.gateway.enforcement import denial
from pktui.gateway.enforcement.decision import NOTHING, Decision, Outcome, Ruling, ToolCall
from pktui.gateway.lineio.lines import TooLong
from pktui.gateway.protocol import jsonrpc
from pktui.gateway.protocol.ids import ids_in
from pktui.gateway.protocol.jsonrpc import EXACT, Limits, Message, Refused
from pktui.gateway.relay import looks
from pktui.gateway.relay.held_calls import CAPACITY, Held
from pktui.gateway.relay.in_flight import Own, Pending, Waiting
from pktui.gateway.relay.looks import LookUnderWay
from pktui.gateway.relay.responses import Responses
from pktui.gateway.relay.tool_discovery import Lookup, Parked
from pktui.ledger.arguments.canonical import call_hash
from pktui.ledger.tool_catalogue import MOST_TOOLS
from pktui.text import one_line, storable

if TYPE_CHECKING:
    from pktui.gateway.enforcement.enforcer import Enforcer
    from pktui.gateway.protocol.jsonrpc import Id
    from pktui.gateway.protocol.server_messages import Unanswered
    from pktui.gateway.relay.server_context import SessionContext
    from pktui.ledger.records import Caller, Looked

_NAME_LIMIT: Final = 100
_FAILED: Final = "pktui failed on this message, so it was not passed on; its log says why"
# Kept, as to take a member from its enum is a search each time.
_FORWARD: Final = Ruling.FORWARD

_MOST_PARKED: Final = 256
# The members of a call that have their own place; all others stand beside the arguments.
_PLAIN: Final = frozenset({"name", "arguments", "_meta"})

# Of a message and its call, the call.
_CALL: Final = itemgetter(1)

# Tool calls that follow each other, by the ids of their requests.
_Calls = dict["Id | None", tuple[Message, ToolCall]]


class RelaySession:
    """One client's connection to one server, policed."""

    def __init__(
        self,
        enforcer: Enforcer,
        caller: Caller,
        context: SessionContext,
        limits: Limits,
        pending: Pending,
    ) -> None:
        self._enforcer = enforcer
        self._methods = enforcer.methods
        self._caller = caller
        self._context = context
        self._limits = limits
        self._holder = pending.holder
        self._in_flight = pending.in_flight
        self._continuations = pending.continuations
        self._scope = pending.scope
        self._tools = pending.tools
        self._parked = pending.parked
        self._lookup = Lookup(self._tools, self._ask, self._in_flight.take, self._decide_parked)
        self._responses = Responses(enforcer, context, pending, lambda: self._caller)
        # Tools that are listed and not hidden, by which list and which policy.
        self._known: dict[str, tuple[object, object]] = {}
        self._named = False
        self._ended = ""

    # from the client

    def from_client(self, *lines: bytes | TooLong) -> None:
        """Take lines of the client that came together, without their newlines."""
        calls: _Calls = {}
        for line in lines:
            try:
                try:
                    if isinstance(line, TooLong):
                        raise jsonrpc.too_large(self._limits.size, line.ids.single)
                    if line.strip():
                        self._take(jsonrpc.parse(line, self._limits), calls)
                except Refused as refused:
                    self._decide(calls)
                    self.refuse(refused, line.head if isinstance(line, TooLong) else line)
            except Exception as error:  # noqa: BLE001  it is said, and the request is answered
                self._survive(error, (line,))
        self._decide(calls)

    def take(self, message: Message) -> None:
        """Take one message of the client, parsed before."""
        calls: _Calls = {}
        try:
            self._take(message, calls)
        except Refused as refused:
            self.refuse(refused, message.raw)
        except Exception as error:  # noqa: BLE001  it is said, and the request is answered
            self._survive(error, (message.raw,))
        self._decide(calls)

    def _survive(self, error: Exception, lines: Iterable[bytes | TooLong]) -> None:
        """Answer requests that pktui itself failed on, unless they wait for server or person.

        Why it failed is for the log alone.
        """
        self._context.log(lasting.words("a message of the client", error))
        for line in lines:
            written = (line.ids if isinstance(line, TooLong) else ids_in(line)).single
            if written == jsonrpc.NULL:
                continue
            request_id: Id = msgspec.json.decode(written)
            if self._is_under_way(request_id):
                continue
            self._reply(jsonrpc.error_line(jsonrpc.INTERNAL_ERROR, _FAILED, written))

    def refuse(self, refused: Refused, line: bytes) -> None:
        """Record a client line that was not understood, and answer it."""
        self._enforcer.refused(self._caller, refused, line)
        self._reply(jsonrpc.error_line(refused.code, refused.why, refused.request_id))

    def _take(self, message: Message, calls: _Calls) -> None:
        """Take a message; a tool call joins those before it, which all else must not overtake."""
        if not self._named:
            self._learn_name(message)
        called = message.method == "tools/call"
        if called and message.kind == "request":
            self._take_call(message, calls)
            return
        self._decide(calls)
        if message.kind == "request":
            self._take_request(message)
        elif called:
            dropped = Refused(jsonrpc.INVALID_REQUEST, "tools/call was sent as a notification")
            self._enforcer.refused(self._caller, dropped, message.raw)
        elif message.method != "notifications/cancelled" or not self._take_cancel(message):
            self._context.to_server(message.raw)

    def _take_request(self, message: Message) -> None:
        if self._admitted(message) is None:
            return
        if why := self._methods.take(self._caller, message.method, message.params):
            shown = self._context.shown(why)
            self._reply(jsonrpc.error_line(jsonrpc.METHOD_NOT_FOUND, shown, message.id_text))
        else:
            self._send([(message, None, 0)])

    def _admitted(self, message: Message) -> Id | None:
        """Return what the id of a request that may go on is known by; None: it was answered.

        Raises `Refused` where its id is in use.
        """
        request_id = message.id
        assert request_id is not None
        plain = type(request_id) is int and -EXACT <= request_id <= EXACT
        key = request_id if plain else jsonrpc.same_id(request_id)
        state, named = self._in_flight.admits(key), (self._scope, key)
        if state == "in use" or named in self._holder.held or named in self._parked:
            raise _in_use(message)
        if self._ended or state == "full" or len(self._parked) >= _MOST_PARKED:
            why = self._ended or "too many requests, or too large ones, wait for the server"
            self._reply(jsonrpc.error_line(jsonrpc.SERVER_ERROR, why, message.id_text))
            return None
        return key

    def _is_under_way(self, request_id: Id) -> bool:
        """Tell whether a request of that id waits: for its server, a person, or a list of tools."""
        key = self._key(request_id)
        return request_id in self._in_flight or key in self._holder or key in self._parked

    def _take_call(self, message: Message, calls: _Calls) -> None:
        """Take the call that a request asks for; one that goes on with another uses its state."""
        key = self._admitted(message)
        if key is None:
            return
        if key in calls:
            raise _in_use(message)
        params = message.params
        arguments = params.get("arguments") or {}
        plain = params.keys() <= _PLAIN
        beside = NOTHING if plain else {k: v for k, v in params.items() if k not in _PLAIN}
        name, digest, meta = params["name"], call_hash(arguments, beside), message.meta
        call_id = next(self._context.call_ids)
        call = ToolCall(
            *(call_id, name, arguments, self._caller, "", digest, beside, meta),
            shown=name in self._tools.shown,
            agent_session=self._context.agent_session(self._caller.agent, name, digest, meta),
        )
        if not plain and (origin := self._continuations.claim(call)):
            call = msgspec.structs.replace(call, continues=origin)
        calls[key] = message, call

    def _decide(self, calls: _Calls) -> None:
        """Decide calls; those of tools that nobody knows wait until the server was asked for them.

        A hidden tool goes the way of one that the server does not have, and takes as long.
        """
        if not calls:
            return
        asked = list(calls.values())
        calls.clear()
        known: list[Parked] = []
        names, policy = self._tools.names, self._enforcer.in_force
        try:
            for message, call in asked:
                seen = self._known.get(call.tool)
                same = seen is not None and seen[0] is names is not None and seen[1] is policy
                if same or self._is_known(call.tool):
                    known.append((message, call))
                elif self._tools.fresh:
                    known.append((message, self._looked_up(call)))
                else:
                    key = self._key(message.id)
                    self._parked[key] = self._lookup
                    self._lookup.park(key, message, call)
            if known:
                self._carry_out(known)
        except Exception as error:  # noqa: BLE001  it is said, and the requests are answered
            self._survive(error, [message.raw for message, _ in asked])

    def _is_known(self, tool: str) -> bool:
        """Tell whether a call can be decided without a look at the server's list."""
        listed = self._tools.has(tool)
        if listed is None:
            listed = self._enforcer.knows(tool)
        if not listed:
            return self._enforcer.leaves_to_server(tool)
        if self._enforcer.hides(tool):
            return False
        if len(self._known) >= MOST_TOOLS:
            self._known.clear()
        self._known[tool] = self._tools.names, self._enforcer.in_force
        return True

    def _looked_up(self, call: ToolCall) -> ToolCall:
        """Return the call with what the server's list says of its tool."""
        listed, tool = self._tools.has(call.tool), call.tool
        unlisted = self._tools.failure if listed is None and not self._enforcer.knows(tool) else ""
        return msgspec.structs.replace(
            call,
            missing=listed is False and not self._enforcer.leaves_to_server(tool),
            unlisted=unlisted,
        )

    def _decide_parked(self, parked: Sequence[Parked]) -> None:
        for message, _ in parked:
            self._parked.pop(self._key(message.id), None)
        try:
            self._carry_out([(message, self._looked_up(call)) for message, call in parked])
        except Exception as error:  # noqa: BLE001  it is said, and the requests are answered
            self._survive(error, [message.raw for message, _ in parked])

    def _ask(self, request_id: str, line: bytes, cursor: str, message: Message) -> None:
        """Ask the server for a page of its tools, in the era of the call that needs it."""
        own = Own(self._lookup, message)
        params = {"cursor": cursor} if cursor else {}
        request = Message(line, "request", "tools/list", request_id, params, message.meta)
        waiting = Waiting(request, None, self._context.ticks(), 0, own)
        self._in_flight.add(request_id, waiting)
        if self._ended:
            self._fail([self._in_flight.take(request_id)])
        else:
            self._context.to_server(line)

    def _carry_out(self, asked: Sequence[Parked]) -> None:
        """Decide calls in one transaction, and carry out what was decided."""
        calls = list(map(_CALL, asked))
        room = CAPACITY - len(self._holder.held)
        decisions = self._enforcer.decide_all(calls, room=room)
        going: list[tuple[Message, ToolCall | None, int]] = []
        for (message, call), decision in zip(asked, decisions, strict=True):
            if decision.ruling is _FORWARD:
                if decision.changed is not None:
                    going.append(_as_changed(message, call, decision))
                else:
                    going.append((message, call, decision.seq))
            elif decision.ruling is Ruling.HOLD:
                self._hold(message, call, decision)
            elif decision.ruling is Ruling.LOOK:
                self._look_first(message, call, decision)
            else:
                self._refuse_call(message, call, decision)
        if self._ended:  # while they were decided
            self._let_go()
        self._send(going)

    def _hold(self, message: Message, call: ToolCall, decision: Decision) -> None:
        """Keep a call until a person decides; what it would change is looked at again by then."""
        call = msgspec.structs.replace(call, looked=None)
        release, tell = self._release, self._tell_progress
        key = self._key(message.id)
        self._holder.hold(Held(key, message, call, decision, release, tell, self._look_again))

    # looks at what a call would change

    def _look_first(self, message: Message, call: ToolCall, decision: Decision) -> None:
        """Decide a call once it is known what it would change; it waits for that."""
        key = self._key(message.id)

        def go_on(looked: Looked) -> None:
            self._parked.pop(key, None)
            try:
                self._carry_out([(message, msgspec.structs.replace(call, looked=looked))])
            except Exception as error:  # noqa: BLE001  it is said, and the request is answered
                self._survive(error, [message.raw])

        self._begin_look(message, call, decision, go_on, key)

    def _look_again(self, held: Held, decision: Decision) -> None:
        """Have a held call decided once it is known what it would change now."""
        go_on = partial(self._holder.looked, held)
        self._begin_look(held.message, held.call, decision, go_on)

    def _begin_look(
        self,
        message: Message,
        call: ToolCall,
        decision: Decision,
        done: Callable[[Looked], None],
        key: object = None,
    ) -> None:
        """Ask the server what a call would change; `key` is of a call that is parked for it."""
        assert decision.look is not None
        looking = self._enforcer.look(call, decision.look, next(self._context.call_ids))
        one = LookUnderWay(looking, (message, call), self._context.now_us(), done)
        if key is not None:
            self._parked[key] = one
        if looking.why or self._ended:
            one.fail(looking.why or self._ended)
            return
        own, asked = Own(one, message), looking.call
        request = Message(one.line, "request", "tools/call", one.request_id, {}, message.meta)
        started = self._context.ticks()
        self._in_flight.add(one.request_id, Waiting(request, asked, started, looking.seq, own))
        if self._ended:  # meanwhile
            self._fail([self._in_flight.take(one.request_id)], sent=False)
        else:
            self._context.to_server(one.line)
            one.begin(self._give_up_look)

    def _give_up_look(self, one: LookUnderWay) -> None:
        """Go on without an answer that does not come; the server need not work on it any more."""
        with lasting.Survived("giving up a look", self._context.log):
            if (waiting := self._in_flight.give_up(one.request_id)) is not None:
                self._settle([waiting], "cancelled")
                params = {"requestId": one.request_id}
                line = jsonrpc.notification_line("notifications/cancelled", params)
                self._context.to_server(line)
        one.fail(f"it did not answer within {looks.SECONDS:g} seconds")

    def _refuse_call(self, message: Message, call: ToolCall, decision: Decision) -> None:
        """Answer a call that does not go out now; the state that it came with still counts."""
        if call.continues:
            self._continuations.restore(call)
        now_us, shown = self._context.now_us(), self._context.shown
        decision = msgspec.structs.replace(decision, reason=storable(shown(decision.reason)))
        self._reply(
            denial.refusal_line(decision, message.id_text, modern=message.modern, now_us=now_us)
        )

    def _send(self, going: Sequence[tuple[Message, ToolCall | None, int]]) -> None:
        """Forward requests, each with its call, if it is one, and the `seq` of its decision."""
        started = self._context.ticks()
        lost = bool(self._ended)
        sent: list[bytes] = []
        for message, call, seq in going:
            assert message.id is not None
            self._in_flight.add(message.id, Waiting(message, call, started, seq))
            sent.append(message.raw)
        if sent and not lost:
            self._context.to_server(*sent)
        if self._ended:
            ids = [message.id for message, _, _ in going]
            self._fail([self._in_flight.take(request_id) for request_id in ids], sent=not lost)

    def _learn_name(self, message: Message) -> None:
        """Take the first name that the client gives itself.

        With another for each call it would get past what is counted by name.
        """
        agent = client_name(message)
        if agent:
            self._named = True
            self._caller = msgspec.structs.replace(self._caller, agent=agent)
            self._context.named(agent)

    def _take_cancel(self, message: Message) -> bool:
        request_id = message.params.get("requestId")
        return jsonrpc.is_id(request_id) and self.cancel(request_id)

    def cancel(self, request_id: Id, *, sent: bool = True) -> bool:
        """Take back a held call, which its server never saw, or note that a call was cancelled.

        Tells whether it was held. `sent`: a call that was not held may have reached its server.
        """
        key = self._key(request_id)
        if self._holder.withdraw(key) or self._unpark(key):
            return True
        self.close(request_id, "cancelled", sent=sent)
        return False

    def _unpark(self, key: object) -> bool:
        """Take back a call that was not decided yet; tell whether there was one."""
        lookup = self._parked.pop(key, None)
        parked = lookup.withdraw(key) if lookup is not None else None
        if isinstance(lookup, LookUnderWay):
            self._give_up_look(lookup)
        if parked is not None:
            why = "the call was cancelled before it was decided"
            refused = Refused(jsonrpc.INVALID_REQUEST, why)
            self._enforcer.refused(self._caller, refused, parked[0].raw)
        return parked is not None

    def close(self, request_id: Id, outcome: Outcome, *, sent: bool = True) -> bool:
        """Record how a forwarded request ended that gets no answer; tell whether it waited."""
        in_flight = self._in_flight
        given_up = outcome == "cancelled"
        waiting = in_flight.give_up(request_id) if given_up else in_flight.take(request_id)
        if waiting is None:
            return False
        if waiting.own is not None:
            waiting.own.lookup.fail("it did not answer")
        self._settle([waiting], outcome, sent=sent)
        return True

    def _key(self, request_id: Id | None) -> tuple[str, Id | None]:
        return self._scope, None if request_id is None else jsonrpc.same_id(request_id)

    # from the server

    def from_server(self, *lines: bytes | TooLong | Unanswered) -> None:
        """Take lines of the server that came together, without their newlines.

        How calls ended is on record before their answers go out, what they were answered after.
        """
        replies, ended = self._responses.read(lines)
        try:
            self._enforcer.settle_all(ended)
        except Exception as error:  # noqa: BLE001  the answers go out all the same
            self._context.log(lasting.words("recording how calls ended", error))
        if replies:
            self._context.to_client(*replies)
        if ended:
            self._enforcer.keep_results(ended)

    # held calls

    def _release(self, held: Held, decision: Decision) -> None:
        if decision.ruling is Ruling.FORWARD:
            self._send([_as_changed(held.message, held.call, decision)])
        else:
            self._refuse_call(held.message, held.call, decision)

    def _tell_progress(self, held: Held) -> None:
        """Keep the client waiting; the steps are small so that the server's progress exceeds them.

        Progress must grow with every notification (MCP, progress).
        """
        token = jsonrpc.progress_token(held.message)
        if token is None:
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
        parked = self._lookup.end()
        parked += tuple(found for one in self._looks() if (found := one.withdraw()) is not None)
        for message, _ in parked:
            self._parked.pop(self._key(message.id), None)
            self.refuse(Refused(jsonrpc.SERVER_ERROR, why, message.id_text), message.raw)
        self._let_go()
        self._holder.wait_released(self._scope)

    def _looks(self) -> tuple[LookUnderWay, ...]:
        """Return the looks that calls of this connection are parked for."""
        mine = [one for key, one in tuple(self._parked.items()) if self._is_mine(key)]
        return tuple(one for one in mine if isinstance(one, LookUnderWay))

    def _is_mine(self, key: object) -> bool:
        return isinstance(key, tuple) and key[0] == self._scope

    def _let_go(self) -> None:
        """Answer the held calls: nobody will decide them here any more."""
        for held, decision in self._holder.withdraw_all(self._scope):
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
        self._fail(self._in_flight.take_all())

    def _fail(self, lost: Iterable[Waiting | None], *, sent: bool = True) -> None:
        """Record and answer requests that the server will not answer."""
        waiting = [one for one in lost if one is not None]
        self._settle(waiting, "lost", sent=sent)
        for one in waiting:
            if one.own is not None:
                one.own.lookup.fail(self._ended)
            else:
                self._reply(jsonrpc.error_line(jsonrpc.SERVER_ERROR, self._ended, one.id_text))

    def _settle(self, waiting: Iterable[Waiting], outcome: Outcome, *, sent: bool = True) -> None:
        now = self._context.ticks()
        self._enforcer.settle_all(
            [one.end(one.call, outcome, now, sent=sent) for one in waiting if one.call]
        )

    def look(self) -> None:
        """Tell the client where it may see other tools now than it was shown; call it often."""
        try:
            for line in self._responses.news():
                self._reply(line)
        except Exception as error:  # noqa: BLE001  it is said, and looked for again
            lasting.Survived("looking for another list of tools", self._context.log).say(error)

    def _reply(self, line: bytes) -> None:
        self._context.to_client(line)


def client_name(message: Message) -> str:
    """Return the name that the client gives itself in this message, empty where it does not."""
    if message.method == "initialize":
        info = message.params.get("clientInfo")
    else:
        info = message.meta.get(jsonrpc.CLIENT_INFO_KEY)
    name = info.get("name") if isinstance(info, dict) else None
    return one_line(name, _NAME_LIMIT) if isinstance(name, str) else ""


def _as_changed(
    message: Message, call: ToolCall, decision: Decision
) -> tuple[Message, ToolCall, int]:
    """Return what goes out of a call that may: with the arguments that a person gave it, if any."""
    if decision.changed is not None:
        message = jsonrpc.with_arguments(message, decision.changed)
        call = msgspec.structs.replace(
            call, arguments=decision.changed, bound_hash="", changed=True
        )
    return message, call, decision.seq


def _in_use(message: Message) -> Refused:
    return Refused(jsonrpc.INVALID_REQUEST, "a request with this id still waits", message.id_text)
