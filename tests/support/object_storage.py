"""An S3-compatible server on loopback, in this process."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


def serving_s3() -> Iterator[str]:
    """Give the server's address; to be made a fixture of a module."""
    moto = pytest.importorskip("moto.server", reason="the extra `anchors` is not installed")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server.start()
        yield f"http://127.0.0.1:{server.get_host_and_port()[1]}"
        server.stop()


def reach(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let AWS's configuration lead there; return a client of S3."""
    boto3 = pytest.importorskip("boto3", reason="the extra `anchors` is not installed")
    for name, value in (
        ("AWS_ENDPOINT_URL_S3", endpoint),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "ada"),
        ("AWS_SECRET_ACCESS_KEY", "hush"),
        ("AWS_CONFIG_FILE", "/nonexistent"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent"),
    ):
        monkeypatch.setenv(name, value)
    return boto3.client("s3")
