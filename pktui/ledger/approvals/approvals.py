"""Calls that wait for a person: asked once, decided once, used once.

    pending ── allowed ── spent
       ├────── denied
       ├────── expired          (an allowed one that is not used in time expires too)
       └────── withdrawn

Each step is one conditional UPDATE together with its event in the chain. What has expired counts
as expired from that moment, whether or not the row says so yet.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from pktui.errors import ApprovalError, LedgerUnavailable
from pktui.ledger.approvals.speakable import Below, speakable_id
from pktui.ledger.arguments.canonical import call_hash, json_text
from pktui.ledger.records import Approval, ApprovalStatus, Caller, Looked, NewApproval, Question
from pktui.times import SKEW_US

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pktui.ledger.events import Events
    from pktui.ledger.transaction import Deciding, Row

_FIELDS = [*Approval.__struct_fields__]
_COLUMNS = ", ".join("grant_name" if name == "grant" else name for name in _FIELDS)
_SELECT = f"SELECT {_COLUMNS} FROM approvals"  # noqa: S608
_ONCE = _FIELDS.index("once")
_STATUS = _FIELDS.index("status")
_ATTEMPTS = 64
# Questions of one client that may wait at once: a person who has more before them reads none.
MOST_OPEN = 200
# What stands for the arguments of an answered approval where the settings let none be kept.
NOT_KEPT = '"[not kept]"'
_STOPPED_AGENT = "stopped "
_LIST = "List what waits with: pktui approvals list"


class Stop(msgspec.Struct, frozen=True):
    """Who stopped everything, and when."""

    by: str
    at_us: int


def _switch(whom: str) -> str:
    """Return the name of the switch that stops an agent, or with "" everything."""
    return f"{_STOPPED_AGENT}{whom}" if whom else "stopped"


def hash_of_shown(approval: Approval) -> str:
    """Return the hash of the very call that is shown; a decision carries it.

    Raises `ApprovalError` where they cannot be read.
    """
    try:
        beside = json.loads(approval.beside) if approval.beside else {}
        return call_hash(json.loads(approval.arguments), beside)
    except (ValueError, RecursionError) as error:
        raise ApprovalError(
            f"the arguments of approval {approval.id} cannot be read, so nothing was decided",
            "The agent can ask again with the same call",
        ) from error


class Approvals:
    """Opens, finds, decides and uses approvals."""

    def __init__(
        self,
        database: Deciding,
        events: Events,
        clock: Callable[[], int],
        below: Below,
        check_pin: Callable[[str, str], None] = lambda _pin, _by: None,
        person: Callable[[], str] = str,
    ) -> None:
        """`check_pin` takes the PIN given and who gave it; raises `PinError` where it is wrong.

        `person` tells who decides from others, where several have to; empty: it can't be told.
        """
        self._person = person
        self.check_pin = check_pin
        self._database = database
        self._events = events
        self._clock = clock
        self._below = below

    def open(self, new: NewApproval) -> Approval:
        """Ask a person; raises `LedgerUnavailable`."""
        self.expire()
        arguments = json_text(new.arguments)
        with self._database.transaction():
            now = self._clock()
            approval = Approval(
                id=self._free_id(),
                created_us=now,
                expires_us=new.expires_us,
                status="pending",
                server=new.server,
                tool=new.tool,
                arguments=arguments,
                args_hash=new.args_hash,
                definition_hash=new.definition_hash,
                rule=new.rule,
                reason=new.reason,
                once=new.once,
                **_caller_fields(new.caller),
                call_id=new.call_id,
                decided_by="",
                decided_us=0,
                words="",
                beside=json_text(new.beside) if new.beside else "",
                meta=self._kept(new.meta),
                approvers=str(new.approvers) if new.approvers > 1 else "",
                person=self._database.seat.person,
                machine=self._database.seat.machine,
                look=_look_text(new.looked),
            )
            self._database.run(
                f"INSERT INTO approvals ({_COLUMNS}, masked, masked_beside, masked_look,"  # noqa: S608
                f" identity) VALUES ({', '.join('?' * (len(_FIELDS) + 4))})",
                [
                    *(getattr(approval, name) for name in _FIELDS),
                    *(self._events.masked(new.arguments) or NOT_KEPT, self._kept(new.beside)),
                    _look_text(new.looked, whole=self._events.keeps_texts),
                    new.caller.identity,
                ],
            )
            self._record(approval, "pending")
        return approval

    def get(self, approval_id: str) -> Approval | None:
        """Return the approval as it stands now."""
        row = self._database.row(f"{_SELECT} WHERE id = ?", (approval_id,))
        return self._approval(row) if row else None

    def find(self, identity: str, server: str, tool: str, args_hash: str) -> Approval | None:
        """Return the latest answer to the identical call that is neither spent nor withdrawn.

        One that a person allowed with a change is met by the call as it was and as it was changed.
        """
        row = self._database.row(
            f"{_SELECT} WHERE (args_hash = ? OR (changed_hash = ? AND changed_hash <> ''))"
            " AND tool = ? AND server = ? AND identity = ?"
            " AND status NOT IN ('spent', 'withdrawn') ORDER BY n DESC LIMIT 1",
            (args_hash, args_hash, tool, server, identity),
        )
        return self._approval(row) if row else None

    def pending(self) -> tuple[Approval, ...]:
        """Return what waits now, oldest first."""
        rows = self._database.rows(
            f"{_SELECT} WHERE status IN ('pending', 'allowed') AND status = 'pending'"
            " AND expires_us > ? AND created_us <= ? ORDER BY n",
            self._bounds(),
        )
        return tuple(map(self._approval, rows))

    def crowded(self, identity: str) -> bool:
        """Tell whether so many questions of this client wait that no more should be asked."""
        row = self._database.row(
            "SELECT count(*) FROM (SELECT 1 FROM approvals WHERE status IN ('pending', 'allowed')"
            " AND status = 'pending' AND identity = ? LIMIT ?) AS open",
            (identity, MOST_OPEN),
        )
        return row is not None and row[0] >= MOST_OPEN

    def recent(self, limit: int = 100) -> tuple[Approval, ...]:
        """Return the newest approvals of any status, newest first."""
        rows = self._database.rows(f"{_SELECT} ORDER BY n DESC LIMIT ?", (limit,))
        return tuple(map(self._approval, rows))

    def asked_since(self, since_us: int) -> tuple[Question, ...]:
        """Return what was asked since then and how it ended, oldest first, without arguments."""
        rows = self._database.rows(
            f"SELECT {', '.join(Question.__struct_fields__)} FROM approvals"  # noqa: S608
            " WHERE created_us >= ? ORDER BY n",
            (since_us,),
        )
        return tuple(Question(*row) for row in rows)

    def decide(
        self,
        approval_id: str,
        allow: bool,
        *,
        by: str,
        args_hash: str,
        words: str = "",
        pin: str = "",
        changed: Mapping[str, object] | None = None,
    ) -> Approval:
        """Allow or deny, once. `args_hash` is that of the arguments the person was shown.

        `changed`: the arguments that the call is allowed with instead of its own. Where several
        people have to allow it, it stays pending until the last of them has.

        A permission that is not used lapses after as long as the question was open for. Raises
        `ApprovalError` where it is unknown, decided (and says by whom), expired, not the call
        that was shown or of a tool redefined since, or where an allowance meets the stop;
        `PinError` where one is set and `pin` is not it; `LedgerUnavailable`.
        """
        self.check_pin(pin, by)
        return self.answer(
            approval_id, allow, by=by, args_hash=args_hash, words=words, changed=changed
        )

    def answer(
        self,
        approval_id: str,
        allow: bool,
        *,
        by: str,
        args_hash: str,
        words: str = "",
        changed: Mapping[str, object] | None = None,
    ) -> Approval:
        """Decide after the PIN was checked; for answers that are part of a larger change."""
        self.expire()
        with self._database.transaction():
            approval = self.get(approval_id)
            self._check_open(approval_id, approval)
            assert approval is not None
            if approval.args_hash != args_hash:
                raise ApprovalError(
                    f"approval {approval_id} is not for the arguments that were shown",
                    "Look at it again, then decide",
                )
            if allow:
                self._check_allowable(approval)
                if approval.needed > 1:
                    approval = self._agree(approval, changed)
                    if len(approval.persons) < approval.needed:
                        return approval
                elif changed is not None:
                    approval = self._change(approval, changed)
            now = self._clock()
            return self._settle(
                msgspec.structs.replace(
                    approval,
                    status="allowed" if allow else "denied",
                    decided_by=self._database.signed(by),
                    decided_us=now,
                    words=words,
                    expires_us=now + approval.expires_us - approval.created_us,
                ),
                "pending",
            )

    def decide_each(
        self, asked: Sequence[Approval], allow: bool, *, by: str, words: str = "", pin: str = ""
    ) -> list[Approval | ApprovalError]:
        """Allow or deny several, each by the hash of what is shown of it, one after the other.

        One that cannot be decided so stays as it is: why stands in its place. Raises `PinError`,
        `LedgerUnavailable`.
        """
        self.check_pin(pin, by)
        decided: list[Approval | ApprovalError] = []
        for one in asked:
            try:
                shown = hash_of_shown(one)
                decided.append(self.answer(one.id, allow, by=by, args_hash=shown, words=words))
            except ApprovalError as error:
                decided.append(error)
        return decided

    def spend(self, approval_id: str) -> bool:
        """Use an allowed approval up; False where it is not allowed (any more)."""
        return self._move(approval_id, "allowed", "spent")

    def withdraw(self, approval_id: str) -> bool:
        """Take a question back because nobody waits for its answer; False where none is open."""
        return self._move(approval_id, "pending", "withdrawn")

    def void(self, approval_id: str) -> bool:
        """Take back a question, or a permission that was not used, that cannot hold any more."""
        return self.withdraw(approval_id) or self._move(approval_id, "allowed", "withdrawn")

    def grant_ended(self, identity: str) -> None:
        """Take back all that clients of a grant have asked and were allowed and did not use."""
        rows = self._database.rows(
            f"{_SELECT} WHERE status IN ('pending', 'allowed') AND identity = ? ORDER BY n",
            (identity,),
        )
        for row in rows:
            self.void(row[0])

    def masked(self, approval_id: str) -> str:
        """Return the call with its secrets masked, empty where the id is unknown.

        That is its arguments, as JSON text; where something went out beside them, a list of both.
        """
        row = self._database.row(
            "SELECT masked, masked_beside FROM approvals WHERE id = ?", (approval_id,)
        )
        arguments, beside = row or ("", "")
        return f"[{arguments},{beside}]" if beside else arguments

    def _change(self, approval: Approval, arguments: Mapping[str, object]) -> Approval:
        """Note other arguments for a call that is about to be allowed; the same are no change."""
        beside = json.loads(approval.beside) if approval.beside else {}
        digest = call_hash(arguments, beside)
        if digest == approval.args_hash:
            return approval
        self._database.run(
            "UPDATE approvals SET changed = ?, masked_changed = ?, changed_hash = ? WHERE id = ?",
            (
                *(json_text(arguments), self._events.masked(arguments) or NOT_KEPT),
                *(digest, approval.id),
            ),
        )
        return msgspec.structs.replace(approval, changed=json_text(arguments), changed_hash=digest)

    def _agree(self, approval: Approval, changed: Mapping[str, object] | None) -> Approval:
        """Note that this person allows a call that several have to."""
        who = self._person()
        if not who:
            raise ApprovalError(
                f"{approval.needed} people have to allow {approval.id}, and one is not told from"
                " another here",
                "Share a ledger: ledger.uri in settings.toml",
            )
        if changed is not None:
            raise ApprovalError(
                f"{approval.id} can't be changed: {approval.needed} people have to allow the same",
                "Deny it, so that the agent asks again",
            )
        if who in approval.persons:
            raise ApprovalError(
                f"{who} has allowed {approval.id} already",
                f"{approval.needed} people have to: let another one decide",
            )
        approval = msgspec.structs.replace(approval, agreed=f"{approval.agreed}{who}\n")
        self._database.run(
            "UPDATE approvals SET agreed = ? WHERE id = ? AND status = 'pending'",
            (approval.agreed, approval.id),
        )
        if len(approval.persons) < approval.needed:
            self._record(approval, "pending")
        return approval

    def _kept(self, members: Mapping[str, object]) -> str:
        """Return what is kept for good of members beside the arguments, empty of none."""
        return (self._events.masked(members) or NOT_KEPT) if members else ""

    def expire(self) -> tuple[Approval, ...]:
        """Write down what has expired and return it."""
        overdue = (
            f"{_SELECT} WHERE status IN ('pending', 'allowed')"
            " AND (expires_us <= ? OR created_us > ?) ORDER BY n"
        )
        if not self._database.rows(overdue, self._bounds()):
            return ()
        with self._database.transaction():
            rows = self._database.rows(overdue, self._bounds())
            return tuple(self._settle(self._approval(row), row[_STATUS]) for row in rows)

    def stop(self, *, by: str, whom: str = "") -> tuple[Approval, ...]:
        """Deny what waits and, until `release`, every call; return what was denied.

        `whom`: only of the agent that stands so in `Caller.place`. Permissions that were not used
        yet are taken back; no PIN is needed to stop.
        """
        self.expire()
        with self._database.transaction():
            now, switch, by = self._clock(), _switch(whom), self._database.signed(by)
            self._database.run(
                "INSERT INTO switches (name, by_whom, at_us) VALUES (?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET by_whom = excluded.by_whom,"
                " at_us = excluded.at_us, event = ''",
                (switch, by, now),
            )
            self._note_stop(switch, {"stopped": True, "by": by})
            for row in self._database.rows(f"{_SELECT} WHERE status = 'allowed' ORDER BY n"):
                if self._approval(row).caller.place == whom or not whom:
                    self._move(row[0], "allowed", "withdrawn")
            return tuple(
                self._settle(
                    msgspec.structs.replace(
                        waiting,
                        status="denied",
                        decided_by=by,
                        decided_us=now,
                        words="This agent was stopped." if whom else "Everything was stopped.",
                    ),
                    "pending",
                )
                for waiting in self.pending()
                if waiting.caller.place == whom or not whom
            )

    def release(self, *, by: str, pin: str = "", whom: str = "") -> bool:
        """End the stop of everything, or of one agent; False where there was none.

        Raises `PinError`.
        """
        self.check_pin(pin, by)
        switch = _switch(whom)
        with self._database.transaction():
            released = self._database.run("DELETE FROM switches WHERE name = ?", (switch,)) > 0
            if released:
                self._note_stop(switch, {"stopped": False, "by": self._database.signed(by)})
        return released

    def stopped(self) -> bool:
        """Tell whether every call is to be denied."""
        return self.stop_in_force() is not None

    def stopped_agents(self) -> frozenset[str]:
        """Return the agents whose calls are to be denied, as `Caller.place` names them."""
        rows = self._database.rows(
            "SELECT name FROM switches WHERE name LIKE ?", (f"{_STOPPED_AGENT}%",)
        )
        return frozenset(name.removeprefix(_STOPPED_AGENT) for (name,) in rows)

    def stop_in_force(self) -> Stop | None:
        """Return who stopped everything and when, or None."""
        row = self._database.row(
            "SELECT by_whom, at_us FROM switches WHERE name = ?", (_switch(""),)
        )
        return Stop(*row) if row else None

    def _note_stop(self, switch: str, detail: dict[str, object]) -> None:
        self._events.append("note", detail=detail, row=("switches", switch))

    def _move(self, approval_id: str, old: ApprovalStatus, new: ApprovalStatus) -> bool:
        with self._database.transaction():
            approval = self.get(approval_id)
            if approval is None or approval.status != old:
                return False
            self._settle(msgspec.structs.replace(approval, status=new), old)
        return True

    def _settle(self, approval: Approval, old: ApprovalStatus) -> Approval:
        """Write an approval's next status over `old`; raises where another was quicker."""
        final = approval.status != "allowed"
        changed = self._database.run(
            "UPDATE approvals SET status = ?, decided_by = ?, decided_us = ?, words = ?,"
            " expires_us = ?, arguments = CASE ? WHEN 1 THEN masked ELSE arguments END,"
            " beside = CASE ? WHEN 1 THEN masked_beside ELSE beside END,"
            " changed = CASE ? WHEN 1 THEN masked_changed ELSE changed END,"
            " look = CASE ? WHEN 1 THEN masked_look ELSE look END"
            " WHERE id = ? AND status = ?",
            (
                *(approval.status, approval.decided_by, approval.decided_us, approval.words),
                *(approval.expires_us, final, final, final, final, approval.id, old),
            ),
        )
        if not changed:
            raise ApprovalError(f"approval {approval.id} is not {old} any more", _LIST)
        self._record(approval, approval.status)
        return self.get(approval.id) or approval

    def _check_allowable(self, approval: Approval) -> None:
        if self.stopped():
            raise ApprovalError(
                "everything is stopped, so nothing can be allowed", "Release the stop first"
            )
        if approval.caller.place in self.stopped_agents():
            raise ApprovalError(
                "this agent is stopped, so nothing of it can be allowed", "Release it first"
            )
        row = self._database.row(
            "SELECT hash FROM tools WHERE server = ? AND name = ?", (approval.server, approval.tool)
        )
        if row is not None and approval.definition_hash not in ("", row[0]):
            raise ApprovalError(
                f"tool {approval.tool} was redefined since {approval.id} was asked",
                "The agent's next call asks anew",
            )

    def _check_open(self, approval_id: str, approval: Approval | None) -> None:
        if approval is None:
            raise ApprovalError(f"there is no approval {approval_id}", _LIST)
        if approval.status == "expired":
            raise ApprovalError(
                f"approval {approval_id} has expired", "The agent can ask again with the same call"
            )
        if approval.decided_by:
            answer = "denied" if approval.status == "denied" else "allowed"
            raise ApprovalError(
                f"approval {approval_id} was already {answer} by {approval.decided_by}", _LIST
            )
        if approval.status != "pending":
            raise ApprovalError(f"approval {approval_id} was {approval.status}", _LIST)

    def _record(self, approval: Approval, status: ApprovalStatus) -> None:
        detail: dict[str, object] = {"approval": approval.id, "status": status}
        if status in ("allowed", "denied"):
            detail |= {"by": approval.decided_by, "words": approval.words}
        if approval.agreed:
            detail["persons"] = approval.persons
        if approval.changed_hash and status == "allowed":
            detail |= {"changed_hash": approval.changed_hash}
            if kept := self._events.masked(json.loads(approval.changed)):
                detail["changed"] = msgspec.Raw(kept.encode())
        self._events.append(
            "approval",
            caller=approval.caller,
            call_id=approval.call_id,
            server=approval.server,
            tool=approval.tool,
            effect=status,
            rule=approval.rule,
            reason=approval.reason,
            args_hash=approval.args_hash,
            approval_id=approval.id,
            detail=detail,
            row=("approvals", approval.id),
        )

    def _free_id(self) -> str:
        for _ in range(_ATTEMPTS):
            candidate = speakable_id(self._below)
            if self.get(candidate) is None:
                return candidate
        raise LedgerUnavailable(
            f"no free approval id was found in {_ATTEMPTS} attempts", "Remove old approvals"
        )

    def _bounds(self) -> tuple[int, int]:
        """Return up to when an approval has expired, and from when it was asked in the future.

        That was by a clock that was wrong then: until when it was meant to hold nobody knows.
        """
        now = self._clock()
        return now, now + SKEW_US

    def _approval(self, row: Row) -> Approval:
        values = list(row)
        values[_ONCE] = bool(values[_ONCE])
        found = Approval(*values)
        if found.status in ("pending", "allowed"):
            now, ahead = self._bounds()
            if found.expires_us <= now or found.created_us > ahead:
                return msgspec.structs.replace(found, status="expired")
        return found


def _look_text(looked: Looked | None, *, whole: bool = True) -> str:
    """Return a look as its row has it; not `whole`: without what the call and its server said."""
    if looked is None:
        return ""
    if not whole:
        looked = msgspec.structs.replace(looked, arguments="", shown="", before="", why="")
    return msgspec.json.encode(looked).decode()


def _caller_fields(caller: Caller) -> dict[str, str]:
    return {
        "agent": caller.agent,
        "grant": caller.grant,
        "session": caller.session,
        "project": caller.project,
        "grant_key": caller.key,
    }
