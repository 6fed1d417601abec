"""Calls that several people have to allow: people are the database's roles, and count once each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pktui.errors import ApprovalError, LedgerUnavailable
from pktui.ledger import Ledger, NewApproval, args_hash
from pktui.settings import LedgerSettings
from tests.ledger.conftest import CLAUDE, MINUTE
from tests.support.postgres import query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pktui.ledger import Approval
    from tests.support.postgres import Server

    As = Callable[[str], Ledger]

ARGUMENTS = {"repo": "shop"}


@pytest.fixture
def as_role(postgres: Server, tmp_path: Path) -> Iterator[As]:
    """Open the team's ledger as a person of that name, on a machine of their own."""
    uri = postgres.database()
    name = uri.partition("@/")[2].partition("?")[0]
    opened = [Ledger.open(tmp_path / "first" / "ledger.db", shared=LedgerSettings(uri, "first"))]
    opened[0].approvals.stopped()  # the first question makes the tables and the groups

    def open_one(role: str) -> Ledger:
        own = f"{role}_{name}"
        query(uri, f"CREATE ROLE {own} LOGIN IN ROLE pktui_gateway")
        path = tmp_path / role / "ledger.db"
        opened.append(Ledger.open(path, shared=LedgerSettings(postgres.uri(name, own), role)))
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.close()
    for (role,) in query(uri, "SELECT rolname FROM pg_roles WHERE rolname LIKE %s", f"%{name}"):
        query(uri, f"DROP OWNED BY {role}")
        query(uri, f"DROP ROLE {role}")


def ask(ledger: Ledger, approvers: int = 2) -> Approval:
    return ledger.approvals.open(
        NewApproval(
            caller=CLAUDE,
            server="git",
            tool="delete_repo",
            arguments=ARGUMENTS,
            args_hash=args_hash(ARGUMENTS),
            expires_us=ledger.clock() + 10 * MINUTE,
            approvers=approvers,
            once=True,
        )
    )


def allow(ledger: Ledger, asked: Approval) -> Approval:
    return ledger.approvals.decide(asked.id, True, by="console", args_hash=asked.args_hash)


def test_a_call_waits_until_so_many_people_have_allowed_it(as_role: As) -> None:
    ada, bob, eve = as_role("ada"), as_role("bob"), as_role("eve")
    asked = ask(ada, 3)
    assert "so far nobody" in asked.people
    for ledger in (ada, bob):
        assert allow(ledger, asked).status == "pending"
    seen = eve.approvals.get(asked.id)
    assert seen is not None
    assert [one.partition("_")[0] for one in seen.persons] == ["ada", "bob"]
    assert not eve.approvals.spend(asked.id)
    assert allow(eve, asked).status == "allowed"
    assert ada.approvals.spend(asked.id)
    assert ada.verify().ok


def test_one_person_counts_once_also_the_one_who_asked(as_role: As) -> None:
    ada, bob = as_role("ada"), as_role("bob")
    asked = ask(ada)
    assert allow(ada, asked).status == "pending"
    with pytest.raises(ApprovalError, match="has allowed"):
        allow(ada, asked)
    assert allow(bob, asked).status == "allowed"


def test_one_person_denies_for_all(as_role: As) -> None:
    ada, bob = as_role("ada"), as_role("bob")
    asked = ask(ada)
    allow(ada, asked)
    denied = bob.approvals.decide(asked.id, False, by="console", args_hash=asked.args_hash)
    assert denied.status == "denied"


def test_what_several_allow_nobody_changes(as_role: As) -> None:
    ada = as_role("ada")
    asked = ask(ada)
    with pytest.raises(ApprovalError, match="can't be changed"):
        ada.approvals.decide(
            asked.id, True, by="console", args_hash=asked.args_hash, changed={"repo": "other"}
        )


@pytest.mark.parametrize(
    "sets",
    [
        "status = 'allowed', decided_by = session_user || ' (x@y)'",
        "agreed = 'ada' || chr(10) || 'bob' || chr(10)",
        "agreed = session_user || chr(10) || 'bob' || chr(10)",
        "agreed = session_user || chr(10) || session_user || chr(10)",
    ],
)
def test_the_database_counts_for_itself(as_role: As, sets: str) -> None:
    eve = as_role("eve")
    asked = ask(eve)
    with pytest.raises(LedgerUnavailable), eve.transaction():
        eve.approvals._database.run(f"UPDATE approvals SET {sets} WHERE id = ?", (asked.id,))
    found = eve.approvals.get(asked.id)
    assert found is not None
    assert (found.status, found.agreed) == ("pending", "")


def test_a_ledger_of_one_person_tells_none_from_another(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger.db")
    asked = ask(ledger)
    with pytest.raises(ApprovalError, match="one is not told from another"):
        allow(ledger, asked)
    ledger.close()
