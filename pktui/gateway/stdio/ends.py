"""What ends a relay: everything that may arrives in one queue."""

from __future__ import annotations

from queue import Empty, SimpleQueue
from typing import Final, Literal

import msgspec


class End(msgspec.Struct, frozen=True):
    """Why a relay ends; `number` is the signal's. `fault`: a thread of pktui's own has failed."""

    cause: Literal["client", "server", "signal", "fault"]
    number: int = 0


Ends = SimpleQueue[End]

_HEAR: Final = 0.5


def next_end(ends: Ends) -> End:
    """Wait for an end; call it from the main thread.

    Python calls a signal's handler between two steps of that thread. A signal that another thread
    took, or that came just as the wait began, does not end the wait: so it is not one long wait.
    """
    while True:
        try:
            return ends.get(timeout=_HEAR)
        except Empty:
            continue
