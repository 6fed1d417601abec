"""Group commit: who shares a commit, who leads it, and what each thread gets."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from pktui.memory.store.commits import GroupCommit

THREADS = 6


class Disk:
    """A disk that writes nothing until it is let; `groups` is what it was given at once."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.begun = threading.Semaphore(0)
        self.free = threading.Semaphore(0)

    def commit(self, jobs: Sequence[int]) -> list[int | Exception]:
        """Refuse negative numbers; break on 13."""
        self.groups.append(list(jobs))
        self.begun.release()
        self.free.acquire()
        if 13 in jobs:
            raise OSError("no space left")
        return [ValueError("negative") if job < 0 else job * 10 for job in jobs]


def waiting(group: GroupCommit[int, int], count: int) -> None:
    """Return when so many jobs wait behind the commit under way."""
    while len(group._waiting) < count:
        threading.Event().wait(0.001)


def test_jobs_that_arrive_during_a_commit_share_the_next() -> None:
    disk = Disk()
    group = GroupCommit(disk.commit)
    with ThreadPoolExecutor(THREADS) as threads:
        first = threads.submit(group.run, 0)
        disk.begun.acquire()
        others = []
        for job in range(1, THREADS):
            others.append(threads.submit(group.run, job))
            waiting(group, job)
        assert not any(one.done() for one in [first, *others])
        disk.free.release(2)
        assert [one.result(30) for one in [first, *others]] == [n * 10 for n in range(THREADS)]
    assert disk.groups == [[0], list(range(1, THREADS))]


def test_a_refused_job_does_not_hold_the_others_of_its_group() -> None:
    disk = Disk()
    group = GroupCommit(disk.commit)
    with ThreadPoolExecutor(THREADS) as threads:
        first = threads.submit(group.run, 1)
        disk.begun.acquire()
        bad = threads.submit(group.run, -1)
        good = threads.submit(group.run, 2)
        waiting(group, 2)
        disk.free.release(2)
        assert (first.result(30), good.result(30)) == (10, 20)
        with pytest.raises(ValueError, match="negative"):
            bad.result(30)


def test_a_commit_that_fails_fails_for_its_group_and_not_for_the_next() -> None:
    disk = Disk()
    group = GroupCommit(disk.commit)
    with ThreadPoolExecutor(THREADS) as threads:
        first = threads.submit(group.run, 13)
        disk.begun.acquire()
        second = threads.submit(group.run, 2)
        waiting(group, 1)
        disk.free.release(3)
        with pytest.raises(OSError, match="no space left"):
            first.result(30)
        assert second.result(30) == 20
    assert group.run(3) == 30


def test_every_job_of_many_threads_is_committed_once_and_in_its_threads_order() -> None:
    committed: list[tuple[int, int]] = []

    def commit(jobs: Sequence[tuple[int, int]]) -> list[int | Exception]:
        committed.extend(jobs)
        return [number for _, number in jobs]

    group = GroupCommit(commit)

    def bring(name: int) -> list[int]:
        return [group.run((name, number)) for number in range(200)]

    with ThreadPoolExecutor(THREADS) as threads:
        assert list(threads.map(bring, range(THREADS))) == [list(range(200))] * THREADS
    assert len(committed) == THREADS * 200
    for name in range(THREADS):
        assert [number for who, number in committed if who == name] == list(range(200))
