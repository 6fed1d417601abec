"""Group commit: what several threads write at the same moment goes to disk in one commit."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(slots=True, eq=False)
class _Ticket(Generic[Job, Result]):
    """One thread's job; `called` wakes it to find it done, or to commit the next group."""

    job: Job
    outcome: Result | Exception | None = None
    done: bool = False
    called: threading.Event = field(default_factory=threading.Event)


class GroupCommit(Generic[Job, Result]):
    """Runs `commit` on jobs, one group at a time; the jobs that arrive meanwhile form the next.

    `commit` returns, for each job, its result or the error to raise in the thread that brought
    it. What it raises itself is raised in every thread of the group. Jobs are committed in the
    order in which they arrived.
    """

    def __init__(self, commit: Callable[[Sequence[Job]], Sequence[Result | Exception]]) -> None:
        self._commit = commit
        self._lock = threading.Lock()
        self._waiting: list[_Ticket[Job, Result]] = []
        self._busy = False

    def run(self, job: Job) -> Result:
        """Commit the job, alone or with others, and return its result."""
        ticket: _Ticket[Job, Result] = _Ticket(job)
        with self._lock:
            self._waiting.append(ticket)
            leads, self._busy = not self._busy, True
        if not leads:
            self._await(ticket)
        if not ticket.done:
            self._lead()
        if isinstance(ticket.outcome, Exception):
            raise ticket.outcome
        assert ticket.outcome is not None
        return ticket.outcome

    def _await(self, ticket: _Ticket[Job, Result]) -> None:
        """Return when the job was committed, or when its thread is the one to commit the next."""
        try:
            ticket.called.wait()
        except BaseException:
            with self._lock:
                if ticket in self._waiting:
                    self._waiting.remove(ticket)
                    if ticket.called.is_set():
                        self._call_next()
            raise

    def _lead(self) -> None:
        """Commit all that wait by now, and only then wake them, and one of those that came since.

        Nobody else is woken: each thread that wakes for nothing holds the others up.
        """
        with self._lock:
            group, self._waiting = self._waiting, []
        interrupted = RuntimeError("the commit was interrupted")
        outcomes: Sequence[Result | Exception] = [interrupted] * len(group)
        try:
            outcomes = self._commit([ticket.job for ticket in group])
        except Exception as error:  # noqa: BLE001  raised again in every waiting thread
            outcomes = [error] * len(group)
        finally:
            with self._lock:
                self._call_next()
            for ticket, outcome in zip(group, outcomes, strict=True):
                ticket.outcome, ticket.done = outcome, True
                ticket.called.set()

    def _call_next(self) -> None:
        self._busy = bool(self._waiting)
        if self._busy:
            self._waiting[0].called.set()
