"""A script written for Opencode Personal Knowledge 1.0.10, unchanged, against `gateway memory`.

The texts it looks for are those that server answers with.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client, StdioServerParameters
from mcp_types import Implementation

from pktui.memory.client import MemoryClient
from tests.support.gateway import environment

if TYPE_CHECKING:
    from pktui.settings import Paths

pytestmark = pytest.mark.usefixtures("_patient_discovery")
ERAS = ["legacy", "auto"]
LONG = "The cache keeps every token for a day. " * 40


@pytest.fixture(autouse=True)
def _service(paths: Paths) -> Iterator[None]:
    """Allow everything, as that server does, and end the service that a script started."""
    file = paths.policy_file("memory")
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"version": "1", "default": "allow", "tools": {}}))
    yield
    client = MemoryClient(paths, start=False)
    client.stop()
    client.close()


@asynccontextmanager
async def connected(era: str) -> AsyncIterator[Script]:
    command = ["-m", "pktui", "gateway", "memory"]
    parameters = StdioServerParameters(command=sys.executable, args=command, env=environment())
    info = Implementation(name="script", version="1")
    async with Client(parameters, mode=era, client_info=info) as client:
        yield Script(client)


class Script:
    """Calls tools and looks at nothing but the text of the answer."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def say(self, tool: str, **arguments: Any) -> str:
        result = await self._client.call_tool(tool, arguments)
        return str(result.content[0].text)  # type: ignore[union-attr]

    async def number(self, pattern: str, tool: str, **arguments: Any) -> int:
        text = await self.say(tool, **arguments)
        found = re.match(pattern, text)
        assert found, text
        return int(found[1])


async def test_a_script_for_the_reference_server_runs_unchanged() -> None:
    for era in ERAS:
        async with connected(era) as script:
            session = await record(script)
            await search(script, session)
            await end(script, session)
            entry = await store(script)
            await change(script, entry)
            await failures(script)


async def record(script: Script) -> int:
    """Start a session, log to it with and without its number, and look at it."""
    started = (
        r'✅ Started session #(\d+): "debugging auth"\n\n\*\*IMPORTANT:\*\* You must now call '
    )
    session = await script.number(started, "start_logging_session", name="debugging auth")
    for role, content in (("user", "Why do tokens expire so early?"), ("agent", LONG)):
        logged = await script.say("log_message", role=role, content=content)
        assert logged.startswith(f"📝 Logged [{role}] message (indexed for search)")
    named = await script.say("log_message", role="user", content="thanks", sessionId=session)
    assert named.startswith("📝 Logged [user] message")
    shown = await script.say("get_session", sessionId=session)
    assert shown.startswith(f'## Session #{session}: "debugging auth"\n\n**Status:** 🟢 Active\n')
    assert "**Messages:** 3\n\n### Recent Messages:\n\n**[user]** Why do tokens" in shown
    assert f"**[agent]** {LONG[:200]}...\n" in shown
    listed = await script.say("list_sessions", limit=5, activeOnly=True)
    assert listed.startswith("## Sessions (")
    assert f'- **#{session}** "debugging auth" - 🟢 Active - ' in listed
    return session


async def search(script: Script, session: int) -> None:
    """Search in one session and in all."""
    own = await script.say("search_session", sessionId=session, query="tokens expire", limit=2)
    assert re.match(
        rf"## Found 2 matches in session #{session}:\n\n### 1\. \[user\] \(\d+% match\)\n", own
    )
    everywhere = await script.say("search_all_sessions", query="tokens expire")
    assert re.match(r"## Found \d+ matches across sessions:\n\n### 1\. Session #", everywhere)
    assert f"Session #{session} [user] (" in everywhere
    empty = await script.number(r"✅ Started session #(\d+)\n", "start_logging_session")
    nothing = await script.say("search_session", sessionId=empty, query="anything at all")
    assert nothing.startswith(f"No matches found in session #{empty}")
    await script.say("end_session")


