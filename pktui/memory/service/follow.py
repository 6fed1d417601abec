"""The service follows the stores of adopted agents, as long as it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pktui import lasting
from pktui.errors import PktuiError
from pktui.memory.followed import followed

if TYPE_CHECKING:
    from pktui.memory.importers.calls import Masks
    from pktui.memory.importers.source import Source
    from pktui.memory.interchange import Record
    from pktui.memory.service.context import Context
    from pktui.settings import Paths

# Records that are taken in at once, and seconds between two such batches while others ask.
_BATCH: Final = 500
_GIVE_WAY_S: Final = 0.02


class Following:
    """The thread that follows; it waits for the store to be opened."""

    def __init__(
        self, paths: Paths, context: Context, masks: Masks, say: Callable[[str], None]
    ) -> None:
        self._paths = paths
        self._context = context
        self._masks = masks
        self._say = say
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begin."""
        lasting.start("memory-following", self._run, log=self._say)

    def stop(self) -> None:
        """End after the records under way."""
        self._stopping.set()

    def _run(self) -> None:
        try:
            self._context.holder.wait()
        except PktuiError:
            return  # every request says why
        from pktui.memory.importers.following import Follower

        Follower(self._stores, self._masks, self._take, self._say, self._stopping).run()

    def _stores(self) -> Mapping[str, Path]:
        return {agent: Path(store) for agent, store in followed(self._paths).items()}

    def _take(self, source: Source) -> None:
        batch: list[Record] = []
        for record in source:
            batch.append(record)
            if len(batch) >= _BATCH:
                self._add(batch)
                batch = []
            if self._stopping.is_set():
                return
        self._add(batch)

    def _add(self, batch: list[Record]) -> None:
        if not batch:
            return
        report = self._context.ingest.take(self._context.holder.wait(), batch)
        if report.messages or report.sessions:
            self._context.background.wake()
            self._stopping.wait(_GIVE_WAY_S)
