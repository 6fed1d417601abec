from __future__ import annotations

import io
import sys

import pytest

from pktui.errors import UsageError
from pktui.settings import Paths, Settings
from pktui.tui.app import run_console


def test_without_a_terminal_it_says_what_to_use_instead(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(UsageError, match=r"needs a terminal.*Use the commands instead"):
        run_console(paths, Settings())
    assert not paths.data_dir.exists()
