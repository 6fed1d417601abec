"""`pktui grants`: tokens for agents that reach servers over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from pktui.cli import backends, output
from pktui.cli.command_guard import BY
from pktui.cli.commands import Argument, Option, group
from pktui.cli.time_options import until_us
from pktui.errors import UsageError
from pktui.text import storable

if TYPE_CHECKING:
    from pktui.ledger.records import Grant

grants_app = group()


class GrantShown(msgspec.Struct, frozen=True, omit_defaults=True):
    """A grant as `--json` prints it; `token` is there only when it is made."""

    name: str
    standing: str
    servers: tuple[str, ...]
    policy: str
    created_us: int
    expires_us: int
    revoked_us: int
    token: str = ""
    project: str = ""


@grants_app.verb()
def create(
    name: Annotated[str, Argument(metavar="NAME", help="Who it is for, as records say.")],
    server: Annotated[
        list[str],
        Option("--server", "-s", metavar="NAME", help="A server it opens; * for all."),
    ],
    policy: Annotated[
        Path | None,
        Option("--policy", metavar="FILE", help="A policy in place of the servers' own."),
    ] = None,
    project: Annotated[
        Path | None,
        Option(
            "--project",
            metavar="DIR",
            help="The directory its agent works in: ${project} in rules.",
        ),
    ] = None,
    expires: Annotated[
        str,
        Option("--expires", metavar="WHEN", help="30d, 12h or a date; never if not given."),
    ] = "",
    json: output.JsonFlag = False,
) -> None:
    """Make a grant and print its token, which is shown this once."""
    from pktui.times import now_us

    now = now_us()
    expires_us = until_us("--expires", expires) if expires else 0
    file = _policy_file(policy) if policy is not None else ""
    directory = _directory(project) if project is not None else ""
    with backends.ledger(write=True) as ledger:
        grant, token = ledger.grants.create(
            name, server, file, expires_us, project=directory, by=BY
        )
    if json:
        output.json(_shown(grant, now, token))
    else:
        output.line(token)
    until = f" until {output.moment(expires_us)}" if expires_us else ""
    opened = "every server" if "*" in grant.servers else ", ".join(grant.servers)
    output.note(f"Grant {name} opens {opened}{until}. Its token is shown this once: keep it safe.")
    _warn_unknown(grant)


@grants_app.verb("list")
def list_(json: output.JsonFlag = False) -> None:
    """List all grants, expired and revoked ones included, oldest first."""
    from pktui.times import now_us

    found: tuple[Grant, ...] = ()
    if backends.used_before():
        with backends.ledger() as ledger:
            found = ledger.grants.list()
    now = now_us()
    if json:
        output.json([_shown(grant, now) for grant in found])
        return
    rows = [
        (
            *(grant.name, grant.standing(now), ", ".join(grant.servers)),
            *(output.moment(grant.created_us), output.moment(grant.expires_us or None)),
            *(grant.policy, grant.project),
        )
        for grant in found
    ]
    headers = ("name", "status", "servers", "made", "expires", "policy", "project")
    output.table(headers, rows, empty="There is no grant. Make one with: pktui grants create")


@grants_app.verb()
def revoke(
    name: Annotated[str, Argument(metavar="NAME", help="The grant to end.")],
    json: output.JsonFlag = False,
) -> None:
    """End a grant: its token is refused from the next request on."""
    from pktui.times import now_us

    with backends.ledger(write=True) as ledger:
        grant = ledger.grants.revoke(name, by=BY)
    if json:
        output.json(_shown(grant, now_us()))
    else:
        output.line(f"{grant.name} revoked: its token is refused from the next request on")


def _policy_file(policy: Path) -> str:
    """Return where the policy is, once it is known to be one."""
    from pktui.policy.document.policy import load_policy

    load_policy(policy)
    return str(policy.absolute())


def _directory(project: Path) -> str:
    """Return where the project is, once it is known to be a directory."""
    if not project.is_dir():
        raise UsageError(f"--project {project} is no directory", "Name the one the agent works in")
    found = str(project.absolute())
    if storable(found) != found:
        raise UsageError(
            f"--project {project} is not written in UTF-8, so no record can name it",
            "Name another directory, or rename it",
        )
    return found


def _warn_unknown(grant: Grant) -> None:
    from pktui.gateway.servers.entries import load_servers
    from pktui.settings import Paths

    known = {*load_servers(Paths.from_environment()), "*"}
    missing = ", ".join(server for server in grant.servers if server not in known)
    if missing:
        output.note(f"Not configured yet: {missing}. Add it with: pktui servers add")


def _shown(grant: Grant, now_us: int, token: str = "") -> GrantShown:
    return GrantShown(
        name=grant.name,
        standing=grant.standing(now_us),
        servers=grant.servers,
        policy=grant.policy,
        created_us=grant.created_us,
        expires_us=grant.expires_us,
        revoked_us=grant.revoked_us,
        token=token,
        project=grant.project,
    )
