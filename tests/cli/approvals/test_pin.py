"""The PIN from a shell: typed where it is wanted, never an option."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pktui.cli.app import run

if TYPE_CHECKING:
    from pktui.ledger import Approval, Ledger
    from pktui.settings import Paths
    from tests.cli.approvals.conftest import Typist


@pytest.fixture
def guarded(ledger: Ledger, waiting: Approval) -> Ledger:
    ledger.pin.set("2468", by="ada")
    ledger.approvals.stop(by="ada")
    ledger.approvals.release(by="ada", pin="2468")
    return ledger


def test_a_pin_is_set_changed_and_cleared(ledger: Ledger, typist: Typist) -> None:
    typist.answers = ["2468", "2468"]
    assert run(["approvals", "pin", "set"]) == 0
    ledger.pin.check("2468", by="ada")
    typist.answers = ["2468", "13579", "13579"]
    assert run(["approvals", "pin", "set"]) == 0
    ledger.pin.check("13579", by="ada")
    typist.answers = ["13579"]
    assert run(["approvals", "pin", "clear"]) == 0
    assert not ledger.pin.is_set()
    assert typist.asked == [
        "New PIN: ", "New PIN again: ", "Old PIN: ", "New PIN: ", "New PIN again: ", "Old PIN: ",
    ]  # fmt: skip
    assert run(["approvals", "pin", "clear"]) == 0


@pytest.mark.parametrize(
    ("answers", "why"),
    [(["2468", "2469"], "not the same"), (["12", "12"], "characters")],
)
def test_a_pin_that_is_no_good_sets_nothing(
    ledger: Ledger,
    typist: Typist,
    answers: list[str],
    why: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    typist.answers = answers
    assert run(["approvals", "pin", "set"]) == 1
    assert why in capsys.readouterr().err
    assert not ledger.pin.is_set()


@pytest.mark.parametrize("words", [["set"], ["clear"]])
def test_changing_it_needs_the_old_one(
    guarded: Ledger, typist: Typist, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    typist.answers = ["0000", "new1", "new1"]
    assert run(["approvals", "pin", *words]) == 1
    assert "that PIN is wrong" in capsys.readouterr().err
    guarded.pin.check("2468", by="ada")


@pytest.mark.parametrize(
    "words", [["approve", "--yes"], ["approve", "--yes", "--for", "5m"], ["deny"]]
)
def test_every_decision_asks_for_it(
    guarded: Ledger, waiting: Approval, typist: Typist, words: list[str]
) -> None:
    from tests.cli.approvals.conftest import ask

    asked = ask(guarded)
    verb, *options = words
    typist.answers = ["1111"]
    assert run(["approvals", verb, asked.id, *options]) == 1
    assert guarded.approvals.pending() == (asked,)
    typist.answers = ["2468"]
    assert run(["approvals", verb, asked.id, *options]) == 0
    assert guarded.approvals.pending() == ()


def test_releasing_asks_for_it_and_stopping_does_not(guarded: Ledger, typist: Typist) -> None:
    assert run(["approvals", "stop"]) == 0
    assert typist.asked == []
    typist.answers = ["1111"]
    assert run(["approvals", "release"]) == 1
    typist.answers = ["2468"]
    assert run(["approvals", "release"]) == 0


def test_where_nobody_can_be_asked_nothing_is_decided(
    guarded: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.cli.approvals.conftest import ask

    asked = ask(guarded)
    assert run(["approvals", "approve", asked.id, "--yes"]) == 1
    assert "nobody can be asked" in capsys.readouterr().err
    assert guarded.approvals.pending() == (asked,)


def test_a_required_pin_that_is_not_set_lets_nothing_be_decided(
    ledger: Ledger, waiting: Approval, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    paths.config_dir.mkdir(parents=True)
    paths.settings_file.write_text("[approvals]\nrequire_pin = true\n")
    assert run(["approvals", "approve", waiting.id, "--yes"]) == 1
    assert "pktui approvals pin set" in capsys.readouterr().err
    assert ledger.approvals.pending() == (waiting,)
