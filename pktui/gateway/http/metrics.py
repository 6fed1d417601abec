"""What a monitoring system asks for, as Prometheus text (exposition format 0.0.4).

Read from the ledger's log, from where it stood when this gateway began: so all gateways of the
machine are counted, and no call pays for being counted.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import Event

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
# What calls are counted under of tools that no server has listed: an agent can make up names.
OTHER_TOOLS: Final = "(others)"

_PAGE: Final = 2000
_BOUNDS_US: Final = (1_000, 5_000, 25_000, 100_000, 500_000, 2_500_000, 10_000_000, 60_000_000)
_COUNTED: Final = frozenset({"decision", "refused"})


class Metrics:
    """Counts what is on record. Safe from several threads."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._seen = ledger.events.last_seq()
        self._calls: Counter[tuple[str, str, str]] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._seconds: Counter[str] = Counter()

    def text(self) -> str:
        """Return all figures as they stand; raises `LedgerError`."""
        with self._lock:
            self._catch_up()
            pending = len(self._ledger.approvals.pending())
            return "\n".join((*self._call_lines(), *self._latency_lines(), *_pending(pending), ""))

    def _catch_up(self) -> None:
        names = {
            server: {tool.name for tool in self._ledger.catalogue.tools(server)}
            for server in self._ledger.catalogue.servers()
        }
        while page := self._ledger.events.tail(self._seen, _PAGE):
            self._seen = page[-1].seq
            for event in page:
                self._count(event, names.get(event.server, set()))

    def _count(self, event: Event, known: set[str]) -> None:
        if event.kind in _COUNTED:
            tool = event.tool if event.tool in known or not event.tool else OTHER_TOOLS
            self._calls[event.server, tool, event.effect] += 1
        elif event.kind == "outcome" and event.duration_us:
            buckets = self._buckets.setdefault(event.server, [0] * (len(_BOUNDS_US) + 1))
            buckets[bisect_left(_BOUNDS_US, event.duration_us)] += 1
            self._seconds[event.server] += event.duration_us

    def _call_lines(self) -> Iterator[str]:
        yield "# HELP pktui_calls_total Calls and refused messages, by what was decided."
        yield "# TYPE pktui_calls_total counter"
        for (server, tool, effect), count in sorted(self._calls.items()):
            labels = f'server="{_text(server)}",tool="{_text(tool)}",effect="{_text(effect)}"'
            yield f"pktui_calls_total{{{labels}}} {count}"

    def _latency_lines(self) -> Iterator[str]:
        name = "pktui_call_duration_seconds"
        yield f"# HELP {name} From a call's way out to its answer."
        yield f"# TYPE {name} histogram"
        for server, buckets in sorted(self._buckets.items()):
            total, label = 0, f'server="{_text(server)}"'
            for bound, count in zip(_BOUNDS_US, buckets, strict=False):
                total += count
                yield f'{name}_bucket{{{label},le="{bound / 1e6:g}"}} {total}'
            yield f'{name}_bucket{{{label},le="+Inf"}} {sum(buckets)}'
            yield f"{name}_sum{{{label}}} {self._seconds[server] / 1e6:g}"
            yield f"{name}_count{{{label}}} {sum(buckets)}"


def _pending(count: int) -> Iterator[str]:
    yield "# HELP pktui_approvals_pending Calls that wait for a person."
    yield "# TYPE pktui_approvals_pending gauge"
    yield f"pktui_approvals_pending {count}"


def _text(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
