"""An agent loops over a denied tool while a person lets it be asked about: no call ever runs.

The agent is a real MCP client behind a real gateway, and calls twenty times a second. Every way
there is from deny to ask is gone; what the gateway decided is read from the ledger, what reached
the server from the server itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client, StdioServerParameters
from mcp_types import Implementation
from textual import events

from pktui.insight.trial import recorded
from pktui.policy.document.policy import load_policy
from pktui.policy.effective import effective
from pktui.settings import Paths
from pktui.tui.console import Console
from pktui.tui.views.policies.document_screen import DocumentScreen
from pktui.tui.views.policies.sentence import SentenceScreen
from pktui.tui.views.policies.trials import PresetScreen, ReplayScreen
from pktui.tui.views.policies.write_screen import WriteScreen
from tests.support.gateway import PATIENCE, ROOT, plain_server
from tests.tui.house import Desk, House, desk
from tests.tui.views.test_policies import at_tool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

PACE_SECONDS = 0.05
SERVER, TOOL = "plain", "write"
ARGUMENTS = {"path": "src/cart.py", "text": "x"}
DENY: dict[str, Any] = {
    "version": "1",
    "default": "deny",
    "tools": {TOOL: {"action": "deny", "reason": "Not now."}},
}
# A command of a person's, whoever runs the tests.
_COMMAND = (
    "import pktui.person; pktui.person.ancestors = lambda: ();"
    " from pktui.cli.entry import main; main()"
)


@dataclass
class Agent:
    """An MCP client that calls one tool for as long as it may."""

    paths: Paths
    directory: Path
    over: threading.Event = field(default_factory=threading.Event)
    said: list[str] = field(default_factory=list)
    problem: BaseException | None = None

    def __post_init__(self) -> None:
        self.paths.policies_dir.mkdir(parents=True, mode=0o700)
        self.received = self.directory / "received"
        self.received.touch()
        self.thread = threading.Thread(target=self._run, daemon=True)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PKTUI_CONFIG_DIR": str(self.paths.config_dir),
            "PKTUI_DATA_DIR": str(self.paths.data_dir),
            "HOME": str(self.directory / "home"),
            "PYTHONPATH": str(ROOT),
        }

    def _run(self) -> None:
        try:
            asyncio.run(self._loop())
        except BaseException as error:  # noqa: BLE001  told by whoever waits for it
            self.problem = error

    async def _loop(self) -> None:
        server = plain_server("--received", str(self.received))
        gateway = ["-P", "-m", "pktui", "gateway", SERVER, "--", *server]
        starts = StdioServerParameters(
            command=sys.executable, args=gateway, env=self.environment, cwd=self.directory
        )
        async with Client(starts, client_info=Implementation(name="looper", version="1")) as client:
            while not await asyncio.to_thread(self.over.wait, PACE_SECONDS):
                answer = await client.call_tool(TOOL, ARGUMENTS)
                self.said.append("refused" if answer.is_error else "ran")

    @property
    def ran(self) -> int:
        """How many of its calls reached the server."""
        return self.received.read_bytes().count(b"tools/call")

    def command(self, *words: str, typed: str = "") -> None:
        """Run a `pktui` of a person, in a process of its own."""
        subprocess.run(
            [sys.executable, "-c", _COMMAND, *words],
            env=self.environment, input=typed, text=True, check=True, capture_output=True,
            timeout=PATIENCE,
        )  # fmt: skip


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    directory = tmp_path_factory.mktemp("loop")
    paths = Paths(config_dir=directory / "config", data_dir=directory / "data")
    agent = Agent(paths, directory)
    put(paths, DENY)
    agent.thread.start()
    yield agent
    agent.over.set()
    agent.thread.join(PATIENCE)
    assert agent.problem is None
    assert set(agent.said) == {"refused"}
    assert agent.ran == 0


def put(paths: Paths, document: object) -> None:
    """Put a policy in the place of what there is, as somebody else would."""
    file = paths.policy_file(SERVER)
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(document, indent=2))
    draft.chmod(0o600)
    draft.replace(file)


class Loop:
    """What one test sees of the agent's calls, and the hands on the console."""

    def __init__(self, agent: Agent, at: Desk) -> None:
        self.agent, self.at = agent, at
        self._begun = len(self._rows())

    def _rows(self) -> Sequence[str]:
        return [row.effect for row in recorded(self.at.house.other, SERVER, 0)]

    @property
    def effects(self) -> Sequence[str]:
        """What was decided since this test began, in its order."""
        return self._rows()[self._begun :]

    async def sees(self, effect: str, times: int = 3) -> None:
        """Wait for so many calls more that are decided so."""
        known = len(self.effects)

        def seen() -> bool:
            assert self.agent.problem is None, self.agent.problem
            return self.effects[known:].count(effect) >= times

        await self.at.until(seen)

    @property
    def action(self) -> str:
        """What the file says of the tool."""
        return effective(load_policy(self.at.house.paths.policy_file(SERVER)), TOOL).action

    async def written(self) -> None:
        """Write what is shown."""
        assert isinstance(self.at.app.screen, WriteScreen), self.at.screen_text()
        await self.at.answer("w")
        await self.at.until(lambda: not self.at.app.undo_stack.running)
        await self.at.settle()

    async def drafted(self, *keys: str) -> None:
        """Type these keys on the tool's row together, and write what they drafted."""
        await self.at.burst(*keys)
        await self.at.press("w")
        await self.written()


