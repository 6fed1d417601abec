"""The policy that README shows does what README says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pktui.policy.document.policy import Policy, parse_policy
from tests.policy.build import decide, effect


@pytest.fixture(scope="module")
def shown() -> Policy:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    chapter = readme.partition("## Say what may happen")[2]
    return parse_policy(chapter.partition("```json\n")[2].partition("```")[0].encode())


@pytest.mark.parametrize("amount", [50000, "50000", " 5e4 ", [50000], True, "1e400", {}])
def test_no_spelling_of_an_amount_gets_past_the_cap(shown: Policy, amount: object) -> None:
    assert effect(shown, "pay", amount=amount) == "deny"


def test_amounts_under_the_cap_are_asked_about_or_run(shown: Policy) -> None:
    assert effect(shown, "pay", amount=200) == "approve"
    assert effect(shown, "pay", amount=100) == "allow"
    assert effect(shown, "pay", Amount=50000) == "deny"


def test_a_path_that_cannot_be_judged_is_asked_about(shown: Policy) -> None:
    verdict = decide(shown, "edit_file", path="docs/a.md")
    assert (verdict.effect, verdict.rule) == ("approve", "/tools/edit_file")
