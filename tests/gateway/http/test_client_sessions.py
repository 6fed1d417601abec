"""Sessions: whose they are, how many, and for how long."""

from __future__ import annotations

from http import HTTPStatus
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from pktui.gateway.http.client_sessions import Session, Sessions
from pktui.gateway.http.errors import Refusal
from pktui.gateway.protocol.jsonrpc import INVALID_REQUEST, Limits, Refused, parse
from pktui.ledger.records import Caller, Grant

if TYPE_CHECKING:
    from pktui.gateway.http.backend import Backend
    from pktui.gateway.http.floor import Floor
    from pktui.gateway.relay.pending import Pending

ADA = Grant("ada", ("*",), "", 1, key="a1")
BOB = Grant("bob", ("*",), "", 1, key="b1")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(2, 60, clock)


class Request:
    def cancelled(self) -> None:
        """Be cancelled."""


def session(session_id: str, grant: Grant = ADA, server: str = "plain") -> Session:
    floor = cast("Floor", SimpleNamespace(entry=SimpleNamespace(name=server)))
    pending, behind = cast("Pending", None), cast("Backend", None)
    return Session(session_id, grant, floor, Caller(), pending, behind)


def status(wanted: Any) -> HTTPStatus:
    with pytest.raises(Refusal) as caught:
        wanted()
    return caught.value.status


def test_only_its_grant_finds_a_session_and_only_at_its_server(sessions: Sessions) -> None:
    one = session("s")
    assert sessions.add(one)
    assert sessions.find("plain", "s", ADA) is one
    assert status(lambda: sessions.find("plain", "s", BOB)) is HTTPStatus.NOT_FOUND
    assert status(lambda: sessions.find("other", "s", ADA)) is HTTPStatus.NOT_FOUND
    later = Grant("ada", ("*",), "", 2, key="a2")
    assert status(lambda: sessions.find("plain", "s", later)) is HTTPStatus.NOT_FOUND


def test_a_server_cannot_give_one_grant_anothers_session(sessions: Sessions) -> None:
    assert sessions.add(session("s"))
    assert not sessions.add(session("s", BOB))
    assert sessions.add(session("s"))


def test_the_id_that_a_server_gives_anew_is_no_other_grants(sessions: Sessions) -> None:
    one, other = session("s-1"), session("s-2", BOB)
    assert sessions.add(one)
    assert sessions.add(other)
    assert not sessions.rename(one, "s-2")
    assert sessions.rename(one, "s-3")
    assert not sessions.rename(other, "s-3")
    assert sessions.rename(one, "s-4")
    assert sessions.rename(other, "s-3")
    assert sessions.find("plain", "s-1", ADA) is one
    assert status(lambda: sessions.find("plain", "s-4", ADA)) is HTTPStatus.NOT_FOUND
    sessions.forget(other)
    assert not sessions.add(session("s-4", BOB))
    sessions.forget(one)
    assert sessions.add(session("s-4", BOB))


def test_a_session_ends_where_its_id_is_given_again(sessions: Sessions) -> None:
    before = session("s")
    sessions.add(before)
    sessions.add(session("s"))
    assert sessions.ended() == [before]


def test_of_two_requests_with_one_id_only_the_first_is_under_way() -> None:
    one = session("s")
    message = parse(b'{"jsonrpc":"2.0","id":1,"method":"ping"}', Limits())
    first, second = Request(), Request()
    one.enter(message, first)
    with pytest.raises(Refused) as caught:
        one.enter(message, second)
    assert (caught.value.code, caught.value.request_id) == (INVALID_REQUEST, b"1")
    assert one.under_way == {1: first}


def test_room_is_made_by_forgetting(sessions: Sessions) -> None:
    first = session("1")
    sessions.add(first)
    sessions.add(session("2"))
    assert status(sessions.check_room) is HTTPStatus.SERVICE_UNAVAILABLE
    sessions.forget(first)
    sessions.check_room()
    assert first not in sessions


def test_a_session_is_idle_when_nobody_used_it_and_no_request_is_open(
    sessions: Sessions, clock: Clock
) -> None:
    used, kept, unused = session("1"), session("2"), session("3")
    for one in (used, kept, unused):
        sessions.add(one)
    with kept.in_use():
        clock.now = 59
        sessions.find("plain", "1", ADA)
        clock.now = 61
        assert sessions.idle() == [unused]
    assert sessions.idle() == [kept, unused]
