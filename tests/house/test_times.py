"""The clock of one process: it goes on whatever is done to the system's."""

from __future__ import annotations

import itertools
import threading

from pktui.times import BELIEVED_AFTER_US, SECOND_US, SteadyClock, boot_id, now_us, uptime_us

DAY = 86_400 * SECOND_US
START = 1_800_000_000 * SECOND_US


class Machine:
    """A machine whose clock can be set."""

    def __init__(self) -> None:
        self.wall = START
        self.up = 5 * SECOND_US
        self.clock = SteadyClock(lambda: self.wall * 1000, lambda: self.up * 1000)

    def run(self, microseconds: int) -> None:
        self.wall += microseconds
        self.up += microseconds


def test_it_tells_the_time_of_the_system() -> None:
    machine = Machine()
    for _ in range(5):
        assert machine.clock() == machine.wall
        machine.run(3 * SECOND_US)


def test_small_steps_of_the_system_are_followed() -> None:
    machine = Machine()
    for step in (SECOND_US, -SECOND_US, 2 * SECOND_US, -SECOND_US // 2):
        machine.wall += step
        machine.run(2 * SECOND_US)
        assert machine.clock() == machine.wall


def test_a_leap_is_not_followed_and_forgotten_when_it_is_taken_back() -> None:
    for leap in (DAY, -DAY, 400 * DAY, 10 * SECOND_US):
        machine = Machine()
        machine.wall += leap
        for _ in range(8):
            machine.run(60 * SECOND_US)
            assert machine.clock() == machine.wall - leap
        machine.wall -= leap
        machine.run(BELIEVED_AFTER_US)
        assert machine.clock() == machine.wall
        assert machine.clock.leaps == 0


def test_a_leap_that_lasts_is_believed() -> None:
    machine = Machine()
    machine.wall += 8 * 3600 * SECOND_US
    machine.run(2 * SECOND_US)
    machine.clock()
    machine.run(BELIEVED_AFTER_US)
    assert machine.clock() == machine.wall
    assert machine.clock.leaps == 1


def test_one_leap_after_the_other_is_never_believed() -> None:
    machine = Machine()
    for turn in range(30):
        machine.wall += DAY if turn % 2 else 2 * DAY
        machine.run(60 * SECOND_US)
        assert START < machine.clock() < START + DAY
    assert machine.clock.leaps == 0


def test_it_goes_on_from_a_time_that_others_know_better() -> None:
    machine = Machine()
    machine.clock.set(START - 400 * DAY)
    machine.run(60 * SECOND_US)
    assert machine.clock() == START - 400 * DAY + 60 * SECOND_US


def test_threads_read_it_without_a_step_back() -> None:
    seen: list[list[int]] = []

    def read() -> None:
        times = [now_us() for _ in range(2000)]
        seen.append(times)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for times in seen:
        assert all(later - earlier > -SECOND_US for earlier, later in itertools.pairwise(times))


def test_the_machine_is_known_by_its_start_or_not_at_all() -> None:
    assert boot_id() == boot_id()
    assert 0 <= uptime_us() <= uptime_us()
