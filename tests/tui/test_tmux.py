"""A new window of the tmux that the console runs in."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from pktui.tui.tmux import open_window
from tests.support.terminal import HAS_TMUX, Terminal


def test_without_tmux_there_is_no_window(tmp_path: Path) -> None:
    assert not open_window(str(tmp_path), ("true",), {})
    assert not open_window(str(tmp_path), ("true",), {"TMUX": f"{tmp_path}/none,1,0"})


@pytest.mark.skipif(not HAS_TMUX, reason="tmux is not there")
def test_a_command_runs_in_its_directory_as_it_stands(tmp_path: Path) -> None:
    written = tmp_path / "written"
    program = tmp_path / "agent"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$PWD" "$@" > {written}.new\n'
                       f'mv {written}.new {written}\nsleep 60\n')  # fmt: skip
    program.chmod(0o700)
    work = tmp_path / "a directory; $HOME #(id) #{pid} ##[x]"
    work.mkdir()
    socket = tmp_path / "tmux"
    terminal = Terminal(socket, (80, 24), "sleep", "60")
    try:
        assert open_window(
            str(work), (str(program), "--resume", "$(id); x"), {"TMUX": f"{socket},1,0"}
        )
        end = time.monotonic() + 60
        while not written.exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        assert written.read_text().splitlines() == [str(work), "--resume", "$(id); x"]
        windows = subprocess.run(
            ["tmux", "-S", str(socket), "list-windows"], capture_output=True, text=True
        )
        assert len(windows.stdout.splitlines()) == 2
    finally:
        terminal.close()
