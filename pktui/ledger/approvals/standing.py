"""Answers that reach further than their one call: for a client, a tool, and a time.

A standing approval names whose calls it is for (the grant, else the client in its directory), the
server, the tool as it was defined then, and if wanted the exact arguments; it ends at its time,
with its connection, with a changed definition, or when it or its grant is revoked. It answers only
where the policy asks a person: a rule that denies beats it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from pktui.errors import ApprovalError, LedgerUnavailable
from pktui.ledger.approvals.speakable import Below, speakable_id
from pktui.ledger.records import Caller
from pktui.times import SKEW_US

if TYPE_CHECKING:
    from collections.abc import Callable

    from pktui.ledger.approvals.approvals import Approvals
    from pktui.ledger.events import Events
    from pktui.ledger.records import Approval
    from pktui.ledger.transaction import Deciding, Row

Ended = Literal["", "revoked", "expired", "changed", "disconnected"]
# What is to hold for longer is a rule, and belongs into the policy.
LONGEST_US = 7 * 24 * 3_600_000_000
# One that ends with its connection ends after this long all the same: a gateway that is killed
# cannot say that its client has left.
CONNECTION_US = 24 * 3_600_000_000
_ATTEMPTS = 64
_LIST = "List them with: pktui approvals standing list"


class Wider(msgspec.Struct, frozen=True):
    """How far an answer reaches beyond its call; microseconds.

    `for_us` 0: until the client disconnects. `exact`: only calls with these very arguments.
    `conditions`: only calls that fulfil these, a JSON list as a policy's `allow_if` writes them.
    """

    for_us: int = 0
    exact: bool = False
    conditions: str = ""


class StandingApproval(msgspec.Struct, frozen=True):
    """An answer that stands, or stood."""

    id: str
    created_us: int
    expires_us: int
    server: str
    tool: str
    args_hash: str
    """Empty: whatever the arguments."""
    arguments: str
    """The exact arguments as JSON text, masked; empty: whatever they are."""
    definition_hash: str
    identity: str
    agent: str
    grant: str
    project: str
    session: str
    """The connection it ends with; empty: every connection of this client."""
    approval_id: str
    """The question that it was the answer to."""
    made_by: str
    uses: int
    used_us: int
    """When it was used last, 0: never."""
    ended: Ended
    """`live` ones have an empty one; counts the time it was read at."""
    ended_by: str
    ended_us: int
    grant_key: str = ""
    conditions: str = ""
    """What such a call must fulfil, a JSON list of a policy's conditions; empty: nothing.

    Who asks for an answer judges them: this room knows no policy.
    """

    def holds(self, now_us: int) -> bool:
        """Tell whether its time has not passed.

        One made later than now was made by a clock that was wrong: how long it was to hold nobody
        knows.
        """
        return self.created_us - SKEW_US <= now_us < self.expires_us

    def answers(self, caller: Caller, tool: str, args_hash: str, now_us: int) -> bool:
        """Tell whether it is for such a call; its tool's definition is another question."""
        return (
            not self.ended
            and self.holds(now_us)
            and (self.tool, self.identity) == (tool, caller.identity)
            and self.args_hash in ("", args_hash)
            and self.session in ("", caller.session)
        )


_FIELDS = [*StandingApproval.__struct_fields__]
_COLUMNS = ", ".join("grant_name" if name == "grant" else name for name in _FIELDS)
_SELECT = f"SELECT {_COLUMNS} FROM standing"  # noqa: S608


