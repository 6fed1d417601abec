"""One machine's record as the team's ledger has it, as JSON Lines that anyone can verify.

It is put into a directory as that machine's journal was, and exported from there: what the machine
has pruned meanwhile is in it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pktui.errors import LedgerError
from pktui.ledger.chain.export import framed
from pktui.ledger.journal.joints import Joints
from pktui.ledger.journal.segment import bind, file_of
from pktui.ledger.postgres.verifying import content_of, rows_of

if TYPE_CHECKING:
    from pktui.ledger.postgres.database import SharedDatabase

_MACHINES: Final = "SELECT name, n FROM machines ORDER BY n"
_JOINTS: Final = "SELECT line FROM joints WHERE machine = ? ORDER BY n"
_COPIED: Final = "SELECT segment, number FROM copied WHERE machine = ? ORDER BY segment"


def framed_machine(
    database: SharedDatabase,
    machine: str,
    clock: Callable[[], int],
    *,
    since_us: int = 0,
    until_us: int = 0,
) -> Iterator[bytes]:
    """Give the events of a machine of that name as lines; see `pktui.ledger.chain.export`.

    Raises `LedgerError` where there is none, `LedgerUnavailable`.
    """
    machines: dict[str, int] = dict(database.rows(_MACHINES))
    if machine not in machines:
        known = ", ".join(machines) or "none yet"
        raise LedgerError(f"the team has no machine {machine}", f"There are: {known}")
    with tempfile.TemporaryDirectory(prefix="pktui-") as directory:
        _write_journal(database, machines[machine], Path(directory), clock)
        yield from framed(Path(directory), clock, since_us=since_us, until_us=until_us, whole=False)


def _write_journal(
    database: SharedDatabase, machine: int, directory: Path, clock: Callable[[], int]
) -> None:
    joints = Joints(directory, clock)
    lines = [f"{line}\n".encode() for (line,) in database.rows(_JOINTS, (machine,))]
    joints.path.write_bytes(b"".join(lines))
    joints.refresh()
    for n, reached in database.rows(_COPIED, (machine,)):
        opened = joints.segments[n].opened
        previous = bytes.fromhex(opened.hash)
        with file_of(directory, n).open("wb") as file:
            for row in rows_of(database, machine, n, opened.number):
                if row[0] > reached:
                    break  # a decision whose rows before it are still to come
                line, previous = bind(content_of(row), previous)
                file.write(line)
