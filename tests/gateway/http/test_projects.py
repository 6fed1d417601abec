"""`${project}` over HTTP is the grant's directory, and none that a client tells."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pktui.settings import Paths
from tests.gateway.http.served import (
    Served,
    plain,
    request,
    served,
    text,
    write_policy,
    write_servers,
)  # fmt: skip

INSIDE = {"require": [{"conditions": [
    {"path": "args.path", "op": "within", "value": ["${project}"]}
]}]}  # fmt: skip


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Served]:
    paths = Paths.at(tmp_path / "config", tmp_path / "data")
    write_servers(paths, plain=plain())
    write_policy(paths, "plain", tools={"echo": INSIDE})
    with served(paths) as gateway:
        yield gateway


def echo(running: Served, token: str, path: str) -> str:
    session = running.begin("plain", token=token)
    params: dict[str, Any] = {"name": "echo", "arguments": {"path": path}}
    reply = running.send(
        "plain", request("tools/call", 1, params), token=token, mcp_session_id=session
    )
    return text(reply.json())


def test_paths_count_from_the_grants_project(running: Served, tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "out").symlink_to("/etc")
    _, token = running.ledger.grants.create("ada", ["*"], project=str(shop))
    assert "DENIED" not in echo(running, token, "src/a.py")
    assert "DENIED" not in echo(running, token, f"{os.path.realpath(shop)}/a")
    assert "DENIED" in echo(running, token, "../secret")
    assert "DENIED" in echo(running, token, "out/passwd")


def test_without_one_no_path_can_be_judged(running: Served) -> None:
    _, token = running.ledger.grants.create("bob", ["*"])
    assert "can't be judged" in echo(running, token, "src/a.py")
    assert "can't be judged" in echo(running, token, str(Path.cwd() / "a"))