class Standing:
    """Makes, finds, uses and ends standing approvals."""

    def __init__(
        self,
        database: Deciding,
        events: Events,
        approvals: Approvals,
        clock: Callable[[], int],
        below: Below,
    ) -> None:
        self._database = database
        self._events = events
        self._approvals = approvals
        self._clock = clock
        self._below = below

    def allow(
        self, approval_id: str, wider: Wider, *, by: str, args_hash: str, pin: str = ""
    ) -> tuple[Approval, StandingApproval]:
        """Allow the call that asks and such calls after it.

        Raises what `Approvals.decide` raises, and `ApprovalError` where only this one call may be
        allowed, or the tool's definition is not known.
        """
        self._approvals.check_pin(pin, by)
        with self._database.transaction():
            asked = self._approvals.get(approval_id)
            if asked is not None:
                check_may_stand(asked, wider)
            allowed = self._approvals.answer(approval_id, True, by=by, args_hash=args_hash)
            return allowed, self._make(allowed, wider, self._database.signed(by))

    def get(self, standing_id: str) -> StandingApproval | None:
        """Return one as it stands now."""
        row = self._database.row(f"{_SELECT} WHERE id = ?", (standing_id,))
        return self._read(row) if row else None

    def live(self, server: str | None = None) -> tuple[StandingApproval, ...]:
        """Return those that hold now, of one server or of all, oldest first."""
        rows = self._database.rows(
            f"{_SELECT} WHERE ended = '' AND server = coalesce(?, server) AND expires_us > ?"
            " ORDER BY n",
            (server, self._clock()),
        )
        return tuple(one for one in map(self._read, rows) if not one.ended)

    def recent(self, limit: int = 100) -> tuple[StandingApproval, ...]:
        """Return the newest, those that have ended too, newest first."""
        rows = self._database.rows(f"{_SELECT} ORDER BY n DESC LIMIT ?", (limit,))
        return tuple(map(self._read, rows))

    def use(self, standing_id: str) -> None:
        """Count a call that it let through."""
        with self._database.transaction():
            self._database.run(
                "UPDATE standing SET uses = uses + 1, used_us = ? WHERE id = ?",
                (self._clock(), standing_id),
            )

    def revoke(self, standing_id: str, *, by: str) -> StandingApproval:
        """End one; the next such call asks a person again. Raises `ApprovalError`."""
        with self._database.transaction():
            found = self.get(standing_id)
            if found is None:
                raise ApprovalError(f"there is no standing approval {standing_id}", _LIST)
            if found.ended:
                raise ApprovalError(f"standing approval {standing_id} has ended already", _LIST)
            return self._end(found, "revoked", self._database.signed(by))

    def disconnected(self, session: str) -> tuple[StandingApproval, ...]:
        """End those that were to hold until this connection ends."""
        return self._end_all("session = ?", (session,), "disconnected")

    def grant_ended(self, identity: str) -> tuple[StandingApproval, ...]:
        """End those that were given to a grant: who is given its name later was not meant."""
        return self._end_all("identity = ?", (identity,), "revoked")

    def redefined(self, server: str) -> tuple[StandingApproval, ...]:
        """End those whose tool the server now defines otherwise than when they were made."""
        return self._end_all(
            "server = ? AND definition_hash <> (SELECT hash FROM tools"
            " WHERE tools.server = standing.server AND tools.name = standing.tool)",
            (server,),
            "changed",
        )

    def _end_all(
        self, which: str, values: tuple[str, ...], why: Ended
    ) -> tuple[StandingApproval, ...]:
        found = f"{_SELECT} WHERE ended = '' AND {which} ORDER BY n"
        if not self._database.rows(found, values):
            return ()
        with self._database.transaction():
            rows = self._database.rows(found, values)
            return tuple(self._end(self._read(row), why, "") for row in rows)

    def _make(self, asked: Approval, wider: Wider, by: str) -> StandingApproval:
        now = self._clock()
        made = StandingApproval(
            id=self._free_id(),
            created_us=now,
            expires_us=now + (wider.for_us or CONNECTION_US),
            server=asked.server,
            tool=asked.tool,
            args_hash=asked.args_hash if wider.exact else "",
            arguments=self._approvals.masked(asked.id) if wider.exact else "",
            definition_hash=self._known_definition(asked),
            identity=asked.caller.identity,
            agent=asked.agent,
            grant=asked.grant,
            project=asked.project,
            session="" if wider.for_us else asked.session,
            approval_id=asked.id,
            made_by=by,
            uses=0,
            used_us=0,
            ended="",
            ended_by="",
            ended_us=0,
            grant_key=asked.grant_key,
            conditions=wider.conditions,
        )
        self._database.run(
            f"INSERT INTO standing ({_COLUMNS}) VALUES ({', '.join('?' * len(_FIELDS))})",  # noqa: S608
            [getattr(made, name) for name in _FIELDS],
        )
        self._record(made, "standing", by)
        return made

    def _known_definition(self, asked: Approval) -> str:
        """Return the hash of the tool's definition, which is the pinned one."""
        row = self._database.row(
            "SELECT hash, pinned_hash FROM tools WHERE server = ? AND name = ?",
            (asked.server, asked.tool),
        )
        if row is None or row[0] != row[1]:
            why = "was not listed by its server yet" if row is None else "is defined anew"
            raise ApprovalError(
                f"tool {asked.tool} {why}, so nothing can stand for it", "Allow this one call"
            )
        return str(row[0])

    def _end(self, found: StandingApproval, why: Ended, by: str) -> StandingApproval:
        ended = msgspec.structs.replace(found, ended=why, ended_by=by, ended_us=self._clock())
        self._database.run(
            "UPDATE standing SET ended = ?, ended_by = ?, ended_us = ? WHERE id = ?",
            (ended.ended, ended.ended_by, ended.ended_us, ended.id),
        )
        self._record(ended, why, by)
        return ended

    def _record(self, one: StandingApproval, effect: str, by: str) -> None:
        detail: dict[str, object] = {"standing": one.id, "expires_us": one.expires_us}
        detail |= {"exact": bool(one.args_hash), "connection": bool(one.session)}
        if by:
            detail["by"] = by
        self._events.append(
            "approval",
            caller=Caller(one.agent, one.grant, one.session, one.project),
            server=one.server,
            tool=one.tool,
            effect=effect,
            args_hash=one.args_hash,
            approval_id=one.id,
            detail=detail,
            row=("standing", one.id),
        )

    def _free_id(self) -> str:
        """Return an id that cannot be mistaken for that of a single approval."""
        for _ in range(_ATTEMPTS):
            candidate = f"s-{speakable_id(self._below)}"
            if self.get(candidate) is None:
                return candidate
        raise LedgerUnavailable(
            f"no free id was found in {_ATTEMPTS} attempts", "Revoke old standing approvals"
        )

    def _read(self, row: Row) -> StandingApproval:
        found = StandingApproval(*row)
        if not found.ended and not found.holds(self._clock()):
            return msgspec.structs.replace(found, ended="expired", ended_us=found.expires_us)
        return found


def check_may_stand(asked: Approval, wider: Wider) -> None:
    """Raise `ApprovalError` where no answer to this question may stand, or not so."""
    if asked.once:
        raise ApprovalError(
            f"{asked.tool} destroys, moves money or was redefined: each call of it is asked about",
            "Allow this one call, or write a rule for it in the policy if you mean it",
        )
    if not 0 <= wider.for_us <= LONGEST_US:
        raise ApprovalError(
            "a standing approval can hold for seven days at most", "Save it as a rule instead"
        )
    if not wider.for_us and not asked.session:
        raise ApprovalError("the connection of this call is not known", "Allow it for a time")
