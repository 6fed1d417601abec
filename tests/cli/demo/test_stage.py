from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pktui.cli.demo.stage import processes_on, set_stage, wait_for
from pktui.files import make_private_directory
from pktui.memory import rendezvous
from pktui.policy.document.policy import load_policy
from pktui.settings import Paths, load_settings

STUBBORN = (
    "import signal, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('ready', flush=True)\n"
    "time.sleep(600)"
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pktui.cli.demo.stage.END_SECONDS", 0.3)


def start(code: str) -> subprocess.Popen[str]:
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def test_the_stage_is_private_complete_and_removed() -> None:
    with set_stage() as stage:
        assert stage.root.stat().st_mode & 0o777 == 0o700
        load_settings(stage.paths)
        for server in ("workshop", "memory"):
            load_policy(stage.paths.policy_file(server))
        assert (stage.project / "shop" / "tokens.py").is_file()
    assert not stage.root.exists()


def test_a_socket_outside_of_the_stage_is_removed_too() -> None:
    with tempfile.TemporaryDirectory() as short:
        elsewhere = Path(short) / "own" / "memory.sock"
        with set_stage() as stage:
            make_private_directory(elsewhere.parent)
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
                dead.bind(str(elsewhere))
            name = rendezvous.socket_name(stage.paths, elsewhere)
            rendezvous.write(stage.paths, rendezvous.Meeting(0, "listening", name))
        assert not elsewhere.parent.exists()


def test_nothing_of_the_user_is_touched(paths: Paths) -> None:
    with set_stage() as stage:
        assert stage.paths.config_dir != paths.config_dir
        assert stage.paths.data_dir != paths.data_dir
    assert not paths.config_dir.exists()
    assert not paths.data_dir.exists()


def test_a_stage_is_removed_when_the_story_breaks() -> None:
    with pytest.raises(RuntimeError), set_stage() as stage:
        raise RuntimeError
    assert not stage.root.exists()
    assert "PKTUI_DEMO" not in os.environ


def test_a_process_that_would_not_end_is_ended_and_others_are_left_alone() -> None:
    bystander = start("import time\nprint('ready', flush=True)\ntime.sleep(600)")
    try:
        with set_stage() as stage:
            child = start(STUBBORN)
            assert processes_on(stage) == (child.pid,)
        assert child.wait(5) == -9
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
        for process in (bystander, child):
            assert process.stdout is not None
            process.stdout.close()


def test_waiting_ends_with_the_event_or_the_time() -> None:
    assert wait_for(lambda: True, 0)
    assert not wait_for(lambda: False, 0.1)
