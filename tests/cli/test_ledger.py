"""`pktui ledger migrate`: a machine's own ledger goes over into a team's, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from pktui.cli.app import run
from pktui.ledger import Caller, Ledger, NewApproval, args_hash
from pktui.ledger.approvals.standing import Wider
from pktui.ledger.journal import journal
from pktui.settings import LedgerSettings
from tests.ledger.conftest import MINUTE, Limit
from tests.support.charging import take
from tests.support.postgres import query

if TYPE_CHECKING:
    from pktui.ledger import Approval
    from pktui.ledger.records import Charged
    from pktui.settings import Paths
    from tests.support.postgres import Server

CALLER = Caller("claude-code", "", "s1", "/home/ada/shop")
Migrate = Callable[[], tuple[int, str]]
LIMIT = Limit(max=Decimal(9), window_us=60 * MINUTE)


def ask(ledger: Ledger, n: int) -> Approval:
    arguments = {"path": f"/{n}"}
    new = NewApproval(
        *(CALLER, "files", "write", arguments, args_hash(arguments)),
        ledger.clock() + 10 * MINUTE,
    )
    return ledger.approvals.open(new)


@pytest.fixture
def uri(postgres: Server) -> str:
    return postgres.database()


@pytest.fixture
def filled(paths: Paths) -> str:
    """A ledger with something of everything; the token of its grant."""
    ledger = Ledger.open(paths.ledger_file)
    ledger.catalogue.saw("files", [{"name": "write"}])
    for n, allow in ((1, True), (2, False)):
        asked = ask(ledger, n)
        ledger.approvals.decide(asked.id, allow, by="ada", args_hash=asked.args_hash)
    asked = ask(ledger, 3)
    wider = Wider(for_us=30 * MINUTE)
    ledger.standing.allow(asked.id, wider, by="ada", args_hash=asked.args_hash)
    ask(ledger, 4)
    _, token = ledger.grants.create("ci", ["*"])
    take(ledger, [LIMIT], "c1")
    ledger.close()
    return token


@pytest.fixture
def migrate(uri: str, capsys: pytest.CaptureFixture[str]) -> Migrate:
    """Migrate there; return the exit status and all that was said."""

    def migrate() -> tuple[int, str]:
        code = run(["ledger", "migrate", "--to", uri])
        return code, "".join(capsys.readouterr())

    return migrate


def team(paths: Paths, uri: str) -> Ledger:
    return Ledger.open(paths.ledger_file, shared=LedgerSettings(uri))


def test_everything_that_decides_goes_over(
    paths: Paths, uri: str, filled: str, migrate: Migrate
) -> None:
    own = Ledger.open(paths.ledger_file)
    before = own.approvals.recent(), own.standing.recent(), own.grants.list()
    own.close()
    code, said = migrate()
    assert (code, "ledger holds" in said) == (0, True), said
    ledger = team(paths, uri)
    after = ledger.approvals.recent(), ledger.standing.recent(), ledger.grants.list()
    assert after == before
    assert ledger.grants.find(filled) is not None
    assert ledger.stands("tools", "files", "write")
    assert all(ledger.stands("approvals", one.id) for one in after[0])
    assert ledger.counters.used((LIMIT,)) == [1]
    assert ledger.team is not None
    assert ledger.team.verify().ok
    ledger.close()


def test_a_journal_that_takes_long_to_read_keeps_no_transaction_of_the_team_waiting(
    uri: str, filled: str, migrate: Migrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting: list[object] = []

    def charges_of(*of: Any) -> Iterator[Charged]:
        waiting.extend(
            query(
                uri,
                "SELECT query FROM pg_stat_activity WHERE datname = current_database()"
                " AND state LIKE 'idle in transaction%'",
            )
        )
        return journal.charges_of(*of)

    monkeypatch.setattr("pktui.ledger.postgres.migration.charges_of", charges_of)
    code, said = migrate()
    assert (code, waiting) == (0, []), said


def test_twice_adds_nothing(paths: Paths, uri: str, filled: str, migrate: Migrate) -> None:
    for _ in range(2):
        code, said = migrate()
        assert code == 0, said
    ledger = team(paths, uri)
    assert len(ledger.approvals.recent()) == 4
    assert ledger.counters.used((LIMIT,)) == [1]
    ledger.close()


def test_a_grants_name_that_the_team_has_is_named_and_nothing_goes_over(
    paths: Paths, uri: str, filled: str, migrate: Migrate
) -> None:
    other = Ledger.open(paths.data_dir / "other" / "ledger.db", shared=LedgerSettings(uri))
    other.grants.create("ci", ["files"])
    other.close()
    code, said = migrate()
    assert (code, "another grant ci" in said) == (1, True)
    ledger = team(paths, uri)
    assert ledger.approvals.recent() == ()
    ledger.close()


def test_a_ledger_that_does_not_hold_stays_where_it_is(
    paths: Paths, uri: str, filled: str, migrate: Migrate
) -> None:
    own = Ledger.open(paths.ledger_file)
    own._database.run("UPDATE grants SET servers = '[]'")
    own.close()
    code, said = migrate()
    assert (code, "nothing was carried over: grant ci" in said) == (1, True)


def test_it_waits_for_gateways_that_go_by_the_old_one(
    paths: Paths, uri: str, filled: str, migrate: Migrate
) -> None:
    own = Ledger.open(paths.ledger_file)
    own.presence.announce("gateway")
    code, said = migrate()
    own.close()
    assert (code, "run here" in said) == (1, True)


def test_a_machine_that_is_in_a_team_already_is_told(
    paths: Paths, uri: str, migrate: Migrate
) -> None:
    paths.config_dir.mkdir(parents=True)
    paths.settings_file.write_text(f'[ledger]\nuri = "{uri}"\n')
    code, said = migrate()
    assert (code, "already" in said) == (2, True)
