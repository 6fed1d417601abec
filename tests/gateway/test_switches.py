"""What a person switches off for a server, between the official SDK's client and server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp_types import CreateMessageResult, TextContent

from pktui.ledger.ledger import Ledger
from tests.support.gateway import environment

if TYPE_CHECKING:
    from pktui.settings import Paths

SERVER = Path(__file__).parents[1] / "support" / "asking_server.py"
SETTINGS = """
[servers.asking]
policy = "strict.json"
redact = true
[servers.asking.methods]
"sampling/createMessage" = "{rule}"
"prompts/get" = "{rule}"
"""


async def refusal(client: Client) -> str:
    """Return why the tool cannot ask back: the server's error, or the gateway's result."""
    try:
        result = await client.call_tool("think", {})
    except MCPError as error:
        return str(error)
    assert result.is_error
    return str(result.content)


@pytest.mark.filterwarnings("ignore:The sampling capability")
@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
@pytest.mark.parametrize("rule", ["allow", "deny"])
async def test_methods_are_switched_and_results_masked(paths: Paths, era: str, rule: str) -> None:
    paths.policies_dir.mkdir(parents=True)
    paths.settings_file.write_text(SETTINGS.format(rule=rule))
    (paths.policies_dir / "strict.json").write_text('{"version":"1","default":"allow"}')
    asked: list[Any] = []

    async def sample(context: Any, params: Any) -> Any:
        del context
        asked.append(params)
        content = TextContent(type="text", text="yes")
        return CreateMessageResult(role="assistant", content=content, model="m")

    command = ["-m", "pktui", "gateway", "asking", "--", sys.executable, str(SERVER)]
    parameters = StdioServerParameters(command=sys.executable, args=command, env=environment())
    async with Client(parameters, mode=era, sampling_callback=sample) as client:
        told = await client.call_tool("token", {})
        assert "use [masked " in str(told.content)
        assert "ghp_" not in str(told.structured_content)
        if rule == "deny":
            assert "switched off for server asking" in await refusal(client)
            with pytest.raises(MCPError, match="switched off"):
                await client.get_prompt("hello", {"name": "Ada"})
        else:
            assert "thought" in str((await client.call_tool("think", {})).content)
            assert (await client.get_prompt("hello", {"name": "Ada"})).messages
    assert len(asked) == (rule == "allow")
    ledger = Ledger.open(paths.ledger_file)
    requests = [event for event in ledger.events.tail() if event.kind == "request"]
    assert [(event.tool, event.effect) for event in requests] == [
        ("sampling/createMessage", rule),
        ("prompts/get", rule),
    ]
    assert ledger.verify().ok
    ledger.close()
