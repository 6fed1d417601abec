"""Standing approvals: whom and what they are for, and every way they end."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from pktui.errors import ApprovalError, PinError
from pktui.ledger import Approval, Caller, Ledger, NewApproval, args_hash
from pktui.ledger.approvals.standing import CONNECTION_US, LONGEST_US, StandingApproval, Wider
from tests.ledger.conftest import CLAUDE, MINUTE, START_US, Clock

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.settings import LedgerSettings

ENGINES = ("alone", "team")
ARGUMENTS = {"title": "Shop", "api_key": "sk-0123456789abcdef0123"}
HASH = args_hash(ARGUMENTS)
TOOL = {"name": "store", "description": "Store."}
HALF_AN_HOUR = Wider(for_us=30 * MINUTE)


@pytest.fixture
def listed(ledger: Ledger) -> Ledger:
    ledger.catalogue.saw("memory", [TOOL])
    return ledger


def ask(ledger: Ledger, **more: Any) -> Approval:
    given: dict[str, Any] = {
        "caller": CLAUDE, "server": "memory", "tool": "store", "arguments": ARGUMENTS,
        "args_hash": HASH, "expires_us": START_US + 10 * MINUTE,
    }  # fmt: skip
    return ledger.approvals.open(NewApproval(**{**given, **more}))


def allow(ledger: Ledger, asked: Approval, wider: Wider, **more: str) -> StandingApproval:
    found: tuple[Approval, StandingApproval] = ledger.standing.allow(
        asked.id, wider, by="ada", args_hash=asked.args_hash, **more
    )
    return found[1]


def effects(ledger: Ledger) -> list[str]:
    return [event.effect for event in ledger.events.tail() if event.kind == "approval"]


def test_one_answer_allows_the_call_and_such_calls_after_it(listed: Ledger, clock: Clock) -> None:
    asked = ask(listed)
    made = allow(listed, asked, HALF_AN_HOUR)
    found = listed.approvals.get(asked.id)
    assert found is not None
    assert (found.status, found.decided_by) == ("allowed", listed.signed("ada"))
    assert listed.standing.live() == (made,)
    assert made.answers(CLAUDE, "store", args_hash({"other": 1}), clock())
    assert (made.made_by, made.approval_id, made.expires_us) == (
        listed.signed("ada"), asked.id, START_US + 30 * MINUTE,
    )  # fmt: skip
    assert effects(listed) == ["pending", "allowed", "standing"]


@pytest.mark.parametrize(
    ("caller", "tool"),
    [
        (replace(CLAUDE, agent="codex"), "store"),
        (replace(CLAUDE, project="/elsewhere"), "store"),
        (replace(CLAUDE, grant="lab"), "store"),
        (CLAUDE, "delete"),
    ],
)
def test_it_is_for_this_client_and_this_tool(listed: Ledger, caller: Caller, tool: str) -> None:
    made = allow(listed, ask(listed), HALF_AN_HOUR)
    assert not made.answers(caller, tool, HASH, START_US)


def test_it_can_be_for_the_exact_arguments_alone(listed: Ledger) -> None:
    made = allow(listed, ask(listed), replace(HALF_AN_HOUR, exact=True))
    assert made.answers(CLAUDE, "store", HASH, START_US)
    assert not made.answers(CLAUDE, "store", args_hash({}), START_US)
    assert json.loads(made.arguments) == {"title": "Shop", "api_key": "[masked 23 characters]"}


def test_it_ends_with_its_time(listed: Ledger, clock: Clock) -> None:
    made = allow(listed, ask(listed), HALF_AN_HOUR)
    clock.forward(30 * 60)
    assert not made.answers(CLAUDE, "store", HASH, clock())
    assert listed.standing.live() == ()
    [past] = listed.standing.recent()
    assert (past.ended, past.ended_us) == ("expired", made.expires_us)


def test_it_ends_with_its_connection(listed: Ledger) -> None:
    made = allow(listed, ask(listed), Wider())
    assert made.answers(CLAUDE, "store", HASH, START_US)
    assert not made.answers(replace(CLAUDE, session="s2"), "store", HASH, START_US)
    assert made.expires_us == START_US + CONNECTION_US
    assert listed.standing.disconnected("s2") == ()
    assert [one.id for one in listed.standing.disconnected("s1")] == [made.id]
    assert listed.standing.live() == ()


def test_one_for_a_time_outlives_its_connection(listed: Ledger) -> None:
    made = allow(listed, ask(listed), HALF_AN_HOUR)
    assert listed.standing.disconnected("s1") == ()
    assert made.answers(replace(CLAUDE, session="s2"), "store", HASH, START_US)


def test_it_dies_with_a_changed_definition_for_good(listed: Ledger) -> None:
    allow(listed, ask(listed), HALF_AN_HOUR)
    assert listed.standing.redefined("memory") == ()
    listed.catalogue.saw("memory", [{**TOOL, "description": "Send away."}])
    [ended] = listed.standing.redefined("memory")
    assert ended.ended == "changed"
    listed.catalogue.saw("memory", [TOOL])
    assert listed.standing.live() == ()
    assert effects(listed)[-1] == "changed"


def test_it_is_revoked_once_and_by_whom_is_on_record(listed: Ledger) -> None:
    made = allow(listed, ask(listed), HALF_AN_HOUR)
    revoked = listed.standing.revoke(made.id, by="ben")
    assert (revoked.ended, revoked.ended_by) == ("revoked", listed.signed("ben"))
    assert listed.standing.live() == ()
    assert json.loads(listed.events.newest(1)[0].detail)["by"] == listed.signed("ben")
    with pytest.raises(ApprovalError, match="has ended already"):
        listed.standing.revoke(made.id, by="ben")
    with pytest.raises(ApprovalError, match="no standing approval s-nope-10"):
        listed.standing.revoke("s-nope-10", by="ben")


def test_it_counts_its_uses(listed: Ledger, clock: Clock) -> None:
    made = allow(listed, ask(listed), HALF_AN_HOUR)
    clock.forward(5)
    listed.standing.use(made.id)
    listed.standing.use(made.id)
    found = listed.standing.get(made.id)
    assert found is not None
    assert (found.uses, found.used_us) == (2, clock())


def test_a_tool_that_destroys_or_pays_is_allowed_call_by_call(listed: Ledger) -> None:
    asked = ask(listed, once=True)
    with pytest.raises(ApprovalError, match="each call of it is asked about"):
        allow(listed, asked, HALF_AN_HOUR)
    assert listed.approvals.pending() == (asked,)


@pytest.mark.parametrize("bad", [Wider(for_us=LONGEST_US + 1), Wider(for_us=-1)])
def test_longer_than_a_week_is_a_rule(listed: Ledger, bad: Wider) -> None:
    with pytest.raises(ApprovalError, match="seven days"):
        allow(listed, ask(listed), bad)


def test_until_it_disconnects_needs_a_connection(listed: Ledger) -> None:
    with pytest.raises(ApprovalError, match="connection"):
        allow(listed, ask(listed, caller=replace(CLAUDE, session="")), Wider())


def test_nothing_stands_for_a_tool_that_was_never_listed(ledger: Ledger) -> None:
    asked = ask(ledger)
    with pytest.raises(ApprovalError, match="not listed"):
        allow(ledger, asked, HALF_AN_HOUR)
    assert ledger.approvals.pending() == (asked,)
    assert ledger.standing.recent() == ()


def test_nothing_stands_for_a_tool_that_is_defined_anew(listed: Ledger) -> None:
    asked = ask(listed)
    listed.catalogue.saw("memory", [{**TOOL, "description": "Send away."}])
    with pytest.raises(ApprovalError, match="defined anew"):
        allow(listed, asked, HALF_AN_HOUR)
    assert listed.approvals.pending() == (asked,)


def test_nothing_stands_for_what_was_decided_already(listed: Ledger) -> None:
    asked = ask(listed)
    listed.approvals.decide(asked.id, False, by="ben", args_hash=HASH)
    with pytest.raises(ApprovalError, match=re.escape(f"already denied by {listed.signed('ben')}")):
        allow(listed, asked, HALF_AN_HOUR)
    assert listed.standing.recent() == ()


def test_nothing_stands_for_other_arguments_than_were_shown(listed: Ledger) -> None:
    asked = ask(listed)
    with pytest.raises(ApprovalError, match="not for the arguments that were shown"):
        allow(listed, replace(asked, args_hash=args_hash({})), HALF_AN_HOUR)
    assert listed.standing.recent() == ()


def test_it_needs_the_pin(listed: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pktui.ledger.approvals.pin.COST", 1 << 11)
    listed.pin.set("2468", by="ada")
    asked = ask(listed)
    with pytest.raises(PinError):
        allow(listed, asked, HALF_AN_HOUR)
    with pytest.raises(PinError):
        allow(listed, asked, HALF_AN_HOUR, pin="1357")
    made = allow(listed, asked, HALF_AN_HOUR, pin="2468")
    listed.standing.revoke(made.id, by="anyone")


def test_ids_cannot_be_mistaken_for_those_of_single_calls(listed: Ledger) -> None:
    made = allow(listed, ask(listed), HALF_AN_HOUR)
    assert made.id.startswith("s-")
    assert listed.approvals.get(made.id) is None


def test_all_processes_see_it_at_once(
    listed: Ledger, file: Path, clock: Clock, shared: LedgerSettings
) -> None:
    other = Ledger.open(file, clock=clock, shared=shared)
    made = allow(listed, ask(listed), HALF_AN_HOUR)
    assert other.standing.live("memory") == (made,)
    assert other.standing.live("files") == ()
    other.close()


def test_what_a_grant_was_allowed_ends_with_it(listed: Ledger) -> None:
    grant, _ = listed.grants.create("lab", ["memory"])
    caller = replace(CLAUDE, grant="lab", key=grant.key)
    lab = allow(listed, ask(listed, caller=caller), HALF_AN_HOUR)
    labelled = allow(listed, ask(listed, caller=replace(CLAUDE, grant="lab")), HALF_AN_HOUR)
    own = allow(listed, ask(listed), HALF_AN_HOUR)
    listed.grants.revoke("lab", by="ada")
    listed.grants.create("lab", ["memory"])
    assert listed.standing.live() == (labelled, own)
    found = listed.standing.get(lab.id)
    assert found is not None
    assert found.ended == "revoked"
    assert listed.verify().ok
