"""Changes rules in a policy file and leaves everything else as its author wrote it.

The console's drafts and `policy set` both come through here. An edit is made on the bytes that
were read, of as many changes as are wanted; it is written as a whole, under a lock, through a
temporary file and a rename, and only if the file still holds those bytes. The last ten edits can
be undone: in memory, and across processes where a `history` directory is given.

The names of tools come from servers and agents. One that would be a pattern gets no rule.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pktui.errors import PolicyConflict, PolicyError
from pktui.policy.document.policy import Policy, parse_policy
from pktui.policy.files import read_or_none, replace_file
from pktui.policy.globs import Glob, is_glob, is_pattern
from pktui.policy.history import History, Past
from pktui.policy.limits import WINDOWS, read_rate, window_name
from pktui.policy.rule_change import Change
from pktui.policy.rules import Action
from pktui.policy.text import json_edit
from pktui.policy.text.json import Node, scan
from pktui.policy.text.problems import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.policy.effective import EffectiveAction

# What a file that does not exist yet is taken to hold.
START = b'{\n  "version": "1",\n  "default": "approve",\n  "tools": {}\n}\n'


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a policy file: the bytes before and after it."""

    path: Path
    summary: str
    before: bytes
    after: bytes

    @property
    def changed(self) -> bool:
        """Whether the edit changes anything."""
        return self.before != self.after

    @property
    def diff(self) -> str:
        """The change as a unified diff."""
        name = self.path.name
        return "".join(
            line if line.endswith("\n") else f"{line}\n"
            for line in difflib.unified_diff(
                self.before.decode().splitlines(keepends=True),
                self.after.decode().splitlines(keepends=True),
                name,
                name,
            )
        )


class PolicyEditor:
    """Edits one policy file; one that is missing is taken to hold `start`.

    It remembers the file as it was read (`reload` reads it again). Every method raises
    `PolicyConflict` where the file changed meanwhile, `PolicyInvalid` where it is or would
    become invalid, and `PolicyError` where the change cannot be expressed; nothing is written
    then.
    """

    def __init__(self, path: Path, *, history: Path | None = None, start: bytes = START) -> None:
        self.path = path
        self._start = start
        self._history = History(path, history)
        self._on_disk: bytes | None = None
        self._policy: Policy | None = None
        self.reload()

    def reload(self) -> None:
        """Read the file again; edits start from what it holds now."""
        self._on_disk = read_or_none(self.path)
        self._policy = None

    @property
    def raw(self) -> bytes:
        """The bytes edits start from."""
        return self._start if self._on_disk is None else self._on_disk

    @property
    def policy(self) -> Policy:
        """The policy those bytes hold; raises `PolicyInvalid`."""
        if self._policy is None:
            self._policy = parse_policy(self.raw, self.path)
        return self._policy

    def set_action(self, tool: str, action: EffectiveAction, *, reason: str | None = None) -> Edit:
        """Allow, deny, hide a tool or let a person approve it; `reason` None keeps the old."""
        return self.save(self.preview([Change(tool, action, reason=reason)]))

    def set_limit(self, tool: str, maximum: int | None, window: str | int = "minute") -> Edit:
        """Let a tool be called at most so often for each client; None takes the limit away."""
        limit = "" if maximum is None else f"{maximum}/{window}"
        return self.save(self.preview([Change(tool, limit=limit)]))

    def set_reason(self, tool: str, text: str) -> Edit:
        """Say why a tool is denied or asks; empty text takes the reason away."""
        return self.save(self.preview([Change(tool, reason=text)]))

    def preview(self, changes: Sequence[Change]) -> Edit:
        """Return the one edit that makes these changes, one after another; nothing is written."""
        if self.policy.dialect != "native":
            raise PolicyError(
                f"{self.path} is an Intercept policy, which is only read",
                f"Write it in pktui's own form first: pktui policy convert {self.path}",
            )
        text, policy = self.raw.decode(), self.policy
        for change in changes:
            if change.tool not in policy.tools:
                check_name(change.tool, self.path)
            text = changed_text(text, policy, change)
            policy = parse_policy(text.encode(), self.path)
        return Edit(self.path, _summary(changes), self.raw, text.encode())

    def preview_undo(self) -> Edit:
        """Return what `undo` would do; raises as it does."""
        last = self._last()
        return Edit(self.path, f"undone: {last.summary}", last.after, last.before)

    def undo(self) -> Edit:
        """Take the last edit back.

        Raises `PolicyConflict` where the file is no longer as that edit left it, `PolicyError`
        where there is nothing to undo.
        """
        last = self._last()
        replace_file(self.path, last.after, last.before)
        self._history.drop()
        self._on_disk, self._policy = last.before, None
        return Edit(self.path, f"undone: {last.summary}", last.after, last.before)

    def _last(self) -> Past:
        """Return the edit that can be taken back."""
        last = self._history.last()
        if last is None:
            raise PolicyError(f"no edit of {self.path} is left to undo", "Edit the file by hand")
        if read_or_none(self.path) != last.after:
            raise PolicyConflict(
                f"{self.path} changed since that edit; nothing was undone",
                "Edit the file by hand",
            )
        return last

    def save(self, edit: Edit) -> Edit:
        """Write a previewed edit; raises `PolicyConflict` where another was written since."""
        if edit.before != self.raw:
            raise PolicyConflict(
                f"{self.path} changed since that preview; nothing was written",
                "Look at it again and repeat the change",
            )
        if edit.changed:
            replace_file(self.path, self._on_disk, edit.after)
            self._history.add(edit.summary, edit.before, edit.after)
            self._on_disk, self._policy = edit.after, None
        return edit


