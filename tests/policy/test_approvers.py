"""`approvers` in a policy: how many people have to allow a call that is asked about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pktui.cli.app import run
from pktui.files import make_private_directory
from pktui.gateway.enforcement.decision import Ruling
from pktui.policy.document.policy import PolicyInvalid, parse_policy
from pktui.policy.effective import effective
from pktui.policy.evaluate import Call, Effect, Verdict, evaluate
from pktui.policy.memory_quota import MemoryQuota
from pktui.policy.widening import widened
from tests.gateway.conftest import House, open_house
from tests.support.managing import manage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pktui.settings import Paths

TWO = {"action": "approve", "approvers": 2}


@pytest.fixture
def house(paths: Paths) -> Iterator[House]:
    with open_house(paths) as opened:
        yield opened


def document(**entry: Any) -> bytes:
    return json.dumps({"version": "1", "default": "deny", "tools": {"drop": entry}}).encode()


def decide(raw: bytes, *, several: bool = True) -> Verdict:
    call = msgspec.structs.replace(Call("s", "drop", {}, "a", "b"), several=several)
    return evaluate(parse_policy(raw), call, MemoryQuota(lambda: 0))


def test_so_many_people_are_asked_and_no_standing_approval_answers() -> None:
    verdict = decide(document(**TWO))
    assert (verdict.effect, verdict.approvers) == (Effect.APPROVE, 2)
    assert verdict.once
    assert not verdict.standing
    one = decide(document(action="approve"))
    assert (one.approvers, one.standing) == (1, True)


def test_where_people_are_not_told_apart_the_tool_is_denied() -> None:
    verdict = decide(document(**TWO, allow_if=[{"conditions": []}]), several=False)
    assert verdict.effect is Effect.DENY
    assert "2 people have to allow" in verdict.reason
    assert "ledger.uri" in verdict.reason


@pytest.mark.parametrize("value", [0, -1, 10, 1.5, "2", True, None])
def test_what_is_no_number_of_people_is_refused(value: object) -> None:
    with pytest.raises(PolicyInvalid, match="approvers"):
        parse_policy(document(action="approve", approvers=value))


def test_it_says_nothing_where_no_call_is_asked_about() -> None:
    with pytest.raises(PolicyInvalid, match="no call is asked about"):
        parse_policy(document(approvers=2))
    asks = [{"conditions": [{"path": "args.n", "op": "gt", "value": 1}]}]
    assert parse_policy(document(approvers=2, approve_if=asks)).tools["drop"].approvers == 2


def test_fewer_people_is_looser_and_more_is_not() -> None:
    two, three = document(**TWO), document(action="approve", approvers=3)
    assert widened(three, two) == ('"drop": 3 people → 2',)
    assert widened(two, three) == ()
    assert "2 people have to allow what is asked" in effective(parse_policy(two), "drop").conditions


def test_a_gateway_of_a_ledger_alone_denies_the_tool(house: House, managed: Path) -> None:
    house.policy(tools={"drop": TWO})
    decision = house.decide("drop")
    assert decision.ruling is Ruling.DENIED_BY_RULE
    assert "ledger.uri" in decision.reason
    house.policy(tools={"drop": {"action": "approve"}})
    assert house.decide("drop").ruling is Ruling.WAITING
    manage(managed, "demo", tools={"drop": TWO})
    assert house.decide("drop").ruling is Ruling.DENIED_BY_RULE


def test_validate_says_so(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    make_private_directory(paths.policies_dir)
    file = paths.policy_file("demo")
    file.write_bytes(document(**TWO))
    assert run(("policy", "validate", str(file))) == 1
    assert "several people have to allow drop" in capsys.readouterr().err
    paths.settings_file.write_text('[ledger]\nuri = "postgresql://db/team"\n')
    assert run(("policy", "validate", str(file))) == 0
