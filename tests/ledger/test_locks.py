"""Who keeps the ledger locked is named."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pktui.errors import LedgerUnavailable
from pktui.ledger.locks import check_writable, writers

if TYPE_CHECKING:
    from pktui.ledger import Ledger

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pktui.ledger.locks._WAIT_SECONDS", 0)


def test_a_free_ledger_is_left_as_it_is(ledger: Ledger, file: Path) -> None:
    ledger.events.append("note")
    version = ledger.data_version()
    check_writable(file)
    assert ledger.data_version() == version
    assert writers(file) == ()


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="the system does not tell")
def test_the_process_that_holds_it_is_named(ledger: Ledger, file: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        with pytest.raises(LedgerUnavailable, match="locked by another process") as caught:
            check_writable(file)
        assert caught.value.cure == f"End process {holder.pid}, or wait for it"
    finally:
        holder.stdin.close()
        holder.stdout.close()
        holder.wait()
    check_writable(file)


def test_a_holder_that_cannot_be_told_is_not_guessed(
    ledger: Ledger, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.ledger.locks._LOCKS", tmp_path / "none")
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable) as caught:
            check_writable(file)
        other.execute("ROLLBACK")
    assert caught.value.cure == "End the process that holds it, or wait for it"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_file_that_may_only_be_read_is_named(ledger: Ledger, file: Path) -> None:
    ledger.close()
    file.chmod(0o400)
    with pytest.raises(LedgerUnavailable, match="cannot be written"):
        check_writable(file)