def check_name(tool: str, path: Path) -> None:
    """Raise `PolicyError` where a rule for the tool would be one for other tools, or for none."""
    _check_whole(tool)
    if is_pattern(tool):
        raise PolicyError(
            f"no rule is made for {quote(tool)}: with that name it would be one for other tools",
            f"Decide about its calls one by one, or write the pattern into {path} by hand if it is"
            " meant for many tools",
        )


def _check_whole(text: str) -> None:
    """Raise `PolicyError` where a text holds half a character, which no file can."""
    try:
        text.encode()
    except UnicodeEncodeError:
        what = f"{quote(text)} holds half a character, which no policy can"
        raise PolicyError(what, "Write it in UTF-8") from None


def changed_text(text: str, policy: Policy, change: Change) -> str:
    """Return the text of a policy with one change made in it; `policy` is that text, parsed."""
    document = PolicyText(text, policy)
    tool = change.tool
    if change.action == "hide":
        document.hide(tool)
    elif change.action is not None:
        document.show(tool)
        document.act(tool, change.action)
    if change.limit is not None:
        document.limit(tool, *_read_limit(change.limit))
    if change.reason is not None:
        _check_whole(change.reason)
        document.put(tool, "reason", change.reason or None)
    if change.allow_if is not None:
        document.add_allowance(tool, change.allow_if)
    return document.text


def _read_limit(limit: str) -> tuple[int | None, str | int]:
    """Return how many calls in which window as a policy writes it; None for no limit."""
    if not limit:
        return None, "minute"
    rate = read_rate(limit)
    if rate is None:
        raise PolicyError(
            f"a limit of {quote(limit)} cannot be written",
            f"Write a number of 0 or more, a slash, and {', '.join(WINDOWS)} or whole seconds",
        )
    return rate[0], window_name(rate[1])


def _summary(changes: Sequence[Change]) -> str:
    if len(changes) == 1:
        return changes[0].summary
    return f"{len(changes)} changes: {'; '.join(change.summary for change in changes)}"


