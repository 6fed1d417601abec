"""What `policy explain` says of a person's answer that a call would meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pktui.cli import output

if TYPE_CHECKING:
    from pktui.ledger.approvals.standing import StandingApproval
    from pktui.ledger.records import Approval

    Answer = Approval | StandingApproval


def answer_words(answer: Answer | None) -> str:
    """Say what answers a call that a person decides."""
    from pktui.ledger.approvals.standing import StandingApproval

    if answer is None:
        return "none yet: a person is asked"
    until = output.moment(answer.expires_us)
    if isinstance(answer, StandingApproval):
        return f"standing approval {answer.id} allows it, until {until}"
    said = {
        "allowed": "allows it, once",
        "denied": "denied it, and such a call is denied",
        "pending": "waits for a person",
    }[answer.status]
    return f"approval {answer.id} {said}, until {until}"


def answer_record(answer: Answer | None) -> dict[str, Any] | None:
    """Return the answer as `--json` prints it."""
    from pktui.ledger.approvals.standing import StandingApproval

    if answer is None:
        return None
    standing = isinstance(answer, StandingApproval)
    return {
        "id": answer.id,
        "standing": standing,
        "status": "allowed" if isinstance(answer, StandingApproval) else answer.status,
        "expires_us": answer.expires_us,
    }
