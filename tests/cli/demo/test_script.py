from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from pktui.cli.demo.samples import sample_file
from pktui.cli.demo.script import Step, load_script
from pktui.cli.demo.server import build
from pktui.memory.tools.definitions import definitions
from pktui.policy.document.policy import load_policy
from pktui.policy.evaluate import Call, Charge, Effect, Usage, evaluate
from pktui.settings import bundled

SCENES = load_script(sample_file("script.jsonl"))
STEPS = [step for scene in SCENES for step in scene.steps]
POLICIES = {
    "workshop": bundled("assets", "demo", "policies", "workshop.json"),
    "memory": bundled("config", "policies", "memory.json"),
}


class Unused:
    """A quota that nothing was taken from yet."""

    def usage(self, charge: Charge) -> Usage:
        return Usage(charge, Decimal(0), 0)


def effect(step: Step) -> Effect:
    policy = load_policy(POLICIES[step.server])
    call = Call(step.server, step.tool, step.arguments, "agent", "connection")
    return evaluate(policy, call, Unused()).effect


async def schemas(server: str, root: Path) -> dict[str, Mapping[str, Any]]:
    if server == "memory":
        return {tool["name"]: tool["inputSchema"] for tool in definitions()}
    async with Client(build(root)) as client:
        return {tool.name: tool.input_schema for tool in (await client.list_tools()).tools}


@pytest.mark.parametrize("server", ["workshop", "memory"])
async def test_every_step_calls_a_tool_with_arguments_it_has(server: str, tmp_path: Path) -> None:
    known = await schemas(server, tmp_path)
    for step in (step for step in STEPS if step.server == server):
        schema = known[step.tool]
        assert set(schema.get("required", ())) <= set(step.arguments)
        assert set(step.arguments) <= set(schema["properties"])


def test_the_script_meets_every_kind_of_answer() -> None:
    assert {effect(step) for step in STEPS} == set(Effect)


def test_only_writing_scenes_wait_for_a_person() -> None:
    for scene in SCENES:
        waits = any(effect(step) is Effect.APPROVE for step in scene.steps)
        assert waits == (scene.kind == "writing")


def test_a_scene_searches_more_often_than_it_may() -> None:
    searches = [sum(step.tool == "search_code" for step in scene.steps) for scene in SCENES]
    assert max(searches) > 5


def test_the_pace_is_a_person_s() -> None:
    assert all(0.5 <= step.pause <= 15 for step in STEPS)
