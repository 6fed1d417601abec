"""Recorded calls tried on another policy: their quota counts as it did when they were made."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pktui.policy.trial import try_on
from tests.policy.build import policy

ONCE = {"counter": "n", "window": "day", "max": 1, "scope": "server"}


def recorded(outcome: str, detail: str = "") -> Any:
    return SimpleNamespace(
        at_us=1_000_000,
        tool="pay",
        arguments="{}",
        agent="a",
        grant="",
        session="s",
        project="/w",
        effect="allow",
        approval_id="",
        outcome=outcome,
        outcome_detail=detail,
    )


@pytest.mark.parametrize(
    ("outcome", "detail", "second"),
    [
        ("ok", "", "deny"),
        ("lost", "", "deny"),
        ("cancelled", "", "deny"),
        ("", "", "deny"),
        ("error", "", "allow"),
        ("lost", '{"sent":false}', "allow"),
        ("cancelled", '{"sent":false}', "allow"),
    ],
)
def test_what_may_have_run_is_counted(outcome: str, detail: str, second: str) -> None:
    draft = policy(default="allow", tools={"pay": {"limits": [ONCE]}})
    tried = list(try_on(draft, [recorded(outcome, detail), recorded("ok")]))
    assert [one.now.decision for one in tried] == ["allow", second]
