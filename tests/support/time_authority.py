"""A small time stamp authority (RFC 3161) on loopback, with certificates of its own.

Its ASN.1 is written and read here, octet by octet, and not by what is tested.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

if TYPE_CHECKING:
    from types import TracebackType

SEQUENCE, SET, INTEGER, OCTETS, OID, UTF8, TIME = 0x30, 0x31, 0x02, 0x04, 0x06, 0x0C, 0x18
_SIGNED_DATA = "1.2.840.113549.1.7.2"
_TST_INFO = "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE, _DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
_SHA256, _ECDSA = "2.16.840.1.101.3.4.2.1", "1.2.840.10045.4.3.2"
_YEAR = timedelta(days=365)


def der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 128:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 128 | len(octets))) + octets + content


def number(value: int) -> bytes:
    return der(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    octets = bytearray()
    for arc in (first * 40 + second, *rest):
        groups = [arc & 127]
        while arc := arc >> 7:
            groups.append(128 | arc & 127)
        octets += bytes(reversed(groups))
    return der(OID, bytes(octets))


def parts_of(encoded: bytes) -> list[tuple[int, bytes, bytes]]:
    """Return the tag, the content and the whole of each value that follow each other."""
    found, at = [], 0
    while at < len(encoded):
        tag, size, begin = encoded[at], encoded[at + 1], at + 2
        if size & 128:
            many = size & 127
            size = int.from_bytes(encoded[begin : begin + many], "big")
            begin += many
        found.append((tag, encoded[begin : begin + size], encoded[at : begin + size]))
        at = begin + size
    return found


@dataclass
class Issued:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def issue(name: str, by: Issued | None, *, since: datetime, stamps: bool = True) -> Issued:
    """Make a root, or with `by` the certificate of an authority below it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(since + _YEAR)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
    )
    if by is not None and stamps:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        builder = builder.add_extension(usage, critical=True)
    return Issued(builder.sign(by.key if by else key, hashes.SHA256()), key)


class TimeAuthority:
    """Use as a context. What it does wrong can be set; `now` is its time."""

    def __init__(self, *, stamps: bool = True) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        since = self.now - timedelta(days=1)
        self.root = issue("root of the test", None, since=since)
        self._own = issue("authority of the test", self.root, since=since, stamps=stamps)
        self.asked = 0
        self.status = 200
        self.refuses = ""
        self.changes_nonce = self.changes_imprint = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/tsr"

    def write_root(self, file: Path) -> Path:
        file.write_bytes(self.root.certificate.public_bytes(Encoding.PEM))
        return file

    def __enter__(self) -> TimeAuthority:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, query: bytes) -> bytes:
        if self.refuses:
            words = der(SEQUENCE, der(UTF8, self.refuses.encode()))
            return der(SEQUENCE, der(SEQUENCE, number(2), words))
        ((_, request, _),) = parts_of(query)
        fields = parts_of(request)
        imprint = fields[1][2]
        nonce = next((whole for tag, _, whole in fields[2:] if tag == INTEGER), b"")
        if self.changes_nonce:
            nonce = number(7)
        if self.changes_imprint:
            imprint = imprint[:-32] + bytes(32)
        info = der(
            SEQUENCE,
            *(number(1), oid("1.2.3.4.1"), imprint, number(self.asked + 1)),
            *(der(TIME, self.now.strftime("%Y%m%d%H%M%SZ").encode()), nonce),
        )
        return der(SEQUENCE, der(SEQUENCE, number(0)), self._token(info))

    def _token(self, info: bytes) -> bytes:
        certificate = self._own.certificate.public_bytes(Encoding.DER)
        sha256 = der(SEQUENCE, oid(_SHA256))
        fingerprint = der(OCTETS, hashlib.sha256(certificate).digest())
        attributes = sorted((
            _attribute(_CONTENT_TYPE, oid(_TST_INFO)),
            _attribute(_DIGEST, der(OCTETS, hashlib.sha256(info).digest())),
            _attribute(_CERTIFICATE_V2, der(SEQUENCE, der(SEQUENCE, der(SEQUENCE, fingerprint)))),
        ))  # fmt: skip
        signature = self._own.key.sign(der(SET, *attributes), ec.ECDSA(hashes.SHA256()))
        signer = der(
            SEQUENCE,
            *(number(1), self._signed_by(), sha256, der(0xA0, *attributes)),
            *(der(SEQUENCE, oid(_ECDSA)), der(OCTETS, signature)),
        )
        content = der(SEQUENCE, oid(_TST_INFO), der(0xA0, der(OCTETS, info)))
        signed = der(
            SEQUENCE,
            *(number(3), der(SET, sha256), content, der(0xA0, certificate), der(SET, signer)),
        )
        return der(SEQUENCE, oid(_SIGNED_DATA), der(0xA0, signed))

    def _signed_by(self) -> bytes:
        own = self._own.certificate
        return der(SEQUENCE, own.issuer.public_bytes(), number(own.serial_number))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = self.rfile.read(int(self.headers["Content-Length"]))
                authority.asked += 1
                body = authority.answer(query) if authority.status == 200 else b""
                self.send_response(authority.status)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: Any) -> None:
                """Say nothing."""

        return Handler


def _attribute(kind: str, value: bytes) -> bytes:
    return der(SEQUENCE, oid(kind), der(SET, value))


def running() -> Iterator[TimeAuthority]:
    """Give an authority; to be made a fixture of."""
    with TimeAuthority() as authority:
        yield authority
