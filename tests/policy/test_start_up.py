from __future__ import annotations

import subprocess
import sys

import pytest

SLOW = {"yaml", "re2", "difflib", "pktui.policy.text.json", "pktui.policy.document.intercept",
        "pktui.policy.risk", "dataclasses", "asyncio"}  # fmt: skip


@pytest.mark.parametrize("patterns", [False, True])
def test_a_policy_is_loaded_and_asked_without_what_it_does_not_need(patterns: bool) -> None:
    op = '"regex"' if patterns else '"eq"'
    code = f"""
import sys
from pktui.policy import evaluate, live
from pktui.policy.document.policy import parse_policy
parse_policy(b'{{"version":"1","default":"deny","tools":{{"t":{{"deny_if":[{{"conditions":'
             b'[{{"path":"args.x","op":{op},"value":"x"}}]}}]}}}}}}')
print(*sys.modules)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = SLOW & set(result.stdout.split())
    assert loaded == ({"re2"} if patterns else set())
