"""A team's database that is away: what one process found, the others of its machine go by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pktui.errors import TeamUnavailable
from pktui.ledger.postgres.circuit import AGAIN_SECONDS, FILE, Circuit

if TYPE_CHECKING:
    from pathlib import Path

START = 1_000_000_000_000
WHY = TeamUnavailable("it cannot be used: no route", "See pktui doctor")


class Ticks:
    now = START

    def __call__(self) -> int:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += int(seconds * 1e9)


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


def one(directory: Path, ticks: Ticks, address: str = "db on host") -> Circuit:
    return Circuit(directory, address, ticks)


def test_others_are_refused_at_once_with_the_reason(tmp_path: Path, ticks: Ticks) -> None:
    one(tmp_path, ticks).check()
    one(tmp_path, ticks).opened(WHY)
    with pytest.raises(TeamUnavailable, match="no route") as found:
        one(tmp_path, ticks).check()
    assert found.value.cure == WHY.cure
    one(tmp_path, ticks, "another on host").check()


def test_one_tries_again_while_the_others_still_do_not(tmp_path: Path, ticks: Ticks) -> None:
    one(tmp_path, ticks).opened(WHY)
    ticks.forward(AGAIN_SECONDS)
    one(tmp_path, ticks).check()
    for _ in range(3):
        with pytest.raises(TeamUnavailable):
            one(tmp_path, ticks).check()
    ticks.forward(AGAIN_SECONDS)
    one(tmp_path, ticks).check()


def test_all_go_on_once_one_was_answered(tmp_path: Path, ticks: Ticks) -> None:
    one(tmp_path, ticks).opened(WHY)
    one(tmp_path, ticks).closed()
    one(tmp_path, ticks).check()
    one(tmp_path, ticks).closed()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"at_ns": "x"}'])
def test_a_file_that_says_nothing_refuses_nobody(tmp_path: Path, ticks: Ticks, text: bytes) -> None:
    (tmp_path / FILE).write_bytes(text)
    one(tmp_path, ticks).check()


def test_a_time_to_come_and_another_start_are_not_believed(
    tmp_path: Path, ticks: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    one(tmp_path, ticks).opened(WHY)
    ticks.forward(-1)
    one(tmp_path, ticks).check()
    ticks.forward(2)
    with pytest.raises(TeamUnavailable):
        one(tmp_path, ticks).check()
    monkeypatch.setattr("pktui.ledger.postgres.circuit.boot_id", lambda: "the next")
    one(tmp_path, ticks).check()


def test_a_directory_that_cannot_be_written_only_lets_each_find_out_alone(
    tmp_path: Path, ticks: Ticks
) -> None:
    gone = one(tmp_path / "none", ticks)
    gone.opened(WHY)
    gone.check()
    gone.closed()
