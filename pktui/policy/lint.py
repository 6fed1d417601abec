"""What in a valid policy probably does not do what its author meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from pktui.policy.document.policy import PolicyInvalid, locate, parse_policy
from pktui.policy.effective import ceiling_of, effective, refusal
from pktui.policy.globs import covers, is_glob, overlap
from pktui.policy.managed import NONE
from pktui.policy.never import contradicted, never_asked
from pktui.policy.rules import Action
from pktui.policy.text.problems import Fault, Problem, quote

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.policy.document.policy import Policy
    from pktui.policy.managed import Ceiling
    from pktui.policy.shape import Definition

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
    return Review(policy, warnings=(*lint(policy, raw, definitions), *overrules))


def lint(
    policy: Policy, raw: bytes, definitions: Mapping[str, Definition] = _NO_TOOLS
) -> tuple[Problem, ...]:
    """Return what to look at in a policy that was read from `raw`, in the order of the text.

    `definitions` are the server's tools by name, as far as they are known.
    """
    if policy.dialect != "native":
        return ()
    faults = [
        *_globs_that_deny(policy),
        *never_asked(policy),
        *contradicted(policy, definitions),
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
