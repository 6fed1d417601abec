"""Time stamps (RFC 3161): an authority signs the hash of each anchor with its time.

It keeps nothing; its response is in the receipt. What the token proves needs nobody's network: it
is signed by a certificate that leads to one of `audit.anchor_roots`, was valid at the token's time
and is for time stamps. Whether it was revoked is not asked.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from pktui.errors import LedgerError
from pktui.ledger.chain.anchors.anchor import Anchor, Found, Read, decode_anchor, needing_extra
from pktui.ledger.chain.anchors.receipts import Receipt, Receipts

if TYPE_CHECKING:
    from pathlib import Path

_TIMEOUT_SECONDS: Final = 15.0
_MOST_BYTES: Final = 64 * 1024
_ROOTS: Final = "Name a PEM file with the authority's root certificate in audit.anchor_roots"


class TimeStamps:
    """One authority, asked by HTTP."""

    def __init__(self, name: str, url: str, roots: Path | None, receipts: Receipts) -> None:
        self.name = name
        self._url = url
        self._roots = roots
        self._receipts = receipts

    def publish(self, line: bytes, _anchor: Anchor) -> None:
        """Have the line's hash signed, and keep the token if it holds; raises `LedgerError`."""
        with needing_extra(self.name):
            from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

        builder = TimestampRequestBuilder(data=line, hash_algorithm=HashAlgorithm.SHA256)
        request = builder.nonce(nonce=True).cert_request(cert_request=True).build()
        response = self._ask(request.as_bytes())
        try:
            _time_of(response, line, self._verifier(request.nonce))
        except ValueError as error:
            raise self._refused(str(error)) from error
        self._receipts.add(Receipt(line.decode(), base64.b64encode(response).decode()))

    def last(self) -> Anchor | None:
        """Return the newest that was stamped; raises `LedgerError`."""
        return self._receipts.last()

    def read(self) -> Read:
        """Check every token; raises `LedgerError` where none can be."""
        found, findings = [], []
        receipts = self._receipts.read()
        verifier = self._verifier() if receipts else None
        for numbered in receipts:
            line, where = numbered.receipt.line.encode(), f"line {numbered.number}"
            try:
                response = base64.b64decode(numbered.receipt.proof, validate=True)
                stamped_us = _time_of(response, line, verifier)
                found.append(Found(decode_anchor(line), line, where, self.name, stamped_us))
            except ValueError as error:
                findings.append(f"the time stamp of {where} of {self.name} does not hold: {error}")
        return Read(tuple(found), tuple(findings))

    def _verifier(self, nonce: int | None = None) -> Any:
        """Return what checks tokens; raises `LedgerError`."""
        with needing_extra(self.name):
            from rfc3161_client import VerifierBuilder

        roots, others = self._certificates()
        return VerifierBuilder(roots=roots, intermediates=others, nonce=nonce).build()

    def _certificates(self) -> tuple[list[Any], list[Any]]:
        """Return the roots, and what else is in their file; raises `LedgerError`."""
        from cryptography.x509 import load_pem_x509_certificates

        if self._roots is None:
            raise LedgerError(f"{self.name} needs roots to be checked by", _ROOTS)
        try:
            found = load_pem_x509_certificates(self._roots.read_bytes())
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise LedgerError(f"the roots {self._roots} cannot be used: {why}", _ROOTS) from error
        roots = [one for one in found if one.issuer == one.subject]
        if not roots:
            raise LedgerError(f"{self._roots} has no root certificate", _ROOTS)
        return roots, [one for one in found if one.issuer != one.subject]

    def _ask(self, query: bytes) -> bytes:
        from http.client import HTTPException
        from urllib.error import HTTPError, URLError
        from urllib.request import Request, urlopen

        self._certificates()  # nothing is asked of somebody whose answer cannot be judged
        headers = {"Content-Type": "application/timestamp-query"}
        try:
            request = Request(self._url, query, headers)  # noqa: S310  settings allow http(s) alone
            with urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
                response = bytes(answer.read(_MOST_BYTES + 1))
        except HTTPError as error:
            with error:
                raise self._refused(f"it answers {error.code}") from error
        except URLError as error:
            raise self._refused(str(error.reason)) from error
        except (OSError, HTTPException, ValueError) as error:
            raise self._refused(str(error) or type(error).__name__) from error
        if len(response) > _MOST_BYTES:
            raise self._refused(f"it answers with more than {_MOST_BYTES:,} bytes")
        return response

    def _refused(self, why: str) -> LedgerError:
        return LedgerError(
            f"{self.name} gives no time stamp: {why}",
            "What happens meanwhile is in the next one; check the address and audit.anchor_roots",
        )


def _time_of(response: bytes, line: bytes, verifier: Any) -> int:
    """Return a token's time in microseconds; raises `ValueError` where it does not hold."""
    from rfc3161_client import VerificationError, decode_timestamp_response

    try:
        decoded = decode_timestamp_response(response)
        if decoded.status:
            words = "; ".join(decoded.status_string) or f"status {decoded.status}"
            raise ValueError(f"it was not granted: {words}")
        verifier.verify_message(decoded, line)
        return int(decoded.tst_info.gen_time.timestamp() * 1_000_000)
    except VerificationError as error:
        raise ValueError(str(error)) from error
