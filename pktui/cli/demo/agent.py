"""The demo's agent: a real MCP client on two real gateways, following a script or orders.

Run with `python -m pktui.cli.demo.agent SCRIPT` to play the scenes of a script until standard
input ends, or with `--led` to take orders, one JSON document a line, from standard input. Either
way it says what came of each call on standard output, one JSON document a line.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import msgspec
from mcp import Client, MCPError, StdioServerParameters
from mcp_types import CallToolResult, Implementation, TextContent

from pktui.cli.demo.script import Order, Outcome, Scene, Step, load_script

AGENT = Implementation(name="claude-code", version="2.1")
SERVERS = ("workshop", "memory")
# How long the agent does nothing before it repeats a call that nobody decided yet.
ASK_AGAIN_SECONDS = 12.0
ASK_AGAIN_TIMES = 20
# The decision that a gateway gives for a call which still waits for a person.
WAITING = "approve"


class Agent:
    """The connections of one agent, by the name of the server behind them."""

    def __init__(self, clients: Mapping[str, Client]) -> None:
        self._clients = clients

    async def call(self, order: Order) -> Outcome:
        """Call a tool and return what the agent's model would read; a denial is no exception."""
        try:
            result = await self._clients[order.server].call_tool(order.tool, order.arguments)
        except MCPError as error:
            return Outcome(order.id, order.server, order.tool, True, str(error), "error")
        decision = _decision(result)
        return Outcome(
            order.id, order.server, order.tool, bool(result.is_error), _text(result), decision
        )

    async def tools(self, server: str) -> tuple[str, ...]:
        """Return the names of the tools that a server offers this agent."""
        listed = await self._clients[server].list_tools()
        return tuple(tool.name for tool in listed.tools)


def _text(result: CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))


def _decision(result: CallToolResult) -> str:
    decision = (result.meta or {}).get("pktui/decision")
    return str(decision.get("effect", "")) if isinstance(decision, dict) else ""


def connect(server: str, environment: Mapping[str, str]) -> Client:
    """Return a client of `pktui gateway SERVER`; it starts when it is entered."""
    return Client(
        StdioServerParameters(
            command=sys.executable,
            args=["-P", "-m", "pktui", "gateway", server],
            env=dict(environment),
            cwd=Path.cwd(),
        ),
        client_info=AGENT,
    )


async def play(agent: Agent, scenes: Sequence[Scene], chance: random.Random) -> None:
    """Play the scenes in their order, then for ever each once before any comes again."""
    while True:
        for scene in scenes:
            for step in scene.steps:
                await _perform(agent, step)
                await anyio.sleep(step.pause * chance.uniform(0.7, 1.3))
        scenes = chance.sample(scenes, len(scenes))


async def _perform(agent: Agent, step: Step) -> None:
    """Call a tool; while it waits for a person, ask again as the answer says."""
    for _ in range(ASK_AGAIN_TIMES):
        outcome = await agent.call(Order(0, step.server, step.tool, step.arguments))
        _say(outcome)
        if outcome.decision != WAITING:
            return
        await anyio.sleep(ASK_AGAIN_SECONDS)


def _say(record: msgspec.Struct) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(record) + b"\n")
    sys.stdout.buffer.flush()


async def _led(agent: Agent) -> None:
    """Take orders until standard input ends; calls that wait do not hold up the next."""

    async def obey(order: Order) -> None:
        if order.tool:
            _say(await agent.call(order))
            return
        names = await agent.tools(order.server)
        _say(Outcome(order.id, order.server, "", False, "\n".join(names), "listed"))

    async with anyio.create_task_group() as tasks:
        async for line in anyio.wrap_file(sys.stdin.buffer):
            tasks.start_soon(obey, msgspec.json.decode(line, type=Order))
        tasks.cancel_scope.cancel()


async def _played(agent: Agent, script: Path) -> None:
    scenes = load_script(script)
    chance = random.Random()  # noqa: S311  variety, not secrecy
    async with anyio.create_task_group() as tasks:
        for pace in ("reading", "writing"):
            chosen = tuple(scene for scene in scenes if scene.kind == pace)
            tasks.start_soon(play, agent, chosen, chance)
        await anyio.to_thread.run_sync(sys.stdin.buffer.read, abandon_on_cancel=True)
        tasks.cancel_scope.cancel()


async def main(argument: str, environment: Mapping[str, str]) -> None:
    """Connect to both gateways and follow the script, or orders where there is none."""
    async with AsyncExitStack() as stack:
        clients = {}
        for server in SERVERS:
            clients[server] = await stack.enter_async_context(connect(server, environment))
        agent = Agent(clients)
        if argument == "--led":
            await _led(agent)
        else:
            await _played(agent, Path(argument))


if __name__ == "__main__":
    import os

    anyio.run(main, sys.argv[1], dict(os.environ))
