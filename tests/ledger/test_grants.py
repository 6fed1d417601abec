"""Grants: a token opens what it was made for, until its time or a person ends it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from pktui.errors import GrantError, PktuiError
from pktui.ledger import Approval, Caller, Grant, Ledger, NewApproval, args_hash
from tests.ledger.conftest import START_US, Clock

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.settings import LedgerSettings

ENGINES = ("alone", "team")
DAY = 24 * 60 * 60


def test_a_token_finds_its_grant_and_no_other_does(ledger: Ledger) -> None:
    mine, token = ledger.grants.create("ci", ["files", "memory"], policy="/p.json")
    other, other_token = ledger.grants.create("laptop", ["*"])
    assert mine == Grant("ci", ("files", "memory"), "/p.json", START_US, key=mine.key)
    assert ledger.grants.find(token) == mine
    assert ledger.grants.find(other_token) == other
    for wrong in ("", "pktui_", token[:-1], f"{token} ", token.upper(), token + "=", "\ud800"):
        assert ledger.grants.find(wrong) is None


def test_a_token_is_long_random_and_safe_in_a_header(ledger: Ledger) -> None:
    tokens = {ledger.grants.create(f"g{n}", ["*"])[1] for n in range(20)}
    assert len(tokens) == 20
    for token in tokens:
        assert token.startswith("pktui_")
        assert len(token) == len("pktui_") + 43
        assert token.isascii()
        assert token.replace("-", "").replace("_", "").isalnum()


@pytest.mark.alone
def test_only_the_hash_of_a_token_is_in_the_file(ledger: Ledger, file: Path) -> None:
    _, token = ledger.grants.create("ci", ["files"])
    ledger.close()
    kept = b"".join(part.read_bytes() for part in file.parent.rglob("*") if part.is_file())
    assert token.encode() not in kept
    assert hashlib.sha256(token.encode()).digest() in kept


def test_hashes_that_begin_alike_are_told_apart(ledger: Ledger, file: Path) -> None:
    first, token = ledger.grants.create("ci", ["files"])
    ledger.grants.create("other", ["memory"])
    ledger._database.run("UPDATE grants SET key = (SELECT key FROM grants WHERE name = 'ci')")
    assert ledger.grants.find(token) == first


def test_a_grant_opens_its_servers_alone(ledger: Ledger) -> None:
    one, _ = ledger.grants.create("one", ["files"])
    every, _ = ledger.grants.create("every", ["*"])
    assert (one.opens("files"), one.opens("memory"), one.opens("file")) == (True, False, False)
    assert every.opens("anything")


def test_a_grant_expires_at_its_time(ledger: Ledger, clock: Clock) -> None:
    _, token = ledger.grants.create("ci", ["*"], expires_us=START_US + DAY * 1_000_000)
    clock.forward(DAY - 1)
    found = ledger.grants.find(token)
    assert found is not None
    assert found.standing(clock()) == "valid"
    clock.forward(1)
    assert found.standing(clock()) == "expired"


def test_a_revoked_grant_is_still_known_by_its_token(ledger: Ledger, clock: Clock) -> None:
    _, token = ledger.grants.create("ci", ["*"], expires_us=START_US + 1)
    clock.forward(5)
    ledger.grants.revoke("ci")
    found = ledger.grants.find(token)
    assert found is not None
    assert found.standing(clock()) == "revoked"


def test_a_revocation_is_seen_by_another_process_at_once(
    ledger: Ledger, file: Path, shared: LedgerSettings
) -> None:
    _, token = ledger.grants.create("ci", ["*"])
    listening = Ledger.open(file, shared=shared)
    found = listening.grants.find(token)
    assert found is not None
    assert found.standing(START_US) == "valid"
    ledger.grants.revoke("ci")
    again = listening.grants.find(token)
    listening.close()
    assert again is not None
    assert again.standing(START_US) == "revoked"


def test_a_name_that_stands_is_not_given_twice(ledger: Ledger) -> None:
    ledger.grants.create("ci", ["files"])
    with pytest.raises(GrantError, match="there is a grant ci already") as caught:
        ledger.grants.create("ci", ["*"])
    assert "grants revoke ci" in caught.value.cure
    assert len(ledger.grants.list()) == 1


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_a_name_is_free_again_once_its_grant_has_ended(
    ledger: Ledger, clock: Clock, how: str
) -> None:
    _, old = ledger.grants.create("ci", ["files"], expires_us=START_US + DAY * 1_000_000)
    if how == "revoked":
        ledger.grants.revoke("ci")
    else:
        clock.forward(DAY)
    _, new = ledger.grants.create("ci", ["memory"])
    stands = [grant.standing(clock()) for grant in ledger.grants.list()]
    assert stands == ["revoked", "valid"]
    assert getattr(ledger.grants.find(old), "servers", None) == ("files",)
    assert getattr(ledger.grants.find(new), "servers", None) == ("memory",)


@pytest.mark.parametrize(
    ("name", "servers", "expires_us", "words"),
    [
        ("", ["*"], 0, "cannot be the name"),
        ("a b", ["*"], 0, "cannot be the name"),
        ("x" * 65, ["*"], 0, "cannot be the name"),
        ("\x1b[31m", ["*"], 0, "cannot be the name"),
        ("ci", [], 0, "opens no server"),
        ("ci", ["../etc"], 0, "server name"),
        ("ci", ["files", ""], 0, "server name"),
        ("ci", ["*"], START_US, "would have expired already"),
    ],
)
def test_what_cannot_be_a_grant_is_refused(
    ledger: Ledger, name: str, servers: list[str], expires_us: int, words: str
) -> None:
    with pytest.raises(PktuiError, match=words) as caught:
        ledger.grants.create(name, servers, expires_us=expires_us)
    assert caught.value.cure
    assert ledger.grants.list() == ()
    assert ledger.events.last_seq() == 0


@pytest.mark.parametrize("before", [False, True])
def test_only_a_grant_that_stands_can_be_revoked(ledger: Ledger, before: bool) -> None:
    if before:
        ledger.grants.create("ci", ["*"])
        ledger.grants.revoke("ci")
    with pytest.raises(GrantError, match="was revoked before" if before else "there is no grant"):
        ledger.grants.revoke("ci")


def test_making_and_revoking_is_on_record(ledger: Ledger) -> None:
    _, token = ledger.grants.create("ci", ["files"], by="the command line")
    ledger.grants.revoke("ci", by="ada")
    made, revoked = ledger.events.tail()
    assert (made.kind, made.grant, made.effect) == ("grant", "ci", "created")
    assert (revoked.kind, revoked.grant, revoked.effect) == ("grant", "ci", "revoked")
    detail = json.loads(made.detail)
    table, _, row = detail.pop("row")
    assert (table, row["name"], row["revoked_us"]) == ("grants", "ci", 0)
    detail.pop("team", None)
    assert detail == {
        "sha256": hashlib.sha256(token.encode()).hexdigest(),
        "servers": ["files"],
        "policy": "",
        "project": "",
        "expires_us": 0,
        "by": ledger.signed("the command line"),
        "change": 1,
    }
    assert json.loads(revoked.detail)["by"] == ledger.signed("ada")
    assert token not in f"{made}{revoked}"
    assert ledger.verify().ok


def test_all_that_a_grant_was_given_ends_with_it(ledger: Ledger, clock: Clock) -> None:
    old, _ = ledger.grants.create("ci", ["memory"])
    caller = Caller("agent", "ci", "s1", "", old.key)
    asked = [ledger.approvals.open(question(caller, n)) for n in range(3)]
    label = ledger.approvals.open(question(Caller("agent", "ci", "s2", "/work"), 3))
    ledger.approvals.decide(asked[0].id, True, by="ada", args_hash=asked[0].args_hash)
    ledger.grants.revoke("ci", by="ada")
    assert {status_of(ledger, one) for one in asked} == {"withdrawn"}
    assert ledger.approvals.pending() == (label,)
    new, _ = ledger.grants.create("ci", ["memory"])
    again = Caller("agent", "ci", "s1", "", new.key)
    assert ledger.approvals.find(again.identity, "memory", "store", asked[0].args_hash) is None
    assert not ledger.grants.stands(old.key)
    assert ledger.grants.stands(new.key)
    assert ledger.verify().ok


def test_what_an_expired_grant_was_given_ends_too(ledger: Ledger, clock: Clock) -> None:
    grant, _ = ledger.grants.create("ci", ["memory"], expires_us=START_US + 1_000_000)
    asked = ledger.approvals.open(question(Caller("agent", "ci", "s1", "", grant.key), 1))
    ledger.grants.end_expired()
    assert status_of(ledger, asked) == "pending"
    clock.forward(1)
    assert not ledger.grants.stands(grant.key)
    ledger.grants.end_expired()
    assert status_of(ledger, asked) == "withdrawn"
    assert ledger.verify().ok


def question(caller: Caller, number: int) -> NewApproval:
    arguments = {"n": number}
    return NewApproval(
        caller=caller,
        server="memory",
        tool="store",
        arguments=arguments,
        args_hash=args_hash(arguments),
        expires_us=START_US + 60_000_000,
    )


def status_of(ledger: Ledger, approval: Approval) -> str:
    found = ledger.approvals.get(approval.id)
    assert found is not None
    return found.status
