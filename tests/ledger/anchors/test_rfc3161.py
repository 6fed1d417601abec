"""Anchors that an authority stamps with its time (RFC 3161)."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pktui.ledger import Ledger
from pktui.ledger.chain.anchors.anchoring import Published
from pktui.ledger.chain.anchors.receipts import Receipts
from pktui.settings import AuditSettings
from tests.support.time_authority import TimeAuthority, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.ledger.conftest import Clock

pytest.importorskip("rfc3161_client", reason="the extra `anchors` is not installed")
authority = pytest.fixture(running)


@pytest.fixture
def audit(authority: TimeAuthority, tmp_path: Path) -> AuditSettings:
    return AuditSettings(
        anchors=(f"rfc3161:{authority.url}",),
        anchor_events=5,
        anchor_minutes=1,
        anchor_roots=str(authority.write_root(tmp_path / "roots.pem")),
    )


@pytest.fixture
def ledger(file: Path, clock: Clock, audit: AuditSettings) -> Iterator[Ledger]:
    opened = Ledger.open(file, clock=clock, audit=audit)
    opened.events.append("note", reason="the first")
    yield opened
    opened.close()


def publish(ledger: Ledger) -> str:
    """Publish the heads; return what went wrong."""
    (done,) = ledger.anchors.publish()
    return str(done.error or "")


def receipts(file: Path) -> Path:
    (found,) = (file.parent / "anchors").glob("rfc3161-*.jsonl")
    return found


def test_a_stamp_proves_the_record_until_the_authority_s_time(
    ledger: Ledger, authority: TimeAuthority
) -> None:
    assert publish(ledger) == ""
    found = ledger.verify()
    assert (found.ok, found.anchors) == (True, 1)
    (proven,) = found.proven
    assert proven.by == f"rfc3161:{authority.url}"
    assert proven.until_us == int(authority.now.timestamp()) * 1_000_000


def test_nothing_new_is_not_stamped_twice(ledger: Ledger, authority: TimeAuthority) -> None:
    publish(ledger)
    publish(ledger)
    assert authority.asked == 1


def test_openssl_agrees(ledger: Ledger, authority: TimeAuthority, file: Path) -> None:
    import base64

    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl here")
    publish(ledger)
    receipt = json.loads(receipts(file).read_text())
    place = file.parent
    (place / "line").write_text(receipt["line"])
    (place / "tsr").write_bytes(base64.b64decode(receipt["proof"]))
    done = subprocess.run(
        ["openssl", "ts", "-verify", "-data", place / "line", "-in", place / "tsr", "-CAfile",
         authority.write_root(place / "root.pem")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Verification: OK" in done.stdout + done.stderr


def test_rows_that_were_written_anew_are_told_by_a_stamp(
    ledger: Ledger, file: Path, clock: Clock, audit: AuditSettings
) -> None:
    publish(ledger)
    ledger.close()
    kept = file.parent.with_name("kept")
    (file.parent / "anchors").rename(kept)
    shutil.rmtree(file.parent)
    again = Ledger.open(file, clock=clock, audit=audit)
    again.events.append("note", reason="a better one")
    kept.rename(file.parent / "anchors")
    found = again.verify()
    again.close()
    assert not found.ok
    assert "is not the one that the anchor of line 1 of rfc3161:" in found.problem


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"changes_nonce": True}, "Nonce mismatch"),
        ({"changes_imprint": True}, "Mismatch between messages"),
        ({"refuses": "not today"}, "it was not granted: not today"),
        ({"status": 503}, "it answers 503"),
    ],
)
def test_an_answer_that_does_not_hold_is_not_kept(
    ledger: Ledger, authority: TimeAuthority, file: Path, fault: dict[str, object], words: str
) -> None:
    for name, value in fault.items():
        setattr(authority, name, value)
    assert words in publish(ledger)
    assert not list((file.parent / "anchors").glob("rfc3161-*.jsonl"))
    (standing,) = ledger.anchors.standings()
    assert words in standing.problem
    assert standing.behind == 1


def test_an_authority_of_another_root_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    with TimeAuthority() as other:
        other.write_root(tmp_path / "roots.pem")
    assert "gives no time stamp: Error while verifying certificates" in publish(ledger)


def test_a_certificate_that_is_not_for_time_stamps_is_refused(
    file: Path, clock: Clock, tmp_path: Path
) -> None:
    with TimeAuthority(stamps=False) as other:
        audit = AuditSettings(
            anchors=(f"rfc3161:{other.url}",),
            anchor_roots=str(other.write_root(tmp_path / "roots.pem")),
        )
        ledger = Ledger.open(file, clock=clock, audit=audit)
        ledger.events.append("note")
        problem = publish(ledger)
        ledger.close()
    assert "certificate" in problem


def test_a_stamp_from_after_its_certificate_s_time_is_refused(
    ledger: Ledger, authority: TimeAuthority
) -> None:
    authority.now += timedelta(days=900)
    assert "certificate has expired" in publish(ledger)


def test_without_roots_nothing_is_asked_and_nothing_proven(
    file: Path, clock: Clock, authority: TimeAuthority
) -> None:
    audit = AuditSettings(anchors=(f"rfc3161:{authority.url}",))
    ledger = Ledger.open(file, clock=clock, audit=audit)
    ledger.events.append("note")
    assert "audit.anchor_roots" in publish(ledger)
    ledger.close()
    assert authority.asked == 0


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda text: text.replace('rows\\":1', 'rows\\":2'), "does not hold: Mismatch"),
        (lambda text: text[:-40] + "A" * 36 + text[-4:], "does not hold: "),
        (lambda _text: "", "was emptied"),
    ],
)
def test_a_receipt_that_was_edited_or_removed_is_named(
    ledger: Ledger, file: Path, edit: object, words: str
) -> None:
    assert callable(edit)
    publish(ledger)
    kept = receipts(file)
    kept.write_text(edit(kept.read_text()))
    found = ledger.verify()
    assert not found.ok
    assert words in found.problem
    assert (found.rows, found.proven) == (1, ())


def test_what_fails_is_tried_again_later_and_later(
    ledger: Ledger, authority: TimeAuthority, clock: Clock
) -> None:
    authority.status = 500
    assert ledger.anchors.due(far=True)
    waits = []
    for _ in range(3):
        ledger.anchors.publish(due=True)
        waited = 0
        while not ledger.anchors.due(far=True):
            clock.forward(10)
            waited += 10
        waits.append(waited)
    assert waits == [30, 60, 120]
    authority.status = 200
    (done,) = ledger.anchors.publish(due=True)
    assert done.error is None
    (standing,) = ledger.anchors.standings()
    assert (standing.problem, standing.behind, standing.late) == ("", 0, False)


def test_a_store_on_the_network_is_asked_once_a_minute_at_most(
    ledger: Ledger, clock: Clock
) -> None:
    publish(ledger)
    for _ in range(9):
        ledger.events.append("note")
    assert not ledger.anchors.due(far=True)
    clock.forward(60)
    assert ledger.anchors.due(far=True)


@pytest.mark.parametrize("status", [200, 500])
def test_what_a_clock_that_was_ahead_noted_keeps_nothing_back(
    ledger: Ledger, authority: TimeAuthority, clock: Clock, status: int
) -> None:
    clock.forward(9000)
    authority.status = status
    publish(ledger)
    clock.forward(-9000)
    ledger.events.append("note")
    (standing,) = ledger.anchors.standings()
    assert standing.late
    assert ledger.anchors.due(far=True)


def test_an_anchor_that_is_late_is_said(ledger: Ledger, clock: Clock) -> None:
    publish(ledger)
    ledger.events.append("note")
    clock.forward(181)
    (standing,) = ledger.anchors.standings()
    assert (standing.behind, standing.late) == (1, True)


def test_what_the_calls_path_writes_at_once_has_no_network(ledger: Ledger) -> None:
    assert ledger.anchors.far
    assert not ledger.anchors.due()
    assert ledger.anchors.write() is None


def test_who_waits_in_vain_for_another_that_publishes_is_told(
    ledger: Ledger, file: Path, authority: TimeAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.ledger.chain.anchors.anchoring._WAIT_SECONDS", 0.01)
    store = f"rfc3161:{authority.url}"
    with Receipts.beside(file.parent, store).locked() as held:
        assert held
        assert ledger.anchors.publish(due=True) == (Published(store),)
        assert "another process has been publishing" in publish(ledger)
    assert publish(ledger) == ""
