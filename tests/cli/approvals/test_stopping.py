"""Stopping everything from a shell, and going on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pktui.cli.app import run

if TYPE_CHECKING:
    import pytest

    from pktui.ledger import Approval, Ledger


def test_a_stop_denies_what_waits_until_the_release(
    ledger: Ledger, waiting: Approval, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["approvals", "stop"]) == 0
    told = capsys.readouterr().out
    assert "1 waiting call was denied, and every call is refused until the release" in told
    assert ledger.approvals.stopped()
    assert ledger.approvals.pending() == ()
    assert run(["approvals", "list"]) == 0
    assert "stopped by the command line" in capsys.readouterr().err
    assert run(["approvals", "release"]) == 0
    assert not ledger.approvals.stopped()
    assert run(["approvals", "release"]) == 1
    assert "nothing is stopped" in capsys.readouterr().err


def test_a_stop_says_what_stands_again_afterwards(
    ledger: Ledger, waiting: Approval, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["approvals", "approve", waiting.id, "--for", "30m", "--yes"])
    assert run(["approvals", "stop"]) == 0
    assert "1 standing approval holds again" in capsys.readouterr().err


def test_both_speak_json(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["approvals", "stop", "--json"]) == 0
    assert run(["approvals", "release", "--json"]) == 0
    first, second = capsys.readouterr().out.split("}\n{")
    assert json.loads(f"{first}}}")["stopped"] is True
    assert json.loads(f"{{{second}")["stopped"] is False
