"""Whole policy documents: made, checked, converted, and described to editors."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pktui.cli import output
from pktui.cli.command_guard import guard_edit
from pktui.cli.commands import Argument, Exit, Option
from pktui.cli.policy import places
from pktui.errors import PktuiError, PolicyConflict, PolicyError, UsageError
from pktui.settings import Paths, bundled, check_server_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.policy.document.policy import Policy
    from pktui.policy.text.problems import Problem

Preset = Literal["observe", "read-only", "balanced", "strict", "memory"]


def init(
    server: places.ServerName,
    command: Annotated[
        list[str] | None,
        Argument(metavar="-- COMMAND ARG", help="How to start it, where it is not configured."),
    ] = None,
    url: Annotated[str, Option(help="Where to reach it, where it is not configured.")] = "",
    preset: Annotated[
        Preset | None, Option(help="Copy a ready-made policy; the server is not asked.")
    ] = None,
    force: Annotated[bool, Option("--force", help="Replace the policy there is.")] = False,
    show: Annotated[bool, Option("--print", help="Print it and write no file.")] = False,
) -> None:
    """Ask a server for its tools and write their policy: reading goes through, the rest asks."""
    paths = Paths.from_environment()
    target = places.policy_file(check_server_name(server))
    if not (show or force) and target.exists():
        raise PolicyError(f"{server} has a policy already: {target}", "Give --force to replace it")
    begins = places.shipped(server) if not command and not url else None
    if preset:
        raw = bundled("config", "policies", f"{preset}.json").read_bytes()
    elif begins is not None:
        raw = begins.read_bytes()
    else:
        raw = _scanned(paths, server, command or [], url)
    if show:
        output.line(raw.decode().rstrip("\n"))
        return
    guard_edit(_in_force(server, target), raw, target)
    _write(target, raw)
    output.note(f"Written: {target}")
    started = f" -- {shlex.join(command)}" if command else f" --url {url}" if url else ""
    output.note(f"Look at it with: pktui policy show {server}")
    output.note(f"Put it in force with: pktui gateway {server}{started}")


def validate(
    place: Annotated[list[str], Argument(metavar="SERVER|FILE", help="Servers, or policy files.")],
    json: output.JsonFlag = False,
) -> None:
    """Check policies: every problem with its line, what is wrong, and how to mend it.

    Warnings name what is valid and probably not meant; they do not change the exit status.
    """
    from pktui.policy.document.policy import read_bytes
    from pktui.policy.lint import review
    from pktui.policy.managed import NONE

    broken = False
    for each in place:
        path = places.existing_file(each)
        known = places.pinned_tools(places.server_of(each))
        ceiling = NONE if places.is_file(each) else places.managed(each).current()
        found = review(read_bytes(path), path, known, ceiling)
        if found.policy is None:
            broken = True
            _tell_problems(path, found.problems, json=json)
        else:
            _check_people(path, found.policy)
            _tell_good(path, found.policy, found.warnings, json=json)
    raise Exit(1 if broken else 0)


def _check_people(path: Path, policy: Policy) -> None:
    """Raise `PolicyError` where several people have to allow a call and none are told apart."""
    from pktui.settings import load_settings

    several = [name for name, rule in policy.tools.items() if rule.approvers > 1]
    if several and not load_settings(Paths.from_environment()).ledger.uri:
        raise PolicyError(
            f"{path}: several people have to allow {', '.join(several)}, and only a team's ledger"
            " tells one from another; until then these tools are denied",
            "Set ledger.uri in settings.toml, or remove approvers",
        )


def convert(
    source: Annotated[Path, Argument(metavar="FILE", help="An Intercept policy.")],
    target: Annotated[
        Path | None, Option("--output", "-o", help="Write it here instead of printing it.")
    ] = None,
) -> None:
    """Write an Intercept policy in pktui's own form, and report what cannot be expressed."""
    from pktui.policy.document.convert import convert as convert_policy
    from pktui.policy.replay import load_draft

    converted = convert_policy(load_draft(source))
    for note in converted.notes:
        output.note(f"note: {note}")
    if target is None:
        output.line(converted.document.decode().rstrip("\n"))
        return
    if target.exists():
        raise PolicyError(f"{target} exists already", "Name another file")
    guard_edit(None, converted.document, target)
    _write(target, converted.document)
    output.note(f"Written: {target}")


def schema() -> None:
    """Print the JSON Schema of a policy, for editors."""
    from pktui.policy.document.schema import schema_text

    output.line(schema_text().rstrip("\n"))


def _in_force(server: str, target: Path) -> bytes | None:
    """Return the policy there is: the shipped one, if any, until it is copied."""
    from pktui.policy.files import read_or_none

    there = read_or_none(target)
    begins = places.shipped(server)
    return begins.read_bytes() if there is None and begins is not None else there


def _scanned(paths: Paths, server: str, command: list[str], url: str) -> bytes:
    from pktui.gateway.servers.entries import find_server
    from pktui.gateway.servers.naming import server_of_command, server_of_url
    from pktui.gateway.tool_scan.scan import scan
    from pktui.policy.recommend import recommend

    if command and url:
        raise UsageError("a server is reached by a command or by a URL", "Leave one of them out")
    if command:
        entry = server_of_command(server, command)
    elif url:
        entry = server_of_url(server, url, {})
    else:
        entry = find_server(paths, server)
    tools = scan(entry)
    output.note(f"{server} lists {len(tools)} tools.")
    return recommend(server, tools)


def _write(target: Path, raw: bytes) -> None:
    from pktui.policy.files import read_or_none, replace_file

    try:
        replace_file(target, read_or_none(target), raw)
    except PolicyConflict as error:
        raise PktuiError(f"{target} was written by somebody else just now", "Try again") from error


def _tell_good(path: Path, policy: Policy, warnings: Sequence[Problem], *, json: bool) -> None:
    if json:
        output.json_line(
            {"file": str(path), "valid": True, "problems": [], "warnings": list(warnings)}
        )
        return
    kind = "" if policy.dialect == "native" else ", Intercept's dialect"
    output.line(
        f"{path}: valid{kind}, {len(policy.tools)} rules, default {policy.default}, "
        f"{len(policy.hide)} hidden"
    )
    for warning in warnings:
        output.line(f"{path}: warning: {warning}")


def _tell_problems(path: Path, problems: Sequence[Problem], *, json: bool) -> None:
    if json:
        output.json_line({"file": str(path), "valid": False, "problems": list(problems)})
        return
    for problem in problems:
        output.line(f"{path}: {problem}")
