"""What ends a relay: everything that may arrives in one queue."""

from __future__ import annotations

from queue import SimpleQueue
from typing import Literal

import msgspec


class End(msgspec.Struct, frozen=True):
    """Why a relay ends; `number` is the signal's."""

    cause: Literal["client", "server", "signal"]
    number: int = 0


Ends = SimpleQueue[End]