async def chosen(loop: Loop) -> None:
    await loop.drafted("space", "s")


async def cycled(loop: Loop) -> None:
    await loop.drafted("space", "a", "space", "h", "space", "d", "space", "a", "space", "s")


async def dropped_between(loop: Loop) -> None:
    await loop.at.burst("space", "a", "escape", "space", "h", "escape")
    await loop.at.press("u", "escape")  # the drafts are back, and dropped again
    assert loop.at.app.drafts.total == 0
    await loop.sees("deny")
    await loop.drafted("space", "s")


async def with_limit_and_reason_first(loop: Loop) -> None:
    """Neither of them lets a denied tool do more."""
    await loop.at.press("l", *"500/m", "enter", "r", *"Ask", "enter", "w")
    await loop.written()
    assert loop.action == "deny"
    await loop.sees("deny")
    await loop.drafted("space", "s")


async def all_at_once(loop: Loop) -> None:
    await loop.at.press("l", *"900/m", "enter", "r", *"Ask", "enter", "space", "s", "w")
    await loop.written()


async def from_all_tools(loop: Loop) -> None:
    await loop.at.press("asterisk", "slash", *TOOL, "enter")
    await loop.at.press("space", "s", "w")
    await loop.written()


async def a_preset(loop: Loop) -> None:
    await loop.at.press("P")
    assert isinstance(loop.at.app.screen, PresetScreen)
    await loop.at.press("j", "j", "w")  # balanced
    await loop.written()


async def a_paste(loop: Loop) -> None:
    await loop.at.press("space", "a")  # a draft that is not written with it
    loop.at.app.post_message(events.Paste(f'"{TOOL}": {{ "action": "ask" }}'))
    await loop.at.settle()
    await loop.written()
    assert loop.at.app.drafts.get(SERVER, TOOL).action == "allow"
    await loop.at.press("escape")


async def undone(loop: Loop) -> None:
    """Ask, then deny, then take the denial back; and what stood before both is not come to."""
    await loop.drafted("space", "s")
    await loop.sees("approve")
    await loop.drafted("space", "d")
    await loop.sees("deny")
    await loop.at.press("space", "a", "u")  # takes back the draft
    assert loop.action == "deny"
    await loop.at.press("u")
    await loop.at.until(lambda: loop.action == "approve")


