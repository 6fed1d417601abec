from __future__ import annotations

import os
from pathlib import Path

import pytest

from pktui.real_path import real_path


def test_links_are_followed_also_towards_what_does_not_exist_yet(tmp_path: Path) -> None:
    root = Path(os.path.realpath(tmp_path))
    (root / "real" / "deep").mkdir(parents=True)
    (root / "real" / "file").write_text("")
    (root / "link").symlink_to("real")
    (root / "far").symlink_to(root / "link" / "deep")
    (root / "dangling").symlink_to("real/new")
    assert real_path(f"{root}/link/file") == f"{root}/real/file"
    assert real_path(f"{root}/far/../file") == f"{root}/real/file"
    assert real_path(f"{root}/far//./x/y") == f"{root}/real/deep/x/y"
    assert real_path(f"{root}/dangling") == f"{root}/real/new"
    assert real_path("/") == "/"
    assert real_path(f"{root}/../../../../../../../..") == "/"


def test_what_cannot_be_followed_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "file").write_text("")
    assert real_path(f"{tmp_path}/a/x") is None
    assert real_path(f"{tmp_path}/missing/../x") is None
    assert real_path(f"{tmp_path}/file/../x") is None
    assert real_path(f"{tmp_path}/{'x' * 5000}") is None
    assert real_path("/a\0b") is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every directory")
def test_a_directory_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o000)
    assert real_path(f"{tmp_path}/closed/x") is None


def test_links_in_proc_lead_every_process_to_another_place(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/proc/self/cwd/x")
    for path in ("/proc/self/root/etc", "/proc/thread-self/cwd", "/dev/fd/3", f"{tmp_path}/link"):
        if Path("/proc/self").is_symlink():
            assert real_path(path) is None
