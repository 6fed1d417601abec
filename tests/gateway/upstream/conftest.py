"""What several tests of remote servers use."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from pktui.gateway.upstream import pace

if TYPE_CHECKING:
    from tests.gateway.upstream.far import Asked


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test wait the second that a server is given; the pace has tests of its own."""
    monkeypatch.setattr(pace, "LEAST_SECONDS", 0.01)


@pytest.fixture
def never() -> Any:
    """A script that begins a stream and never answers; set the event to let it go."""
    release = threading.Event()

    def script(asked: Asked) -> None:
        if asked.message and asked.message.get("method") == "notifications/cancelled":
            asked.answer(202)
            return
        try:
            asked.linger()
        finally:
            release.set()

    script.released = release  # type: ignore[attr-defined]
    return script
