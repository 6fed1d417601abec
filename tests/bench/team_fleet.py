"""What a team of many machines needs: `python -m tests.bench.team_fleet [MACHINES] [CALLS_A_DAY]`.

Measured on a real PostgreSQL with one machine: statements, commits, bytes of tables and of WAL for
a call that draws on a limit, for a question that is answered, and for a machine that does nothing;
and what one connection takes of memory. Reckoned from that: what MACHINES (1,000) need, each with
four gateways and CALLS_A_DAY (2,000) calls on 250 days a year, of which one in fifty asks.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pktui.gateway.enforcement.decision import Ruling
from pktui.ledger.postgres.connection import TeamConnection
from tests.bench.team import Gateway
from tests.support.postgres import Server, query

CALLS, QUESTIONS, IDLE_SECONDS = 3000, 200, 15
# After so long a server process that is idle says what it has counted.
STATS_SECONDS = 11
GATEWAYS, DAYS, ASKS = 4, 250, 50
TABLES = ["events", "made", "approvals", "charges", "counters", "joints", "copied", "checkpoints"]
SIZES = " + ".join(f"pg_total_relation_size('pktui.{table}')" for table in TABLES)


@dataclass
class Cost:
    """What something took, of each call, question or second of it."""

    statements: float
    transactions: float
    table_bytes: float
    wal_bytes: float


class Counted:
    """Counts the statements of every connection of this process."""

    def __init__(self) -> None:
        self.statements = 0
        run, run_all = TeamConnection.run, TeamConnection.run_all

        def counted(link: TeamConnection, sql: str, values: Any = ()) -> Any:
            self.statements += 1
            return run(link, sql, values)

        def counted_all(link: TeamConnection, sql: str, values: Any) -> None:
            self.statements += len(values)
            run_all(link, sql, values)

        for name, method in (("run", counted), ("run_all", counted_all)):
            setattr(TeamConnection, name, method)


def cost(uri: str, counted: Counted, work: Callable[[], float]) -> Cost:
    """Do the work, which returns how many times it was done, and see what it took."""
    before = seen(uri)
    statements = counted.statements
    times = work()
    statements = counted.statements - statements
    commits, size, wal = (now - then for now, then in zip(seen(uri), before, strict=True))
    return Cost(statements / times, commits / times, size / times, wal / times)


def seen(uri: str) -> tuple[float, float, float]:
    time.sleep(STATS_SECONDS)
    ((commits, size, wal),) = query(
        uri,
        f"SELECT xact_commit, {SIZES}, pg_current_wal_insert_lsn() - '0/0'"
        " FROM pg_stat_database WHERE datname = current_database()",
    )
    return float(str(commits)), float(str(size)), float(str(wal))


def private_bytes(uri: str) -> float:
    """Return what the largest connection of a gateway has to itself."""
    rows = query(uri, "SELECT pid FROM pg_stat_activity WHERE application_name = 'pktui'")
    private = re.compile(r"^Private_\w+: +(\d+)", re.MULTILINE)
    maps = (Path(f"/proc/{pid}/smaps_rollup").read_text() for (pid,) in rows)
    return max(sum(map(int, private.findall(text))) for text in maps) * 1024


def main() -> None:
    machines = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    calls = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    counted = Counted()
    server = Server(f"fleet-{os.getpid()}")
    query(server.uri(), "ALTER SYSTEM SET autovacuum = off")  # what it writes is of no call
    query(server.uri(), "SELECT pg_reload_conf()")
    uri = server.database()
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "one").mkdir()
        gateway = Gateway(Path(directory), uri, "one", "files")
        team = gateway.ledger.team
        assert team is not None

        def decide() -> float:
            for _ in range(CALLS):
                gateway.decide()
            team.copy()
            return CALLS

        def ask() -> float:
            for n in range(QUESTIONS):
                decision = gateway.enforcer.decide(gateway.call("write", n=n))
                assert decision.ruling is Ruling.WAITING, decision
                assert decision.approval is not None
                asked = decision.approval
                gateway.ledger.approvals.decide(
                    asked.id, False, by="bench", args_hash=asked.args_hash
                )
            team.copy()
            return QUESTIONS

        def idle() -> float:
            time.sleep(IDLE_SECONDS)
            return IDLE_SECONDS

        gateway.decide()
        call, question = cost(uri, counted, decide), cost(uri, counted, ask)
        nothing, memory = cost(uri, counted, idle), private_bytes(uri)
        gateway.ledger.close()
    server.close()
    tell_measured(call, question, nothing, memory)
    tell_reckoned(machines, calls, call, question, nothing, memory)


def tell_measured(call: Cost, question: Cost, nothing: Cost, memory: float) -> None:
    for name, one in (("a call", call), ("a question", question), ("an idle second", nothing)):
        print(
            f"{name:<15} {one.statements:6.1f} statements {one.transactions:5.2f} transactions"
            f" {one.table_bytes:7,.0f} bytes of tables {one.wal_bytes:7,.0f} bytes of WAL"
        )
    print(f"a connection    {memory / 1e6:6.1f} MB of its own")


def tell_reckoned(
    machines: int, calls: int, call: Cost, question: Cost, nothing: Cost, memory: float
) -> None:
    day = machines * calls
    busy = day / 8 / 3600  # as if all of a day's calls came in eight hours
    connections = machines * (GATEWAYS + 1)

    def of_all(name: str) -> float:
        return float(
            busy * getattr(call, name)
            + busy / ASKS * getattr(question, name)
            + machines * getattr(nothing, name)
        )

    a_year = day * DAYS * (call.table_bytes + question.table_bytes / ASKS)
    print(f"\n{machines:,} machines, {calls:,} calls a day each, {GATEWAYS} gateways each")
    for name, value in (
        ("calls", f"{busy:,.0f} a second, of which {busy / ASKS:,.1f} ask"),
        ("statements", f"{of_all('statements'):,.0f} a second"),
        ("transactions", f"{of_all('transactions'):,.0f} a second"),
        ("WAL", f"{of_all('wal_bytes') / 1e6:,.1f} MB a second"),
        ("connections", f"{connections:,} ({connections * memory / 1e9:,.1f} GB of memory)"),
        ("rows", f"{2 * day * DAYS / 1e9:,.2f} billion a year"),
        ("storage", f"{a_year / 1e9:,.0f} GB a year"),
    ):
        print(f"  {name:<12} {value}")


if __name__ == "__main__":
    main()
