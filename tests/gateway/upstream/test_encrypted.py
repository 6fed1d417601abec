"""TLS to a remote server: certificates are verified, always."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.upstream.far import Asked, FarServer, Peer

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to sign with")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key and a certificate for 127.0.0.1, signed by itself."""
    folder = tmp_path_factory.mktemp("tls")
    key, signed = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [*command, "-keyout", str(key), "-out", str(signed)], check=True, capture_output=True
    )
    return key, signed


def echo(asked: Asked) -> None:
    asked.result({"key": asked.headers.get("X-Key")})


@pytest.fixture
def far(certificate: tuple[Path, Path]) -> Iterator[FarServer]:
    key, signed = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(signed, key)
    with FarServer(echo, context) as server:
        yield server


def test_a_certificate_that_nobody_vouches_for_ends_it_before_anything_is_sent(
    far: FarServer,
) -> None:
    with Peer.to(far.url, headers={"X-Key": "s3cret"}) as peer:
        words = peer.failure()
    assert "can't be reached: self" in words
    assert "name that in SSL_CERT_FILE" in words
    assert far.asked == []


def test_an_authority_of_ones_own_can_be_named(
    far: FarServer, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[1]))
    with Peer.to(far.url, headers={"X-Key": "k"}) as peer:
        for number in (1, 2):
            assert peer.ask("tools/list", number)["result"] == {"key": "k"}
        assert far.connections == 1


def test_a_certificate_for_another_host_is_refused(
    far: FarServer, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[1]))
    with Peer.to(far.url.replace("127.0.0.1", "localhost")) as peer:
        assert "can't be reached" in peer.failure()
    assert far.asked == []


def test_a_request_under_way_is_cancelled_over_tls_too(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[1]))
    key, signed = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(signed, key)

    def begin(asked: Asked) -> None:
        asked.stream(b": wait\n\n", end=True) if asked.message["id"] == 2 else asked.linger()

    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
    with FarServer(begin, context) as far, Peer.to(far.url) as peer:
        peer.send("tools/call", 1, name="x", _meta=meta)
        far.wait_for(lambda asked: len(asked) == 1)
        peer.send("notifications/cancelled", requestId=1)
        far.asked[0].wait_for_end()
        assert "ended its stream" in peer.failure("tools/list", 2, _meta=meta)


def test_plain_http_under_an_https_address_is_named() -> None:
    with FarServer(echo) as far, Peer.to(far.url.replace("http:", "https:")) as peer:
        assert "perhaps its URL begins with http:" in peer.failure()
