"""What the policy says of a waiting call with other arguments, before a person allows it so.

The gateway decides it again before it goes out; this tells it first.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pktui.errors import ApprovalError
from pktui.ledger.approvals.approvals import hash_of_shown
from pktui.ledger.records import Approval
from pktui.policy.argument_check import Definition, pinned
from pktui.policy.document.policy import parse_policy, read_bytes
from pktui.policy.evaluate import Call, Charge, Effect, Usage, Verdict, evaluate
from pktui.policy.live import INTERIM

if TYPE_CHECKING:
    from pktui.insight.in_force import Layers
    from pktui.ledger.ledger import Ledger
    from pktui.settings import Paths, Settings


class _Quota:
    def __init__(self, ledger: Ledger) -> None:
        self._counters = ledger.counters

    def usage(self, charge: Charge) -> Usage:
        used, retry_at_us = self._counters.usage(charge)
        return Usage(charge, used, retry_at_us)


class Redeciding(msgspec.Struct, frozen=True):
    """A waiting call whose arguments a person changes."""

    approval: Approval
    arguments: Mapping[str, Any]
    """As the agent gave them."""
    definition: Definition

    @classmethod
    def of(cls, ledger: Ledger, approval: Approval) -> Redeciding:
        """Read the call. Raises `ApprovalError` where its arguments cannot be read."""
        hash_of_shown(approval)
        seen = ledger.catalogue.tool(approval.server, approval.tool)
        return cls(approval, json.loads(approval.arguments), pinned(seen))

    def check(
        self,
        ledger: Ledger,
        paths: Paths,
        settings: Settings,
        layers: Layers,
        arguments: Mapping[str, Any],
    ) -> Verdict:
        """Return the word on the call with other arguments, under what is laid around the policy.

        Raises `ApprovalError` where it would refuse them, `PktuiError` where it cannot be asked.
        """
        asked = self.approval
        path = policy_file_of(ledger, paths, settings, asked)
        caller, around = asked.caller, layers.surroundings
        call = Call(
            *(asked.server, asked.tool, arguments, caller.identity, caller.session),
            *(self.definition, around.place_of(caller.project)),
            several=around.several,
        )
        policy = parse_policy(read_bytes(path) if path.exists() else INTERIM, path)
        verdict = evaluate(layers.over(policy), call, _Quota(ledger))
        if verdict.effect not in (Effect.ALLOW, Effect.APPROVE):
            raise ApprovalError(
                f"the policy refuses these arguments: {verdict.reason} ({verdict.rule})",
                "Change them otherwise, or the rule",
            )
        return verdict


def difference(before: object, after: object) -> list[str]:
    """Return the lines in which two values differ as laid-out JSON, each with its sign.

    Lines around them that are equal begin with a blank.
    """
    old, new = (
        json.dumps(value, ensure_ascii=False, indent=2).splitlines() for value in (before, after)
    )
    lines = difflib.unified_diff(old, new, n=2, lineterm="")
    return [line for line in list(lines)[2:] if not line.startswith("@@")]


def policy_file_of(ledger: Ledger, paths: Paths, settings: Settings, asked: Approval) -> Path:
    """Return the policy that asked: the grant's own, else the server's."""
    grants = ledger.grants.list() if asked.grant_key else ()
    own = next((grant.policy for grant in grants if grant.key == asked.grant_key), "")
    return Path(own) if own else settings.policy_file(paths, asked.server)
