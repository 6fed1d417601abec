"""What an interruption does before a command has begun."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

INTERRUPTED = """
import signal, sys
from pktui.cli import entry
entry._load_msgspec = lambda: signal.raise_signal(signal.SIGINT)
sys.argv = ["pktui", *sys.argv[1:]]
entry.main()
"""


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ([], -signal.SIGINT),
        (["gateway", "files"], -signal.SIGINT),
        (["status"], -signal.SIGINT),
        (["hook", "claude-code"], 2),
    ],
)
def test_an_interruption_while_loading_leaves_no_traceback_and_lets_nothing_run(
    arguments: list[str], status: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert ("[DENIED by pktui]" in done.stderr) == (status == 2)
