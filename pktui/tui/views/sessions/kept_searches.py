"""Searches that a person keeps by a name, to search for them again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from pktui.text import one_line
from pktui.tui.screens.saved_searches import SavedSearches
from pktui.tui.views.sessions import saved
from pktui.tui.views.sessions.questions import ask_name

if TYPE_CHECKING:
    from pktui.memory.records import Mode
    from pktui.tui.views.base import View

T = TypeVar("T")


class KeptSearches:
    """Asks for names, lists what is kept; `chosen` is called with the search that is wanted."""

    def __init__(self, view: View, chosen: Callable[[saved.SavedSearch], object]) -> None:
        self._view, self._chosen = view, chosen
        self._file = view.services.paths.config_dir / "searches.json"

    def keep(self, text: str, mode: Mode) -> None:
        """Ask for the name that a search is kept by."""

        def named(name: str) -> None:
            self._in_thread(
                lambda: saved.keep(self._file, saved.SavedSearch(name, text, mode)),
                lambda _: self._view.console.say(f"kept as “{one_line(name, 60)}” · ' lists them"),
            )

        ask_name(self._view.app, text, named)

    def choose(self) -> None:
        """List the searches that are kept; one of them may be chosen or dropped."""

        def show(searches: tuple[saved.SavedSearch, ...]) -> None:
            self._view.console.ask(SavedSearches(searches, self._drop), taken)

        def taken(search: saved.SavedSearch | None) -> None:
            if search is not None:
                self._chosen(search)

        self._in_thread(lambda: saved.load(self._file), show)

    def _drop(self, search: saved.SavedSearch) -> None:
        self._in_thread(lambda: saved.drop(self._file, search.name), lambda _: None)

    def _in_thread(self, work: Callable[[], T], done: Callable[[T], object]) -> None:
        self._view.in_thread(work, done, self._view.console.say_error, group="sessions-kept")
