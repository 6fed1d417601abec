"""Kinds of anchors whose libraries are not installed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from pktui.ledger import Ledger
from pktui.settings import AuditSettings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ledger.conftest import Clock


@pytest.mark.parametrize(
    ("anchor", "library"),
    [("s3-lock:bucket/here", "boto3"), ("rfc3161:http://127.0.0.1:1/", "rfc3161_client")],
)
def test_what_is_missing_is_named_with_how_to_install_it(
    file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, anchor: str, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    ledger = Ledger.open(file, clock=clock, audit=AuditSettings(anchors=(anchor,)))
    ledger.events.append("note")
    (done,) = ledger.anchors.publish()
    ledger.close()
    assert f"{anchor} needs {library}, which is not installed" in str(done.error)
    assert "pip install 'pktui[anchors]'" in str(done.error)
