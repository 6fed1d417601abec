"""What tools answered, put on record behind the calls and read again.

Results are rows of the journal in segments of their own, so that they never push out what happened,
and so that whoever writes them keeps no call waiting. The index says where the line of each begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui.ledger.arguments.kept_result import kept_result
from pktui.ledger.journal.segment import CONTENT, decode_row, file_of, line_at
from pktui.ledger.records import Result

if TYPE_CHECKING:
    from pktui.ledger.database import Database
    from pktui.ledger.journal.journal import Journal
    from pktui.settings import AuditSettings

_DETAIL: Final = CONTENT.index("detail")
_AT_ONCE: Final = 500
_decode: Final = msgspec.json.Decoder(Result).decode


class Answered(msgspec.Struct, frozen=True):
    """What a tool answered; `seq` is the row of its call's decision, `outcome` how that ended.

    `result` is the JSON text that went to the agent.
    """

    call_id: str
    server: str
    tool: str
    outcome: str
    result: bytes | msgspec.Raw
    seq: int = 0


class Results:
    """Adds results, as one thread at a time, and reads them, as any thread."""

    def __init__(
        self,
        journal: Journal,
        index: Callable[[], Database],
        clock: Callable[[], int],
        audit: AuditSettings,
    ) -> None:
        """`journal` is written to by nobody else; `index` gives the index, up to date."""
        self._journal = journal
        self._index = index
        self._clock = clock
        self._mode = audit.results

    def add(self, answered: Iterable[Answered]) -> None:
        """Put results on record, as the settings let them be kept; raises `LedgerUnavailable`."""
        if self._mode == "off":
            return
        try:
            for one in answered:
                kept = kept_result(bytes(one.result), self._mode)
                content: list[Any] = [
                    0, self._clock(), "result", one.call_id, one.seq, one.server, one.tool,
                    "", "", "", "",
                    "", "", "", "", "", one.outcome, 0, "", kept,
                ]  # fmt: skip
                self._journal.add(content, "results")
            self._journal.flush()
        finally:
            self._journal.discard()

    def of(self, call_ids: Sequence[str]) -> dict[str, Result]:
        """Return what is on record of the results of these calls, by their ids."""
        found: dict[str, Result] = {}
        for call_id, segment, offset in self._places(call_ids):
            # What is gone was pruned meanwhile; what is no row is for `audit verify`.
            with suppress(OSError, ValueError):
                line = line_at(file_of(self._journal.directory, segment), offset)
                found[call_id] = _decode(decode_row(line)[_DETAIL])
        return found

    def kept(self, call_ids: Sequence[str]) -> frozenset[str]:
        """Return those of the calls that a result is on record of; it is not read."""
        return frozenset(call_id for call_id, _, _ in self._places(call_ids))

    def _places(self, call_ids: Sequence[str]) -> Iterator[tuple[str, int, int]]:
        ids = [one for one in call_ids if one]
        for start in range(0, len(ids), _AT_ONCE):
            part = ids[start : start + _AT_ONCE]
            found = "SELECT call_id, segment, offset FROM results WHERE call_id IN"
            marks = ", ".join("?" * len(part))
            yield from self._index().rows(f"{found} ({marks})", part)

    def close(self) -> None:
        """Seal what this process alone wrote to."""
        self._journal.close()
