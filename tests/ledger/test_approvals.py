"""Approvals: asked, decided once, used once, never after their time."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from pktui.errors import ApprovalError
from pktui.ledger import Approval, Caller, Ledger, NewApproval, args_hash
from pktui.ledger.approvals.approvals import Stop, hash_of_shown
from pktui.settings import AuditSettings
from tests.ledger.conftest import CLAUDE, MINUTE, START_US, Clock, Dice

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.ledger.arguments.masking import ArgumentsMode

ENGINES = ("alone", "team")
ARGUMENTS = {"title": "Shop", "api_key": "sk-0123456789abcdef0123"}
HASH = args_hash(ARGUMENTS)
NEW = NewApproval(
    caller=CLAUDE,
    server="memory",
    tool="store_knowledge",
    arguments=ARGUMENTS,
    args_hash=HASH,
    expires_us=START_US + 10 * MINUTE,
    definition_hash="d1",
    rule="/tools/store_knowledge",
    reason="Writes are asked for.",
    once=True,
    call_id="c1",
)


@pytest.fixture
def waiting(ledger: Ledger) -> Approval:
    return ledger.approvals.open(NEW)


def allow(ledger: Ledger, approval: Approval, by: str = "ada") -> Approval:
    return ledger.approvals.decide(approval.id, True, by=by, args_hash=approval.args_hash)


def deny(ledger: Ledger, approval: Approval, words: str = "") -> Approval:
    return ledger.approvals.decide(
        approval.id, False, by="ada", args_hash=approval.args_hash, words=words
    )


def now(ledger: Ledger, approval: Approval) -> Approval:
    found = ledger.approvals.get(approval.id)
    assert found is not None
    return found


def kinds(ledger: Ledger) -> list[str]:
    return [event.effect for event in ledger.events.tail() if event.kind == "approval"]


def test_a_question_shows_all_that_a_person_needs(ledger: Ledger, waiting: Approval) -> None:
    assert ledger.approvals.pending() == (waiting,)
    assert (waiting.status, waiting.tool, waiting.once) == ("pending", "store_knowledge", True)
    assert (waiting.caller, waiting.call_id) == (CLAUDE, "c1")
    assert json.loads(waiting.arguments) == ARGUMENTS
    assert (waiting.created_us, waiting.expires_us) == (START_US, START_US + 10 * MINUTE)


def test_ids_are_speakable_and_never_used_twice(file: Path, clock: Clock) -> None:
    ledger = Ledger.open(file, clock=clock, below=Dice([1, 2, 3, 1, 2, 3, 1, 2, 4]))
    first, second = ledger.approvals.open(NEW), ledger.approvals.open(NEW)
    assert (first.id, second.id) == ("bebi-13", "bebi-14")
    ledger.close()


def test_an_allowed_call_runs_once(ledger: Ledger, waiting: Approval) -> None:
    allowed = allow(ledger, waiting)
    assert (allowed.status, allowed.decided_by) == ("allowed", ledger.signed("ada"))
    assert ledger.approvals.spend(waiting.id)
    assert not ledger.approvals.spend(waiting.id)
    assert now(ledger, waiting).status == "spent"
    assert kinds(ledger) == ["pending", "allowed", "spent"]


def test_a_denied_call_never_runs_and_carries_the_words(ledger: Ledger, waiting: Approval) -> None:
    denied = deny(ledger, waiting, "Use the staging shop.")
    assert (denied.status, denied.words) == ("denied", "Use the staging shop.")
    assert not ledger.approvals.spend(waiting.id)
    event = ledger.events.newest(1)[0]
    detail = json.loads(event.detail)
    table, key, row = detail.pop("row")
    assert (table, key, row["status"]) == ("approvals", [denied.id], "denied")
    detail.pop("team", None)
    assert detail == {
        "approval": waiting.id,
        "status": "denied",
        "by": ledger.signed("ada"),
        "words": "Use the staging shop.",
        "change": 2,
    }


def test_a_second_decision_is_refused_and_names_the_first(
    ledger: Ledger, waiting: Approval
) -> None:
    allow(ledger, waiting, by="console of ada")
    with pytest.raises(
        ApprovalError, match=re.escape(f"already allowed by {ledger.signed('console of ada')}")
    ):
        deny(ledger, waiting)
    ledger.approvals.spend(waiting.id)
    with pytest.raises(
        ApprovalError, match=re.escape(f"already allowed by {ledger.signed('console of ada')}")
    ):
        allow(ledger, waiting)


def test_a_decision_on_other_arguments_than_shown_is_refused(
    ledger: Ledger, waiting: Approval
) -> None:
    with pytest.raises(ApprovalError, match="not for the arguments that were shown"):
        allow(ledger, replace(waiting, args_hash=args_hash({"title": "Other"})))
    assert now(ledger, waiting).status == "pending"


def test_an_unknown_id_is_refused_with_a_way_on(ledger: Ledger) -> None:
    with pytest.raises(ApprovalError, match="no approval nope-10") as caught:
        ledger.approvals.decide("nope-10", True, by="ada", args_hash="")
    assert "pktui approvals list" in caught.value.cure


@pytest.mark.parametrize("choice", [allow, deny])
def test_an_expired_approval_cannot_be_decided(
    ledger: Ledger, waiting: Approval, clock: Clock, choice: type
) -> None:
    clock.forward(10 * 60)
    assert now(ledger, waiting).status == "expired"
    assert ledger.approvals.pending() == ()
    with pytest.raises(ApprovalError, match="has expired"):
        choice(ledger, waiting)
    assert kinds(ledger) == ["pending", "expired"]


def test_what_expires_is_written_down_once(ledger: Ledger, waiting: Approval, clock: Clock) -> None:
    assert ledger.approvals.expire() == ()
    clock.forward(600)
    assert [gone.id for gone in ledger.approvals.expire()] == [waiting.id]
    assert ledger.approvals.expire() == ()
    assert kinds(ledger) == ["pending", "expired"]


def test_a_permission_lapses_when_it_is_not_used(
    ledger: Ledger, waiting: Approval, clock: Clock
) -> None:
    clock.forward(9 * 60)
    allow(ledger, waiting)
    clock.forward(9 * 60)
    assert now(ledger, waiting).status == "allowed"
    clock.forward(60)
    assert now(ledger, waiting).status == "expired"
    assert not ledger.approvals.spend(waiting.id)


def test_a_withdrawn_question_cannot_be_decided(ledger: Ledger, waiting: Approval) -> None:
    assert ledger.approvals.withdraw(waiting.id)
    assert not ledger.approvals.withdraw(waiting.id)
    with pytest.raises(ApprovalError, match="was withdrawn"):
        allow(ledger, waiting)
    assert kinds(ledger) == ["pending", "withdrawn"]


def test_the_identical_call_finds_its_latest_answer(ledger: Ledger, waiting: Approval) -> None:
    find = ledger.approvals.find
    where = (CLAUDE.identity, "memory", "store_knowledge", HASH)
    assert find(*where) == waiting
    assert deny(ledger, waiting) == find(*where)
    again = ledger.approvals.open(NEW)
    assert find(*where) == again
    allow(ledger, again)
    ledger.approvals.spend(again.id)
    found = find(*where)
    assert found is not None
    assert (found.id, found.status) == (waiting.id, "denied")


@pytest.mark.parametrize(
    "other",
    [
        (Caller("codex", "", "s1", "/home/ada/shop").identity, "memory", "store_knowledge", HASH),
        (CLAUDE.identity, "other", "store_knowledge", HASH),
        (CLAUDE.identity, "memory", "delete_knowledge", HASH),
        (CLAUDE.identity, "memory", "store_knowledge", args_hash({})),
    ],
)
def test_another_call_finds_nothing(
    ledger: Ledger, waiting: Approval, other: tuple[str, str, str, str]
) -> None:
    assert ledger.approvals.find(*other) is None


def test_a_client_that_connects_again_is_the_same_identity() -> None:
    assert replace(CLAUDE, session="s2").identity == CLAUDE.identity
    assert replace(CLAUDE, grant="lab").identity == "lab"


@pytest.mark.parametrize("end", ["deny", "spend", "withdraw", "expire"])
def test_secrets_in_the_arguments_go_once_the_call_cannot_run(
    ledger: Ledger, waiting: Approval, clock: Clock, end: str
) -> None:
    if end == "deny":
        deny(ledger, waiting)
    elif end == "withdraw":
        ledger.approvals.withdraw(waiting.id)
    elif end == "spend":
        assert "sk-" in allow(ledger, waiting).arguments
        ledger.approvals.spend(waiting.id)
    else:
        clock.forward(600)
        ledger.approvals.expire()
    final = now(ledger, waiting)
    assert json.loads(final.arguments) == {"title": "Shop", "api_key": "[masked 23 characters]"}
    assert final.args_hash == HASH
    assert all("sk-" not in event.arguments + event.detail for event in ledger.events.tail())


def test_no_secret_is_left_in_the_file_once_the_call_cannot_run(
    ledger: Ledger, waiting: Approval, file: Path
) -> None:
    allow(ledger, waiting)
    ledger.approvals.spend(waiting.id)
    ledger.close()
    left = b"".join(part.read_bytes() for part in file.parent.rglob("*") if part.is_file())
    assert b"store_knowledge" in left
    assert ARGUMENTS["api_key"].encode() not in left


@pytest.mark.parametrize(
    ("mode", "kept"),
    [
        ("keys", {"title": "string", "api_key": "string"}),
        ("hash", "[not kept]"),
        ("full", ARGUMENTS),
    ],
)
def test_answered_arguments_are_kept_as_the_settings_say(
    file: Path, clock: Clock, mode: ArgumentsMode, kept: object
) -> None:
    ledger = Ledger.open(file, clock=clock, audit=AuditSettings(arguments=mode))
    waiting = ledger.approvals.open(NEW)
    assert json.loads(waiting.arguments) == ARGUMENTS
    assert json.loads(deny(ledger, waiting).arguments) == kept
    assert ledger.verify().ok
    ledger.close()


def test_stopping_denies_all_that_waits_until_released(ledger: Ledger, waiting: Approval) -> None:
    assert not ledger.approvals.stopped()
    assert [denied.id for denied in ledger.approvals.stop(by="ada")] == [waiting.id]
    assert ledger.approvals.stopped()
    later = ledger.approvals.open(NEW)
    with pytest.raises(ApprovalError, match="everything is stopped"):
        allow(ledger, later)
    assert ledger.approvals.release(by="ada")
    assert not ledger.approvals.release(by="ada")
    assert not ledger.approvals.stopped()
    assert allow(ledger, later).status == "allowed"


def test_recent_approvals_come_newest_first(ledger: Ledger, waiting: Approval) -> None:
    later = ledger.approvals.open(NEW)
    assert [approval.id for approval in ledger.approvals.recent()] == [later.id, waiting.id]
    assert len(ledger.approvals.recent(1)) == 1


@pytest.mark.alone
def test_what_ran_out_while_nobody_looked_is_settled_when_opened(
    ledger: Ledger, waiting: Approval, file: Path, clock: Clock
) -> None:
    clock.forward(600)
    Ledger.open(file, clock=clock).close()
    assert "sk-" not in now(ledger, waiting).arguments
    assert kinds(ledger) == ["pending", "expired"]


def test_a_stop_takes_back_what_was_allowed_and_not_used(ledger: Ledger, waiting: Approval) -> None:
    allow(ledger, waiting)
    assert ledger.approvals.stop(by="ada") == ()
    assert not ledger.approvals.spend(waiting.id)
    assert now(ledger, waiting).status == "withdrawn"
    assert ledger.approvals.stop_in_force() == Stop(ledger.signed("ada"), START_US)
    ledger.approvals.release(by="ada")
    assert ledger.approvals.stop_in_force() is None


def test_a_call_of_a_tool_redefined_since_can_only_be_denied(
    ledger: Ledger, waiting: Approval
) -> None:
    ledger.catalogue.saw("memory", [{"name": "store_knowledge", "description": "Sends it away."}])
    with pytest.raises(ApprovalError, match="was redefined since"):
        allow(ledger, waiting)
    assert deny(ledger, waiting).status == "denied"


@pytest.mark.parametrize("answered", [True, False])
def test_what_cannot_hold_any_more_is_taken_back(
    ledger: Ledger, waiting: Approval, answered: bool
) -> None:
    if answered:
        allow(ledger, waiting)
    assert ledger.approvals.void(waiting.id)
    assert now(ledger, waiting).status == "withdrawn"
    assert not ledger.approvals.void(waiting.id)


def test_the_hash_of_what_is_shown_is_of_the_very_text(waiting: Approval) -> None:
    assert hash_of_shown(waiting) == HASH
    assert hash_of_shown(replace(waiting, arguments='{"title":"Other"}')) != HASH
    with pytest.raises(ApprovalError, match="cannot be read"):
        hash_of_shown(replace(waiting, arguments="{"))


def test_the_stop_of_one_agent_denies_what_waits_of_it_alone(ledger: Ledger) -> None:
    codex = replace(NEW, caller=Caller("codex", project="/docs"))
    mine, other = ledger.approvals.open(NEW), ledger.approvals.open(codex)
    denied = ledger.approvals.stop(by="ada", whom="codex@/docs")
    assert [one.id for one in denied] == [other.id]
    assert ledger.approvals.stopped_agents() == {"codex@/docs"}
    assert not ledger.approvals.stopped()
    later = ledger.approvals.open(codex)
    with pytest.raises(ApprovalError, match="this agent is stopped"):
        allow(ledger, later)
    assert [one.id for one in ledger.approvals.pending()] == [mine.id, later.id]
    assert ledger.verify().ok
