"""Threads that carry others, and outlive whatever goes wrong in them.

One message that nobody thought of must not take down all that come after it. What goes wrong with
it is said, whoever waits for it is told, and the thread goes on. Where the thread itself cannot go
on, its owner is told, so that the process ends in sight of everybody.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final

from pktui.errors import PktuiError
from pktui.text import one_line, storable

# Takes a sentence for whoever runs the program.
Log = Callable[[str], None]

_LONGEST: Final = 300


def to_stderr(sentence: str) -> None:
    """Say a sentence where nobody else takes it; to say it where it cannot be heard is no error."""
    with suppress(OSError, ValueError):
        print(f"pktui: {one_line(storable(sentence), _LONGEST)}", file=sys.stderr)


def words(doing: str, error: BaseException) -> str:
    """Return what to say of an exception: what was being done, what it was and where it came from.

    An error of pktui's own says all that in its own words.
    """
    if isinstance(error, PktuiError):
        return f"{doing} failed: {error}"
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = ""
    if trace is not None:
        file = trace.tb_frame.f_code.co_filename.rpartition("/")[2]
        where = f" ({file}, line {trace.tb_lineno})"
    why = one_line(storable(str(error)), _LONGEST)
    return f"{doing} failed: {type(error).__name__}: {why}{where}; please report it"


class Survived:
    """Keeps what goes wrong inside from ending its thread, as a context.

    `log` is told of it, and `failed`, in the same words, for whoever waits for what was carried.
    """

    __slots__ = ("_doing", "_failed", "_log")

    def __init__(self, doing: str, log: Log, failed: Log | None = None) -> None:
        self._doing = doing
        self._log = log
        self._failed = failed

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        self.say(error)
        return True

    def say(self, error: Exception) -> None:
        """Say what went wrong."""
        why = words(self._doing, error)
        for tell in (self._log, self._failed):
            if tell is not None:
                _try(tell, why)


def start(
    name: str,
    work: Callable[[], object],
    *,
    log: Log = to_stderr,
    fatal: Callable[[], object] | None = None,
) -> threading.Thread:
    """Start a daemon thread. Where its work itself fails, `log` and then `fatal` are told."""

    def run() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  a thread that ends without a word is worse
            _try(log, words(f"the thread {name}", error))
            if fatal is not None:
                fatal()

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


def _try(tell: Log, why: str) -> None:
    """Tell one of several: where one cannot hear it, the others still do."""
    try:
        tell(why)
    except Exception as error:  # noqa: BLE001  what is left to tell it to is stderr
        to_stderr(words("telling of a failure", error))
