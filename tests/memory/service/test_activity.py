"""How long nobody has asked for anything."""

from __future__ import annotations

from pktui.memory.service.activity import Activity


def test_idle_time_counts_from_the_end_of_the_last_request() -> None:
    now = [100.0]
    activity = Activity(lambda: now[0])
    now[0] = 130.0
    assert activity.idle_seconds() == 30.0
    activity.begin()
    now[0] = 500.0
    assert activity.busy
    assert activity.idle_seconds() == 0.0
    activity.begin()
    now[0] = 600.0
    activity.end()
    assert activity.idle_seconds() == 0.0
    activity.end()
    assert not activity.busy
    now[0] = 607.0
    assert activity.idle_seconds() == 7.0
