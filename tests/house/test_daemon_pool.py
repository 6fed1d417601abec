"""Threads for jobs that start at once."""

from __future__ import annotations

import threading

import pytest

from pktui.daemon_pool import DaemonPool

PATIENCE = 60.0


@pytest.mark.parametrize("jobs", [1, 5])
def test_a_pool_has_a_thread_for_each_job_at_a_time_and_lets_them_go(jobs: int) -> None:
    pool = DaemonPool("pool-test", lambda _why: None)
    for _ in range(3):
        together, done = threading.Barrier(jobs + 1), threading.Barrier(jobs + 1)

        def job(together: threading.Barrier = together, done: threading.Barrier = done) -> None:
            together.wait(PATIENCE)
            done.wait(PATIENCE)

        for _ in range(jobs):
            pool.do(job)
        together.wait(PATIENCE)
        done.wait(PATIENCE)
    pool.dismiss()
    for thread in threading.enumerate():
        if thread.name == "pool-test":
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_a_job_that_fails_is_told_of_and_the_next_one_is_done() -> None:
    said: list[str] = []
    told, done = threading.Event(), threading.Event()

    def log(why: str) -> None:
        said.append(why)
        told.set()

    pool = DaemonPool("failing-test", log)
    pool.do(lambda: 1 // 0)
    assert told.wait(PATIENCE)
    pool.do(done.set)
    assert done.wait(PATIENCE)
    pool.dismiss()
    assert "ZeroDivisionError" in said[0]


def test_a_job_that_comes_after_the_threads_were_let_go_is_done_and_leaves_none() -> None:
    pool = DaemonPool("late-test")
    pool.dismiss()
    workers: list[threading.Thread] = []
    done = threading.Event()

    def job() -> None:
        workers.append(threading.current_thread())
        done.set()

    pool.do(job)
    assert done.wait(PATIENCE)
    workers[0].join(PATIENCE)
    assert not workers[0].is_alive()
