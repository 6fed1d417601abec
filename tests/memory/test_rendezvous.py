"""A service and its clients meet by the data directory, whatever else their environments hold."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pktui.errors import MemoryUnavailable, SettingsError
from pktui.memory import rendezvous, starting
from pktui.memory.client import MemoryClient
from pktui.memory.records import Identity
from pktui.memory.rendezvous import Meeting, listens
from pktui.memory.service.ownership import Ownership
from pktui.memory.starting import ensure_service, find_owner
from pktui.settings import Paths
from tests.support.memory_service import running_service

ADA = Identity("claude-code", "", "/home/ada")
PATIENCE = 60.0
# What an agent hands on to an MCP server.
HANDED_ON = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER")


@pytest.fixture
def short() -> Iterator[Path]:
    """A place whose name is short, wherever temporary files go."""
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        yield Path(made)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "SILENCE_S", 0.0)


def held(paths: Paths, text: str) -> int:
    """Hold the lock as another process would: a lock belongs to the open file."""
    paths.data_dir.mkdir(parents=True, exist_ok=True)
    lock = os.open(paths.memory_lock, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.pwrite(lock, text.encode(), 0)
    return lock


def socket_path(paths: Paths) -> Path:
    met = rendezvous.read(paths)
    assert met is not None
    return rendezvous.socket_of(paths, met)


def until(condition: Callable[[], bool]) -> None:
    """Wait for another thread or process."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        threading.Event().wait(0.005)


