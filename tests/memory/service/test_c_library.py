"""Freed memory is kept where the C library can be told to, and nothing fails where it cannot."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from pktui.memory.service import c_library

if TYPE_CHECKING:
    import pytest


def test_blocks_of_some_megabytes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[int, int] = {}

    class Library:
        def __init__(self, name: str | None) -> None:
            assert name is None

        def mallopt(self, parameter: int, value: int) -> int:
            told[parameter] = value
            return 1

    monkeypatch.setattr(ctypes, "CDLL", Library)
    c_library.keep_freed_memory()
    assert told == {-3: 32 << 20, -1: 64 << 20}
    told.clear()
    c_library.share_arenas()
    assert told == {-8: 2}


def test_a_library_without_the_choice_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    c_library.share_arenas()
    c_library.keep_freed_memory()
