"""One gateway for the tests of a module that need nothing of their own."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from pktui.settings import Paths
from tests.gateway.http.served import Served, eventually, plain, served, write_policy, write_servers

ASK = {"action": "approve", "reason": "Writes need a look."}
DENY = {"action": "deny", "reason": "Nothing is failed here."}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway with a plain server behind it: `write` asks, `fail` is denied, `secret` hidden."""
    place = tmp_path_factory.mktemp("http")
    paths = Paths.at(place / "config", place / "data")
    write_servers(paths, plain=plain(), other=plain())
    for server in ("plain", "other"):
        write_policy(paths, server, hide=["secret"], tools={"write": ASK, "fail": DENY})
    before = threading.active_count()
    with served(paths) as gateway:
        yield gateway
    assert eventually(lambda: threading.active_count() <= before + 1)
