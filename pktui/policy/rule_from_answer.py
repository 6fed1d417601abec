"""A person's answer to one call, written down as a rule for the tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pktui.errors import PolicyError
from pktui.policy.document.policy import parse_policy
from pktui.policy.editor import check_name
from pktui.policy.evaluate import Effect, evaluate
from pktui.policy.layers import managed_file
from pktui.policy.memory_quota import MemoryQuota
from pktui.policy.rule_change import Change
from pktui.policy.text.problems import quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from pktui.policy.document.policy import Policy
    from pktui.policy.editor import Edit, PolicyEditor
    from pktui.policy.evaluate import Call


def preview_permit(
    editor: PolicyEditor,
    call: Call,
    conditions: str = "",
    over: Callable[[Policy], Policy] = lambda policy: policy,
) -> Edit:
    """Return the edit after which such calls run without being asked about; nothing is written.

    The rule is for the tool, whoever calls it; with `conditions` (JSON text, see `predicate`) it is
    for the calls that fulfil them, and all others go on being asked about. Raises `PolicyError`
    where the tool's name would make it a rule for others, and where the call would be asked about,
    or refused, all the same: by a condition, or by what is laid `over` the policy.
    """
    check_name(call.tool, editor.path)
    limited = conditions not in ("", "[]")
    wanted = Change(call.tool, allow_if=conditions) if limited else Change(call.tool, "allow")
    edit = editor.preview([wanted])
    policy = over(parse_policy(edit.after, editor.path))
    verdict = evaluate(policy, call, MemoryQuota(lambda: 0))
    if verdict.effect is not Effect.ALLOW:
        file = managed_file(verdict.rule)
        decides = f"managed policy {file}" if file else f"{verdict.rule} in {editor.path}"
        raise PolicyError(
            f"a rule for {quote(call.tool)} would not let this call through: {decides} still"
            " decides",
            "Only your administrator changes that one"
            if file
            else "Change that rule in the file, or allow the call for a time",
        )
    return edit
