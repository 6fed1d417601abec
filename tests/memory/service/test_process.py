"""The service as a process of its own: started on demand, killed, told to end, with the model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from pktui.errors import MemoryUnavailable
from pktui.memory import starting
from pktui.memory.client import MemoryClient, ensure_service
from pktui.memory.records import Identity
from pktui.memory.rendezvous import listens
from pktui.memory.starting import memory_log

if TYPE_CHECKING:
    from pktui.settings import Paths

ADA = Identity("claude-code", "", "/home/ada")
PATIENCE = 120.0


@pytest.fixture
def client(paths: Paths) -> Iterator[MemoryClient]:
    """A client that starts services; whatever it started is ended."""
    made = MemoryClient(paths, ADA)
    yield made
    try:
        made.stop()
    except MemoryUnavailable:
        assert not listens(paths)
    made.close()


def pid_of(paths: Paths) -> int:
    return int(paths.memory_lock.read_text())


def wait_for_the_end_of(pid: int) -> None:
    """Wait until the kernel has let go of the process."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        threading.Event().wait(0.01)
    raise AssertionError(f"process {pid} is still there")


def test_a_killed_service_comes_back_with_every_message_once(
    paths: Paths, client: MemoryClient
) -> None:
    with ThreadPoolExecutor(4) as several:
        list(several.map(lambda _: ensure_service(paths), range(4)))
    first = pid_of(paths)
    session = client.start_session("survives")
    halfway = threading.Event()

    def log(name: int) -> None:
        other = MemoryClient(paths, ADA)
        for number in range(30):
            other.log("user", f"message {number} of {name}", session.id)
            if number == 12:
                halfway.set()
        other.close()

    loggers = [threading.Thread(target=log, args=(name,)) for name in range(3)]
    for logger in loggers:
        logger.start()
    halfway.wait(PATIENCE)
    os.kill(first, signal.SIGKILL)
    for logger in loggers:
        logger.join(PATIENCE)
    wait_for_the_end_of(first)
    kept = [one.content for one in client.messages(session.id, limit=1_000).items]
    for name in range(3):
        of_one = [content for content in kept if content.endswith(f" of {name}")]
        assert of_one == [f"message {number} of {name}" for number in range(30)]
    assert len(kept) == 90
    assert pid_of(paths) != first
    assert client.current_session() == client.session(session.id)
    client.log("user", "The deployment of the web shop failed because of an expired certificate")
    _until_indexed(client)
    answer = client.search("TLS problem while releasing", "meaning", limit=3)
    assert answer.mode == "meaning"
    assert "expired certificate" in answer.hits[0].snippet
    assert client.status().vectors >= len(kept) + 1


def test_a_second_service_is_refused_and_sigterm_ends_the_first_in_good_order(paths: Paths) -> None:
    command = [sys.executable, "-W", "error::ResourceWarning", "-m", "pktui", "memory", "serve"]
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    client = MemoryClient(paths, ADA, start=False)
    until = time.monotonic() + PATIENCE
    while not listens(paths):
        assert time.monotonic() < until, "the service does not listen"
        threading.Event().wait(0.02)
    assert client.status().pid == first.pid
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert second.stderr == (
        f"pktui: another memory service (process {first.pid}) has {paths.data_dir}. "
        "Use that one, or end it with pktui memory stop\n"
    )
    client.start_session("kept")
    first.send_signal(signal.SIGTERM)
    _, words = first.communicate(timeout=PATIENCE)
    assert (first.returncode, words) == (0, "")
    assert not paths.memory_address.exists()
    assert paths.memory_lock.read_text() == ""
    client.close()


def test_a_service_that_cannot_start_is_reported_with_its_last_words(paths: Paths) -> None:
    paths.config_dir.mkdir(parents=True)
    paths.settings_file.write_text("[memory]\nmodell = 'x'\n")
    with pytest.raises(MemoryUnavailable, match=r"ended at its start: .*memory\.modell") as caught:
        ensure_service(paths)
    assert str(memory_log(paths)) in str(caught.value)
    assert memory_log(paths).stat().st_mode & 0o777 == 0o600


def test_a_service_whose_starter_went_is_waited_for_not_started_twice(
    paths: Paths, client: MemoryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(starting, "_pauses", lambda: iter((0.0,)))
        ensure_service(paths)  # goes before anything listens
    with monkeypatch.context() as patch:
        patch.delattr(starting, "_spawn")
        client.ensure()
    assert client.status().pid == pid_of(paths)


def test_nothing_in_the_working_directory_stands_in_for_a_module(
    paths: Paths, client: MemoryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = paths.data_dir
    trap.mkdir(parents=True)
    for name in ("pktui.py", "msgspec.py", "click.py"):
        (trap / name).write_text("raise SystemExit('trapped')")
    monkeypatch.chdir(trap)
    client.ensure()
    assert client.status().pid == pid_of(paths)


def _until_indexed(client: MemoryClient) -> None:
    until = time.monotonic() + 2 * PATIENCE
    while (status := client.status()).model_state != "ready" or status.pending_vectors:
        assert status.model_state != "failed", status.note
        assert time.monotonic() < until, "the vectors were not made in time"
        threading.Event().wait(0.02)
