"""The lists that actions are run from: help, palette, and the menu of a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pktui.tui.actions import Action, actions_in, offered_in, scopes_of
from pktui.tui.context import context_of
from pktui.tui.reference import reference
from pktui.tui.screens.action_list import ActionList, entry_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from textual.app import App

    from pktui.tui.screens.action_list import Entry

# How many actions the palette remembers to have run.
RECENT = 9


class ActionLists:
    """Opens them over the views, and runs what is chosen."""

    def __init__(self, app: App[int], run: Callable[[Action], Awaitable[object]]) -> None:
        """`run` carries an action out, in the view in front where it belongs to one."""
        self._app, self._console, self._run = app, context_of(app), run

    def help(self) -> None:
        """List the keys that hold in the view in front, to be typed into and run from."""
        keymap, scopes = self._console.keymap, scopes_of(self._console.in_front)
        actions = [one for one in actions_in(*scopes) if keymap.keys(one)]
        actions.sort(key=lambda one: scopes.index(one.scope))
        listed = [entry_of(one, keymap) for one in actions]
        entries = (*listed, *reference(self._console.glyphs))
        self._open("a key, a word or an id; enter runs it", entries)

    def palette(self) -> None:
        """List what can be done, what was done last first."""
        recent = {name: at for at, name in enumerate(self._console.kept.recent)}
        offered = sorted(
            offered_in(self._console.in_front), key=lambda one: recent.get(one.id, len(recent))
        )
        entries = [
            entry_of(one, self._console.keymap, "Last done" if one.id in recent else "")
            for one in offered
        ]
        self._open("what to do", entries)

    def menu(self) -> None:
        """List what can be done with the row under the pointer."""
        bound = self._app.screen.active_bindings.values()
        here = {one.binding.id for one in bound if one.enabled}
        offered = actions_in(scopes_of(self._console.in_front)[0])
        entries = [
            entry_of(one, self._console.keymap, "This row") for one in offered if one.id in here
        ]
        self._open("this row", [entry for entry in entries if entry.runs])

    def _open(self, title: str, entries: Sequence[Entry]) -> None:
        def answer(action: Action | None) -> None:
            if action is not None:
                before = [name for name in self._console.kept.recent if name != action.id]
                self._console.keep(recent=(action.id, *before[:RECENT]))
                self._app.call_later(self._run, action)

        foot = "esc closes · ids are for console.keys in settings.toml"
        self._console.ask(ActionList(title, entries, foot), answer)
