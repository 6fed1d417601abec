"""The files of a store: no link is followed, and what cannot be read is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pktui.errors import StoreError
from pktui.memory.importers import files
from pktui.memory.importers.files import StoreFiles
from pktui.memory.importers.source import Rejects


def store(root: Path) -> tuple[StoreFiles, Rejects]:
    rejects = Rejects()
    return StoreFiles(root, rejects, lambda path: path.suffix == ".jsonl"), rejects


def test_files_are_found_at_any_place_the_last_written_one_at_the_end(tmp_path: Path) -> None:
    for age, name in enumerate(("a/b/new.jsonl", "old.jsonl", "a/notes.txt")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}\n")
        os.utime(path, (1_000 - age, 1_000 - age))
    found, rejects = store(tmp_path)
    assert [one.path.name for one in found.find()] == ["old.jsonl", "new.jsonl"]
    assert found.size == 6
    assert rejects.report().rejected == 0


def test_a_link_is_named_and_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere" / "secret.jsonl"
    secret.parent.mkdir()
    secret.write_text("{}\n")
    root = tmp_path / "store"
    root.mkdir()
    (root / "link.jsonl").symlink_to(secret)
    (root / "folder").symlink_to(secret.parent)
    found, rejects = store(root)
    assert found.find() == []
    assert {one.at for one in rejects.report().rejects} == {"folder", "link.jsonl"}


def test_a_file_that_became_a_link_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("{}\n")
    found, _ = store(tmp_path)
    (one,) = found.find()
    path.unlink()
    path.symlink_to(tmp_path / "b")
    (tmp_path / "b").write_text("{}\n")
    with pytest.raises(OSError, match=r"[Ll]ink"):
        list(found.lines(one))


def test_a_pipe_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jsonl")
    found, _ = store(tmp_path)
    assert found.find() == []
    with pytest.raises(StoreError, match="is no plain file"):
        StoreFiles(tmp_path / "a.jsonl", Rejects(), lambda _: True).find()


def test_directories_without_end_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_DEPTH", 2)
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/b/c/deep.jsonl").write_text("{}\n")
    (tmp_path / "a/b/high.jsonl").write_text("{}\n")
    found, rejects = store(tmp_path)
    assert [one.path.name for one in found.find()] == ["high.jsonl"]
    assert [one.at for one in rejects.report().rejects] == ["a/b/c"]


def test_a_root_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="none cannot be read: No such file"):
        store(tmp_path / "none")[0].find()
