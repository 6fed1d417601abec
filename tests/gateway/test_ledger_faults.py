"""A gateway whose ledger fails it: no call goes out, everyone is told why, and it recovers."""

from __future__ import annotations

import fcntl
import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pktui.ledger.ledger import Ledger
from pktui.ledger.schema import VERSION
from tests.support.gateway import RunningGateway, plain_server

if TYPE_CHECKING:
    from pktui.settings import Paths

NOT_ON_RECORD = "[DENIED by pktui] The call could not be put on record, so it did not run: "
SMALL_DISK = 'mkdir -p "$0" && mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"'


@pytest.fixture
def received(tmp_path: Path) -> Path:
    """Where the server writes down what reached it."""
    return tmp_path / "received.jsonl"


@pytest.fixture(autouse=True)
def _policy(paths: Paths) -> None:
    file = paths.policy_file("demo")
    file.parent.mkdir(parents=True)
    limit = {"counter": "n", "window": "hour", "max": 10_000, "scope": "server"}
    file.write_text(
        json.dumps({"version": "1", "default": "allow", "tools": {"echo": {"limits": [limit]}}})
    )


@pytest.fixture
def gateway(paths: Paths, received: Path) -> Iterator[RunningGateway]:
    """A gateway with one call behind it, all of which is on record."""
    with RunningGateway("demo", "--", *plain_server("--received", str(received))) as running:
        assert call(running, 1) == '["echo", {"n": 1}]'
        ledger = Ledger.open(paths.ledger_file, read_only=True)
        while not ledger.feed.page()[0].outcome:
            pass
        ledger.close()
        yield running


def call(gateway: RunningGateway, number: int, **arguments: str) -> str:
    """Call a tool and return the text of the answer."""
    gateway.call("echo", number, n=number, **arguments)
    return str(gateway.reply()["result"]["content"][0]["text"])


def calls(received: Path) -> list[int]:
    """Return the numbers of the calls that reached the server."""
    found = [json.loads(line) for line in received.read_text().splitlines()]
    return [one["params"]["arguments"]["n"] for one in found if one["method"] == "tools/call"]


def remove(paths: Paths) -> None:
    paths.ledger_file.unlink()


def replace(paths: Paths) -> None:
    copy = paths.data_dir / "copy.db"
    shutil.copy(paths.ledger_file, copy)
    copy.rename(paths.ledger_file)


def move_away(paths: Paths) -> None:
    paths.data_dir.rename(paths.data_dir.with_name("elsewhere"))


def remove_the_segments(paths: Paths) -> None:
    for segment in (paths.data_dir / "journal").glob("0*.jsonl"):
        segment.unlink()


def replace_the_segments(paths: Paths) -> None:
    for segment in (paths.data_dir / "journal").glob("0*.jsonl"):
        copy = paths.data_dir / "copy"
        shutil.copy(segment, copy)
        copy.rename(segment)


def remove_the_journal(paths: Paths) -> None:
    shutil.rmtree(paths.data_dir / "journal")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (remove, "was removed or replaced while in use. Start pktui and the agents again"),
        (replace, "was removed or replaced while in use. Start pktui and the agents again"),
        (move_away, "was removed or replaced while in use. Start pktui and the agents again"),
        (remove_the_segments, "was removed or replaced while in use. Put it back"),
        (replace_the_segments, "was removed or replaced while in use. Put it back"),
        (remove_the_journal, "was removed or replaced while in use. Put it back"),
    ],
)
def test_a_ledger_that_is_spoilt_under_a_gateway_stops_every_call(
    gateway: RunningGateway,
    paths: Paths,
    received: Path,
    fault: Callable[[Paths], None],
    reason: str,
) -> None:
    fault(paths)
    for number in (2, 3):
        answer = call(gateway, number)
        assert answer.startswith(NOT_ON_RECORD)
        assert reason in answer
    assert calls(received) == [1]
    assert gateway.ask("ping", 4)["result"] == {}
    gateway.hang_up()
    assert "a call to echo was denied" in gateway.all_words()


def test_counters_that_are_kept_locked_stop_calls_until_they_are_free(
    gateway: RunningGateway, paths: Paths, received: Path
) -> None:
    with (paths.data_dir / "counters").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        answer = call(gateway, 2)
        assert answer.startswith(NOT_ON_RECORD)
        assert "another process has kept" in answer
        assert "counters locked for 5 seconds" in answer
    assert call(gateway, 3) == '["echo", {"n": 3}]'
    assert calls(received) == [1, 3]


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


def newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as other:
        other.execute(f"PRAGMA user_version={VERSION + 1}")


def foreign(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE theirs (x)")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lambda file: file.write_bytes(b"no database " * 500), "it is no SQLite file. Move it"),
        (truncate, "it is damaged. Move it away and keep it"),
        (newer, "was written by a newer pktui"),
        (foreign, "is a SQLite file of another program. Move it away"),
        (lambda file: (file.unlink(), file.mkdir()), "it cannot be opened"),
    ],
)
def test_a_gateway_does_not_begin_on_what_is_no_ledger_of_its_own(
    paths: Paths, received: Path, fault: Callable[[Path], None], reason: str
) -> None:
    Ledger.open(paths.ledger_file).close()
    fault(paths.ledger_file)
    with RunningGateway("demo", "--", *plain_server("--received", str(received))) as gateway:
        told = gateway.ask("initialize")["error"]["message"]
        assert gateway.hang_up() == 1
        words = gateway.all_words()
    for text in (told, words):
        assert reason in text
        assert str(paths.ledger_file) in text
    assert not received.exists() or calls(received) == []


def can_mount() -> bool:
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def fill(ballast: Path) -> None:
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@pytest.mark.skipif(not can_mount(), reason="needs a disk of its own")
def test_a_full_disk_stops_calls_with_the_reason_until_there_is_space(
    paths: Paths, received: Path, tmp_path: Path
) -> None:
    through = ["unshare", "-rm", "sh", "-c", SMALL_DISK, str(paths.data_dir)]
    server = plain_server("--received", str(received))
    with RunningGateway("demo", "--", *server, through=through) as gateway:
        assert call(gateway, 1) == '["echo", {"n": 1}]'
        inside = Path(f"/proc/{gateway.process.pid}/root{paths.data_dir}")
        ballast = inside / "ballast"
        fill(ballast)
        number = 2
        while "DENIED" not in (answer := call(gateway, number, text="x" * 2000)):
            number += 1
        assert answer.startswith(NOT_ON_RECORD)
        assert "the disk is full. Free some space; nothing was half-written" in answer
        ballast.unlink()
        assert call(gateway, number + 1) == f'["echo", {{"n": {number + 1}}}]'
        assert calls(received) == [*range(1, number), number + 1]
        shutil.copytree(inside, tmp_path / "copy")
        assert gateway.hang_up() == 0
    ledger = Ledger.open(tmp_path / "copy" / "ledger.db")
    rows = ledger.feed.page(limit=1000)
    assert ledger.verify().ok
    ledger.close()
    assert {(row.effect, row.outcome) for row in rows} <= {("allow", "ok"), ("allow", "cancelled")}
    assert sum(row.outcome == "ok" for row in rows) == number
