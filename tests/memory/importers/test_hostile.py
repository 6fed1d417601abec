"""Whatever stands in a store: a line is taken, named or passed over, and never ends an import."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from pktui.memory.importers.claude_code import ClaudeCodeSource
from pktui.memory.importers.gemini import GeminiSource
from pktui.memory.interchange import Record, SessionRecord, check_times
from tests.memory.importers.agents import LATER, MASKS

if TYPE_CHECKING:
    from pktui.memory.importers.source import Source

NAMES = (
    *("type", "uuid", "timestamp", "message", "content", "cwd", "isMeta", "isSidechain", "origin"),
    *("aiTitle", "customTitle", "attachment", "prompt", "kind", "permissionDecision", "decision"),
    *("text", "id", "name", "input", "tool_use_id", "is_error", "sessionId", "startTime", "$set"),
    *("$rewindTo", "messages", "summary", "toolCalls", "args", "result", "status", "thought"),
    *("functionCall", "functionResponse", "response", "output", "error"),
)
WORDS = (
    *("user", "assistant", "gemini", "attachment", "queued_command", "tool_use", "tool_result"),
    *("text", "ai-title", "custom-title", "m1", "m2", "success", "2026-03-02T12:00:00Z"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-03-02", "\ud800", ""),
    *("<command-name>/x</command-name>", "<session_context>", "<bash-input>ls</bash-input>"),
)
LEAVES = some.sampled_from(WORDS) | some.none() | some.booleans() | some.integers() | some.floats()
VALUES = some.recursive(
    LEAVES,
    lambda inner: (
        some.lists(inner, max_size=4)
        | some.dictionaries(some.sampled_from(NAMES), inner, max_size=6)
    ),
    max_leaves=20,
)
BLOCKS = some.lists(
    some.fixed_dictionaries(
        {}, optional=dict.fromkeys(("type", "text", "id", "name", "input"), LEAVES | VALUES)
    ),
    max_size=3,
)
TALK = some.fixed_dictionaries(
    {"type": some.sampled_from(("user", "assistant", "gemini", "attachment"))},
    optional={
        "id": LEAVES,
        "uuid": LEAVES,
        "timestamp": LEAVES,
        "message": some.fixed_dictionaries({"content": LEAVES | BLOCKS}),
        "content": LEAVES | BLOCKS,
        "attachment": VALUES,
        "toolCalls": BLOCKS,
        "origin": VALUES,
    },
)
ROWS = TALK | some.dictionaries(some.sampled_from(NAMES), VALUES, max_size=8)
LINES = some.lists(
    ROWS.map(lambda row: json.dumps(row).encode()) | some.binary(max_size=40), max_size=6
)
SOURCES: dict[str, Callable[[Path], Source]] = {
    "claude-code": lambda path: ClaudeCodeSource(path, MASKS, lambda: LATER),
    "gemini": lambda path: GeminiSource(path, MASKS, lambda: LATER),
}
ANY_RECORD: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Record)


@pytest.mark.parametrize("agent", SOURCES)
@given(lines=LINES)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_lines_give_records_that_the_service_takes(
    tmp_path: Path, agent: str, lines: list[bytes]
) -> None:
    path = tmp_path / "chats" / "s.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\n".join(lines))
    source = SOURCES[agent](path)
    try:
        records = list(source)
    finally:
        path.unlink()
    for record in records:
        assert ANY_RECORD.decode(msgspec.json.encode(record)) == record
        check_times(record)
    sessions = [one for one in records if isinstance(one, SessionRecord)]
    assert sessions == records[:1]
