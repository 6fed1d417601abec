from __future__ import annotations

import os
from pathlib import Path

from pktui.policy.live import LivePolicy

ALLOW = b'{"version":"1","default":"allow"}'
DENY = b'{"version":"1","default":"deny" }'


def test_an_edit_counts_from_the_next_call(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(ALLOW)
    live = LivePolicy(path)
    assert default(live) == "allow"
    path.write_bytes(DENY)
    assert default(live) == "deny"


def test_an_edit_by_renaming_over_counts_even_with_equal_size_and_times(tmp_path: Path) -> None:
    path, other = tmp_path / "p.json", tmp_path / "q.json"
    path.write_bytes(ALLOW)
    other.write_bytes(DENY)
    for file in (path, other):
        os.utime(file, ns=(10**18, 10**18))
    live = LivePolicy(path)
    assert default(live) == "allow"
    other.replace(path)
    assert default(live) == "deny"


def test_a_broken_edit_keeps_the_last_good_policy_and_is_told(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(ALLOW)
    live = LivePolicy(path)
    good = live.digest
    path.write_bytes(b"{")
    assert default(live) == "allow"
    assert "too early" in str(live.problem)
    assert live.digest == good
    path.write_bytes(DENY)
    assert default(live) == "deny"
    assert live.problem is None


def test_a_removed_file_keeps_the_last_good_policy_and_is_told(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(ALLOW)
    live = LivePolicy(path)
    path.unlink()
    assert default(live) == "allow"
    assert "No such file" in str(live.problem)
    path.write_bytes(ALLOW)
    assert default(live) == "allow"
    assert live.problem is None


def test_without_a_good_file_there_is_no_policy_until_there_is_one(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    live = LivePolicy(path)
    assert live.current() is None
    assert live.digest == ""
    path.write_bytes(DENY)
    assert default(live) == "deny"


def default(live: LivePolicy) -> str:
    rules = live.current()
    assert rules is not None
    return rules.default
