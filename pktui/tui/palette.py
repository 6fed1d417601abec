"""The command palette: every action of the view in front, with the key that does the same."""

from __future__ import annotations

from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider

from pktui.tui.actions import SCOPE_TITLES, Action, offered_in
from pktui.tui.context import Context, context_of


class ActionProvider(Provider):
    """Offers the registry's actions."""

    @property
    def _console(self) -> Context:
        return context_of(self.screen)

    def _offered(self) -> list[tuple[str, str, Action]]:
        console = self._console
        offered = []
        for action in offered_in(console.in_front):
            keys = console.keymap.shown(action)
            name = f"{SCOPE_TITLES[action.scope]}: {action.tooltip}"
            offered.append((name, f"key {keys}" if keys else "no key", action))
        return offered

    async def discover(self) -> Hits:
        """Offer everything while nothing is typed."""
        for name, help_text, action in self._offered():
            run = partial(self._run, action)
            yield DiscoveryHit(name, run, help=help_text)

    async def search(self, query: str) -> Hits:
        """Offer what matches."""
        matcher = self.matcher(query)
        for name, help_text, action in self._offered():
            score = matcher.match(name)
            if score > 0:
                run = partial(self._run, action)
                yield Hit(score, matcher.highlight(name), run, help=help_text)

    async def _run(self, action: Action) -> None:
        """Run it on the app or the view in front."""
        if action.scope == "app":
            await self.app.run_action(action.command, default_namespace=self.app)
        else:
            await self._console.run_in_front(action.command)
