from __future__ import annotations

import pytest

from pktui.agent_names import agent_id, friendly


@pytest.mark.parametrize(
    ("name", "known", "shown"),
    [
        ("codex-mcp-client", "codex", "Codex"),
        ("gemini-cli-mcp-client", "gemini", "Gemini CLI"),
        ("gemini-cli-mcp-client-files", "gemini", "Gemini CLI"),
        ("claude-code", "claude-code", "claude-code"),
        ("my own client", "my own client", "my own client"),
        ("", "", ""),
    ],
)
def test_clients_are_known_by_what_they_call_themselves(name: str, known: str, shown: str) -> None:
    assert (agent_id(name), friendly(name)) == (known, shown)
