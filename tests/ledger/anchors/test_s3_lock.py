"""Anchors as locked objects on S3, with a server on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pktui.ledger import Ledger
from pktui.settings import AuditSettings
from pktui.times import now_us
from tests.ledger.conftest import Clock
from tests.support.object_storage import reach, serving_s3

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

endpoint = pytest.fixture(serving_s3, scope="module")
AUDIT = AuditSettings(
    anchors=("s3-lock:locked/ada/laptop",), anchor_events=5, anchor_minutes=1, anchor_retain_days=30
)


@pytest.fixture
def clock() -> Clock:
    return Clock(now_us())  # the server goes by the system's


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    import urllib.request

    request = urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST")
    urllib.request.urlopen(request, timeout=60).close()
    client = reach(endpoint, monkeypatch)
    client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    yield client
    client.close()


@pytest.fixture
def ledger(file: Path, clock: Clock, s3: Any) -> Iterator[Ledger]:
    assert s3
    opened = Ledger.open(file, clock=clock, audit=AUDIT)
    opened.events.append("note", reason="the first")
    yield opened
    opened.close()


def publish(ledger: Ledger) -> str:
    (done,) = ledger.anchors.publish()
    return str(done.error or "")


def keys_of(s3: Any) -> list[str]:
    return [one["Key"] for one in s3.list_objects_v2(Bucket="locked").get("Contents", ())]


def test_an_anchor_is_an_object_that_nobody_can_remove(ledger: Ledger, s3: Any) -> None:
    from botocore.exceptions import ClientError

    assert publish(ledger) == ""
    (key,) = keys_of(s3)
    assert key.startswith("ada/laptop/")
    (version,) = s3.list_object_versions(Bucket="locked")["Versions"]
    held = s3.head_object(Bucket="locked", Key=key)
    assert held["ObjectLockMode"] == "COMPLIANCE"
    until = held["ObjectLockRetainUntilDate"].timestamp()
    assert abs(until - now_us() / 1e6 - 30 * 86_400) < 3600
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket="locked", Key=key, VersionId=version["VersionId"])
    found = ledger.verify()
    assert (found.ok, found.anchors) == (True, 1)
    assert found.proven[0].by == "s3-lock:locked/ada/laptop"


def test_each_anchor_has_an_object_and_nothing_new_has_none(
    ledger: Ledger, s3: Any, clock: Clock
) -> None:
    for _ in range(3):
        clock.forward(1)
        ledger.events.append("note")
        publish(ledger)
        publish(ledger)
    assert len(keys_of(s3)) == 3
    assert ledger.verify().anchors == 3


def test_what_another_machine_anchors_beside_is_not_ours(ledger: Ledger, s3: Any) -> None:
    publish(ledger)
    (key,) = keys_of(s3)
    s3.put_object(Bucket="locked", Key=key.replace("laptop", "laptop/sub"), Body=b"{}")
    s3.put_object(Bucket="locked", Key=key.replace("laptop", "laptop2"), Body=b"{}")
    assert ledger.verify().ok


def test_an_object_that_was_written_over_or_deleted_is_named_and_its_first_version_counts(
    ledger: Ledger, s3: Any
) -> None:
    publish(ledger)
    (key,) = keys_of(s3)
    s3.put_object(Bucket="locked", Key=key, Body=b'{"at_us":1,"hash":"00","joint":1}')
    found = ledger.verify()
    assert not found.ok
    assert f"the object {key} of s3-lock:locked/ada/laptop was written over" in found.problem
    assert found.anchors == 1
    s3.delete_object(Bucket="locked", Key=key)
    assert "was deleted: an older version is there" in ledger.verify().problem


def test_rows_written_anew_are_told_although_all_files_here_are(
    ledger: Ledger, file: Path, clock: Clock
) -> None:
    import shutil

    publish(ledger)
    ledger.close()
    shutil.rmtree(file.parent)
    again = Ledger.open(file, clock=clock, audit=AUDIT)
    again.events.append("note", reason="a better one")
    found = again.verify()
    again.close()
    assert not found.ok
    assert "is not the one that the anchor of object ada/laptop/" in found.problem


def test_an_end_that_was_cut_off_is_told(ledger: Ledger, file: Path) -> None:
    for _ in range(8):
        ledger.events.append("note")
    publish(ledger)
    segment = file.parent / "journal" / "00000001.jsonl"
    segment.write_bytes(b"".join(segment.read_bytes().splitlines(keepends=True)[:7]))
    ledger.index.rebuild()
    assert "row 1:9 was removed from the end: the anchor of object" in ledger.verify().problem


def test_an_object_with_other_content_than_its_name_says_is_named(ledger: Ledger, s3: Any) -> None:
    publish(ledger)
    (key,) = keys_of(s3)
    other = key.replace(key[-69:-5], "0" * 64)
    s3.put_object(Bucket="locked", Key=other, Body=b"{}")
    assert f"the object {other} of s3-lock:locked/ada/laptop is not as" in ledger.verify().problem


def test_a_bucket_without_object_lock_is_refused(file: Path, clock: Clock, s3: Any) -> None:
    s3.create_bucket(Bucket="open")
    audit = AuditSettings(anchors=("s3-lock:open",))
    ledger = Ledger.open(file, clock=clock, audit=audit)
    ledger.events.append("note")
    problem = publish(ledger)
    ledger.close()
    assert "s3-lock:open cannot be used" in problem
    assert "Object Lock" in problem


def test_an_object_that_is_not_locked_is_named(ledger: Ledger, s3: Any, clock: Clock) -> None:
    publish(ledger)
    (key,) = keys_of(s3)
    body = s3.get_object(Bucket="locked", Key=key)["Body"].read()
    later = body.replace(b'{"at_us":1', b'{"at_us":2')
    import hashlib

    unlocked = f"ada/laptop/{2 * 10**15:020d}-{hashlib.sha256(later).hexdigest()}.json"
    s3.put_object(Bucket="locked", Key=unlocked, Body=later)
    assert f"the object {unlocked} of s3-lock:locked/ada/laptop is not locked" in (
        ledger.verify().problem
    )


def test_objects_that_are_gone_are_named_while_they_are_to_be_there(
    file: Path, s3: Any, clock: Clock
) -> None:
    ledger = Ledger.open(file, clock=clock, audit=AUDIT)
    keys = []
    for _ in range(2):
        ledger.events.append("note")
        publish(ledger)
        keys.append(max(keys_of(s3)))
        clock.forward(86_400)
    backend_of("locked").keys.pop(keys[0])  # as nobody can whom S3 does not belong to
    named = f"the object {keys[0]} of s3-lock:locked/ada/laptop is not there"
    assert named in ledger.verify().problem
    clock.forward(30 * 86_400)
    assert ledger.verify().ok
    ledger.close()


def test_a_receipt_without_an_anchor_is_named(ledger: Ledger, file: Path) -> None:
    publish(ledger)
    (receipts,) = (file.parent / "anchors").glob("s3-lock-*.jsonl")
    receipts.write_text('{"line":"none"}\n')
    assert "the receipt of line 1 of s3-lock:locked/ada/laptop has no anchor" in (
        ledger.verify().problem
    )


def backend_of(bucket: str) -> Any:
    from moto.s3.models import s3_backends

    return s3_backends["123456789012"]["aws"].buckets[bucket]


def test_a_bucket_that_cannot_be_reached_proves_nothing_and_the_rest_is_checked(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(ledger)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    found = ledger.verify()
    assert (found.ok, found.rows, found.proven) == (False, 1, ())
    assert "s3-lock:locked/ada/laptop cannot be used" in found.problem
