"""Group commit: what several threads write at the same moment goes to disk in one commit."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Job = TypeVar("Job")
Result = TypeVar("Result")


class GroupCommit(Generic[Job, Result]):
    """Runs `commit` on jobs, one group at a time; the jobs that arrive meanwhile form the next.

    `commit` returns, for each job, its result or the error to raise in the thread that brought
    it. What it raises itself is raised in every thread of the group.
    """

    def __init__(self, commit: Callable[[Sequence[Job]], Sequence[Result | Exception]]) -> None:
        self._commit = commit
        self._changed = threading.Condition()
        self._waiting: list[_Ticket[Job, Result]] = []
        self._busy = False

    def run(self, job: Job) -> Result:
        """Commit the job, alone or with others, and return its result."""
        ticket = _Ticket[Job, Result](job)
        with self._changed:
            self._waiting.append(ticket)
            while self._busy and ticket.outcome is None:
                self._changed.wait()
            if ticket.outcome is None:
                self._busy = True
                group, self._waiting = self._waiting, []
        if ticket.outcome is None:
            self._lead(group)
        assert ticket.outcome is not None
        return ticket.outcome()

    def _lead(self, group: list[_Ticket[Job, Result]]) -> None:
        results: Sequence[Result | Exception] | None = None
        failure: Exception = RuntimeError("the commit was interrupted")
        try:
            results = self._commit([ticket.job for ticket in group])
        except Exception as error:  # noqa: BLE001  raised again in every waiting thread
            failure = error
        finally:
            with self._changed:
                for at, ticket in enumerate(group):
                    ticket.settle(failure if results is None else results[at])
                self._busy = False
                self._changed.notify_all()


class _Ticket(Generic[Job, Result]):
    def __init__(self, job: Job) -> None:
        self.job = job
        self.outcome: Callable[[], Result] | None = None

    def settle(self, result: Result | Exception) -> None:
        def outcome() -> Result:
            if isinstance(result, Exception):
                raise result
            return result

        self.outcome = outcome
