"""What a server sends back: answers find their requests, and what a client may not see stays here.

Calls that ended are handed back with the lines, so that those of one read share a transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from pktui import lasting
from pktui.errors import LedgerError
from pktui.gateway.enforcement import denial
from pktui.gateway.enforcement.decision import Ended
from pktui.gateway.lineio.lines import TooLong
from pktui.gateway.protocol import jsonrpc
from pktui.gateway.protocol.ids import ids_in
from pktui.gateway.protocol.server_messages import (
    NOT_JSON,
    SEVERAL_IDS,
    TOO_MUCH,
    Answer,
    Unanswered,
    ids_doubted,
    ids_waited_for,
    mended,
    names_several,
    not_passed_on,
    read_answer,
    read_batch,
    read_result,
)
from pktui.gateway.protocol.tool_list import (
    Doubtful,
    declaring_changes,
    read_listing,
    with_result,
)
from pktui.gateway.relay import redaction
from pktui.gateway.relay.change_note import with_note
from pktui.gateway.relay.looks import LookUnderWay
from pktui.gateway.relay.tool_discovery import OWN, is_own
from pktui.ledger.tool_catalogue import MOST_TOOLS
from pktui.text import one_line

if TYPE_CHECKING:
    from pktui.gateway.enforcement.decision import Outcome, ToolCall
    from pktui.gateway.enforcement.enforcer import Enforcer
    from pktui.gateway.enforcement.methods import Ask
    from pktui.gateway.protocol.ids import Ids
    from pktui.gateway.protocol.jsonrpc import Message
    from pktui.gateway.protocol.tool_list import Listing
    from pktui.gateway.relay.in_flight import Continuations, InFlight, Pending, Waiting
    from pktui.gateway.relay.server_context import SessionContext
    from pktui.gateway.relay.tool_discovery import Lookup
    from pktui.ledger.records import Caller
    from pktui.policy.document.policy import Policy


Lines = Sequence[bytes]

_NO_RESPONSE = "a request and a response at once"
_EMPTY = "neither a request nor a response"
_LIST_CHANGED = b'"notifications/tools/list_changed"'
_OWN = OWN.encode()
_LISTEN = "subscriptions/listen"
_SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
_LIST_CHANGED_LINE = b'{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'


# Bytes of a list that is kept to be compared with the next, and how long what is on record of it
# counts as new: the time that it was last seen is on record too.
_MOST_REMEMBERED = 4 * 1024 * 1024
_REMEMBERED_NS = 60 * 1_000_000_000


class _Shown(msgspec.Struct, frozen=True):
    """The last list of tools: what came, by what it was judged, and what became of it."""

    carried: bytes
    cursor: str
    modern: bool
    policy: object
    state: object
    until_ns: int
    names: Mapping[str, bool]
    """Which of its tools the client was shown."""
    next_cursor: str
    result: bytes | None


class Responses:
    """Reads the lines of one server for one client."""

    def __init__(
        self,
        enforcer: Enforcer,
        context: SessionContext,
        pending: Pending,
        caller: Callable[[], Caller],
    ) -> None:
        """`caller` tells who the client is, as far as it has said by then."""
        self._enforcer = enforcer
        self._methods = enforcer.methods
        self._context = context
        self._in_flight: InFlight = pending.in_flight
        self._continuations: Continuations = pending.continuations
        self._tools = pending.tools
        self._caller = caller
        self._taken: Waiting | None = None
        self._last: _Shown | None = None
        # Whether the client may be told of another list, and what it was shown of which names.
        self._tells = False
        self._listed: dict[str, bool] = {}
        self._listed_by: object = None

    def read(
        self, lines: Iterable[bytes | TooLong | Unanswered]
    ) -> tuple[list[bytes], list[Ended]]:
        """Return what the client gets for these lines, and the calls that ended with them."""
        ended: list[Ended] = []
        replies: list[bytes] = []
        for line in lines:
            self._taken = None
            try:
                if type(line) is bytes and self._takes_plain(line, ended):
                    replies.append(line)
                else:
                    replies += self._read(line, ended)
            except Exception as error:  # noqa: BLE001  it is said, and who waits is told
                replies += self._survive(error, ended)
        return replies, ended

    def _takes_plain(self, line: bytes, ended: list[Ended]) -> bool:
        """Take the answer to a call that is written as nearly all are; False: `_read` looks at it.

        It has a result, one id and no line end inside, and asks nothing of the client; so there is
        nothing to keep back or to mend in it, and it goes out as it came.
        """
        if self._enforcer.redacts:
            return False
        try:
            line.decode()
            answer = read_answer(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        request_id = answer.id
        if answer.method or answer.error or not answer.result or type(request_id) is not int:
            return False
        waiting = self._in_flight.waiting.get(request_id)
        if waiting is None or waiting.call is None or waiting.call.changed:
            return False
        if (
            line.count(b'"id"') != 1
            or line.find(b"\r", 0, len(line) - 1) >= 0
            or line.find(b"\\u006") >= 0
            or self._methods.asked_of_client(line)
        ):
            return False
        if self._in_flight.take(request_id) is not waiting:
            return False
        self._taken = waiting
        call: ToolCall = waiting.call
        outcome: Outcome = "ok"
        try:
            result = read_result(answer.result)
        except msgspec.MsgspecError:
            result = None
        if result is not None:
            if result.result_type == "input_required" and result.request_state:
                self._continuations.remember(result.request_state, call)
            outcome = "tool_error" if result.is_error else "ok"
        lasted = (self._context.ticks() - waiting.started_ns) // 1000
        ended.append(Ended(call, outcome, lasted, waiting.seq, True, answer.result))
        return True

    def _survive(self, error: Exception, ended: list[Ended]) -> Lines:
        """Tell whoever waits for an answer that pktui itself failed on; why is for the log."""
        self._context.log(lasting.words("a message of the server", error))
        if self._taken is None:
            return ()
        return self._lost(self._taken, not_passed_on("one that pktui failed on"), ended)

    def _read(self, line: bytes | TooLong | Unanswered, ended: list[Ended]) -> Lines:
        if isinstance(line, TooLong):
            return self._drop(line, ended)
        if isinstance(line, Unanswered):
            waiting = self._in_flight.take(line.request_id)
            return () if waiting is None else self._lost(waiting, line.why, ended, line.sent)
        if line.find(b"\r", 0, len(line) - 1) >= 0:
            line = line[:-1].replace(b"\r", b" ") + line[-1:]  # some readers end a line there
        try:
            line.decode()
            answer = read_answer(line)
        except msgspec.ValidationError:
            return self._batch(line, ended)
        except RecursionError:
            return self._drop(TooLong.of(line), ended)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._mend(line, ended)
        if names_several(line) and (several := ids_doubted(line, answer.carried)) is not None:
            return self._fail(several, SEVERAL_IDS, line, ended)
        if answer.method and answer.doubtful:
            return self._refuse(answer, line, _NO_RESPONSE, ended)
        asks = self._methods.asked_of_client(line)
        if asks and (why := self._denied(asks)):
            return self._withhold(why, answer, ended)
        return self._said(answer, line) if answer.asks else self._answer(answer, line, ended)

    def _said(self, answer: Answer, line: bytes) -> Lines:
        """Pass on what the server asks or says, unless it speaks of the gateway's own requests."""
        if bytes(answer.method) == _LIST_CHANGED:
            self._tools.changed()
        return () if line.find(_OWN) >= 0 else (line,)

    def _mend(self, line: bytes, ended: list[Ended]) -> Lines:
        whole = mended(line)
        if whole is not None:
            return self._read(whole, ended)
        return self._fail(ids_in(line), NOT_JSON, line, ended) if line.strip() else ()

    def _denied(self, asks: Sequence[Ask]) -> str:
        """Record what the server asks of the client; return why it may not, if it may not."""
        caller = self._caller()
        denied = [self._methods.take(caller, ask.method, ask.params) for ask in asks]
        return self._context.shown(next(filter(None, denied), ""))

    def _withhold(self, why: str, answer: Answer, ended: list[Ended]) -> Lines:
        """Answer what the server may not ask, or whom it would have answered with it."""
        self._context.log(f"kept from the client: {why}")
        if answer.asks:
            if answer.id is not None:
                request_id = msgspec.json.encode(answer.id)
                refusal = jsonrpc.error_line(jsonrpc.METHOD_NOT_FOUND, why, request_id)
                self._context.to_server(refusal)
            return ()
        waiting = self._waiting_for(answer)
        if waiting is None:
            return ()
        if waiting.own is not None:
            return self._lost(waiting, why, ended)
        if waiting.call is not None:
            self._end(waiting, "tool_error", ended)
            return (denial.withheld_line(why, waiting.id_text, modern=waiting.modern),)
        return (jsonrpc.error_line(jsonrpc.METHOD_NOT_FOUND, why, waiting.id_text),)

    def _refuse(self, answer: Answer, line: bytes, why: str, ended: list[Ended]) -> Lines:
        """Tell the request that may be answered so that its answer cannot be told from a question.

        A client that takes it for an answer must not see what was not looked at.
        """
        self._context.log(f"{why}: {_shown(line)}")
        waiting = self._waiting_for(answer)
        return () if waiting is None else self._lost(waiting, not_passed_on(why), ended)

    def _drop(self, line: TooLong, ended: list[Ended]) -> Lines:
        return self._fail(line.ids, TOO_MUCH, line.head, ended)

    def _fail(self, ids: Ids, why: str, line: bytes, ended: list[Ended]) -> Lines:
        """Tell whoever waits for a message that is not passed on; without an answer they hang."""
        found = [self._in_flight.take(request_id) for request_id in ids_waited_for(ids)]
        waiting = [one for one in found if one is not None]
        self._context.log(f"{why}: {_shown(line)}")
        return [out for one in waiting for out in self._lost(one, not_passed_on(why), ended)]

    def _lost(self, waiting: Waiting, why: str, ended: list[Ended], sent: bool = True) -> Lines:
        """Answer a request in the place of its server: what became of it, nobody knows."""
        if waiting.call is not None:
            ended.append(waiting.end(waiting.call, "lost", self._context.ticks(), sent=sent))
        if waiting.own is not None:
            waiting.own.lookup.fail(why)
            return ()
        return (jsonrpc.error_line(jsonrpc.SERVER_ERROR, why, waiting.id_text),)

    def _batch(self, line: bytes, ended: list[Ended]) -> Lines:
        """Take the messages of a batch one by one; anything else that is no object goes to the log.

        The 2025-03-26 protocol had batches, and a list of tools could hide in one.
        """
        try:
            messages = read_batch(line)
        except RecursionError:
            return self._drop(TooLong.of(line), ended)
        except msgspec.MsgspecError:
            return self._fail(ids_in(line), NOT_JSON, line, ended)
        objects = [message for message in map(bytes, messages) if message.startswith(b"{")]
        return [out for message in objects for out in self._read(message, ended)]

    def _answer(self, answer: Answer, line: bytes, ended: list[Ended]) -> Lines:
        waiting = self._waiting_for(answer)
        if waiting is None and is_own(answer.id):
            return ()  # it came too late
        if waiting is not None and waiting.own is not None:
            if isinstance(waiting.own.lookup, LookUnderWay):
                outcome = waiting.own.lookup.take(answer, line)
                self._end(waiting, outcome, ended, answer.carried)
            else:
                self._learn(waiting, waiting.own.message, waiting.own.lookup, answer, line)
            return ()
        if waiting is not None and waiting.method != "tools/list" and answer.empty:
            self._context.log(f"{_EMPTY}: {_shown(line)}")
            return self._lost(waiting, not_passed_on(_EMPTY), ended)
        carried = answer.carried
        if self._enforcer.redacts and (waiting is None or waiting.method in redaction.METHODS):
            line = redaction.redacted(line) or _unreadable(waiting)
            carried = read_answer(line).carried
        if waiting is not None and waiting.call is not None:
            self._end(waiting, self._outcome(answer, waiting.call), ended, carried)
            if waiting.call.changed:
                line = self._told_of_change(line, waiting.call)
        elif waiting is None or waiting.method == "tools/list":
            line = self._filtered(line, carried, waiting)
        elif waiting.method == "initialize" and not answer.failed:
            self._tells = True
            line = declaring_changes(line)
        return (line,)

    def _told_of_change(self, line: bytes, call: ToolCall) -> bytes:
        """Return an answer that tells the agent with which arguments of a person its call ran."""
        definition = "{}"
        with suppress(LedgerError):
            definition = self._enforcer.definition_text(call.tool)
        return with_note(line, denial.changed_note(call.arguments), definition)

    def news(self) -> Lines:
        """Return what tells the client that it may see other tools than it was shown.

        On the stateless era it is a line for each request that listens for that.
        """
        if not self._listed:
            return ()
        policy = self._enforcer.policy()
        if policy is self._listed_by or policy is None:
            return ()
        self._listed_by = policy
        now = {name: policy.lists(name) for name in self._listed}
        if now == self._listed:
            return ()
        self._listed = now
        if self._tells:
            return (_LIST_CHANGED_LINE,)
        listening = filter(_listens, tuple(self._in_flight.waiting.values()))
        return tuple(_changed_line(one.id_text) for one in listening)

    def _learn(
        self, waiting: Waiting, message: Message, lookup: Lookup, answer: Answer, line: bytes
    ) -> None:
        """Take the page of tools that the gateway asked for itself; nothing of it goes out."""
        listing, why = None, ""
        if answer.failed or not answer.carried:
            why = f"it answered: {one_line(bytes(answer.error).decode(errors='replace'), 200)}"
        else:
            try:
                listing = read_listing(line)
            except Doubtful as doubt:
                why = str(doubt)
        if listing is None:
            lookup.fail(f"its list of tools cannot be had: {why or 'it is none'}")
        elif why := self._record(listing, waiting.cursor):
            lookup.fail(why)
        else:
            lookup.page(message, listing.next_cursor)

    def _record(self, listing: Listing, cursor: str) -> str:
        """Pin and remember a page of tools; return why that cannot be, empty where it was."""
        after = listing.next_cursor
        why = self._enforcer.saw(listing.definitions, cursor=cursor, next_cursor=after)
        if not why:
            self._tools.page(listing.names, cursor=cursor, next_cursor=after)
        return why

    def _waiting_for(self, answer: Answer) -> Waiting | None:
        self._taken = self._in_flight.take(answer.id) if jsonrpc.is_id(answer.id) else None
        return self._taken

    def _outcome(self, answer: Answer, call: ToolCall) -> Outcome:
        if answer.failed:
            return "error"
        try:
            result = read_result(answer.result)
        except msgspec.MsgspecError:
            return "ok"
        if result.result_type == "input_required" and result.request_state:
            self._continuations.remember(result.request_state, call)
        return "tool_error" if result.is_error else "ok"

    def _end(
        self, waiting: Waiting, outcome: Outcome, ended: list[Ended], carried: bytes = b""
    ) -> None:
        if waiting.call is not None:
            ticks = self._context.ticks()
            ended.append(waiting.end(waiting.call, outcome, ticks, result=carried))

    def _filtered(self, line: bytes, carried: bytes, waiting: Waiting | None) -> bytes:
        """Return the line without hidden tools; an answer to nothing known is looked at too."""
        cursor, modern = (waiting.cursor, waiting.modern) if waiting is not None else ("", False)
        if again := self._shown_again(line, carried, cursor, modern=modern):
            return again
        request_id = waiting.id_text if waiting is not None else jsonrpc.NULL
        try:
            listing = read_listing(line)
        except Doubtful as doubt:
            why = f"the server's list of tools cannot be read without doubt: {doubt}"
            self._context.log(why)
            return jsonrpc.error_line(jsonrpc.SERVER_ERROR, why, request_id)
        if listing is None:
            return line
        if why := self._record(listing, cursor):
            shown = self._context.shown(why)
            return jsonrpc.error_line(jsonrpc.SERVER_ERROR, shown, request_id)
        policy, state = self._enforcer.policy(), self._enforcer.state()
        names = {name: policy is None or policy.lists(name) for name in listing.names}
        self._tools.show(name for name, shown in names.items() if shown)
        self._remember_shown(names, cursor, policy)
        result = listing.without(names.__getitem__, modern=modern)
        if len(carried) <= _MOST_REMEMBERED:
            until = self._context.ticks() + _REMEMBERED_NS
            after = listing.next_cursor
            self._last = _Shown(
                *(carried, cursor, modern, policy, state, until, names, after, result)
            )
        return line if result is None else listing.with_result(result)

    def _remember_shown(
        self, names: Mapping[str, bool], cursor: str, policy: Policy | None
    ) -> None:
        if not cursor:
            self._listed = {}
        if policy is not None and len(self._listed) < MOST_TOOLS:
            # Another dict each time: another thread looks for news in it meanwhile.
            self._listed = {**self._listed, **names}
        self._listed_by = policy

    def _shown_again(
        self, line: bytes, carried: bytes, cursor: str, *, modern: bool
    ) -> bytes | None:
        """Return what the same list was shown as last time; None where anything is new in it."""
        last = self._last
        if last is None or (last.carried, last.cursor, last.modern) != (carried, cursor, modern):
            return None
        policy, state = self._enforcer.policy(), self._enforcer.state()
        if last.policy is not policy or last.state != state:
            return None
        if self._context.ticks() > last.until_ns:
            return None
        self._tools.page(last.names, cursor=cursor, next_cursor=last.next_cursor)
        self._remember_shown(last.names, cursor, policy)
        return with_result(line, carried, last.result)


def _unreadable(waiting: Waiting | None) -> bytes:
    why = "the server's answer cannot be looked into, and its secrets must be masked"
    request_id = waiting.id_text if waiting is not None else jsonrpc.NULL
    return jsonrpc.error_line(jsonrpc.SERVER_ERROR, why, request_id)


def _listens(waiting: Waiting) -> bool:
    """Tell whether a request keeps open to be told of other lists of tools."""
    wanted = waiting.message.params.get("notifications")
    return (
        waiting.method == _LISTEN
        and isinstance(wanted, dict)
        and wanted.get("toolsListChanged") is True
    )


def _changed_line(listener: bytes) -> bytes:
    """Return what is told to a listener of that id, JSON text."""
    meta = {_SUBSCRIPTION: msgspec.Raw(listener)}
    return jsonrpc.notification_line("notifications/tools/list_changed", {"_meta": meta})


def _shown(line: bytes) -> str:
    return one_line(line.decode(errors="replace"), 500)
