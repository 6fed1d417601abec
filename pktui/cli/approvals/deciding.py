"""Allow or deny a waiting call, and if wanted more than this one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated

from pktui.cli import backends, output
from pktui.cli.approvals import queue, together
from pktui.cli.command_guard import BY, ask_pin
from pktui.cli.commands import Option
from pktui.errors import ApprovalError, PolicyError, UsageError
from pktui.settings import Paths, load_settings
from pktui.text import escaped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.ledger.approvals.standing import StandingApproval, Wider
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import Approval
    from pktui.policy.editor import Edit, PolicyEditor
    from pktui.policy.evaluate import Call

_SHORTEST_HASH = 8


def approve(
    approval: queue.ApprovalId,
    for_: Annotated[
        str,
        Option("--for", metavar="TIME", help="This tool for this client, for so long: 30m, 2h."),
    ] = "",
    until_disconnect: Annotated[
        bool, Option("--until-disconnect", help="This tool until this client disconnects.")
    ] = False,
    exact: Annotated[
        bool, Option("--exact", help="With one of the two above: only these arguments.")
    ] = False,
    where: Annotated[
        list[str] | None,
        Option(
            "--if",
            metavar="CONDITION",
            help="With these or --always: only calls like 'args.command command \"pytest *\"'.",
        ),
    ] = None,
    always: Annotated[
        bool, Option("--always", help="Save as a rule for every client: this tool, or --if.")
    ] = False,
    sets: Annotated[
        list[str] | None,
        Option(
            "--set",
            metavar="PATH=VALUE",
            help="Allow it with another argument: args.amount=5, items.0.qty=2.",
        ),
    ] = None,
    unsets: Annotated[
        list[str] | None, Option("--unset", metavar="PATH", help="Leave an argument out.")
    ] = None,
    shown_hash: Annotated[
        str,
        Option(
            "--hash", help="Allow only if the arguments' hash, as shown, starts so; asks nothing."
        ),
    ] = "",
    group: Annotated[
        bool,
        Option("--group", help="Each waiting call of its agent and tool, where that only reads."),
    ] = False,
    yes: Annotated[bool, Option("--yes", "-y", help="Do not ask.")] = False,
    json: output.JsonFlag = False,
) -> None:
    """Allow one waiting call, once, or more. It is shown first, and what is shown is what runs."""
    from pktui.ledger.approvals.standing import check_may_stand

    if group:
        others = (for_, until_disconnect, exact, where, always, sets, unsets, shown_hash)
        together.allow(approval, plain=not any(others), yes=yes, json=json)
        return
    wider = _wider(for_, where or (), until_disconnect=until_disconnect, exact=exact, always=always)
    with backends.ledger(write=True) as ledger:
        found = queue.get(ledger, approval)
        if wider is not None and found.status == "pending":
            check_may_stand(found, wider)
            _check_fulfils(ledger, found, wider)
        change = _change(ledger, found, sets or (), unsets or (), once=not (wider or always))
        rule = None
        if always and found.status == "pending":
            rule = _Rule(ledger, found, _conditions(where or ()))
        if shown_hash:
            _check_hash(found, shown_hash)
        elif found.status == "pending" and not yes:
            _confirm(ledger, found, change, rule, _reach(found, wider, always=always))
        decided, made = _decide(ledger, found, wider, change)
        if rule is not None:
            rule.write(ledger)
    _report(decided, made, rule, json=json)


def deny(
    approval: queue.ApprovalId,
    words: Annotated[
        str, Option("--words", "-w", help="What the agent is told, in your words.")
    ] = "",
    group: Annotated[
        bool, Option("--group", help="Each waiting call of its agent and tool.")
    ] = False,
    json: output.JsonFlag = False,
) -> None:
    """Deny one waiting call, or all of its agent and tool."""
    if group:
        together.deny(approval, words, json=json)
        return
    with backends.ledger(write=True) as ledger:
        found = queue.get(ledger, approval)
        decided = ledger.approvals.decide(
            found.id, False, by=BY, words=words, args_hash=found.args_hash, pin=ask_pin(ledger)
        )
    _report(decided, None, None, json=json)


def _confirm(
    ledger: Ledger, asked: Approval, change: _Change | None, rule: _Rule | None, reach: str
) -> None:
    """Show the call, what is changed of it and the rule, and ask; raises where the answer is no."""
    queue.tell(ledger, asked)
    if change is not None:
        change.tell()
    if rule is not None:
        output.line(rule.edit.diff.rstrip("\n"))
        output.line(rule.would_have)
    how = ", so changed" if change is not None else ""
    output.confirm(f"Allow this call{how}, {reach}?", yes=False)


def _change(
    ledger: Ledger, asked: Approval, sets: Sequence[str], unsets: Sequence[str], *, once: bool
) -> _Change | None:
    """Return what is changed of a waiting call, None where nothing is."""
    if not (sets or unsets) or asked.status != "pending":
        return None
    if not once:
        raise UsageError(
            "--set and --unset change this one call", "Allow such calls by another answer"
        )
    return _Change(ledger, asked, sets, unsets)


class _Change:
    """The waiting call with other arguments, which the policy was asked about."""

    def __init__(
        self, ledger: Ledger, asked: Approval, sets: Sequence[str], unsets: Sequence[str]
    ) -> None:
        from pktui.cli.policy.places import layers_of
        from pktui.insight.redeciding import Redeciding
        from pktui.policy.argument_edits import drop_value, set_value

        paths = Paths.from_environment()
        call = Redeciding.of(ledger, asked)
        changed = dict(call.arguments)
        for text in sets:
            path, equals, value = text.partition("=")
            if not equals:
                raise UsageError(f"--set {text} has no value", "Write it like --set amount=5")
            changed = set_value(changed, path, value, call.definition)
        for path in unsets:
            changed = drop_value(changed, path, call.definition)
        self._before = call.arguments
        self.arguments = changed
        layers = layers_of(asked.server, ledger)
        self._verdict = call.check(ledger, paths, load_settings(paths), layers, changed)

    def tell(self) -> None:
        """Print what changes and what the policy says of it."""
        from pktui.insight.redeciding import difference

        for line in difference(self._before, self.arguments):
            output.line(escaped(line))
        output.line(f"The policy, asked again: {self._verdict.effect} ({self._verdict.rule}).")


class _Rule:
    """The rule that lets the tool of a waiting call through, previewed."""

    def __init__(self, ledger: Ledger, asked: Approval, conditions: str) -> None:
        from pktui.cli.policy.places import layers_of
        from pktui.policy.evaluate import Call
        from pktui.policy.rule_from_answer import preview_permit

        if asked.once:
            raise ApprovalError(
                f"{asked.tool} destroys, moves money or was redefined: each call of it is asked"
                " about",
                "Allow this one call; to change the rule all the same: pktui policy set",
            )
        import json

        from pktui.ledger.approvals.approvals import hash_of_shown

        self._asked = asked
        self._editor = _editor(ledger, asked)
        hash_of_shown(asked)  # raises where they cannot be read
        arguments = json.loads(asked.arguments)
        caller = asked.caller
        layers = layers_of(asked.server, ledger)
        around = layers.surroundings
        call = Call(
            *(asked.server, asked.tool, arguments, caller.identity, caller.session),
            *(around.definition_of(asked.tool), around.place_of(caller.project)),
            several=around.several,
        )
        self.edit: Edit = preview_permit(self._editor, call, conditions, layers.over)
        self.would_have = _would_have(ledger, call, conditions)

    def write(self, ledger: Ledger) -> None:
        """Write the rule and put that on record."""
        try:
            self._editor.save(self.edit)
        except PolicyError as error:
            raise PolicyError(
                f"{self._asked.id} is allowed, once, but the rule was not written: {error.what}",
                error.cure,
            ) from error
        ledger.events.append(
            "policy",
            server=self._asked.server,
            tool=self._asked.tool,
            effect="edited",
            approval_id=self._asked.id,
            detail={
                "by": ledger.signed(BY),
                "edit": self.edit.summary,
                "digest": hashlib.sha256(self.edit.after).hexdigest(),
            },
        )


def _would_have(ledger: Ledger, call: Call, conditions: str) -> str:
    """Say how many of the last asks the rule would have answered, and one it would not have."""
    from pktui.insight.trial import asks
    from pktui.policy.sentence import answered
    from pktui.policy.trial import arguments_of

    past = [arguments_of(row.arguments)[0] for row in asks(ledger, call.server, call.tool)]
    found = answered(conditions or "[]", past, definition=call.definition, place=call.place)
    said = f"Would have answered {found.count} of the last {found.of} asks"
    return f"{said}; still asked: {found.near} ({found.why})" if found.near else f"{said}."


def _conditions(where: Sequence[str]) -> str:
    from pktui.policy.predicate import write_conditions

    return write_conditions(where) if where else ""


def _editor(ledger: Ledger, asked: Approval) -> PolicyEditor:
    """Return the editor of the policy that asked: the grant's own, else the server's."""
    from pktui.cli.policy.rules import editor_of

    grants = ledger.grants.list() if asked.grant_key else ()
    own = next((grant.policy for grant in grants if grant.key == asked.grant_key), "")
    return editor_of(own or asked.server)


def _wider(
    for_: str, where: Sequence[str], *, until_disconnect: bool, exact: bool, always: bool
) -> Wider | None:
    """Return how far the answer reaches beyond the call, None where it does not."""
    if sum((bool(for_), until_disconnect, always)) > 1:
        raise UsageError(
            "--for, --until-disconnect and --always are three different answers", "Give one"
        )
    if (exact and not (for_ or until_disconnect)) or (
        where and not (for_ or until_disconnect or always)
    ):
        raise UsageError(
            f"{'--exact' if exact else '--if'} says which calls a standing answer is for",
            "Give it with --for or --until-disconnect" + ("" if exact else ", or with --always"),
        )
    if exact and where:
        raise UsageError("--exact leaves nothing for --if to say", "Give one of them")
    if not (for_ or until_disconnect):
        return None
    from pktui.ledger.approvals.standing import Wider

    return Wider(_span_us(for_) if for_ else 0, exact, _conditions(where))


def _check_fulfils(ledger: Ledger, asked: Approval, wider: Wider) -> None:
    """Raise `UsageError` where the call that asks is none of those the answer is limited to."""
    if not wider.conditions:
        return
    import json

    from pktui.gateway.enforcement.places import place_of
    from pktui.ledger.approvals.approvals import hash_of_shown
    from pktui.policy.argument_check import Definition
    from pktui.policy.predicate import read_predicate

    hash_of_shown(asked)  # raises where they cannot be read
    seen = ledger.catalogue.tool(asked.server, asked.tool)
    definition = Definition(seen.hash, seen.definition) if seen is not None else Definition()
    predicate = read_predicate(wider.conditions)
    if not predicate.holds(json.loads(asked.arguments), definition, place_of(asked.project)):
        raise UsageError(
            f"{asked.id} itself is none of the calls where {predicate}",
            "Mend the condition, or allow this one call by itself",
        )


def _span_us(text: str) -> int:
    """Return a span such as 30m in microseconds."""
    from datetime import UTC, datetime

    from pktui.query import parse_until

    start = datetime(2000, 1, 1, tzinfo=UTC)
    try:
        span = parse_until(text, start) - start
    except ValueError as error:
        raise UsageError(f"--for: {error}") from error
    seconds = int(span.total_seconds())
    if not 0 < seconds <= 7 * 86_400:
        raise UsageError(f"--for {text}: from a minute to seven days", "Write it like 30m or 2h")
    return seconds * 1_000_000


def _decide(
    ledger: Ledger, found: Approval, wider: Wider | None, change: _Change | None = None
) -> tuple[Approval, StandingApproval | None]:
    from pktui.ledger.approvals.approvals import hash_of_shown

    shown = hash_of_shown(found) if found.status == "pending" else found.args_hash
    pin = ask_pin(ledger)
    if wider is None:
        changed = change.arguments if change is not None else None
        decided = ledger.approvals.decide(
            found.id, True, by=BY, args_hash=shown, pin=pin, changed=changed
        )
        return decided, None
    return ledger.standing.allow(found.id, wider, by=BY, args_hash=shown, pin=pin)


def _reach(asked: Approval, wider: Wider | None, *, always: bool) -> str:
    """Say in words what would be allowed."""
    if always:
        return f"and write this rule for {asked.server}.{asked.tool}, whoever calls it"
    if wider is None:
        return "once"
    from pktui.policy.predicate import say_conditions

    which = "with these arguments" if wider.exact else "whatever the arguments"
    if wider.conditions:
        which = say_conditions(wider.conditions)
    until = f"for {_minutes(wider.for_us)}" if wider.for_us else "until it disconnects"
    return f"and {asked.tool} for {queue.who(asked)} {until}, {which}"


def _minutes(span_us: int) -> str:
    minutes = span_us / 60_000_000
    return f"{minutes:g} min"


def _check_hash(approval: Approval, shown: str) -> None:
    if len(shown) < _SHORTEST_HASH or not approval.args_hash.startswith(shown.lower()):
        raise ApprovalError(
            f"the arguments of {approval.id} do not have the hash {shown}",
            f"Look at them with: pktui approvals show {approval.id}; "
            f"at least {_SHORTEST_HASH} characters of the hash are needed",
        )


def _report(
    decided: Approval, made: StandingApproval | None, rule: _Rule | None, *, json: bool
) -> None:
    if json:
        told = queue.record(decided)
        output.json({"approval": told, "standing": made} if made is not None else told)
        return
    word: str = "allowed, once" if decided.status == "allowed" else decided.status
    if decided.status == "pending":
        word = f"waits for another person ({decided.people})"
    word += ", as changed" if decided.changed_hash else ""
    if made is not None:
        word = f"allowed, and standing as {made.id} until {output.moment(made.expires_us)}"
        word += " or until it disconnects" if made.session else ""
    output.line(f"{decided.id} {word}: {decided.server}.{decided.tool} for {queue.who(decided)}")
    if rule is not None:
        back = f"pktui policy undo {decided.server}"
        output.note(f"Written: {rule.edit.path}. Take it back with: {back}")
