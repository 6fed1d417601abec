"""The last line: the keys in force for what has the focus, and how everything is at the right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text
from textual.reactive import reactive

from pktui.tui.actions import ACTIONS, BY_ID, Action, display_key
from pktui.tui.context import context_of
from pktui.tui.theme import Ink, ink_of
from pktui.tui.views.base import View
from pktui.tui.vitals import LedgerVitals, MemoryVitals
from pktui.tui.widgets.bar import Bar, Part
from pktui.tui.widgets.rows import Rows

if TYPE_CHECKING:
    from rich.style import Style
    from textual.binding import ActiveBinding
    from textual.dom import DOMNode

    from pktui.tui.glyphs import Glyphs

# Cells from which the line has room for everything.
ROOMY = 100
ARROWS = "↑↓←→"
# What comes first while there are drafts.
_WRITES = "policies.write"
_HELP = "app.help"
_LAST = ("app.undo", _HELP)
# The cells that these take.
_KEYS_KEPT = 16


def keys_of(node: DOMNode, names: Sequence[str]) -> Text:
    """Return the keys of actions with their labels, as the last line of a question has them."""
    ink, keymap, told = ink_of(node.app), context_of(node).keymap, Text()
    for name in names:
        told.append(f"{keymap.shown(BY_ID[name])} ", style=ink.accent)
        told.append(f"{BY_ID[name].label}   ", style=ink.dim)
    return told


class KeyLine(Bar):
    """The footer."""

    ledger: reactive[LedgerVitals | None] = reactive(None, repaint=False)
    memory: reactive[MemoryVitals] = reactive(MemoryVitals())
    drafts: reactive[int] = reactive(0)
    """How many changes of policies are drafted and not written."""
    working: reactive[str] = reactive("")
    """What is done just now and takes a while."""
    zoomed: reactive[bool] = reactive(False)
    """Whether one pane fills the view."""

    def __init__(self, glyphs: Glyphs, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._glyphs = glyphs

    def on_mount(self) -> None:
        """Follow the focus."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.refresh())

    def watch_ledger(self, before: LedgerVitals | None, now: LedgerVitals | None) -> None:
        """Draw again where what is shown of it changed; it changes with every call."""
        if _shown_of(before) != _shown_of(now):
            self.refresh()

    def left(self) -> Sequence[Part]:
        """Return the keys."""
        ink = ink_of(self.app)
        gap = " " * (3 if self.size.width >= ROOMY else 2)
        parts = [Part(" ", ink.dim)]
        for action, key in self._in_force():
            command = f"app.press('{key}')"
            keep, last = action.id in _LAST, action.id == _HELP
            parts += [
                Part(f"{display_key(key)} ", ink.accent, command, keep),
                Part(action.label if last else f"{action.label}{gap}", ink.dim, command, keep),
            ]
        return parts

    def right(self) -> Sequence[Part]:
        """Return how policy, gateways and memory are."""
        ink = ink_of(self.app)
        dot = Part(f" {self._glyphs.dot} ", ink.faint)
        policy = self._policy(ink)
        gateways = (*self._gateways(ink), dot) if self.size.width >= ROOMY else ()
        drafts = (*self._drafts(ink), dot) if self.drafts else ()
        zoomed = (Part("full screen", ink.accent, "app.zoom"), dot) if self.zoomed else ()
        working = (Part(self.working, ink.info), dot) if self.working else ()
        return (
            *working,
            *zoomed,
            *drafts,
            *policy,
            dot,
            *gateways,
            *self._memory(ink),
            Part(" ", ink.dim),
        )

    @property
    def most_right(self) -> int:
        """While something takes long that is named in place of keys; undo and help stay."""
        return self.size.width - _KEYS_KEPT if self.working else super().most_right

    def _drafts(self, ink: Ink) -> list[Part]:
        word = "draft" if self.drafts == 1 else "drafts"
        return [Part(f"{self.drafts} {word}", ink.wait, "app.view('policies')")]

    def _in_force(self) -> list[tuple[Action, str]]:
        """Return the actions that hold now, each with the key that runs it."""
        keys: dict[str, str] = {}
        for entry in self.screen.active_bindings.values():
            name, key = entry.binding.id, entry.binding.key
            if name and entry.enabled and not self._typed(key) and _does(entry):
                keys.setdefault(name, key)
        shown = [action for action in ACTIONS if action.shown and action.id in keys]
        shown.sort(key=lambda action: _LAST.index(action.id) if action.id in _LAST else -1)
        if self.drafts:
            shown.sort(key=lambda action: action.id != _WRITES)
        return [(action, keys[action.id]) for action in shown]

    def _typed(self, key: str) -> bool:
        """Tell whether the key would be typed into the box that has the focus."""
        focused, shown = self.screen.focused, display_key(key)
        if focused is None or len(shown) != 1 or shown in ARROWS:
            return False
        return focused.check_consume_key(key, shown)

    def _policy(self, ink: Ink) -> list[Part]:
        seen = self.ledger
        if seen is None:
            return [Part("policy ?", ink.faint)]
        if seen.problem:
            return [_state(self._glyphs.denied, "ledger", "lost", ink.bad)]
        if seen.stopped:
            return [_state(self._glyphs.denied, "all calls", "stopped", ink.bad)]
        if seen.unread:
            return [Part(f"reading the record, {seen.unread / 1e6:,.0f} MB", ink.info)]
        if seen.policy_problem:
            return [_state(self._glyphs.waiting, "policy", "broken", ink.wait)]
        if not seen.policies:
            return [Part("no policy", ink.dim)]
        return [Part("policy ", ink.dim), Part("ok", ink.ok)]

    def _gateways(self, ink: Ink) -> list[Part]:
        count = self.ledger.gateways if self.ledger else 0
        word = "gateway" if count == 1 else "gateways"
        return [Part(f"{count} {word}", ink.dim if count else ink.faint)]

    def _memory(self, ink: Ink) -> list[Part]:
        if self.memory.state == "down":
            return [_state(self._glyphs.denied, "memory", "down", ink.bad)]
        styles = {"ok": ink.ok, "starting": ink.info}
        state, status = self.memory.state, self.memory.status
        if status is not None and status.pending_vectors > 0:
            return [Part(f"indexing {status.pending_vectors:,}", styles[state])]
        return [Part("memory ", ink.dim), Part(state, styles[state])]


def _does(entry: ActiveBinding) -> bool:
    """Tell whether the action would do something now."""
    node, name = entry.node, entry.binding.id or ""
    return not isinstance(node, Rows | View) or node.offers(BY_ID[name].command)


def _state(sign: str, what: str, word: str, style: Style) -> Part:
    return Part(f"{sign} {what} {word}", style)


def _shown_of(seen: LedgerVitals | None) -> tuple[object, ...] | None:
    if seen is None:
        return None
    return (
        bool(seen.problem), seen.stopped, bool(seen.policy_problem), bool(seen.policies),
        seen.gateways, seen.unread,
    )  # fmt: skip
