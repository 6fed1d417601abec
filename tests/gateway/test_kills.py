"""Client, gateway, server and console killed (SIGKILL) at each stage of a call.

Whatever dies when: what a client was told is on record, quota and approvals are as they should be,
the chain holds, and no process is left. Stages are brought about by stopping processes (SIGSTOP)
and waiting for what can be seen from outside, never by waiting for time to pass.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pktui.ledger.ledger import Ledger
from pktui.policy.document.policy import load_policy
from pktui.policy.evaluate import Call, charge_for
from tests.gateway.stdio.test_stdio import alive, children, eventually
from tests.support.gateway import PATIENCE, environment, gateway_command, plain_server

if TYPE_CHECKING:
    from pktui.ledger.records import CallRow
    from pktui.settings import Paths

LIMIT = {"counter": "calls", "window": "day", "max": 100, "scope": "server"}
TOOLS = {
    "echo": {"limits": [LIMIT]},
    "big": {"limits": [LIMIT]},
    "silent": {"limits": [LIMIT]},
    "write": {"action": "approve", "limits": [LIMIT]},
}
SUPPORT = Path(__file__).parents[1] / "support"
HUGE = "x" * 1_000_000
"""More than pipes hold."""


class Scene:
    """A client process, its gateway, the gateway's server, and a console."""

    def __init__(self, paths: Paths, folder: Path) -> None:
        file = paths.policy_file("demo")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"version": "1", "default": "allow", "tools": TOOLS}))
        self.policy = load_policy(file)
        self.received = folder / "received"
        self.ledger = Ledger.open(paths.ledger_file)
        self.console = self._start("waiting_console.py")
        assert self.console.stdout is not None
        assert self.console.stdout.readline() == b"open\n"
        self.open_client()

    def open_client(self) -> None:
        """Start a client with a gateway and a server, and wait until they talk."""
        self.written = 0
        command = gateway_command("demo", "--", *plain_server("--received", str(self.received)))
        self.client = self._start("pumping_client.py", *command)
        assert self.client.stderr is not None
        self.gateway = int(self.client.stderr.readline())
        self.request("ping", "hello")
        assert self.reply()["id"] == "hello"
        self.group = children(self.gateway)
        [self.server] = [pid for pid in self.group if "plain_server" in look(pid, "command=")]

    def _start(self, script: str, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, str(SUPPORT / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )

    def request(self, method: str, request_id: Any = 1, **params: Any) -> None:
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        line = json.dumps(message).encode() + b"\n"
        assert self.client.stdin is not None
        with suppress(BrokenPipeError):
            self.client.stdin.write(line)
            self.client.stdin.flush()
        self.written += len(line)

    def passed_on(self) -> None:
        """Wait until what was requested lies in the gateway's pipe."""
        assert self.client.stderr is not None
        while self.client.stderr.readline() != b"passed %d\n" % self.written:
            assert alive(self.client.pid)

    def call(self, tool: str, request_id: Any = 1, **arguments: Any) -> None:
        self.request("tools/call", request_id, name=tool, arguments=arguments)

    def reply(self) -> Any:
        """Return the next line the client gets, None at the end."""
        assert self.client.stdout is not None
        line = self.client.stdout.readline()
        return json.loads(line) if line else None

    def outcomes(self) -> list[str]:
        """Return how the calls ended that were decided; a refused message was not."""
        return [row.outcome for row in self.ledger.feed.page() if row.effect != "refused"]

    def used(self) -> int:
        """Return how many calls the quota has counted."""
        [limit] = self.policy.tools["echo"].limits
        charge = charge_for(limit, Call("demo", "echo", {}, "", ""))
        assert charge is not None
        return int(self.ledger.counters.usage(charge)[0])

    def statuses(self) -> set[str]:
        return {approval.status for approval in self.ledger.approvals.recent(10)}

    def reached(self) -> list[str]:
        """Return the tools that the server was called with, of the whole lines it got."""
        lines = self.received.read_text().split("\n")[:-1] if self.received.exists() else []
        messages = [json.loads(line) for line in lines]
        return [m["params"]["name"] for m in messages if m["method"] == "tools/call"]

    def allow(self) -> None:
        """Let the console's process decide."""
        assert self.console.stdin is not None
        assert self.console.stdout is not None
        self.console.stdin.write(b"allow\n")
        self.console.stdin.flush()
        assert self.console.stdout.readline() == b"decided\n"

    def kill(self, victim: str) -> None:
        pids = {"client": self.client.pid, "gateway": self.gateway, "server": self.server}
        os.kill(pids.get(victim, self.console.pid), signal.SIGKILL)

    def go_on(self) -> None:
        """Let everything that was stopped and still lives go on."""
        for pid in (self.client.pid, self.gateway, self.server):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def rest(self) -> bytes:
        """Return what the client gets until the end, which may be half a line."""
        assert self.client.stdout is not None
        return self.client.stdout.read()

    def close(self) -> None:
        self.go_on()
        end(self.client)
        end(self.console)
        assert eventually(lambda: not any(map(alive, {self.gateway, *self.group})))
        self.ledger.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process of this test and close what it leaves open."""
    process.kill()
    process.wait(PATIENCE)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()


def look(pid: int, what: str) -> str:
    """Return what ps says of a process."""
    listing = subprocess.run(
        ["ps", "-ww", "-o", what, "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listing.stdout


def stop(pid: int) -> None:
    """Stop a process and wait until it stands."""
    os.kill(pid, signal.SIGSTOP)
    assert eventually(lambda: look(pid, "stat=").startswith("T"))


@pytest.fixture
def scene(paths: Paths, tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(paths, tmp_path)
    yield scene
    scene.close()


# Stages: each leaves one call exactly there


def undecided(scene: Scene) -> None:
    """The gateway has not read the call."""
    stop(scene.gateway)
    scene.call("echo")
    scene.passed_on()


def decided(scene: Scene) -> None:
    """The decision is on record, and the call only half on its way: the pipe is full."""
    stop(scene.server)
    scene.call("echo", text=HUGE)
    assert eventually(lambda: scene.outcomes() == [""])


def in_flight(scene: Scene) -> None:
    """The server has the call."""
    scene.call("silent")
    assert eventually(lambda: scene.reached() == ["silent"])


def answered(scene: Scene) -> None:
    """The outcome is on record, and the answer only half on its way: nobody reads it."""
    stop(scene.server)
    scene.call("big")
    assert eventually(lambda: scene.outcomes() == [""])
    stop(scene.client.pid)
    os.kill(scene.server, signal.SIGCONT)
    assert eventually(lambda: scene.outcomes() == ["ok"])


def held(scene: Scene) -> None:
    """A person is asked."""
    scene.call("write")
    assert eventually(lambda: len(scene.ledger.approvals.pending()) == 1)


def approved(scene: Scene) -> None:
    """A person has allowed it, and the gateway has not heard of it yet."""
    held(scene)
    stop(scene.gateway)
    scene.allow()


STAGES = {
    stage.__name__: stage for stage in (undecided, decided, in_flight, answered, held, approved)
}
# stage: outcomes on record (any of them), calls counted, states of the approval (any of them)
GATEWAY = {
    "undecided": ([], 0, set()),
    "decided": ([""], 1, set()),
    "in_flight": ([""], 1, set()),
    "answered": (["ok"], 1, set()),
    "held": ([""], 0, {"pending"}),
    "approved": ([""], 0, {"allowed"}),
}


@pytest.mark.parametrize("stage", STAGES)
def test_the_gateway_is_killed(scene: Scene, stage: str) -> None:
    STAGES[stage](scene)
    scene.kill("gateway")
    scene.go_on()
    assert eventually(lambda: not any(map(alive, scene.group)))
    assert b"\n" not in scene.rest()
    outcomes, used, statuses = GATEWAY[stage]
    assert scene.outcomes() == outcomes
    assert scene.used() == used
    assert scene.statuses() == statuses
    assert scene.ledger.presence.alive("gateway") == ()
    assert scene.ledger.verify().ok


@pytest.mark.parametrize("stage", ["held", "approved"])
def test_a_call_finds_its_answer_after_its_gateway_was_killed(scene: Scene, stage: str) -> None:
    STAGES[stage](scene)
    scene.kill("gateway")
    assert eventually(lambda: not any(map(alive, scene.group)))
    end(scene.client)
    scene.open_client()
    scene.call("write")
    if stage == "held":
        assert eventually(lambda: len(scene.ledger.feed.page()) == 2)
        scene.allow()
    assert scene.reply()["result"]["content"][0]["text"] == '["write", {}]'
    assert scene.reached() == ["write"]
    assert scene.statuses() - {"withdrawn"} == {"spent"}
    assert scene.used() == 1
    assert scene.ledger.verify().ok


@pytest.mark.parametrize("stage", STAGES)
def test_the_server_is_killed(scene: Scene, stage: str) -> None:
    STAGES[stage](scene)
    scene.kill("server")
    scene.go_on()
    reply = scene.reply()
    assert reply["id"] == 1
    assert scene.reply() is None
    assert eventually(lambda: not any(map(alive, {scene.gateway, *scene.group})))
    failed = "error" in reply or reply["result"].get("isError", False)
    assert failed == (stage != "answered")
    check_end(scene, told=stage == "answered")


@pytest.mark.parametrize("stage", STAGES)
def test_the_client_is_killed(scene: Scene, stage: str) -> None:
    STAGES[stage](scene)
    scene.kill("client")
    scene.go_on()
    assert eventually(lambda: not any(map(alive, {scene.gateway, *scene.group})))
    check_end(scene, told=stage == "answered")


@pytest.mark.parametrize("stage", STAGES)
def test_the_console_is_killed(scene: Scene, stage: str) -> None:
    STAGES[stage](scene)
    scene.kill("console")
    scene.console.wait(PATIENCE)
    scene.go_on()
    if stage == "in_flight":
        assert scene.outcomes() == [""]
        return
    if stage == "held":
        [asked] = scene.ledger.approvals.pending()
        scene.ledger.approvals.decide(asked.id, True, by="another", args_hash=asked.args_hash)
    assert "error" not in scene.reply()
    assert scene.outcomes() == ["ok"]
    assert scene.used() == 1
    assert scene.statuses() <= {"spent"}
    assert scene.ledger.verify().ok


def check_end(scene: Scene, *, told: bool) -> None:
    """Check what an orderly end leaves, also one that a death made necessary.

    A call that was told to the client is on record as it ended; one that may have run keeps its
    quota, whatever became of it; nobody is asked any more, and what was allowed and did not run
    may still run once.
    """
    outcomes = scene.outcomes()
    assert outcomes == ["ok"] or not told
    assert "" not in outcomes
    assert scene.used() == sum(map(may_have_run, scene.ledger.feed.page()))
    assert scene.statuses() <= {"spent", "withdrawn", "allowed"}
    assert len(scene.reached()) <= len(outcomes)
    assert scene.ledger.presence.alive("gateway") == ()
    assert scene.ledger.verify().ok


def may_have_run(row: CallRow) -> bool:
    held = row.effect == "approve" and row.outcome == "cancelled"
    return (
        row.effect != "refused"
        and row.outcome != "error"
        and not held
        and '"sent":false' not in row.outcome_detail
    )
