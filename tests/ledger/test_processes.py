"""Several processes on one file, and one that is killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pktui.ledger import Ledger, NewApproval, args_hash, now_us
from tests.ledger.conftest import CLAUDE, MINUTE
from tests.ledger.worker import LIMIT

ROOT = Path(__file__).resolve().parents[2]


def start(verb: str, file: Path, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.ledger.worker", verb, str(file), str(count)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def outputs(verb: str, file: Path, count: int, processes: int = 4) -> list[list[int]]:
    workers = [start(verb, file, count) for _ in range(processes)]
    answers = [worker.communicate(timeout=50)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * processes
    return [[int(line) for line in answer.split()] for answer in answers]


def test_processes_that_open_a_new_file_at_once_all_succeed(file: Path) -> None:
    assert sorted(seq for (seq,) in outputs("open", file, 1)) == [1, 2, 3, 4]


def test_processes_append_to_one_chain(file: Path) -> None:
    seqs = outputs("append", file, 150)
    assert sorted(seq for of_one in seqs for seq in of_one) == list(range(1, 601))
    ledger = Ledger.open(file)
    assert ledger.verify().ok
    ledger.close()


def test_processes_together_never_exceed_a_limit(file: Path) -> None:
    taken = outputs("reserve", file, 100)
    assert sum(count for (count,) in taken) == 200
    ledger = Ledger.open(file)
    assert ledger.counters.usage(LIMIT)[0] == 200
    assert ledger.events.last_seq() == 200
    ledger.close()


def test_processes_decide_and_spend_each_approval_once(file: Path) -> None:
    ledger = Ledger.open(file)
    for number in range(30):
        arguments = {"number": number}
        ledger.approvals.open(
            NewApproval(
                CLAUDE, "memory", "store", arguments, args_hash(arguments), now_us() + 10 * MINUTE
            )
        )
    assert sum(count for (count,) in outputs("decide", file, 30, processes=3)) == 30
    assert {approval.status for approval in ledger.approvals.recent()} == {"spent"}
    assert ledger.verify().ok
    ledger.close()


def test_a_process_killed_while_it_writes_loses_nothing_it_acknowledged(file: Path) -> None:
    worker = start("append", file, 1_000_000)
    assert worker.stdout is not None
    for _ in range(200):
        worker.stdout.readline()
    worker.kill()
    rest = worker.stdout.read().split("\n")
    worker.stdout.close()
    worker.wait(timeout=10)
    acknowledged = max([200, *(int(line) for line in rest[:-1])])
    ledger = Ledger.open(file)
    assert ledger.events.last_seq() >= acknowledged
    assert ledger.verify().ok
    assert ledger.events.append("note") == ledger.events.last_seq()
    ledger.close()


def test_a_second_connection_of_a_process_keeps_the_file_from_the_next_to_leave(file: Path) -> None:
    """SQLite's locks are the process's: one that loses them loses its log to whoever closes."""
    ledger = Ledger.open(file)
    Ledger.open(file).close()
    log = file.with_name(f"{file.name}-wal")
    before = log.stat().st_ino
    outputs("append", file, 1, processes=1)
    assert log.stat().st_ino == before
    assert ledger.events.append("note") == 2
    ledger.close()
    again = Ledger.open(file)
    assert (again.events.last_seq(), again.verify().ok) == (2, True)
    again.close()
