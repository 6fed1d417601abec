"""A gateway that cannot begin tells its client why, and lets nothing through."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pktui.gateway.lineio.lines import TooLong
from pktui.gateway.protocol.jsonrpc import Limits
from pktui.gateway.stdio.proxy import answer_of
from tests.support.gateway import RunningGateway, plain_server

if TYPE_CHECKING:
    from pktui.settings import Paths

WHY = "pktui lets no call through: the disk is full"


def answered(line: bytes | TooLong) -> Any:
    text = answer_of(line, WHY, Limits(size=200))
    return json.loads(text) if text else None


@pytest.mark.parametrize("method", ["initialize", "server/discover", "tools/list", "tools/call"])
def test_every_request_is_answered_with_the_reason(method: str) -> None:
    params = {"name": "echo"} if method == "tools/call" else {}
    line = json.dumps({"jsonrpc": "2.0", "id": "a", "method": method, "params": params})
    error = {"code": -32000, "message": WHY}
    assert answered(line.encode()) == {"jsonrpc": "2.0", "id": "a", "error": error}


@pytest.mark.parametrize(
    "line", [b"", b" ", b'{"jsonrpc":"2.0","method":"notifications/initialized"}']
)
def test_what_expects_no_answer_gets_none(line: bytes) -> None:
    assert answered(line) is None


@pytest.mark.parametrize(
    ("line", "code"), [(b"{", -32700), (b"[]", -32600), (TooLong(b"{"), -32600)]
)
def test_what_is_no_message_is_named(line: bytes | TooLong, code: int) -> None:
    assert answered(line)["error"]["code"] == code


def no_directory(paths: Paths) -> str:
    paths.data_dir.parent.mkdir(parents=True, exist_ok=True)
    paths.data_dir.write_text("a file where a directory should be")
    return str(paths.data_dir)


def no_settings(paths: Paths) -> str:
    paths.config_dir.mkdir(parents=True)
    (paths.config_dir / "settings.toml").write_text("[gateway]\nhold = 1\n")
    return "settings.toml"


@pytest.mark.parametrize("spoil", [no_directory, no_settings])
def test_the_client_is_told_and_the_server_gets_nothing(
    spoil: Any, paths: Paths, tmp_path: Path
) -> None:
    place = spoil(paths)
    received = tmp_path / "received"
    with RunningGateway("demo", "--", *plain_server("--received", str(received))) as gateway:
        for number, method in enumerate(("initialize", "tools/list")):
            answer = gateway.ask(method, number)
            assert answer["id"] == number
            assert place in answer["error"]["message"]
        gateway.call("echo", 7)
        assert "pktui lets no call through" in gateway.reply()["error"]["message"]
        assert gateway.hang_up() == 1
        assert place in gateway.all_words()
    assert not received.exists() or not received.read_text()


def test_a_signal_ends_it(paths: Paths) -> None:
    no_directory(paths)
    with RunningGateway("demo", "--", *plain_server()) as gateway:
        gateway.ask("initialize")
        assert gateway.signal(signal.SIGTERM) == -signal.SIGTERM
