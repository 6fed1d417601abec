"""Names that a real server takes for a rule's: aliases, and keys that it reads as numbers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from mcp import Client
from mcp.server.mcpserver import MCPServer
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from pktui.ledger.arguments.canonical import canonical_json
from pktui.policy.argument_check import Definition
from pktui.policy.evaluate import Call, evaluate
from pktui.policy.memory_quota import MemoryQuota
from tests.policy.build import Clock, tool


class ByName(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    amount: int = Field(alias="amountUsd", default=1)


class EitherName(BaseModel):
    amountUsd: int = Field(validation_alias=AliasChoices("amountUsd", "amt"), default=1)  # noqa: N815


def pay(
    by_name: ByName | None = None,
    either: EitherName | None = None,
    listed: list[ByName] | None = None,
    keyed: dict[int, int] | None = None,
) -> str:
    """Return the most it was asked to pay."""
    orders = [by_name.amount] if by_name else []
    orders += [either.amountUsd] if either else []
    orders += [order.amount for order in listed or ()]
    return str(max([*orders, *(keyed or {}).values()]))


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("by_name.amountUsd", {"by_name": {"amountUsd": 500}}),
        ("by_name.amountUsd", {"by_name": {"amount": 500}}),
        ("either.amountUsd", {"either": {"amt": 500}}),
        ("listed[*].amountUsd", {"listed": [{"amountUsd": 1}, {"amount": 500}]}),
        ("keyed.0", {"keyed": {"0": 500}}),
        ("keyed.0", {"keyed": {"00": 500}}),
        ("keyed.0", {"keyed": {" +0": 500}}),
        ("keyed.0", {"keyed": {"-0.0": 500}}),
    ],
)
def test_a_value_that_a_tool_gets_by_another_name_does_not_pass_a_rule(
    path: str, arguments: dict[str, Any]
) -> None:
    rules = tool(deny_if=[{"conditions": [{"path": f"args.{path}", "op": "gt", "value": 100}]}])
    got, definition = asyncio.run(_called(arguments))
    assert got == "500"
    call = Call("s", "t", arguments, "g", "c", definition)
    assert evaluate(rules, call, MemoryQuota(Clock())).effect == "deny"


async def _called(arguments: dict[str, Any]) -> tuple[str, Definition]:
    """Return what the tool got, and its definition."""
    server = MCPServer("second names")
    server.add_tool(pay, name="t", structured_output=False)
    async with Client(server) as client:
        (listed,) = (await client.list_tools()).tools
        text = canonical_json(listed.model_dump(mode="json", by_alias=True, exclude_none=True))
        answer = await client.call_tool("t", arguments)
    return getattr(answer.content[0], "text", ""), Definition("pinned", text.decode())