async def end(script: Script, session: int) -> None:
    """End a session with a summary."""
    ended = await script.say("end_session", sessionId=session, summary="TTL was 60")
    assert ended.startswith('✅ Ended session with 3 messages\n📝 Summary: "TTL was 60"')
    shown = await script.say("get_session", sessionId=session)
    assert "**Status:** ⚪ Ended\n" in shown
    assert "**Summary:** TTL was 60\n" in shown
    assert (await script.say("end_session")).startswith("❌ No active session to end")


async def store(script: Script) -> int:
    """Keep a piece of knowledge and find it."""
    entry = await script.number(
        r'✅ Stored knowledge entry #(\d+): "Token lifetime"\n📊 Indexed for semantic search',
        "store_knowledge",
        title="Token lifetime",
        content="Tokens live for 60 seconds by default.",
        source="https://example.com/auth",
        tags=["auth", "tokens"],
    )
    shown = await script.say("get_knowledge", id=entry)
    assert re.fullmatch(
        rf"# Token lifetime\n\n\*\*ID:\*\* {entry}\n\*\*Created:\*\* \S+\n\*\*Updated:\*\* \S+\n"
        r"\*\*Source:\*\* https://example\.com/auth\n\*\*Tags:\*\* auth, tokens\n\n---\n\n"
        r"Tokens live for 60 seconds by default\.",
        shown,
    )
    similar = await script.say("search_knowledge", query="how long do tokens live", limit=3)
    assert re.match(
        r"## Found \d+ similar entries:\n\n### 1\. Token lifetime \(\d+% similar\)\n", similar
    )
    assert f"**ID:** {entry}\n**Tags:** auth, tokens\n" in similar
    by_words = await script.say("search_knowledge_text", query="Tokens live")
    assert re.match(r'Found \d+ result\(s\) for "Tokens live":\n\n\*\*Token lifetime\*\*', by_words)
    assert "\nTags: auth, tokens" in by_words
    return entry


async def change(script: Script, entry: int) -> None:
    """Change knowledge, list it, count it and remove it."""
    updated = await script.say("update_knowledge", id=entry, title="TTL", tags=["auth"])
    assert updated.startswith(f"✅ Updated entry #{entry}\n📊 Re-indexed for semantic search")
    listed = await script.say("list_knowledge", limit=20, offset=0, tags=["auth"])
    assert listed.startswith(f"📚 Knowledge Entries (1):\n\n- **TTL** (ID: {entry}) [auth]")
    stats = await script.say("get_knowledge_stats")
    assert stats.startswith("## Personal Knowledge Base Stats\n\n**Total Entries:** 1\n")
    assert "**Top Tags:**\n  auth: 1" in stats
    assert (await script.say("delete_knowledge", id=entry)) == f"✅ Deleted entry #{entry}"
    assert (await script.say("list_knowledge")).startswith("No knowledge entries found.")
    none = await script.say("search_knowledge_text", query="Tokens live")
    assert none.startswith('No results found for: "Tokens live"')


async def failures(script: Script) -> None:
    """What cannot be done is said in that server's words."""
    for tool in ("get_knowledge", "delete_knowledge"):
        assert (await script.say(tool, id=999)).startswith("No entry found with ID: 999")
    lost = await script.say("update_knowledge", id=999, title="x")
    assert lost.startswith("No entry found with ID: 999")
    assert (await script.say("update_knowledge", id=1)).startswith("No updates provided")
    assert (await script.say("get_session", sessionId=999)).startswith("Session #999 not found")
    logged = await script.say("log_message", role="user", content="x", sessionId=999)
    assert logged.startswith("❌ Failed to log message: Session 999 not found")
    current = await script.say("log_message", role="user", content="x")
    assert current.startswith(
        "❌ Failed to log message: No active session. Call start_logging_session first."
    )