async def by_hand(loop: Loop) -> None:
    """The editor saves what would allow, then half a document, then the one that asks."""
    patch, script = pytest.MonkeyPatch(), loop.agent.directory / "editor.py"
    script.write_text(
        "import pathlib, sys\n"
        "file = pathlib.Path(sys.argv[1]); text = file.read_text()\n"
        "file.write_text(text.replace('deny', 'allow'))\n"
        "file.write_text(text[:40])\n"
        "done = pathlib.Path(__file__).with_suffix('.done')\n"
        "if done.exists(): file.write_text(open(done).read())\n"
    )
    with patch.context() as set_to:
        set_to.setattr(Console, "suspend", lambda _self: nullcontext())
        set_to.setenv("VISUAL", shlex.join([sys.executable, str(script)]))
        await loop.at.press("V")
        assert isinstance(loop.at.app.screen, DocumentScreen)
        await loop.sees("deny")
        asking = json.dumps({**DENY, "tools": {TOOL: {"action": "approve"}}})
        script.with_suffix(".done").write_text(asking)
        await loop.at.press("V")
    await loop.written()


async def policy_set(loop: Loop) -> None:
    await asyncio.to_thread(loop.agent.command, "policy", "set", SERVER, TOOL, "approve")


async def policy_merge(loop: Loop) -> None:
    typed = json.dumps({TOOL: {"action": "approve"}})
    merge = ("policy", "merge", SERVER, "-")
    await asyncio.to_thread(lambda: loop.agent.command(*merge, typed=typed))


async def policy_undo(loop: Loop) -> None:
    command = loop.agent.command
    await asyncio.to_thread(command, "policy", "set", SERVER, TOOL, "approve")
    await loop.sees("approve")
    await asyncio.to_thread(command, "policy", "set", SERVER, TOOL, "deny")
    await loop.sees("deny")
    await asyncio.to_thread(command, "policy", "undo", SERVER)


async def a_rule_of_an_ask(loop: Loop) -> None:
    """No rule comes of a tool that is denied, nor of one that would not let the call run."""
    await loop.drafted("space", "s")
    await loop.sees("approve")
    await loop.drafted("space", "d")
    await loop.sees("deny")
    await loop.at.press("c")
    assert isinstance(loop.at.app.screen, SentenceScreen)
    await loop.at.answer("w")
    assert "no such rule can be made" in loop.at.notices()
    await loop.at.press("escape")
    assert loop.action == "deny"
    await loop.sees("deny")
    await loop.drafted("space", "s")
    await loop.sees("approve")
    await loop.at.press("c")
    await loop.at.press("e", *["backspace"] * 40, *"other.py", "enter")
    await loop.at.settle()
    before = loop.at.house.paths.policy_file(SERVER).read_bytes()
    await loop.at.answer("w")
    await loop.sees("approve")
    assert loop.at.house.paths.policy_file(SERVER).read_bytes() == before


async def a_rule_of_a_replay(loop: Loop) -> None:
    """A rule from the page of a draft is one of the policy as it is: denied, none can be made."""
    await loop.at.press("space", "s", "t")
    assert isinstance(loop.at.app.screen, ReplayScreen)
    await loop.at.until(lambda: "differ" in loop.at.screen_text())
    await loop.at.press("c")
    assert isinstance(loop.at.app.screen, SentenceScreen)
    await loop.at.answer("w")
    assert "no such rule can be made" in loop.at.notices()
    await loop.sees("deny")
    await loop.at.press("escape", "w")
    await loop.written()


WAYS = (
    chosen, cycled, dropped_between, with_limit_and_reason_first, all_at_once, from_all_tools,
    a_preset, a_paste, undone, by_hand, policy_set, policy_merge, policy_undo, a_rule_of_an_ask,
    a_rule_of_a_replay,
)  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_no_call_runs_on_the_way_from_deny_to_ask(
    agent: Agent, way: Callable[[Loop], Awaitable[None]]
) -> None:
    house = House(agent.paths, now_us=time.time_ns() // 1000)
    put(agent.paths, DENY)
    async with desk(house, "policies") as at:
        loop = Loop(agent, at)
        await loop.sees("deny")
        await at_tool(at, SERVER, TOOL)
        await way(loop)
        await loop.sees("approve")
        await at.settle()
        assert loop.action == "approve"
        put(agent.paths, DENY)
        await loop.sees("deny")
        assert set(loop.effects) == {"deny", "approve"}
        assert agent.ran == 0
