"""One tool's rule: changed in place, and changed back."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pktui.cli import output
from pktui.cli.command_guard import guard_edit
from pktui.cli.commands import Argument, Option
from pktui.cli.policy import places
from pktui.cli.policy.show import warn_unknown
from pktui.errors import PolicyError, UsageError
from pktui.settings import Paths

if TYPE_CHECKING:
    from pktui.policy.editor import Edit, PolicyEditor
    from pktui.policy.effective import EffectiveAction

Verb = Literal["allow", "ask", "approve", "deny", "hide", "limit"]


def set_(
    server: places.ServerName,
    tool: Annotated[
        str, Argument(metavar="TOOL", help="A tool's name, or a glob that the policy has.")
    ],
    action: Annotated[Verb, Argument(metavar="ACTION", help="ask is the same as approve.")],
    rate: Annotated[
        str, Argument(metavar="N/WINDOW", help="For limit: 10/minute, 10/min, 5/90, or none.")
    ] = "",
    reason: Annotated[
        str | None, Option(help="Told to the agent or the person; empty takes it away.")
    ] = None,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Show the change and write nothing.")
    ] = False,
) -> None:
    """Change one tool's rule; everything else in the file stays as it is."""
    if (action == "limit") is not bool(rate):
        raise UsageError(
            "a rate goes with limit, and limit needs one",
            f"Write: pktui policy set {server} {tool} limit 10/minute",
        )
    from pktui.policy.rule_change import Change

    begun = not places.policy_file(server).exists()
    editor = _trial_editor(server) if dry_run and begun else editor_of(server)
    warn_unknown(places.server_of(server), tool)
    if action != "limit":
        verb = "approve" if action == "ask" else action
        change = Change(tool, verb, reason=reason)
    else:
        change = Change(tool, limit=_read_rate(rate), reason=reason)
    edit = editor.preview([change])
    if change.action is not None and not places.is_file(server):
        _refuse_looser(server, editor, tool, change.action)
    if not dry_run:
        guard_edit(edit.before, edit.after, edit.path)
        editor.save(edit)
    _tell(replace(edit, path=places.policy_file(server)), written=not dry_run)
    if begun and not (dry_run or places.shipped(server) or places.is_file(server)):
        output.note(
            f"There was no policy for {server}: with this one, any other tool asks a person. For "
            f"rules made from its tools, first: pktui policy init {server} --force"
        )


def _refuse_looser(server: str, editor: PolicyEditor, tool: str, action: EffectiveAction) -> None:
    """Raise `PolicyError` where what is managed is stricter than what is to be set."""
    from pktui.policy.effective import ceiling_of, refusal

    ceiling = ceiling_of(places.managed(server).current().over(editor.policy), tool)
    if ceiling is not None and (why := refusal(ceiling, tool, action)):
        raise PolicyError(why, "Ask whoever manages this machine's policies")


def merge(
    server: places.ServerName,
    file: Annotated[str, Argument(metavar="FILE|-", help="What a page shows; - reads it here.")],
    dry_run: Annotated[
        bool, Option("--dry-run", help="Show the change and write nothing.")
    ] = False,
) -> None:
    """Add rules to a policy: a whole one, or entries of tools; what is there otherwise stays."""
    from pktui.policy.merge import merge_edit

    text = _read_text(file)
    begun = not places.policy_file(server).exists()
    editor = _trial_editor(server) if dry_run and begun else editor_of(server)
    edit, notes = merge_edit(editor, text)
    for note in notes:
        output.note(f"note: {note}")
    if not dry_run:
        guard_edit(edit.before, edit.after, edit.path)
        editor.save(edit)
    _tell(replace(edit, path=places.policy_file(server)), written=not dry_run)


def _read_text(file: str) -> str:
    """Return the text of a file, or of standard input; raises `PolicyError`."""
    from pktui.policy.text.jsontext import MAX_BYTES

    try:
        if file == "-":
            raw = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(file).open("rb") as page:
                raw = page.read(MAX_BYTES + 1)
    except OSError as error:
        raise PolicyError(
            f"{file} cannot be read: {error.strerror or error}", "Check the path"
        ) from error
    if len(raw) > MAX_BYTES:
        raise PolicyError(f"{file} is larger than {MAX_BYTES} bytes", "Give a smaller page")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PolicyError(f"{file} is not UTF-8", "Save it as UTF-8") from error


def undo(server: places.ServerName) -> None:
    """Take back the last change that a command made to the policy; the last ten are kept."""
    editor = editor_of(server)
    edit = editor.preview_undo()
    guard_edit(edit.before, edit.after, edit.path)
    _tell(editor.undo(), written=True)


def _tell(edit: Edit, *, written: bool) -> None:
    if not edit.changed:
        output.note(f"{edit.path} says so already.")
        return
    output.line(edit.diff.rstrip("\n"))
    output.note(f"{'Written' if written else 'Not written'}: {edit.path}")


def editor_of(server: str) -> PolicyEditor:
    """Return the editor of a server's policy, made where there is none yet; it can be undone.

    Raises `UnknownServer` where there is neither a policy nor such a server.
    """
    from pktui.gateway.enforcement.policy_file import open_policy
    from pktui.gateway.servers.entries import find_server
    from pktui.policy.editor import PolicyEditor

    paths = Paths.from_environment()
    path = places.policy_file(server)
    if not path.exists() and not places.is_file(server):
        begins = places.shipped(server)
        if begins is None:
            find_server(paths, server)
        open_policy(paths, server, None, changed=lambda _digest, _problem: None, shipped=begins)
    return PolicyEditor(path, history=undo_directory(paths))


def _trial_editor(server: str) -> PolicyEditor:
    """Return an editor that starts from what would be the server's policy, and makes none."""
    from pktui.policy.editor import PolicyEditor

    known = places.is_file(server)
    return PolicyEditor(places.policy_file(server) if known else places.file_in_force(server))


def undo_directory(paths: Paths) -> Path:
    """Return where the changes are kept that can be taken back."""
    return paths.data_dir / "undo"


def _read_rate(rate: str) -> str:
    """Return the limit of a rate as it was typed, empty for none."""
    from pktui.policy.limits import read_rate

    if rate == "none":
        return ""
    if read_rate(rate) is None:
        raise UsageError(f"{rate} is not a rate", "Write it like 10/minute, 5/90 (seconds) or none")
    return rate
