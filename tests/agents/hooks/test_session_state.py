"""What is kept of an agent's session from one hook to the next."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from pktui.agents.hooks.session_state import SessionState

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.settings import Paths

OLD_S = 40 * 24 * 3600


def _age(file: Path) -> None:
    before = time.time() - OLD_S
    os.utime(file, (before, before))


def test_sessions_that_ended_without_a_word_are_forgotten_and_others_are_not(paths: Paths) -> None:
    left, used = SessionState(paths, "opencode", "left"), SessionState(paths, "opencode", "used")
    for state in (left, used):
        state.seen()
        state.project("/shop")
        state.opened("call", "id-1")
    directory = paths.data_dir / "agents"
    (directory / "calls").mkdir()
    for file in directory.iterdir():
        _age(file)
    assert used.project("/elsewhere") == "/shop"
    used.sweep()
    assert sorted(file.suffix for file in directory.iterdir()) == ["", ".project", ".seen"]
    assert used.project("/elsewhere") == "/shop"
    assert left.project("/elsewhere") == "/elsewhere"
