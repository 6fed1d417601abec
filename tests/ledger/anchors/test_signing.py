"""Anchors that are signed, by a key apart from the ledger."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from pktui.errors import LedgerError, PktuiError
from pktui.ledger import Ledger
from pktui.ledger.chain.anchors.signing import SigningKey, public_halves, read_public
from pktui.settings import AuditSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ledger.conftest import Clock


@pytest.fixture
def key(tmp_path: Path) -> Path:
    SigningKey.make(tmp_path / "anchors.key")
    return tmp_path / "anchors.key"


class Records:
    """A ledger that is anchored to a file: opened, written to and closed at each step."""

    def __init__(self, file: Path, anchors: Path, clock: Clock) -> None:
        self.file, self.anchors, self.clock = file, anchors, clock

    def opened(self, key: Path | None) -> Ledger:
        audit = AuditSettings(anchors=(f"file:{self.anchors}",), key=str(key or ""))
        return Ledger.open(self.file, clock=self.clock, audit=audit)

    def anchor(self, key: Path | None) -> None:
        ledger = self.opened(key)
        ledger.events.append("note")
        (done,) = ledger.anchors.publish()
        ledger.close()
        assert done.error is None

    def problem(self, key: Path | None = None, *known: str) -> str:
        ledger = self.opened(key)
        found = ledger.verify(keys=known)
        ledger.close()
        assert found.ok is not bool(found.problem)
        return found.problem

    def edit(self, old: str, new: str) -> None:
        text = self.anchors.read_text()
        assert old in text
        self.anchors.write_text(text.replace(old, new))


@pytest.fixture
def records(file: Path, tmp_path: Path, clock: Clock) -> Records:
    return Records(file, tmp_path / "anchors", clock)


def test_anyone_can_check_a_signature_by_the_words_alone(records: Records, key: Path) -> None:
    records.anchor(key)
    line = records.anchors.read_text().strip()
    signature = json.loads(line)["signature"]
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_halves(key)[0]))
    public.verify(
        base64.b64decode(signature), line.replace(f',"signature":"{signature}"', "").encode()
    )


def test_the_key_is_private_and_its_public_half_is_not(key: Path) -> None:
    assert key.stat().st_mode & 0o777 == 0o600
    half = key.with_name("anchors.key.pub")
    assert half.stat().st_mode & 0o777 == 0o644
    assert read_public(half.read_text().strip()) == SigningKey.load(key).public
    with pytest.raises(PktuiError, match="is there already"):
        SigningKey.make(key)


def test_signed_anchors_agree_with_the_key_and_without_it(records: Records, key: Path) -> None:
    records.anchor(key)
    records.anchor(key)
    assert records.problem(key) == ""
    assert records.problem(None) == ""
    assert records.problem(None, *public_halves(key)) == ""


def test_those_before_the_first_signature_need_none(records: Records, key: Path) -> None:
    records.anchor(None)
    records.anchor(key)
    assert records.problem(key) == ""


@pytest.mark.parametrize("known", [True, False])
def test_a_signature_that_does_not_hold_is_named(records: Records, key: Path, known: bool) -> None:
    records.anchor(key)
    records.edit('"rows":1', '"rows":2')
    problem = records.problem(key if known else None)
    assert f"line 1 of file:{records.anchors} has a signature that does not hold" in problem


def test_a_signature_that_is_missing_is_named(records: Records, key: Path) -> None:
    records.anchor(key)
    records.anchor(None)
    assert f"line 2 of file:{records.anchors} is not signed" in records.problem(key)


def test_a_signature_by_another_key_is_named(records: Records, key: Path, tmp_path: Path) -> None:
    SigningKey.make(tmp_path / "other.key")
    records.anchor(tmp_path / "other.key")
    assert "line 1 of" in records.problem(key)
    assert "is signed by another key" in records.problem(key)
    assert records.problem(None, *public_halves(key), *public_halves(tmp_path / "other.key")) == ""


def test_where_a_key_is_known_nothing_signed_is_a_finding(records: Records, key: Path) -> None:
    records.anchor(None)
    assert f"no anchor of file:{records.anchors} is signed" in records.problem(
        None, *public_halves(key)
    )


def test_a_public_half_that_was_taken_away_is_named(records: Records, key: Path) -> None:
    records.anchor(key)
    key.with_name("anchors.key.pub").unlink()
    assert "anchors.key.pub, is missing: give it by --key" in records.problem(key)


def test_a_key_that_nobody_here_vouches_for_is_told(records: Records, key: Path) -> None:
    records.anchor(key)
    ledger = records.opened(None)
    (note,) = ledger.verify().notes
    ledger.close()
    assert note == f"nothing here says whether {public_halves(key)[0]} may sign anchors: see --key"


def test_a_key_that_was_replaced_goes_on_to_be_known(records: Records, key: Path) -> None:
    records.anchor(key)
    key.unlink()
    SigningKey.make(key)
    records.anchor(key)
    assert len(public_halves(key)) == 2
    assert records.problem(key) == ""


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda key: key.chmod(0o644), "is open to others"),
        (lambda key: key.write_text("no key"), "cannot be used"),
        (lambda key: key.unlink(), "Make one with: pktui audit key"),
    ],
)
def test_without_its_key_nothing_is_published(
    records: Records, key: Path, spoil: Callable[[Path], object], words: str
) -> None:
    spoil(key)
    ledger = records.opened(key)
    ledger.events.append("note")
    (done,) = ledger.anchors.publish()
    (standing,) = ledger.anchors.standings()
    ledger.close()
    assert words in str(done.error)
    assert words in standing.problem
    assert not records.anchors.exists()


@pytest.mark.parametrize("text", ["", "AAAA", "no base64 at all", "A" * 44])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(LedgerError, match="is no public key"):
        read_public(text)
