"""One owner a data directory, whatever a killed one left behind."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pktui.errors import MemoryUnavailable
from pktui.memory import rendezvous
from pktui.memory.rendezvous import listens
from pktui.memory.service.ownership import Ownership

if TYPE_CHECKING:
    from pktui.settings import Paths


def test_the_owner_listens_and_names_itself(paths: Paths) -> None:
    owner = Ownership.take(paths)
    assert paths.memory_lock.read_text() == str(os.getpid())
    assert listens(paths)
    assert stat.S_IMODE(owner.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(owner.socket.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(paths.memory_lock.stat().st_mode) == 0o600
    assert stat.S_IMODE(paths.memory_address.stat().st_mode) == 0o600
    owner.release()
    assert not owner.socket.exists()
    assert not paths.memory_address.exists()


def test_a_second_owner_is_refused_and_told_who_has_it(paths: Paths) -> None:
    owner = Ownership.take(paths)
    with pytest.raises(MemoryUnavailable, match=f"process {os.getpid()}"):
        Ownership.take(paths)
    assert listens(paths)
    owner.release()
    Ownership.take(paths).release()


def test_what_a_killed_owner_left_is_replaced(paths: Paths, tmp_path: Path) -> None:
    Ownership.take(paths).release()
    paths.memory_lock.write_text("999999")
    elsewhere = tmp_path / "s"
    elsewhere.mkdir(mode=0o700)
    for left in (paths.data_dir / "run" / "memory.sock", elsewhere / "memory.sock"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
            dead.bind(str(left))
    name = rendezvous.socket_name(paths, elsewhere / "memory.sock")
    rendezvous.write(paths, rendezvous.Meeting(999999, "listening", name))
    assert not listens(paths)
    owner = Ownership.take(paths)
    assert not elsewhere.exists()
    assert paths.memory_lock.read_text() == str(os.getpid())
    assert listens(paths)
    owner.release()


def test_a_lost_directory_is_noticed_and_another_owners_socket_is_left_alone(paths: Paths) -> None:
    owner = Ownership.take(paths)
    assert not owner.lost
    shutil.rmtree(paths.data_dir)
    assert owner.lost
    heir = Ownership.take(paths)
    assert owner.lost
    owner.release()
    assert listens(paths)
    heir.release()
