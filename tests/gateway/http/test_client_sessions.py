"""Sessions: whose they are, how many, and for how long."""

from __future__ import annotations

from http import HTTPStatus
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from pktui.gateway.http.client_sessions import Session, Sessions
from pktui.gateway.http.errors import Refusal
from pktui.ledger.records import Caller, Grant

if TYPE_CHECKING:
    from pktui.gateway.http.channels import Channel
    from pktui.gateway.http.context import SharedContext

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


def session(session_id: str, grant: Grant = ADA, server: str = "plain") -> Session:
    shared = cast("SharedContext", SimpleNamespace(entry=SimpleNamespace(name=server)))
    return Session(session_id, grant, shared, Caller(), cast("Channel", None))


def status(wanted: Any) -> HTTPStatus:
    with pytest.raises(Refusal) as caught:
        wanted()
    return caught.value.status


def test_only_its_grant_finds_a_session_and_only_at_its_server(sessions: Sessions) -> None:
    one = session("s")
    sessions.add(one)
    assert sessions.find("plain", "s", ADA) is one
    assert status(lambda: sessions.find("plain", "s", BOB)) is HTTPStatus.NOT_FOUND
    assert status(lambda: sessions.find("other", "s", ADA)) is HTTPStatus.NOT_FOUND
    later = Grant("ada", ("*",), "", 2, key="a2")
    assert status(lambda: sessions.find("plain", "s", later)) is HTTPStatus.NOT_FOUND


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
