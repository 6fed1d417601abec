"""What the agent reads: each kind of refusal in its own words."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from pktui.gateway.enforcement.decision import Decision, Ruling
from pktui.gateway.enforcement.denial import refusal_line, words
from pktui.ledger.records import Approval

NOW = 1_800_000_000_000_000
APPROVAL = Approval(
    id="tavo-93", created_us=NOW, expires_us=NOW + 600_000_000, status="pending", server="s",
    tool="t", arguments="{}", args_hash="", definition_hash="", rule="/tools/t", reason="",
    once=False, agent="", grant="", session="", project="", call_id="", decided_by="",
    decided_us=0, words="",
)  # fmt: skip
BASE = Decision("c", "t", Ruling.DENIED_BY_RULE, "/tools/t", "Not here")
ASKED = msgspec.structs.replace(BASE, approval=APPROVAL)


REFUSALS = [
    ruling
    for ruling in Ruling
    if ruling not in (Ruling.FORWARD, Ruling.HOLD, Ruling.LOOK, Ruling.UNKNOWN, Ruling.WAITING)
]


def said(ruling: Ruling, decision: Decision = ASKED, **changes: Any) -> str:
    return words(msgspec.structs.replace(decision, ruling=ruling, **changes), NOW)


def test_every_refusal_reads_differently_and_names_its_rule() -> None:
    texts = {said(ruling) for ruling in (*REFUSALS, Ruling.WAITING)}
    assert len(texts) == len(REFUSALS) + 1
    assert all("Rule: /tools/t." in text for text in texts)


@pytest.mark.parametrize("ruling", REFUSALS)
def test_a_refusal_begins_as_one(ruling: Ruling) -> None:
    assert said(ruling).startswith("[DENIED by pktui] ")


def test_a_reason_ends_as_a_sentence_does() -> None:
    assert "Not here. Rule:" in said(Ruling.DENIED_BY_RULE)
    assert "Really? Rule:" in said(Ruling.DENIED_BY_RULE, reason="Really?")


def test_a_denial_gives_the_persons_words() -> None:
    approval = msgspec.structs.replace(APPROVAL, words="Use the other table")
    assert "Use the other table." in said(Ruling.DENIED_BY_PERSON, approval=approval)


def test_a_call_over_its_quota_is_told_when_to_come_back() -> None:
    assert "in 12 s" in said(Ruling.OVER_QUOTA, retry_at_us=NOW + 11_000_001)
    assert "never fits" in said(Ruling.OVER_QUOTA, retry_at_us=0)


def test_a_waiting_call_is_told_what_to_do() -> None:
    text = said(Ruling.WAITING)
    assert text.startswith("[WAITING for approval in pktui]")
    assert "tavo-93" in text
    assert "call again with the same arguments once it is approved" in text


@pytest.mark.parametrize("modern", [True, False])
def test_the_line_carries_the_decision_for_machines(modern: bool) -> None:
    decision = msgspec.structs.replace(ASKED, ruling=Ruling.OVER_QUOTA, retry_at_us=NOW + 5_000_000)
    line = json.loads(refusal_line(decision, b"1.50", modern=modern, now_us=NOW))
    assert line["result"]["_meta"]["pktui/decision"] == {
        "effect": "deny",
        "rule": "/tools/t",
        "reason": "Not here",
        "approval": "tavo-93",
        "retryAfterSeconds": 5,
    }
    assert ("resultType" in line["result"]) is modern


def test_the_id_is_echoed_as_it_was_written() -> None:
    assert b'"id":1.50,' in refusal_line(BASE, b"1.50", modern=False, now_us=NOW)


def test_a_stop_does_not_read_as_a_rule_to_be_worked_around() -> None:
    text = said(Ruling.STOPPED)
    assert "A person has stopped the tool calls of every agent" in text
    assert "find another way" not in text
