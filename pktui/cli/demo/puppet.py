"""The demo's agent seen from outside: a process that is given orders and answers with outcomes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec

from pktui.cli.demo.script import Order, Outcome
from pktui.errors import PktuiError

if TYPE_CHECKING:
    from pktui.cli.demo.stage import Stage

LAST_LINES = 3
# How long the agent may take to leave when nobody waits for its exit status.
LEAVE_SECONDS = 3.0


class AgentProcess:
    """The agent as a child process; leaving the context ends it and its gateways."""

    def __init__(self, stage: Stage, argument: str) -> None:
        self._stage = stage
        self._argument = argument
        self._outcomes: dict[int, Outcome] = {}
        self._news = threading.Condition()
        self._orders = 0
        self.calls = 0
        """Tool calls that were ordered."""
        self._gone = False

    def __enter__(self) -> Self:
        """Start the process; it connects to its gateways by itself."""
        with self._stage.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pktui.cli.demo.agent", self._argument],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._stage.project,
                env=self._stage.environment(),
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, name="demo-agent", daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it; where the story broke, without waiting for it to take its leave."""
        self.end(LEAVE_SECONDS if kind is None else 0)

    def end(self, seconds: float = 30.0) -> int:
        """Close its standard input, which ends it, and return its exit status.

        What has not ended after `seconds` is terminated; its gateways end with it.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        for force in (self.process.terminate, self.process.kill):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
                break
            force()
            seconds = LEAVE_SECONDS
        status = self.process.wait()
        self._reader.join()
        self.process.stdout.close()
        return status

    def begin(self, server: str, tool: str, **arguments: object) -> int:
        """Let the agent call a tool and return the number of the order at once."""
        assert self.process.stdin is not None
        self._orders += 1
        self.calls += bool(tool)
        order = Order(self._orders, server, tool, dict(arguments))
        try:
            self.process.stdin.write(msgspec.json.encode(order) + b"\n")
            self.process.stdin.flush()
        except OSError as error:
            raise self._lost() from error
        return order.id

    def outcome(self, order: int, seconds: float) -> Outcome:
        """Wait for what came of an order; raises `PktuiError` where nothing comes in time."""
        with self._news:
            self._news.wait_for(lambda: self._gone or order in self._outcomes, seconds)
            if order in self._outcomes:
                return self._outcomes.pop(order)
        if self._gone:
            raise self._lost()
        raise PktuiError(f"the agent got no answer within {seconds:g} s")

    def answered(self, order: int) -> bool:
        """Return whether the outcome of an order is there."""
        with self._news:
            return order in self._outcomes

    def call(self, server: str, tool: str, seconds: float = 30.0, **arguments: object) -> Outcome:
        """Let the agent call a tool and wait for the outcome."""
        return self.outcome(self.begin(server, tool, **arguments), seconds)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            outcome = msgspec.json.decode(line, type=Outcome)
            with self._news:
                if outcome.id:
                    self._outcomes[outcome.id] = outcome
                self._news.notify_all()
        with self._news:
            self._gone = True
            self._news.notify_all()

    def _lost(self) -> PktuiError:
        return PktuiError(f"the agent ended unasked: {last_words(self._stage.log)}")


def last_words(log: Path) -> str:
    """Return the last lines of a log in one."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    return " | ".join([line for line in lines if line][-LAST_LINES:]) or "it said nothing"
