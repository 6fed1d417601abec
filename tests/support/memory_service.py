"""The real memory service on its real socket, in a thread, with a small model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pktui.memory import mcp_server
from pktui.memory.service.ownership import Ownership
from pktui.memory.service.run import Service
from pktui.settings import MemorySettings, Paths, Settings
from tests.support.embedder import WordsEmbedder

if TYPE_CHECKING:
    from pktui.memory.client import MemoryClient
    from pktui.memory.embed import Embedder
    from pktui.memory.service.listening import Entrance


@contextmanager
def running_service(
    paths: Paths,
    *,
    settings: MemorySettings = MemorySettings(),  # noqa: B008  frozen
    load_embedder: Callable[[], Embedder] = WordsEmbedder,
    monotonic: Callable[[], float] = time.monotonic,
    entrance: Entrance | None = None,
) -> Iterator[Service]:
    """Serve the data directory for as long as the block runs."""
    ownership = Ownership.take(paths)
    service = Service(
        paths,
        Settings(memory=settings),
        ownership,
        load_embedder=load_embedder,
        monotonic=monotonic,
        check_s=0.01,
        entrance=entrance,
    )

    def serve() -> None:
        try:
            service.serve()
        finally:
            ownership.release()

    thread = threading.Thread(target=serve, name="memory-service")
    thread.start()
    try:
        yield service
    finally:
        service.stop()
        thread.join(60)
        assert not thread.is_alive()


def paths_in(directory: Path) -> Paths:
    """Return directories below this one."""
    return Paths.at(directory / "config", directory / "data")


def mcp_answer(client: MemoryClient, body: bytes) -> bytes | None:
    """Answer one JSON-RPC message as the gateway does; None where there is no answer."""
    step = mcp_server.respond(mcp_server.read(body))
    if isinstance(step, mcp_server.ToolCall):
        return client.call_tool(step)
    return step.body or None
