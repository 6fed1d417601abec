"""Private directories, files written whole or not at all, and locks."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pktui import files
from pktui.errors import PktuiError, SettingsError
from pktui.files import (
    check_own_directory,
    lock,
    make_private_directory,
    new_file,
    open_private,
    replacing,
    write_whole,
)


def test_every_directory_that_is_made_is_the_owners_alone(tmp_path: Path) -> None:
    made = make_private_directory(tmp_path / "data" / "run")
    assert [stat.S_IMODE(place.stat().st_mode) for place in (made, made.parent)] == [0o700, 0o700]


def test_a_directory_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_own_directory(tmp_path / "missing")
    check_own_directory(tmp_path)
    other = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: other)
    with pytest.raises(SettingsError, match="belongs to another user"):
        check_own_directory(tmp_path)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_a_directory_inside_that_of_another_user_is_refused(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    os.chown(tmp_path, 12345, -1)
    with pytest.raises(SettingsError, match="uid 12345"):
        check_own_directory(inner)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return make_private_directory(tmp_path / "own")


def names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def half_written(file: Path, *, one_writer: bool) -> None:
    with replacing(file, one_writer=one_writer) as draft:
        draft.write(b"ne")
        raise ValueError("half")


def test_a_file_is_replaced_whole_with_its_mode(here: Path) -> None:
    file = here / "a.json"
    write_whole(file, b"old")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    write_whole(file, b"new", mode=0o644)
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"new", 0o644)
    assert names(here) == ["a.json"]


@pytest.mark.parametrize("one_writer", [False, True])
def test_a_write_that_fails_leaves_the_file_as_it_was(here: Path, one_writer: bool) -> None:
    file = here / "a.json"
    file.write_bytes(b"old")
    with pytest.raises(ValueError, match="half"):
        half_written(file, one_writer=one_writer)
    assert (file.read_bytes(), names(here)) == (b"old", ["a.json"])


def test_the_name_is_given_after_the_bytes_are_on_the_disk(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
        seen.append((kind == stat.S_IFDIR, (here / "a").exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(here / "a", b"bytes")
    assert seen == [(False, False), (True, True)]
    write_whole(here / "a", b"bytes", sync=False)
    assert len(seen) == 2


def test_the_draft_of_a_killed_writer_is_replaced_where_there_is_one_writer(here: Path) -> None:
    (here / ".index.new").symlink_to(here / "elsewhere")
    with replacing(here / "index", one_writer=True) as draft:
        draft.write(b"bytes")
    assert names(here) == ["index"]
    assert (here / "index").read_bytes() == b"bytes"


def test_a_new_file_takes_no_name_that_is_used(here: Path) -> None:
    (here / "link").symlink_to(here / "missing")
    with pytest.raises(PktuiError, match="is there already"), new_file(here / "link"):
        pass
    with pytest.raises(PktuiError, match="cannot be written"), new_file(here / "no" / "file"):
        pass
    with new_file(here / "file") as file:
        file.write(b"bytes")
        assert not (here / "file").exists()
    assert (here / "file").read_bytes() == b"bytes"


def test_a_lock_is_had_by_one_or_shared(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LOOK_SECONDS", 0)
    one, other = (open_private(here / "lock", os.O_RDWR) for _ in range(2))
    try:
        assert stat.S_IMODE((here / "lock").stat().st_mode) == 0o600
        assert lock(one, shared=True)
        assert lock(other, shared=True)
        assert not lock(other, seconds=0.001)
        os.close(one)
        assert lock(other)
    finally:
        os.close(other)
