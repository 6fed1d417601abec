"""What in a valid policy probably does not do what its author meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from pktui.agent_names import HOOKED
from pktui.policy.dead_rules import contradicted, never_asked
from pktui.policy.document.policy import PolicyInvalid, locate, parse_policy
from pktui.policy.effective import ceiling_of, effective, refusal
from pktui.policy.globs import covers, is_glob, overlap
from pktui.policy.managed import NONE
from pktui.policy.risk import classify_all
from pktui.policy.risk import definitions as read_definitions
from pktui.policy.rules import Action
from pktui.policy.text.problems import QUOTED, Fault, Problem, quote
from pktui.suggest import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.policy.argument_check import Definition
    from pktui.policy.document.policy import Policy
    from pktui.policy.managed import Ceiling

_NO_TOOLS: Mapping[str, Definition] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Review:
    """What a document comes to: `problems` keep it from being used, and `policy` is None then."""

    policy: Policy | None
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def review(
    raw: bytes,
    path: Path,
    definitions: Mapping[str, Definition] = _NO_TOOLS,
    ceiling: Ceiling = NONE,
) -> Review:
    """Read a document and return all that is to be said of it, each part by its place.

    Raises `PolicyError` where it is no text.
    """
    try:
        policy = parse_policy(raw, path)
    except PolicyInvalid as error:
        return Review(None, error.problems)
    overrules = overruled(ceiling.over(policy), raw)
    warnings = lint(policy, raw, definitions, hooked=path.stem in HOOKED)
    return Review(policy, warnings=(*warnings, *overrules))


def lint(
    policy: Policy,
    raw: bytes,
    definitions: Mapping[str, Definition] = _NO_TOOLS,
    *,
    hooked: bool = False,
) -> tuple[Problem, ...]:
    """Return what to look at in a policy that was read from `raw`, in the order of the text.

    `definitions` are the server's tools by name, as far as they are known. `hooked`: it is for an
    agent's own tools, which no server has.
    """
    if policy.dialect != "native":
        return ()
    faults = [
        *_globs_that_deny(policy),
        *never_asked(policy),
        *contradicted(policy, definitions),
        *_looks(policy, definitions, hooked=hooked),
    ]
    found = dict.fromkeys(locate(raw.decode(), faults))
    return tuple(sorted(found, key=lambda problem: (problem.line, problem.column)))


def overruled(policy: Policy, raw: bytes) -> tuple[Problem, ...]:
    """Return the entries that a managed policy laid over it is stricter than."""
    faults = []
    for name in policy.tools:
        ceiling = ceiling_of(policy, name)
        own = effective(policy.own, name).action
        if ceiling is not None and (why := refusal(ceiling, name, own)):
            faults.append(
                Fault(("tools", name), why, "Leave it, or make it as strict", on_key=True)
            )
    return tuple(locate(raw.decode(), faults)) if policy.dialect == "native" else ()


def _looks(
    policy: Policy, definitions: Mapping[str, Definition], *, hooked: bool
) -> Iterator[Fault]:
    """Note looks that are never made, or that nobody would see."""
    for name, rule in policy.tools.items():
        if rule.look is None:
            continue
        at = ("tools", name, "look")
        if rule.action is Action.DENY or not (rule.action is Action.APPROVE or rule.approvals):
            what = "the look shows nothing: no call of this entry is asked about"
            yield Fault(at, what, 'Write "action": "approve", or remove it', on_key=True)
        elif hooked:
            what = "the look is never made: an agent's own tools have no server to ask"
            yield Fault(at, what, "Remove it; the arguments are shown all the same", on_key=True)
        elif why := _unmade(policy, rule.look.tool, definitions):
            yield Fault((*at, "tool"), f"the look is never made: {why[0]}", why[1])


def _unmade(
    policy: Policy, tool: str, definitions: Mapping[str, Definition]
) -> tuple[str, str] | None:
    """Say why a tool is never asked for a look, and what to do; None where it may be."""
    action = effective(policy, tool).action
    if action != "allow":
        told = {"approve": "asks a person", "deny": "is denied", "hide": "is hidden"}[action]
        return f"{quote(tool)} {told}, and only what the policy allows is asked", "Allow it"
    if definitions and tool not in definitions:
        return f"the server lists no tool {quote(tool)}", did_you_mean(tool, definitions, QUOTED)
    known = definitions.get(tool)
    risk = classify_all(read_definitions(known.text)) if known is not None else None
    if risk is not None and risk.category != "Read":
        return f"{quote(tool)} is no tool that only reads. {risk.why}", "Name one that only reads"
    return None


def _globs_that_deny(policy: Policy) -> Iterator[Fault]:
    """Note names that get past a glob that denies, and globs that lose to one."""
    for wide in (name for name, rule in policy.tools.items() if _denies(name, rule.action)):
        for name, rule in policy.tools.items():
            if rule.action is Action.DENY:
                continue
            if is_glob(name) and overlap(wide, name):
                yield _loses(name, wide)
            elif not is_glob(name) and covers(wide, name) and _runs(policy, name):
                yield _loosens(name, wide)


def _denies(name: str, action: Action) -> bool:
    return is_glob(name) and action is Action.DENY


def _runs(policy: Policy, name: str) -> bool:
    return effective(policy, name).action in ("allow", "approve")


def _loosens(name: str, wide: str) -> Fault:
    return Fault(
        ("tools", name),
        f"{quote(name)} gets past the glob {quote(wide)}, which denies: a name beats a glob",
        "Set its action to deny, unless that is meant",
        on_key=True,
    )


def _loses(name: str, wide: str) -> Fault:
    never = covers(wide, name)
    which = "never decides" if never else "does not decide about tools that both match"
    return Fault(
        ("tools", name),
        f"{quote(name)} {which}: the glob {quote(wide)} denies, which beats every other glob",
        "Remove it, or list by name what may run" if never else "List by name what may run",
        on_key=True,
    )
