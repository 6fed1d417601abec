"""Calls of one agent and tool that wait at once, as one row of the queue.

From so many on they are folded, so that a flood takes one line and is answered with one key. Each
is decided by itself, by the hash of what was shown of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pktui.policy.risk import only_reads

if TYPE_CHECKING:
    from pktui.ledger.records import Approval, ToolSeen

# So many calls of one agent and tool are shown as one.
MANY = 3


@dataclass(frozen=True, slots=True)
class Group:
    """The calls, oldest first; `folded`: they have no rows of their own now."""

    members: tuple[Approval, ...]
    folded: bool = True

    @property
    def id(self) -> str:
        """What it is known by while calls come and go."""
        return kin(self.members[0])

    @property
    def shown(self) -> str:
        """What is read of it is known by: another once a call has joined."""
        return f"{self.id} {self.members[-1].id}"

    @property
    def agent(self) -> str:
        """Who asks."""
        return self.members[0].agent

    @property
    def server(self) -> str:
        """Whose tool it is."""
        return self.members[0].server

    @property
    def tool(self) -> str:
        """What is called."""
        return self.members[0].tool

    @property
    def expires_us(self) -> int:
        """When the first of them runs out."""
        return min(one.expires_us for one in self.members)

    def has(self, approval_id: str) -> bool:
        """Tell whether a call is one of them."""
        return any(one.id == approval_id for one in self.members)

    @property
    def decided_together(self) -> bool:
        """Whether one answer may let all of them run, as far as what asks says."""
        return not any(one.once or one.needed > 1 for one in self.members)


def kin(approval: Approval) -> str:
    """Return what calls of one agent and tool have in common; no approval has it for its id."""
    caller = approval.caller
    parts = (caller.identity, caller.place, approval.machine, approval.server, approval.tool)
    return hashlib.sha256(repr(parts).encode(errors="surrogatepass")).hexdigest()


def reads(tool: ToolSeen | None) -> bool:
    """Tell whether a tool, as it was accepted, only reads: so many calls may be allowed as one."""
    if tool is None or tool.changed or tool.flags:
        return False
    return only_reads(tool.definition)


def grouped(waiting: Iterable[Approval], unfolded: Collection[str]) -> tuple[Approval | Group, ...]:
    """Return the rows of what waits: a group stands where its oldest call would.

    `unfolded` are the ids of groups whose calls have rows of their own, below the group's.
    """
    found: dict[str, list[Approval]] = {}
    for one in waiting:
        found.setdefault(kin(one), []).append(one)
    rows: list[tuple[int, list[Approval | Group]]] = []
    for key, members in found.items():
        if len(members) < MANY:
            rows += [(one.created_us, [one]) for one in members]
            continue
        open_ = key in unfolded
        own: list[Approval | Group] = [*members] if open_ else []
        rows.append((members[0].created_us, [Group(tuple(members), not open_), *own]))
    rows.sort(key=lambda row: row[0])
    return tuple(one for _, several in rows for one in several)


def calls_of(row: Approval | Group) -> tuple[Approval, ...]:
    """Return the calls that a row stands for."""
    return row.members if isinstance(row, Group) else (row,)


def group_of(rows: Iterable[Approval | Group], approval_id: str) -> Group | None:
    """Return the group that a call is in, None where it is in none."""
    groups = (row for row in rows if isinstance(row, Group))
    return next((group for group in groups if group.has(approval_id)), None)
