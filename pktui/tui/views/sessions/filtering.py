"""The filters of the query: facets beside the list or over the view, and chips that drop them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pktui.tui.chips import without
from pktui.tui.focus import focus_now
from pktui.tui.turns import Turns
from pktui.tui.views.sessions.facets import (
    FacetList,
    FacetRow,
    FacetScreen,
    edges_us,
    facet_rows,
    mondays,
    with_facet,
)
from pktui.tui.views.sessions.query_bar import filter_chips
from pktui.tui.views.sessions.search_box import SearchBox
from pktui.tui.widgets.rows import Rows

if TYPE_CHECKING:
    from datetime import date

    from pktui.memory.records import Facets
    from pktui.tui.chips import Chip
    from pktui.tui.views.base import View
    from pktui.tui.views.sessions.listing import Listing
    from pktui.tui.views.sessions.source import Row


class Filtering:
    """Counts the facets of what is listed, and puts what is chosen of them into the search box."""

    def __init__(self, view: View, listing: Listing) -> None:
        self._view, self._listing = view, listing
        self._turns = Turns(self._read)
        self._facets: Facets | None = None
        self._weeks: tuple[date, ...] = ()

    @property
    def facets(self) -> FacetList:
        """The list of facets beside the sessions."""
        return self._view.query_one("#session-facet-rows", FacetList)

    @property
    def _box(self) -> SearchBox:
        return self._view.query_one(SearchBox)

    @property
    def _rows(self) -> Rows[Row]:
        return self._view.query_one("#session-rows", Rows)

    @property
    def chips(self) -> tuple[Chip, ...]:
        """The filters that are typed."""
        return filter_chips(self._box.text)

    def count(self) -> None:
        """Read the facets again where they stand beside the list."""
        if self._view.has_class("-faceted") and self._listing.source is not None:
            self._turns.ask()

    def show(self) -> None:
        """Show the facets as they were counted, and which the row under the cursor has."""
        if self._view.has_class("-faceted"):
            self.facets.put(self._facet_rows())

    def _facet_rows(self) -> list[FacetRow]:
        if self._facets is None:
            return []
        return facet_rows(self._facets, self._weeks, self._box.text, self._rows.current)

    def _read(self) -> None:
        weeks = mondays(self._view.services.clock())

        def done(facets: Facets) -> None:
            self._facets, self._weeks = facets, weeks
            self.show()

        self._listing.count(edges_us(weeks), done, self._turns.done)

    def open(self) -> None:
        """Go to the facets; where there is no room for them they are shown over the view."""
        if self.facets.is_on_screen and self.facets.size.height:
            focus_now(self.facets)
            return
        weeks, screen = mondays(self._view.services.clock()), FacetScreen()

        def show(facets: Facets) -> None:
            screen.put(facet_rows(facets, weeks, self._box.text, self._rows.current))

        self._view.console.ask(screen, self.take)
        self._listing.count(edges_us(weeks), show, screen.ended)

    def take(self, row: FacetRow | None) -> None:
        """Filter by a value, or by it no longer."""
        if row is None:
            return
        if not row.filters:
            say = "its name holds what cannot be typed; / searches for a part of it"
            self._view.console.say(say)
            return
        self._box.search_for(with_facet(self._box.text, row))
        focus_now(self._rows)

    def drop(self, chip: Chip) -> None:
        """Filter by this no longer."""
        self._box.search_for(without(self._box.text, chip))
