"""One owner a data directory, whatever a killed one left behind."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from pktui.errors import MemoryUnavailable
from pktui.memory.service.ownership import Ownership
from pktui.memory.starting import listens

if TYPE_CHECKING:
    from pktui.settings import Paths


def test_the_owner_listens_and_names_itself(paths: Paths) -> None:
    owner = Ownership.take(paths)
    assert paths.memory_lock.read_text() == str(os.getpid())
    assert listens(paths.memory_socket)
    assert stat.S_IMODE(paths.memory_socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(paths.memory_socket.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(paths.memory_lock.stat().st_mode) == 0o600
    owner.release()
    assert not paths.memory_socket.exists()


def test_a_second_owner_is_refused_and_told_who_has_it(paths: Paths) -> None:
    owner = Ownership.take(paths)
    with pytest.raises(MemoryUnavailable, match=f"process {os.getpid()}"):
        Ownership.take(paths)
    assert listens(paths.memory_socket)
    owner.release()
    Ownership.take(paths).release()


def test_what_a_killed_owner_left_is_replaced(paths: Paths) -> None:
    Ownership.take(paths).release()
    paths.memory_lock.write_text("999999")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(paths.memory_socket))
    owner = Ownership.take(paths)
    assert paths.memory_lock.read_text() == str(os.getpid())
    assert listens(paths.memory_socket)
    owner.release()


def test_a_lost_directory_is_noticed_and_another_owners_socket_is_left_alone(paths: Paths) -> None:
    owner = Ownership.take(paths)
    assert not owner.lost
    shutil.rmtree(paths.data_dir)
    assert owner.lost
    heir = Ownership.take(paths)
    assert owner.lost
    owner.release()
    assert listens(paths.memory_socket)
    heir.release()
