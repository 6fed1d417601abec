"""The command palette: every action of the view in front, with the key that does the same."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from pktui.tui.actions import SCOPE_TITLES, Action, offered_in

if TYPE_CHECKING:
    from pktui.tui.console import Console


class ActionProvider(Provider):
    """Offers the registry's actions."""

    @property
    def _console(self) -> Console:
        return cast("Console", self.app)

    def _offered(self) -> list[tuple[str, str, Action]]:
        console = self._console
        offered = []
        for action in offered_in(console.front):
            keys = console.keymap.shown(action)
            name = f"{SCOPE_TITLES[action.scope]}: {action.tooltip}"
            offered.append((name, f"key {keys}" if keys else "no key", action))
        return offered

    async def discover(self) -> Hits:
        """Offer everything while nothing is typed."""
        for name, help_text, action in self._offered():
            run = partial(run_offered, self._console, action)
            yield DiscoveryHit(name, run, help=help_text)

    async def search(self, query: str) -> Hits:
        """Offer what matches."""
        matcher = self.matcher(query)
        for name, help_text, action in self._offered():
            score = matcher.match(name)
            if score > 0:
                run = partial(run_offered, self._console, action)
                yield Hit(score, matcher.highlight(name), run, help=help_text)


async def run_offered(console: Console, action: Action) -> None:
    """Run an action from the palette, on the view in front or the app."""
    target = console if action.scope == "app" else console.view_in_front()
    if target is not None:
        await console.run_action(action.command, default_namespace=target)
