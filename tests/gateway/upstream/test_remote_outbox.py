"""The order in which messages leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pktui.gateway.upstream.remote_outbox import Outbox
from pktui.gateway.upstream.remote_outgoing import read_outgoing

if TYPE_CHECKING:
    from pktui.gateway.upstream.remote_outgoing import Outgoing


def request(number: int, method: str = "tools/call") -> Outgoing:
    return read_outgoing(b'{"jsonrpc":"2.0","id":%d,"method":"%b"}' % (number, method.encode()))


def told(method: str = "notifications/progress") -> Outgoing:
    return read_outgoing(b'{"jsonrpc":"2.0","method":"%b"}' % method.encode())


def answer(number: int) -> Outgoing:
    return read_outgoing(b'{"jsonrpc":"2.0","id":%d,"result":{}}' % number)


class Taker:
    """Takes what may go now, and only that."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox

    def now(self) -> list[object]:
        """Return the ids, or methods, of everything that may go at this moment."""
        taken: list[object] = []
        while (message := self.outbox.take()) is not None:
            taken.append(message.method if message.id is None else message.id)
            if message.kind != "request":
                self.outbox.finished(message)
        return taken


def test_requests_go_side_by_side_as_far_as_there_are_slots() -> None:
    taker = Taker(outbox := Outbox(slots=2))
    for number in (1, 2, 3):
        outbox.put(request(number))
    assert taker.now() == [1, 2]
    outbox.written()
    outbox.finished(request(1))
    assert taker.now() == [3]


def test_what_is_told_waits_until_every_earlier_request_is_written() -> None:
    taker = Taker(outbox := Outbox())
    for message in (request(1), told(), request(2)):
        outbox.put(message)
    assert taker.now() == [1]
    outbox.written()
    assert taker.now() == ["notifications/progress", 2]


def test_nothing_follows_initialize_until_it_is_answered() -> None:
    taker = Taker(outbox := Outbox())
    for message in (request(0, "initialize"), told("notifications/initialized"), request(1)):
        outbox.put(message)
    assert taker.now() == [0]
    outbox.written()
    assert taker.now() == []
    outbox.finished(request(0, "initialize"))
    assert taker.now() == ["notifications/initialized", 1]


def test_what_follows_a_notification_waits_until_the_server_has_it() -> None:
    outbox = Outbox()
    for message in (told(), told("notifications/initialized"), request(1)):
        outbox.put(message)
    assert outbox.take() == told()
    assert outbox.take() is None
    outbox.finished(told())
    assert outbox.take() == told("notifications/initialized")
    assert outbox.take() is None
    outbox.finished(told("notifications/initialized"))
    assert outbox.take() == request(1)


def test_an_answer_that_the_server_waits_for_passes_requests_without_a_slot() -> None:
    taker = Taker(outbox := Outbox(slots=1))
    for message in (request(1), request(2), answer(9)):
        outbox.put(message)
    assert taker.now() == [1]
    outbox.written()
    assert taker.now() == [9]


def test_a_request_is_withdrawn_only_before_it_left() -> None:
    taker = Taker(outbox := Outbox(slots=1))
    outbox.put(request(1))
    outbox.put(request(2))
    assert taker.now() == [1]
    assert not outbox.withdraw(1)
    assert outbox.withdraw(2)
    assert not outbox.withdraw(2)
    assert outbox.empty


def test_what_waits_is_bounded_and_one_message_always_fits() -> None:
    outbox = Outbox(capacity=100)
    large = read_outgoing(b'{"jsonrpc":"2.0","method":"x","params":{"a":"%b"}}' % (b"y" * 200))
    assert outbox.put(large)
    assert not outbox.put(request(1))
    assert Taker(outbox).now() == ["x"]
    assert outbox.put(request(1))


def test_after_the_end_nothing_waits() -> None:
    outbox = Outbox()
    outbox.put(request(1))
    outbox.close()
    assert outbox.take() is None
    assert (outbox.empty, outbox.size) == (True, 0)
