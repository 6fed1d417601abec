"""`pktui adopt`, `pktui clients adopt` and `release`: agents behind pktui, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pktui.cli import output
from pktui.cli.commands import Argument, Option
from pktui.errors import PktuiError
from pktui.text import visible

if TYPE_CHECKING:
    from pktui.agents.adopting import Plan

Clients = Annotated[
    list[str] | None,
    Argument(metavar="CLIENT", help="claude-code, codex …; all that are here without."),
]
DryRun = Annotated[bool, Option("--dry-run", help="Show the changes and write nothing.")]
Yes = Annotated[bool, Option("--yes", "-y", help="Do not ask.")]


def adopt(
    clients: Clients = None,
    dry_run: DryRun = False,
    no_hooks: Annotated[
        bool, Option("--no-hooks", help="MCP servers only, not the agents' own tools.")
    ] = False,
    project: Annotated[bool, Option("--project", help="This directory's configs as well.")] = False,
    yes: Yes = False,
) -> None:
    """Put the agents of this machine behind pktui: their MCP servers, tools and sessions."""
    from pktui.agents.adopting import plan_adoption
    from pktui.agents.clients import Places
    from pktui.settings import Paths

    plan = plan_adoption(
        Paths.from_environment(),
        Places.here(),
        clients or (),
        hooks=not no_hooks,
        project=project,
    )
    _go(plan, dry_run=dry_run, yes=yes, question="Write these changes?")
    if not (dry_run or plan.empty):
        output.note("To take all of it back: pktui clients release")


def release(clients: Clients = None, dry_run: DryRun = False, yes: Yes = False) -> None:
    """Put back what was in the agents' configs before they were adopted."""
    from pktui.agents.adopting import plan_release
    from pktui.agents.clients import Places
    from pktui.settings import Paths

    plan = plan_release(Paths.from_environment(), Places.here(), clients or ())
    _go(plan, dry_run=dry_run, yes=yes, question="Put this back?")


def _go(plan: Plan, *, dry_run: bool, yes: bool, question: str) -> None:
    """Show a plan and carry it out once a person agrees; raises `PktuiError` where part failed."""
    from pktui.agents.adopting import carry_out

    for change in plan.changes:
        output.line(visible(change.diff).rstrip("\n"))
    for sentence in plan.problems:
        output.note(f"! {sentence}")
    for sentence in plan.notes:
        output.note(sentence)
    if not plan.changes:
        output.note("Nothing is to be changed.")
    if dry_run:
        return
    if plan.changes:
        output.confirm(f"{question} ({len(plan.changes)} files)", yes=yes)
    failed, removed = 0, {change.path for change in plan.changes if change.after is None}
    for done in carry_out(plan):
        failed += bool(done.problem)
        verb = "Removed" if done.path in removed else "Written"
        output.note(f"{done.path}: {done.problem}" if done.problem else f"{verb}: {done.path}")
    if failed:
        raise PktuiError(f"{failed} of {len(plan.changes)} files could not be written")
