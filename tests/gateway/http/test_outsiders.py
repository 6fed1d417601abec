"""What clients on other machines are told of this one: what is wrong, not where it lies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pktui.settings import Paths
from tests.gateway.http.served import Served, plain, served, text, write_policy, write_servers

CALL = {"name": "echo", "arguments": {}}


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outsiders")


@pytest.fixture
def running(place: Path) -> Iterator[Served]:
    paths = Paths.at(place / "config", place / "data")
    write_servers(paths, plain=plain())
    write_policy(paths, "plain")
    with served(paths) as gateway:
        yield gateway


def test_a_broken_policy_denies_without_its_folder(running: Served, place: Path) -> None:
    paths = running.paths
    paths.policy_file("plain").write_text("{")
    denied = running.modern("plain", "tools/call", **CALL)
    assert denied["result"]["isError"]
    assert "plain.json" in text(denied)
    assert str(place) not in str(denied)
    assert str(place) in running.ledger.feed.page()[-1].reason


def test_a_broken_policy_of_a_grant_denies_without_its_folder(running: Served, place: Path) -> None:
    file = place / "grants" / "laptop.json"
    file.parent.mkdir()
    file.write_text("{")
    _, token = running.grants("laptop", "plain", policy=str(file))
    session = running.begin("plain", token=token)
    reply = running.send(
        "plain",
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": CALL},
        token=token,
        mcp_session_id=session,
    )
    assert "laptop.json" in text(reply.json())
    assert str(place) not in reply.text


def test_a_ledger_that_is_gone_denies_without_its_folder(running: Served, place: Path) -> None:
    session = running.begin("plain")
    for file in place.glob("data/ledger.db*"):
        file.rename(file.with_name(f"away-{file.name}"))
    denied = running.ask("plain", session, "tools/call", 1, **CALL)
    assert "ledger.db, part of the ledger, was removed" in text(denied)
    assert str(place) not in str(denied)
    refused = running.ask("plain", session, "resources/read", 2, uri="note://one")
    assert "could not be put on record" in refused["error"]["message"]
    assert str(place) not in str(refused)
