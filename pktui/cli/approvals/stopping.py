"""Stop everything, and go on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pktui.cli import backends, output
from pktui.cli.command_guard import BY, ask_pin
from pktui.cli.commands import Option
from pktui.errors import ApprovalError
from pktui.ledger.records import Caller

Agent = Annotated[
    str, Option(help="Only this agent, as `pktui now --json` names it, in --project.")
]
Project = Annotated[Path | None, Option(help="Where that agent works, else here.")]


def stop(agent: Agent = "", project: Project = None, json: output.JsonFlag = False) -> None:
    """Deny all that waits and, until `release`, every call of every agent. It needs no PIN."""
    if agent:
        _stop_one(agent, project, json=json)
        return
    with backends.ledger(write=True) as ledger:
        denied = ledger.approvals.stop(by=BY)
        standing = len(ledger.standing.live())
    if json:
        output.json({"stopped": True, "denied": denied, "standing": standing})
        return
    waited = "1 waiting call was" if len(denied) == 1 else f"{len(denied)} waiting calls were"
    output.line(
        f"everything is stopped: {waited} denied, and every call is refused until the release"
    )
    output.note("Calls that a server works on already go on. Go on with: pktui approvals release")
    if standing:
        hold = (
            "1 standing approval holds" if standing == 1 else f"{standing} standing approvals hold"
        )
        output.note(f"{hold} again from then on; end with: pktui approvals standing revoke all")


def _stop_one(agent: str, project: Path | None, *, json: bool) -> None:
    with backends.ledger(write=True) as ledger:
        denied = ledger.approvals.stop(by=BY, whom=_whom(agent, project))
    if json:
        output.json({"stopped": True, "denied": denied})
        return
    output.line(f"{agent} is stopped: {len(denied)} waiting denied, every call of it is refused")


def _whom(agent: str, project: Path | None) -> str:
    return Caller(agent, project=str((project or Path.cwd()).absolute())).place


def release(agent: Agent = "", project: Project = None, json: output.JsonFlag = False) -> None:
    """End the stop: policies decide again."""
    with backends.ledger(write=True) as ledger:
        if agent:
            whom = _whom(agent, project)
            if whom not in ledger.approvals.stopped_agents():
                raise ApprovalError(f"{agent} is not stopped there")
            ledger.approvals.release(by=BY, pin=ask_pin(ledger), whom=whom)
            output.json({"stopped": False}) if json else output.line(f"released: {agent}")
            return
        if not ledger.approvals.stopped():
            raise ApprovalError("nothing is stopped")
        released = ledger.approvals.release(by=BY, pin=ask_pin(ledger))
    if json:
        output.json({"stopped": not released})
    else:
        output.line("released: policies decide again")
