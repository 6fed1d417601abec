"""What the agents' own stores say that answers took."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from pktui.memory.importers.agent_stores import open_store
from pktui.memory.importers.calls import Masks
from pktui.memory.interchange import MessageRecord, UsageRecord

STORES = Path(__file__).parent / "stores"
MASKS = Masks(lambda arguments: json.dumps(dict(arguments), default=str), str)


@pytest.fixture
def opencode(tmp_path: Path) -> Path:
    file = tmp_path / "opencode.db"
    with sqlite3.connect(file) as database:
        database.executescript((STORES / "opencode.sql").read_text())
        tokens = '{"input": 600, "output": 40, "reasoning": 2, "cache": {"read": 7, "write": 20}}'
        database.execute(
            "UPDATE message SET data = json_set(data, '$.modelID', 'm', '$.tokens', json(?))"
            " WHERE json_extract(data, '$.role') = 'assistant'",
            (tokens,),
        )
    database.close()
    return file


def used(agent: str, place: Path) -> list[UsageRecord]:
    records = open_store(agent, place, MASKS)
    return [record for record in records if isinstance(record, UsageRecord)]


@pytest.mark.parametrize("agent", ["codex", "gemini", "opencode"])
def test_each_answer_is_told_once_with_its_model(agent: str, opencode: Path) -> None:
    found = used(agent, opencode if agent == "opencode" else STORES / agent)
    assert found
    keys = [(one.session, one.source_id) for one in found]
    assert len(keys) == len(set(keys))
    assert all(one.model for one in found)


def test_an_answer_of_several_lines_is_one_and_the_last_counts(tmp_path: Path) -> None:
    rows = [
        {"type": "assistant", "uuid": f"u{number}", "cwd": "/s",
         "timestamp": "2026-11-30T01:00:00Z",
         "message": {"id": "msg_1", "model": "m", "content": [{"type": "text", "text": "hi"}],
                     "usage": {"input_tokens": 600, "cache_creation_input_tokens": 20,
                               "cache_read_input_tokens": 7, "output_tokens": tokens}}}
        for number, tokens in enumerate((1, 1, 40))
    ]  # fmt: skip
    file = tmp_path / "s.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = used("claude-code", file)
    assert [(one.source_id, one.tokens_out) for one in found] == [("msg_1", 1), ("msg_1", 40)]
    assert (found[-1].tokens_in, found[-1].cached, found[-1].project) == (620, 7, "/s")


def test_an_answer_whose_usage_cannot_be_read_is_kept(tmp_path: Path) -> None:
    row = {"type": "assistant", "uuid": "u", "timestamp": "2026-11-30T01:00:00Z",
           "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": "many"},
                       "content": [{"type": "text", "text": "hi"}]}}  # fmt: skip
    file = tmp_path / "s.jsonl"
    file.write_text(json.dumps(row) + "\n")
    records = list(open_store("claude-code", file, MASKS))
    assert [one.content for one in records if isinstance(one, MessageRecord)] == ["hi"]
