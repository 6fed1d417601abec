"""Tool calls as they are kept: short, without secrets, told from messages by their id."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from pktui.ledger.arguments.masking import mask_arguments
from pktui.ledger.arguments.secrets import mask_text
from pktui.memory.importers.calls import Call, Masks, arguments_of, call_record

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MASKS = Masks(partial(mask_arguments, max_bytes=2000), mask_text)


def test_a_call_says_what_was_done_and_what_came_of_it() -> None:
    call = Call("toolu_1", "Bash", {"command": "ls"}, NOON, "ok", "a.py\nb.py\n")
    record = call_record("claude-code", "s", call, MASKS)
    assert (record.role, record.source_id) == ("tool", "call:toolu_1")
    assert record.content == 'Bash {"command":"ls"}\nok\na.py\nb.py'


def test_secrets_are_kept_of_neither_arguments_nor_result() -> None:
    token = "ghp_" + "a1B2" * 9
    call = Call("1", "t", {"password": "hunter2hunter2", "x": token}, NOON, "ok", f"got {token}")
    content = call_record("codex", "s", call, MASKS).content
    assert "hunter2" not in content
    assert token not in content


def test_a_long_result_and_long_arguments_are_cut() -> None:
    call = Call("1", "t" * 10_000, {"x": "y" * 100_000}, NOON, "error", "line\n" * 100_000)
    content = call_record("codex", "s", call, MASKS).content
    assert len(content) < 4_000
    assert content.endswith("line…")


def test_arguments_are_an_object_whatever_they_were() -> None:
    assert arguments_of('{"a": 1}') == {"a": 1}
    assert arguments_of("{no json") == {"input": "{no json"}
    assert arguments_of("*** Begin Patch") == {"input": "*** Begin Patch"}
    assert arguments_of(None) == {}
    assert arguments_of("[" * 100_000) == {"input": "[" * 100_000}
