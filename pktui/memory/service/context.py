"""What every route works with, and how a request becomes work on the store and an answer."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from pktui.errors import PktuiError
from pktui.memory.records import Status
from pktui.memory.service.ingest import Ingest

if TYPE_CHECKING:
    from pktui.memory.records import Identity
    from pktui.memory.service.activity import Activity
    from pktui.memory.service.background import Background
    from pktui.memory.service.holder import StoreHolder
    from pktui.memory.service.usage import UsageBook
    from pktui.memory.store import Store
    from pktui.memory.tools.answer import ToolAnswer

# What a search that found nothing may wait for the model: agents give a tool a minute at least.
MOST_WAIT_S = 30.0
_LOOK_S = 0.05


class _Found(Protocol):
    @property
    def awaits_meaning(self) -> bool: ...


Found = TypeVar("Found", bound=_Found)


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of a running service. `stop` ends it once the answers under way are out."""

    uri: str
    holder: StoreHolder
    background: Background
    activity: Activity
    stop: Callable[[], None]
    monotonic: Callable[[], float] = time.monotonic
    usage: UsageBook | None = None
    ingest: Ingest = field(default_factory=Ingest)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    async def search(self, work: Callable[[Store, float], Found], *, wait: bool = True) -> Found:
        """Return what the work finds; it gets the seconds it was held back, 0 at first.

        Where nothing is found and the model, or the last vectors, will be there within seconds,
        wait for them, for at most `MOST_WAIT_S`, and do the work again.
        """
        found = await self.holder.run(lambda store: work(store, 0.0))
        if not (wait and found.awaits_meaning):
            return found
        store, begun = self.holder.wait(), self.monotonic()
        while (  # noqa: ASYNC110  for some seconds after a start
            store.meaning_due
            and not self.background.stopping
            and self.monotonic() - begun < MOST_WAIT_S
        ):
            await asyncio.sleep(_LOOK_S)
        waited = max(1.0, self.monotonic() - begun)
        return await self.holder.run(lambda store: work(store, waited))

    async def tool(
        self, name: str, arguments: dict[str, Any], who: Identity, key: str
    ) -> ToolAnswer:
        """Carry out a tool call; where the store cannot be opened, that is the answer."""
        from pktui.memory.tools.answer import failed
        from pktui.memory.tools.call import call

        try:
            answer = await self.search(
                lambda store, waited: call(store, name, arguments, who, request=key, waited=waited)
            )
        except PktuiError as error:
            return failed("The memory cannot be used", error)
        self.background.wake()
        return answer

    async def status(self) -> Status:
        """Return the state of the service, at once even while the store opens."""
        state = self.holder.state
        if state == "ready":
            known = await self.holder.run(lambda store: store.status())
        else:
            note = str(self.holder.failure or "the store is being opened")
            known = Status(self.uri, 0, 0, 0, 0, 0, 0, "", "absent", note)
        return msgspec.structs.replace(
            known,
            pid=os.getpid(),
            started_at=self.started_at,
            state=state,
            resident_bytes=_resident_bytes(),
        )


def _resident_bytes() -> int:
    """Return the memory that this process holds, or where nothing tells that, held at most."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