class PolicyText:
    """A policy's text while one rule in it is edited; every step finds its place anew."""

    def __init__(self, text: str, policy: Policy) -> None:
        self.text = text
        self._policy = policy
        self._scanned: tuple[str, Node] | None = None

    def hide(self, tool: str) -> None:
        """Add the name to `hide`, unless it or a glob there hides the tool already."""
        if self._policy.hides(tool):
            return
        root = self._root()
        member = root.member("hide")
        if member:
            self.text = json_edit.add_item(self.text, member.value, json_edit.write(tool))
        else:
            self.text = json_edit.add_member(self.text, root, "hide", json_edit.write([tool]))

    def show(self, tool: str) -> None:
        """Take the name out of `hide`; refuse where a glob hides it."""
        for glob in self._policy.hide:
            if is_glob(glob) and glob != tool and Glob.of(glob).matches(tool):
                raise PolicyError(
                    f"{quote(tool)} is hidden by the glob {quote(glob)}",
                    'Change that entry of "hide" in the file',
                )
        member = self._root().member("hide")
        items = member.value.items if member else []
        for index, item in enumerate(items):
            if member and item.value == tool:
                self.text = json_edit.remove_item(self.text, member.value, index)
                return

    def act(self, tool: str, action: EffectiveAction) -> None:
        """Set what happens to the tool; allowing is what an entry does by itself.

        What runs unasked (`allow_if`) goes with the asking: nothing else takes it.
        """
        listed = self._policy.rule_for(tool).listed
        entry = self._entry(tool, "{}" if not listed else "")
        if action != "allow" or entry.member("action"):
            self.put(tool, "action", action)
        if action != "approve":
            self.put(tool, "allow_if", None)

    def put(self, tool: str, key: str, value: str | None) -> None:
        """Set or, with None, remove one text of a tool's entry, which is made if need be."""
        entry = self._entry(tool)
        member = entry.member(key)
        if value is None:
            if member:
                self.text = json_edit.remove_member(self.text, entry, key)
        elif member:
            self.text = json_edit.replace_value(self.text, member.value, json_edit.write(value))
        else:
            self.text = json_edit.add_member(self.text, entry, key, json_edit.write(value))

    def add_allowance(self, tool: str, conditions: str) -> None:
        """Let calls of a tool that asks run unasked where the conditions hold."""
        rule = self._policy.rule_for(tool)
        if rule.action is not Action.APPROVE:
            raise PolicyError(
                f"{quote(tool)} is not asked about, so nothing of it can run unasked",
                f"Its action is {rule.action.value}; set it to approve first",
            )
        if not self._entry(tool).member("action"):
            self.put(tool, "action", "approve")
        entry = self._entry(tool)
        predicate = json_edit.write({"conditions": json.loads(conditions)})
        member = entry.member("allow_if")
        if member:
            self.text = json_edit.add_item(self.text, member.value, predicate)
        else:
            self.text = json_edit.add_member(self.text, entry, "allow_if", f"[{predicate}]")

    def limit(self, tool: str, maximum: int | None, window: str | int) -> None:
        """Set or, with None, remove the tool's own rate limit."""
        entry = self._entry(tool)
        if shorthand := entry.member("rate_limit"):
            if maximum is None:
                self.text = json_edit.remove_member(self.text, entry, "rate_limit")
            else:
                value = json_edit.write(f"{maximum}/{window}")
                self.text = json_edit.replace_value(self.text, shorthand.value, value)
            return
        limits = entry.member("limits")
        at = _own_limit(limits.value, f"{tool}_rate") if limits else None
        if limits and at is not None:
            self._change_limit(entry, limits.value, at, maximum, window)
        elif maximum is not None:
            self._add_limit(entry, limits.value if limits else None, tool, maximum, window)

    def _change_limit(
        self, entry: Node, limits: Node, at: int, maximum: int | None, window: str | int
    ) -> None:
        if maximum is None and len(limits.items) == 1:
            self.text = json_edit.remove_member(self.text, entry, "limits")
        elif maximum is None:
            self.text = json_edit.remove_item(self.text, limits, at)
        else:
            members = {member.key: member.value for member in limits.items[at].members}
            new = sorted(
                ((members["max"], maximum), (members["window"], window)),
                key=lambda pair: pair[0].start,
                reverse=True,
            )
            for node, value in new:
                self.text = json_edit.replace_value(self.text, node, json_edit.write(value))

    def _add_limit(
        self, entry: Node, limits: Node | None, tool: str, maximum: int, window: str | int
    ) -> None:
        limit = {"counter": f"{tool}_rate", "window": window, "max": maximum, "scope": "grant"}
        text = json_edit.write(limit)
        if limits is None:
            self.text = json_edit.add_member(self.text, entry, "limits", f"[{text}]")
        else:
            self.text = json_edit.add_item(self.text, limits, text)

    def _root(self) -> Node:
        if self._scanned is None or self._scanned[0] is not self.text:
            root, _ = scan(self.text)
            assert root is not None
            self._scanned = self.text, root
        return self._scanned[1]

    def _entry(self, tool: str, new: str = "") -> Node:
        """Return the tool's own entry; it is made of `new`, or of what holds for it now."""
        root = self._root()
        tools = root.member("tools")
        if tools is None:
            self.text = json_edit.add_member(self.text, root, "tools", "{}")
            return self._entry(tool, new)
        member = tools.value.member(tool)
        if member is None:
            text = new or self._inherited(tool, tools.value)
            self.text = json_edit.add_member(self.text, tools.value, tool, text, lines=True)
            return self._entry(tool)
        return member.value

    def _inherited(self, tool: str, tools: Node) -> str:
        """Return the text of the entry that decides about the tool now."""
        rule = self._policy.rule_for(tool)
        for name, known in self._policy.tools.items():
            if known is rule:
                member = tools.member(name)
                assert member is not None
                return self.text[member.value.start : member.value.end]
        default = self._policy.default.value
        return "{}" if default == "allow" else json_edit.write({"action": default})


def _own_limit(limits: Node, counter: str) -> int | None:
    for index, item in enumerate(limits.items):
        member = item.member("counter")
        if member and member.value.value == counter:
            return index
    return None


__all__ = ["Edit", "PolicyEditor"]
