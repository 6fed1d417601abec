"""What `validate` warns of in a policy that is valid."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pktui.policy.document import parse_policy
from pktui.policy.lint import lint

DENY: dict[str, Any] = {"action": "deny"}
ASK: dict[str, Any] = {"action": "approve"}


def warnings(tools: dict[str, Any], **members: Any) -> list[str]:
    document = {"version": "1", "default": "deny", "tools": tools} | members
    raw = json.dumps(document, indent=1).encode()
    return [f"{found.line} {found.what}" for found in lint(parse_policy(raw), raw)]


@pytest.mark.parametrize("entry", [{}, ASK])
def test_a_name_that_gets_past_a_denying_glob_is_named(entry: dict[str, Any]) -> None:
    (told,) = warnings({"delete_*": DENY, "delete_tmp": entry, "other": {}})
    assert told.startswith('8 "delete_tmp" gets past the glob "delete_*"')


@pytest.mark.parametrize(
    "tools",
    [
        {"delete_*": DENY, "delete_tmp": DENY, "read_*": {}},
        {"delete_*": DENY, "delete_tmp": {"deny_if": [{}]}},
        {"delete_*": {}, "delete_tmp": {}},
        {"delete_*": DENY, "delete_a*": DENY},
    ],
)
def test_what_loosens_nothing_is_not(tools: dict[str, Any]) -> None:
    assert warnings(tools) == []


def test_a_hidden_name_loosens_nothing() -> None:
    assert warnings({"delete_*": DENY, "delete_tmp": {}}, hide=["delete_tmp"]) == []


def test_a_glob_that_can_never_decide_is_named() -> None:
    (told,) = warnings({"delete_tmp_*": {}, "delete_*": DENY})
    assert '"delete_tmp_*" never decides: the glob "delete_*" denies' in told


def test_a_glob_that_loses_some_tools_is_named() -> None:
    (told,) = warnings({"files_*": {}, "*_delete": DENY})
    assert '"files_*" does not decide about tools that both match' in told


def test_another_dialect_has_no_globs() -> None:
    raw = (
        b'{"version": "1", "default": "allow", "tools":'
        b' {"a*": {"rules": [{"name": "n", "action": "deny"}]}, "ab": {"rules": []}}}'
    )
    assert lint(parse_policy(raw), raw) == ()
