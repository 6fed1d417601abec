"""Whether a change of a policy lets agents do more: then a person makes it, else anybody may.

What cannot be compared counts as more. The comparison is of what the documents come to, tool by
tool; for globs it asks whether any tool a changed one could match may do more than before.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from pktui.errors import PolicyError
from pktui.policy.document.policy import Policy, parse_policy
from pktui.policy.globs import is_glob, overlap
from pktui.policy.rules import Action, LimitRule, ToolRule
from pktui.policy.text.problems import quote

if TYPE_CHECKING:
    from pathlib import Path

_RANK = {Action.DENY: 0, Action.APPROVE: 1, Action.ALLOW: 2}
# What a rule is called and what it says to people.
_WORDS = frozenset({"rule", "reason", "words", "on_deny", "exact_words", "listed"})
# What follows from the rest of a rule.
_DERIVED = frozenset({"action", "shape"})
_OTHERS = "tools that are not listed"
_NOTHING_YET = b'{"version": "1", "default": "approve"}'


def widened(before: bytes | None, after: bytes, path: Path | None = None) -> tuple[str, ...]:
    """Say, a phrase each, what agents may do after a change and may not before; empty: nothing.

    `before` None: there was no policy, so a person decided every call. Raises `PolicyInvalid`
    where `after` is none.
    """
    new = parse_policy(after, path)
    try:
        old = parse_policy(_NOTHING_YET if before is None else before, path)
    except PolicyError:
        return ("the policy before cannot be read",)
    if old.digest == new.digest:
        return ()
    if "intercept" in (old.dialect, new.dialect):
        return ("a policy in Intercept's form cannot be compared",)
    return tuple(dict.fromkeys(_widened(old, new)))


def _widened(old: Policy, new: Policy) -> Iterator[str]:
    listed = dict.fromkeys((*old.tools, *new.tools, *old.hide, *new.hide))
    for name in listed:
        if not is_glob(name):
            yield from _looser(quote(name), _decides(old, name), _decides(new, name))
    for name in listed:
        if is_glob(name):
            yield from _glob(old, new, name)
    yield from _looser(_OTHERS, old.unlisted, new.unlisted)
    if new.reads_go_on and not old.reads_go_on:
        yield "tools that only read go on while the team's database is away"


def _decides(policy: Policy, tool: str) -> ToolRule | None:
    """Return the rule of a tool, None where it is hidden."""
    return None if policy.hides(tool) else policy.rule_for(tool)


def _glob(old: Policy, new: Policy, glob: str) -> Iterator[str]:
    """Compare what the tools that a glob can match may do."""
    shown = quote(glob)
    if glob in old.hide and glob not in new.hide and not _hidden(new, glob):
        yield f"{shown}: no longer hidden"
    if glob in old.tools and glob in new.tools:
        yield from _looser(shown, old.tools[glob], new.tools[glob])
    elif glob in old.tools:
        for rule in _others(new, glob):
            yield from _looser(shown, old.tools[glob], rule)
    elif glob in new.tools and not _hidden(new, glob):
        for rule in _others(old, glob):
            yield from _looser(shown, rule, new.tools[glob])


def _hidden(policy: Policy, glob: str) -> bool:
    return "*" in policy.hide or glob in policy.hide


def _others(policy: Policy, glob: str) -> Iterator[ToolRule]:
    """Yield every rule that can hold for a name that the glob matches."""
    yield policy.unlisted
    for name, rule in policy.tools.items():
        if is_glob(name) and overlap(name, glob):
            yield rule


def _looser(what: str, old: ToolRule | None, new: ToolRule | None) -> Iterator[str]:
    """Say how a rule is looser than another; None is a hidden tool."""
    if new is None or new.action is Action.DENY:
        return
    was = Action.DENY if old is None else old.action
    if _RANK[new.action] > _RANK[was] or old is None:
        yield f"{what}: {'hide' if old is None else was.value} → {new.action.value}"
        return
    for field in msgspec.structs.fields(ToolRule):
        if field.name not in _WORDS and field.name not in _DERIVED:
            said = _part(field.name, getattr(old, field.name), getattr(new, field.name))
            if said:
                yield f"{what}: {said}"


def _part(name: str, before: Any, after: Any) -> str:
    """Say how one part of a rule is looser, empty where it is not."""
    if name == "limits":
        return "" if _limits_hold(before, after) else "a limit is higher or gone"
    if name == "approvers":
        return "" if after >= before else f"{before} people → {after}"
    if name == "look":
        kept = before is None or _key(before) == _key(after)
        return "" if kept else "what shows a person the change is other or gone"
    if name in ("checks", "approvals"):
        kept = {*map(_key, before)} <= {*map(_key, after)}
        return "" if kept else "a condition is other or gone"
    if name == "allowances":
        kept = {*map(_key, after)} <= {*map(_key, before)}
        return "" if kept else "more is allowed without asking"
    return "" if _key(before) == _key(after) else f"{name} is other"


def _limits_hold(old: tuple[LimitRule, ...], new: tuple[LimitRule, ...]) -> bool:
    """Return whether every old limit still holds, as low or lower."""
    now = {_limit_key(limit): limit.max for limit in new}
    return all(now.get(_limit_key(limit), limit.max + 1) <= limit.max for limit in old)


def _limit_key(limit: LimitRule) -> Any:
    return _key(msgspec.structs.replace(limit, max=Decimal(0)))


def _key(value: Any) -> Any:
    """Return what a rule's part means, comparable between two documents: without its words."""
    if isinstance(value, msgspec.Struct):
        return (
            type(value).__name__,
            *(
                _key(getattr(value, field.name))
                for field in msgspec.structs.fields(type(value))
                if field.name not in _WORDS
            ),
        )
    if isinstance(value, tuple):
        return tuple(map(_key, value))
    return "" if callable(value) else repr(value)
