"""What each command may change for agents, in one table, and the guard that stands before it.

A command that is not in the table is not started: who adds one says what it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, Literal

from pktui.cli import backends, output
from pktui.cli.commands import Group
from pktui.errors import PinError

if TYPE_CHECKING:
    from pathlib import Path

    import click

    from pktui.ledger.ledger import Ledger

# Who widened or decided, as the record and a later second decision name it.
BY: Final = "the command line"

# open: looks, tightens, or does what policies do not govern.
# decides: a person does it and no agent; where a PIN goes with it the command asks for that.
# widens: the guard stands before it.
# depends: the command calls the guard where what it was told widens.
Effect = Literal["open", "decides", "widens", "depends"]

EFFECTS: Final[Mapping[str, Effect]] = {
    "demo": "open",
    "gateway": "open",
    "hook": "open",
    "doctor": "open",
    "now": "open",
    "insight": "open",
    "status": "open",
    "wait": "open",
    "feed": "open",
    "sessions open": "open",
    "approvals open": "open",
    "sessions list": "open",
    "sessions show": "open",
    "sessions search": "open",
    "sessions end": "open",
    "sessions reopen": "open",
    "sessions resume": "open",
    "sessions export": "open",
    "sessions delete": "decides",  # for good, and no tool of the memory does it
    "knowledge add": "open",
    "knowledge search": "open",
    "knowledge get": "open",
    "knowledge similar": "open",
    "knowledge update": "open",
    "knowledge delete": "decides",  # the tool that does it is hidden from agents
    "knowledge list": "open",
    "knowledge stats": "open",
    "import jsonl": "open",
    "import opencode-pk": "open",
    "import claude-code": "open",
    "import codex": "open",
    "import gemini": "open",
    "import opencode": "open",
    "memory serve": "open",
    "memory token": "open",
    "memory status": "open",
    "memory stop": "open",
    "memory reindex": "open",
    "policy init": "depends",  # writes what is looser than the policy there is, or than asking
    "policy validate": "open",
    "policy show": "open",
    "policy set": "depends",  # denies and hides without asking
    "policy merge": "depends",  # what a page shows may be looser than what there is
    "policy undo": "depends",  # takes back what was tightened, or what was loosened
    "policy explain": "open",
    "policy replay": "open",
    "policy convert": "depends",  # with --output it writes a policy
    "policy schema": "open",
    "policy bundle": "open",
    "policy fetch": "open",  # what root's directory names, signed by the key it names
    "approvals list": "open",
    "approvals show": "open",
    "approvals approve": "decides",
    "approvals deny": "decides",
    "approvals standing list": "open",
    "approvals standing revoke": "decides",
    "approvals stop": "open",
    "approvals release": "decides",
    "approvals pin set": "decides",
    "approvals pin clear": "decides",
    "audit tail": "open",
    "audit verify": "open",
    "audit export": "open",
    "audit anchor": "open",
    "audit status": "open",
    "audit key": "open",  # makes one where there is none, and replaces none
    "audit send": "open",
    "audit reindex": "open",  # derived: it changes nothing of the record
    "audit prune": "depends",  # removes what happened, but for --dry-run
    "ledger migrate": "decides",  # what all machines of a team go by
    "grants create": "widens",
    "grants list": "open",
    "grants revoke": "open",
    "servers list": "open",
    "servers add": "widens",
    "servers remove": "widens",
    "servers scan": "depends",  # with --accept it trusts definitions
    "clients list": "open",
    "clients adopt": "decides",
    "clients release": "widens",
    "adopt": "decides",
}


def guard_all(command: click.Command, path: str) -> None:
    """Put the guard before a command that decides or widens, as the table says.

    Before those of a group once they are asked for. Raises `KeyError` with the path of a command
    that the table does not name.
    """
    if isinstance(command, Group):
        command.prepare = lambda child, name: guard_all(child, f"{path} {name}")
        return
    effect = EFFECTS[path]
    if effect in ("decides", "widens") and command.callback is not None:
        command.callback = _guarded(command.callback, _person if effect == "decides" else guard)


def guard(what: str = "") -> None:
    """Return where a person may widen what agents may do, typing the PIN where one is set.

    `what` is said before the PIN is asked for. Raises `ApprovalError`, `PinError`.
    """
    _person()
    if not _pin_wanted():
        return
    from pktui.guard import check_widening

    if what:
        output.note(what)
    with backends.ledger(write=True) as ledger:
        check_widening(ledger, by=BY, pin=ask_pin(ledger))


def guard_edit(before: bytes | None, after: bytes, path: Path) -> None:
    """Guard a change of a policy file where it loosens it; None: there is no file yet.

    Raises as `guard` does, and `PolicyInvalid` where `after` is no policy.
    """
    from pktui.policy.widening import widened

    found = widened(before, after, path)
    if found:
        guard(f"This lets agents do more: {_listed(found)}.")


def ask_pin(ledger: Ledger, *, what: str = "PIN") -> str:
    """Return the PIN that the person types, or an empty text where none is wanted.

    Raises `PinError` where it is wanted and nobody can be asked.
    """
    return typed_pin(what) if ledger.pin.is_set() else ""


def typed_pin(what: str) -> str:
    """Return a PIN typed without being shown. It is no option, so that no process list has it."""
    if not sys.stdin.isatty():
        raise PinError("a PIN is needed and nobody can be asked here", "Run this in a terminal")
    import getpass

    return getpass.getpass(f"{what}: ", stream=sys.stderr)


def _person() -> None:
    from pktui.person import check_person

    check_person()


def _pin_wanted() -> bool:
    """Return whether a PIN is set, or the settings want one; without a ledger none is set."""
    if backends.used_before():
        with backends.ledger() as ledger:
            return ledger.pin.wanted()
    from pktui.settings import Paths, load_settings

    return load_settings(Paths.from_environment()).approvals.require_pin


def _guarded(callback: Callable[..., Any], check: Callable[[], None]) -> Callable[..., Any]:
    @wraps(callback)
    def checked(*args: Any, **options: Any) -> Any:
        check()
        return callback(*args, **options)

    return checked


def _listed(phrases: Sequence[str], most: int = 5) -> str:
    more = f" and {len(phrases) - most} more" if len(phrases) > most else ""
    return "; ".join(phrases[:most]) + more
