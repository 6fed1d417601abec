"""Objects on S3 that nobody can change or remove for a time: one for each anchor.

The object's name has the SHA-256 of its content, and it is written under Object Lock in compliance
mode, which not even the account's owner can lift before its time. A bucket with Object Lock has
versions: an object that was written over or deleted still has the first one, and that counts.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui.errors import LedgerError
from pktui.ledger.chain.anchors.anchor import Anchor, Found, Read, decode_anchor, needing_extra
from pktui.ledger.chain.anchors.receipts import Receipt, Receipts

if TYPE_CHECKING:
    from collections.abc import Callable

_TIMEOUT_SECONDS: Final = 10.0
_NAME: Final = re.compile(r"[0-9]{20}-([0-9a-f]{64})\.json")
_MODE: Final = "COMPLIANCE"


class LockedObjects:
    """The objects under one prefix of a bucket, which is this ledger's alone."""

    def __init__(
        self,
        name: str,
        place: str,
        retain_days: float,
        receipts: Receipts,
        clock: Callable[[], int],
    ) -> None:
        """`place` is `bucket/prefix`; where and by whom it is reached is AWS's configuration."""
        self.name = name
        self._bucket, _, prefix = place.partition("/")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._retain_days = retain_days
        self._receipts = receipts
        self._clock = clock

    def publish(self, line: bytes, anchor: Anchor) -> None:
        """Write the line's object, locked; raises `LedgerError`."""
        until = datetime.fromtimestamp(self._clock() / 1_000_000, UTC)
        until += timedelta(days=self._retain_days)
        with _Asking(self.name) as client:
            written = client.put_object(
                Bucket=self._bucket,
                Key=self._key(line, anchor),
                Body=line,
                ContentType="application/json",
                ChecksumAlgorithm="SHA256",
                IfNoneMatch="*",
                ObjectLockMode=_MODE,
                ObjectLockRetainUntilDate=until,
            )
        if not written.get("VersionId"):
            raise LedgerError(
                f"{self.name} keeps no versions, so nothing is locked there",
                "Make the bucket with Object Lock",
            )
        self._receipts.add(Receipt(line.decode(), until_us=int(until.timestamp() * 1_000_000)))

    def last(self) -> Anchor | None:
        """Return the newest that was written from here; raises `LedgerError`."""
        return self._receipts.last()

    def read(self) -> Read:
        """Return what is there, oldest first; raises `LedgerError` where it cannot be reached."""
        known = {}
        findings: list[str] = []
        for one in self._receipts.read():
            line = one.receipt.line.encode()
            try:
                known[self._key(line, decode_anchor(line))] = line, one.receipt.until_us
            except msgspec.DecodeError:
                findings.append(f"the receipt of line {one.number} of {self.name} has no anchor")
        found: list[Found] = []
        with _Asking(self.name) as client:
            objects = self._versions(client, findings)
            newest = max(objects, default="")
            for key in sorted(objects):
                line = known.pop(key, (b"", 0))[0]
                if key == newest:
                    line = self._content(client, key, objects[key], findings)
                line = line or self._content(client, key, objects[key])
                found += self._found(key, line, objects[key], findings)
        now = self._clock()
        findings += [
            f"the object {key} of {self.name} is not there"
            for key, (_, until_us) in known.items()
            if until_us > now
        ]
        return Read(tuple(found), tuple(findings))

    def _found(
        self, key: str, line: bytes, version: dict[str, Any], findings: list[str]
    ) -> list[Found]:
        """Return the anchor of an object, or add what is wrong with it."""
        when = int(version["LastModified"].timestamp() * 1_000_000)
        try:
            anchor = decode_anchor(line)
            if hashlib.sha256(line).hexdigest() in key:
                return [Found(anchor, line, f"object {key}", self.name, when)]
        except msgspec.DecodeError:
            pass
        findings.append(f"the object {key} of {self.name} is not as it was written")
        return []

    def _key(self, line: bytes, anchor: Anchor) -> str:
        return f"{self._prefix}{anchor.at_us:020d}-{hashlib.sha256(line).hexdigest()}.json"

    def _versions(self, client: Any, findings: list[str]) -> dict[str, dict[str, Any]]:
        """Return the first version of each object, and add what became of it since."""
        versions: dict[str, list[dict[str, Any]]] = {}
        deleted: set[str] = set()
        pages = client.get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix):
            for one in page.get("Versions", ()):
                if _NAME.fullmatch(one["Key"].removeprefix(self._prefix)):
                    versions.setdefault(one["Key"], []).append(one)
            deleted.update(one["Key"] for one in page.get("DeleteMarkers", ()))
        for key in sorted(versions):
            if len(versions[key]) > 1:
                findings.append(
                    f"the object {key} of {self.name} was written over: an older version is there"
                )
            if key in deleted:
                findings.append(
                    f"the object {key} of {self.name} was deleted: an older version is there"
                )
        # Newest first, as S3 lists them; its times are of whole seconds.
        return {key: found[-1] for key, found in versions.items()}

    def _content(
        self, client: Any, key: str, version: dict[str, Any], findings: list[str] | None = None
    ) -> bytes:
        """Return what an object has; where there are `findings`, add that it can be removed."""
        answer = client.get_object(Bucket=self._bucket, Key=key, VersionId=version["VersionId"])
        if findings is not None and answer.get("ObjectLockMode") != _MODE:
            findings.append(
                f"the object {key} of {self.name} is not locked, or s3:GetObjectRetention is"
                " not allowed: it may be removed"
            )
        return bytes(answer["Body"].read())


class _Asking:
    """Gives a client, and turns what it says into the error of the ledger."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._client: Any = None

    def __enter__(self) -> Any:
        with needing_extra(self._name):
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError

        config = Config(
            connect_timeout=_TIMEOUT_SECONDS,
            read_timeout=_TIMEOUT_SECONDS,
            retries={"max_attempts": 2},
        )
        try:
            self._client = boto3.client("s3", config=config)
        except (BotoCoreError, ValueError) as error:
            raise self._refused(str(error)) from error
        return self._client

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        self._client.close()
        if isinstance(error, ClientError):
            said = error.response.get("Error", {})
            raise self._refused(f"{said.get('Code', '')}: {said.get('Message', '')}") from error
        if isinstance(error, BotoCoreError | OSError):
            raise self._refused(str(error)) from error

    def _refused(self, why: str) -> LedgerError:
        return LedgerError(
            f"{self._name} cannot be used: {why}",
            "Check the bucket's Object Lock, and region and credentials in ~/.aws",
        )
