"""A server may ask for more patience, never for less."""

from __future__ import annotations

import pytest

from pktui.gateway.upstream import pace
from pktui.gateway.upstream.pace import Pace


@pytest.fixture(autouse=True)
def _as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "LEAST_SECONDS", 1.0)


@pytest.mark.parametrize("asked", [None, 0, 1, 999])
def test_tries_in_vain_are_a_second_apart_and_then_more(asked: int | None) -> None:
    tries = Pace()
    assert [tries.next_wait(asked) for _ in range(8)] == [1, 2, 4, 8, 16, 30, 30, 30]
    tries.succeeded()
    assert tries.next_wait(asked) == 1


def test_a_server_that_wants_more_patience_gets_it_within_bounds() -> None:
    tries = Pace()
    assert [tries.next_wait(asked) for asked in (1000, 5000, 10**9)] == [1, 5, 30]