def test_an_agent_that_hands_little_on_meets_the_service_of_a_terminal(
    short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = short / "runtime"
    runtime.mkdir(mode=0o700)
    paths = Paths.below(short)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("TMPDIR", str(runtime))
    with running_service(paths):
        code = (
            "import sys; from pathlib import Path; from pktui.settings import Paths;"
            "from pktui.memory.client import MemoryClient;"
            "MemoryClient(Paths.below(Path(sys.argv[1])), start=False).start_session('by an agent')"
        )
        left = {name: os.environ[name] for name in HANDED_ON if name in os.environ}
        left |= {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": "/tmp"}
        subprocess.run([sys.executable, "-c", code, str(short)], env=left, check=True)
        client = MemoryClient(paths, start=False)
        assert [one.name for one in client.sessions().items] == ["by an agent"]
        client.close()


@pytest.mark.parametrize(
    "name", ["d" * 200, "with two  spaces", "per%20cent", "lat\udce9in", "new\nline"]
)
def test_any_path_can_be_met_at(short: Path, name: str) -> None:
    paths = Paths.at(short, short / name / "data")
    owner = Ownership.take(paths)
    assert len(os.fsencode(owner.socket)) <= rendezvous.SOCKET_PATH_LIMIT
    assert socket_path(paths) == owner.socket
    assert listens(paths)
    owner.release()
    assert not owner.socket.exists()
    assert not listens(paths)


def test_a_directory_that_others_can_reach_is_passed_over(
    short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths.below(short)
    (paths.data_dir / "run").mkdir(parents=True)
    (paths.data_dir / "run").chmod(0o777)
    runtime = short / "runtime"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    owner = Ownership.take(paths)
    assert owner.socket.is_relative_to(runtime)
    assert listens(paths)
    owner.release()
    assert list((runtime / "pktui").iterdir()) == []


def test_where_every_known_name_is_taken_a_new_one_is_made(
    short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths.at(short, short / ("d" * 120))
    known = list(rendezvous.socket_directories(paths))[:-1]
    refused = "directory belongs to another user"

    def check(path: Path) -> None:
        if path in known:
            raise SettingsError(refused, "")

    monkeypatch.setattr("pktui.memory.service.ownership.check_own_directory", check)
    owner = Ownership.take(paths)
    assert owner.socket.parent not in known
    assert owner.socket.parent.stat().st_mode & 0o777 == 0o700
    assert listens(paths)
    owner.release()
    assert not owner.socket.parent.exists()


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_an_address_that_others_could_have_written_is_refused(paths: Paths, mode: int) -> None:
    owner = Ownership.take(paths)
    paths.memory_address.chmod(mode)
    with pytest.raises(SettingsError, match="could be another user's"):
        listens(paths)
    owner.release()


def test_an_address_that_is_a_link_is_refused(paths: Paths, tmp_path: Path) -> None:
    owner = Ownership.take(paths)
    paths.memory_address.rename(tmp_path / "elsewhere")
    paths.memory_address.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match="cannot be read"):
        listens(paths)
    owner.release()


def test_a_socket_whose_directory_is_open_to_others_is_not_connected_to(paths: Paths) -> None:
    owner = Ownership.take(paths)
    owner.socket.parent.chmod(0o770)
    with pytest.raises(SettingsError, match="is open to others"):
        listens(paths)
    owner.release()


@pytest.mark.parametrize("written", [b"", b"{}", b"\xff", b'{"pid":"x"}', b"{" * 5000])
def test_an_address_that_cannot_be_read_is_none(paths: Paths, written: bytes) -> None:
    paths.data_dir.mkdir(parents=True)
    paths.memory_address.write_bytes(written)
    paths.memory_address.chmod(0o600)
    assert rendezvous.read(paths) is None
    assert not listens(paths)
    Ownership.take(paths).release()


def test_a_held_lock_whose_socket_does_not_answer_is_an_error_at_once(paths: Paths) -> None:
    lock = held(paths, "4711")
    rendezvous.write(paths, Meeting(4711, "listening", "run/memory.sock"))
    client = MemoryClient(paths, ADA)
    with pytest.raises(MemoryUnavailable, match=r"process 4711.* does not answer") as caught:
        client.sessions()
    assert "pktui memory stop" in caught.value.cure
    with pytest.raises(MemoryUnavailable, match=r"process 4711.* does not answer"):
        client.status()
    client.close()
    os.close(lock)


def test_a_service_of_another_version_is_named(paths: Paths) -> None:
    lock = held(paths, "4711")
    rendezvous.write(paths, Meeting(99, "listening", "run/memory.sock"))
    with pytest.raises(MemoryUnavailable, match=r"another version of pktui .process 4711"):
        ensure_service(paths)
    os.close(lock)


def test_a_service_that_starts_or_ends_is_waited_for(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = held(paths, "4711")
    rendezvous.write(paths, Meeting(4711, "ending", "run/memory.sock"))
    looks: list[str] = []

    def pauses() -> Iterator[float]:
        for said in ("ending", "starting"):
            rendezvous.write(paths, Meeting(4711, said, "run/memory.sock"))
            looks.append(said)
            yield 0.0
            yield 0.0
        os.close(lock)
        looks.append("gone")
        while True:
            yield 0.0

    def spawn(*_arguments: object) -> None:
        looks.append("started")
        raise MemoryUnavailable("seen enough")

    monkeypatch.setattr(starting, "_pauses", pauses)
    monkeypatch.setattr(starting, "_spawn", spawn)
    with pytest.raises(MemoryUnavailable, match="seen enough"):
        ensure_service(paths)
    assert looks == ["ending", "starting", "gone", "started"]


def test_a_service_says_that_it_ends_before_it_stops_listening(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[str, bool]] = []
    write = rendezvous.write

    def spy(where: Paths, met: Meeting) -> None:
        write(where, met)
        said.append((met.state, listens(where)))

    monkeypatch.setattr(rendezvous, "write", spy)
    with running_service(paths):
        client = MemoryClient(paths, ADA, start=False)
        client.sessions()
        client.close()
    assert said == [("starting", False), ("listening", True), ("ending", True)]


def test_a_service_whose_socket_was_removed_makes_room_for_another(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_service(paths) as service:
        client = MemoryClient(paths, ADA, start=False)
        client.sessions()
        until(lambda: client.status().model_state == "ready")
        client.close()
        socket_path(paths).unlink()
        until(lambda: service.stopping)
    assert "is gone" in capsys.readouterr().err
    assert find_owner(paths) is None


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_stop_ends_a_service_that_cannot_be_asked(paths: Paths) -> None:
    paths.data_dir.mkdir(parents=True)
    code = (
        "import fcntl, os, sys, time; f = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT);"
        "fcntl.flock(f, fcntl.LOCK_EX); os.write(f, str(os.getpid()).encode());"
        "print('held', flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", code, str(paths.memory_lock)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        client = MemoryClient(paths, ADA, start=False)
        client.stop()
        assert other.wait(PATIENCE) == -signal.SIGTERM
    with pytest.raises(MemoryUnavailable, match="no memory service listens"):
        client.stop()
    client.close()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_service_that_was_stopped_is_told_at_once_and_can_be_ended(paths: Paths) -> None:
    command = [sys.executable, "-m", "tests.support.small_service"]
    with subprocess.Popen(command) as service:
        until(lambda: listens(paths))
        os.kill(service.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, service.pid, os.WSTOPPED | os.WNOWAIT)
        client = MemoryClient(paths, ADA)
        with pytest.raises(MemoryUnavailable, match=r"was stopped .ctrl\+z") as caught:
            client.sessions()
        assert f"kill -CONT {service.pid}" in caught.value.cure
        client.stop()
        assert service.wait(PATIENCE) in (0, -signal.SIGTERM)  # before it listens to it
        client.close()


def test_stop_signals_no_process_that_does_not_hold_the_lock(paths: Paths) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as innocent:
        lock = held(paths, str(innocent.pid))
        client = MemoryClient(paths, ADA, start=False)
        with pytest.raises(MemoryUnavailable, match="another version of pktui"):
            client.stop()
        client.close()
        os.close(lock)
        assert innocent.poll() is None
        innocent.kill()


def test_a_socket_bound_by_nobody_is_no_service(paths: Paths) -> None:
    owner = Ownership.take(paths)
    owner.listener.close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        beside = owner.socket.with_name("other")
        other.bind(str(beside))
        beside.replace(owner.socket)  # unlinked first, its inode might be the new one's
        assert not listens(paths)
    assert owner.unreachable
    owner.release()
