"""Commands as a person runs them, whatever started the tests."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _nobody_started_us(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tests decide approvals also where an agent runs them."""
    monkeypatch.setattr("pktui.cli.approvals.person.ancestors", lambda: ())
