"""A store on object storage: an S3-compatible server on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pktui.errors import MemoryUnavailable
from pktui.memory.client import MemoryClient
from pktui.memory.records import Identity
from pktui.memory.store.lease import Holder, Lease
from pktui.memory.store.tables import Database
from pktui.memory.store_location import Place
from pktui.settings import MemorySettings
from tests.support.memory_service import paths_in, running_service

if TYPE_CHECKING:
    from pktui.settings import Paths

pytest.importorskip("moto.server")

ADA = Identity("claude-code", "", "/home/ada")
SECRET = "hush-hush-hush"
_SERVER = """
import sys
from threading import Event
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of an S3-compatible server with a bucket `team`."""
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"},
    )
    assert server.stdout is not None
    address = f"http://127.0.0.1:{server.stdout.readline().strip()}"
    make = urllib.request.Request(f"{address}/team", method="PUT")
    urllib.request.urlopen(make, timeout=60).close()
    yield address
    server.communicate()


@pytest.fixture
def settings(endpoint: str, request: pytest.FixtureRequest) -> MemorySettings:
    """Settings of a store of the test's own on that server."""
    storage = {
        "aws_endpoint": endpoint,
        "aws_region": "us-east-1",
        "allow_http": "true",
        "aws_access_key_id": "ada",
        "aws_secret_access_key": SECRET,
    }
    return MemorySettings(uri=f"s3://team/{request.node.name}", storage=storage)


def test_a_store_on_s3_keeps_everything_over_a_restart(
    paths: Paths, settings: MemorySettings
) -> None:
    with running_service(paths, settings=settings):
        client = MemoryClient(paths, ADA, start=False)
        session = client.start_session("on s3")
        for number in range(5):
            client.log("user", f"the lighthouse of number {number}")
        entry = client.add_entry("Light", "needs oil", tags=["sea"])
        _until_indexed(client)
        assert client.search("lighthouse 3", "hybrid").total
        status = client.status()
        assert (status.uri, status.vectors) == (settings.uri, 6)
        client.close()
    assert not paths.memory_dir.exists()
    with running_service(paths, settings=settings):
        client = MemoryClient(paths, ADA, start=False)
        assert client.current_session() == client.session(session.id)
        kept = [one.content for one in client.messages(session.id).items]
        assert kept == [f"the lighthouse of number {number}" for number in range(5)]
        assert client.get_entry(entry.id) == entry
        assert client.status().vectors == 6
        client.delete_session(session.id)
        assert client.status().messages == 0
        client.close()


def test_another_machine_is_told_who_has_the_store(
    paths: Paths, settings: MemorySettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Lease.take(Database(Place(settings.uri, settings.storage)), Holder("x", "cellar"))
    renewing = threading.Event()

    def renew() -> None:
        while not renewing.wait(0.2):
            other.renew()

    thread = threading.Thread(target=renew)
    thread.start()
    with running_service(paths_in(tmp_path), settings=settings) as service:
        client = MemoryClient(paths_in(tmp_path), ADA, start=False)
        with pytest.raises(MemoryUnavailable, match=r"\(cellar\) has s3://team/"):
            client.sessions()
        client.close()
    renewing.set()
    thread.join()
    assert service.failure is not None
    assert SECRET not in capsys.readouterr().err


def test_a_bucket_that_is_not_there_is_named_without_its_secret(
    paths: Paths, settings: MemorySettings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = MemorySettings(uri="s3://nowhere/memory", storage=settings.storage)
    with running_service(paths, settings=settings):
        client = MemoryClient(paths, ADA, start=False)
        with pytest.raises(Exception, match="s3://nowhere/memory"):
            client.sessions()
        client.close()
    assert SECRET not in capsys.readouterr().err


def _until_indexed(client: MemoryClient) -> None:
    until = time.monotonic() + 60
    while (status := client.status()).pending_vectors or status.model_state != "ready":
        assert time.monotonic() < until, "the vectors were not made in time"
        threading.Event().wait(0.02)
