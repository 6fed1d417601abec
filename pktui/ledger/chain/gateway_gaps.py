"""Which gateways were there, by the rows they write of themselves, and when none came.

A gateway says that it opened, goes on to say that it is there (`audit.beat_minutes`), and says that
it closed. Where one falls silent, nothing it did then is on record: it was ended by force, the
machine slept, or the end of its record was cut off. None of that breaks a chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from pktui.ledger.journal.segment import CONTENT
from pktui.ledger.records import Gap

# A beat is late by so many spans and microseconds: a busy machine writes it a little later.
_LATE_BEATS: Final = 2
_LATE_US: Final = 60_000_000
_AT, _KIND, _CALL, _SERVER, _EFFECT, _DETAIL = map(
    CONTENT.index, ("at_us", "kind", "call_id", "server", "effect", "detail")
)
# What stands near the beginning of a gateway's row, and in the row of who found one dead.
_NEAR: Final = 64
_GATEWAY: Final = b',"gateway","'
_LOST: Final = b'\\"lost_pid\\":'

# Tells whether the process of that id, begun at that time, runs.
Alive = Callable[[int, str], bool]


class _Detail(msgspec.Struct):
    pid: int = 0
    born: str = ""
    beat_us: int = 0
    lost_pid: int = 0


class _Gateway(msgspec.Struct):
    server: str
    said: _Detail
    opened_us: int = 0
    last_us: int = 0
    closed: bool = False


_decode = msgspec.json.Decoder(_Detail).decode


class Attendance:
    """Takes the rows in the order of their segments."""

    def __init__(self) -> None:
        self._gateways: dict[str, _Gateway] = {}
        self._lost: list[tuple[int, int]] = []
        self._gaps: list[Gap] = []

    @staticmethod
    def concerns(line: bytes) -> bool:
        """Tell whether a row's line may be of a gateway itself, without a look at the rest."""
        return line.find(_GATEWAY, 0, _NEAR) >= 0 or line.find(_LOST) >= 0

    def saw_row(self, row: tuple[Any, ...]) -> None:
        """Take a row's members."""
        self.saw(row[_AT], row[_KIND], row[_CALL], row[_SERVER], row[_EFFECT], row[_DETAIL])

    def saw(self, at_us: int, kind: str, token: str, server: str, effect: str, detail: str) -> None:
        """Take what a row says; one that is not of a gateway itself is nothing."""
        try:
            said = _decode(detail or "{}")
        except (msgspec.DecodeError, RecursionError):
            return
        if kind == "gateway":
            self._saw_gateway(at_us, token, server, effect, said)
        elif kind == "end" and said.lost_pid:
            self._lost.append((said.lost_pid, at_us))

    def _saw_gateway(self, at_us: int, token: str, server: str, effect: str, said: _Detail) -> None:
        gateway = self._gateways.setdefault(token, _Gateway(server, said, last_us=at_us))
        if effect == "open":
            gateway.opened_us = at_us
        if at_us - gateway.last_us > _patience(gateway):
            gap = Gap("silent", server, gateway.said.pid, gateway.last_us, at_us)
            self._gaps.append(gap)
        gateway.last_us = max(gateway.last_us, at_us)
        gateway.closed = gateway.closed or effect == "close"

    def gaps(self, now_us: int, alive: Alive = lambda _pid, _born: True) -> tuple[Gap, ...]:
        """Return the gaps as of that time, oldest first."""
        found = [*self._gaps, *self._ends(now_us, alive)]
        return tuple(sorted(found, key=lambda gap: gap.since_us))

    def _ends(self, now_us: int, alive: Alive) -> Iterator[Gap]:
        for gateway in self._gateways.values():
            said, last_us = gateway.said, gateway.last_us
            lost = [at for pid, at in self._lost if pid == said.pid and at >= last_us]
            late = now_us - last_us > _patience(gateway)
            if gateway.closed or not (lost or late or not alive(said.pid, said.born)):
                continue
            opened = [one.opened_us for one in self._gateways.values()
                      if one.server == gateway.server and one.opened_us > last_us]  # fmt: skip
            yield Gap(
                "killed" if lost else "unclosed",
                *(gateway.server, said.pid, last_us, min(lost, default=0)),
                min(opened, default=0),
            )


def _patience(gateway: _Gateway) -> int:
    """Return how long a gateway may be silent; without beats for ever."""
    beat_us = gateway.said.beat_us
    return _LATE_BEATS * beat_us + _LATE_US if beat_us else 1 << 62
