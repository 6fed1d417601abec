"""The pin step: a tool is trusted as it was first seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from pktui.ledger.tool_catalogue import MOST_TOOLS
from pktui.policy.argument_check import Definition, pinned

if TYPE_CHECKING:
    from pktui.gateway.tool_scan.findings import Flagger
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import Flag, ToolSeen


# Listings of several pages that may be under way at once.
_MOST_LISTINGS = 32
# Definitions of one name that are kept from page to page.
_MOST_OF_A_NAME = 16


class _Listing(msgspec.Struct):
    """The pages of one listing so far; `first`: nothing was on record when it began."""

    first: bool
    definitions: dict[str, list[Mapping[str, Any]]]


class Pins:
    """The catalogued definitions of one server's tools, kept until `forget`."""

    def __init__(self, ledger: Ledger, server: str) -> None:
        self._ledger = ledger
        self._catalogue = ledger.catalogue
        self._server = server
        self._known: dict[str, ToolSeen | None] = {}
        self._pinned: dict[str, Definition] = {}
        self._sound: dict[str, bool] = {}
        """Whether what is pinned stands as the journal says."""
        self._full: bool | None = None
        self._flagger: Flagger | None = None
        self._listings: dict[str, _Listing] = {}
        """By the cursor that the next page will be asked for with."""
        self.times_seen = 0
        """How often the server has listed tools."""

    def saw(
        self,
        definitions: Sequence[Mapping[str, Any]],
        *,
        cursor: str = "",
        next_cursor: str = "",
        then: Callable[[], object] = lambda: None,
    ) -> tuple[ToolSeen, ...]:
        """Record a page of what the server lists.

        A name that was on an earlier page of the same listing counts with what it was there. `then`
        is called together with what is written, if anything is.
        """
        listing = self._listings.get(cursor) if cursor else None
        if listing is None:
            listing = _Listing(not self._catalogue.knows(self._server), {})
        position = len(listing.definitions)
        page = _with_earlier(listing, definitions)
        seen = self._catalogue.saw(
            *(self._server, page),
            first=listing.first,
            position=position,
            flag=self._flag,
            then=then,
        )
        if next_cursor:
            while len(self._listings) >= _MOST_LISTINGS:
                del self._listings[next(iter(self._listings))]
            self._listings[next_cursor] = listing
        self.times_seen += 1
        self._flagger = None
        self.forget()
        return seen

    def _flag(self, definitions: Sequence[Mapping[str, Any]]) -> list[Flag]:
        """Flag what is not on record yet; the names to compare with are read once a page."""
        from pktui.gateway.tool_scan.findings import Flagger, several  # few starts meet a new tool

        if self._flagger is None:
            others = self._catalogue.names(but=self._server)
            self._flagger = Flagger(others, self._catalogue.names(of=self._server))
        return several(self._flagger, definitions)

    def forget(self) -> None:
        """Read everything again: the ledger changed."""
        self._known.clear()
        self._sound.clear()
        self._pinned.clear()
        self._full = None

    def knows(self, tool: str) -> bool:
        """Tell whether the server was ever seen to list the tool.

        So it is taken to be, where it lists more tools than are kept.
        """
        return self._tool(tool) is not None or self._is_full()

    def changed(self, tool: str) -> bool:
        """Tell whether the server now defines the tool otherwise than it was accepted.

        So it is taken to, where what is pinned is not as the journal has it, and where the server
        lists more tools than are kept and this is not one of them.
        """
        seen = self._tool(tool)
        if seen is None:
            return self._is_full()
        sound = self._sound.get(tool)
        if sound is None:
            sound = self._sound[tool] = self._ledger.stands("tools", self._server, tool)
        return seen.changed or not sound

    def definition_hash(self, tool: str) -> str:
        """Return the hash of the definition as last listed, empty where it never was."""
        seen = self._tool(tool)
        return seen.hash if seen is not None else ""

    def definition(self, tool: str) -> Definition:
        """Return the tool as it is pinned, `UNKNOWN` where it never was."""
        found = self._pinned.get(tool)
        if found is None:
            found = self._pinned[tool] = pinned(self._tool(tool))
        return found

    def definition_text(self, tool: str) -> str:
        """Return the definition as last listed, empty where it never was."""
        seen = self._tool(tool)
        return seen.definition if seen is not None else ""

    def is_grave(self, tool: str) -> bool:
        """Tell whether its definition says that it destroys or moves money, or hides something."""
        seen = self._tool(tool)
        return seen is not None and (bool(seen.flags) or _is_grave(seen.definition))

    def only_reads(self, tool: str) -> bool:
        """Tell whether its definition says that it only reads, as far as that was looked at."""
        seen = self._known.get(tool)
        if seen is None or seen.flags:
            return False
        from pktui.policy.risk import only_reads

        return only_reads(seen.definition)

    def _is_full(self) -> bool:
        if self._full is None:
            self._full = self._catalogue.is_full(self._server)
        return self._full

    def _tool(self, name: str) -> ToolSeen | None:
        if name not in self._known:
            self._known[name] = self._catalogue.tool(self._server, name)
        return self._known[name]


def _with_earlier(
    listing: _Listing, definitions: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Add a page to its listing; return its definitions and the earlier ones of their names."""
    page: dict[str, list[Mapping[str, Any]]] = {}
    for definition in definitions[:MOST_TOOLS]:
        name = definition.get("name")
        if not isinstance(name, str):
            continue
        page.setdefault(name, []).append(definition)
    for name, found in page.items():
        earlier = listing.definitions.get(name, [])
        found[:0] = earlier
        if earlier or len(listing.definitions) < MOST_TOOLS:
            listing.definitions[name] = found[:_MOST_OF_A_NAME]
    return [definition for found in page.values() for definition in found]


@lru_cache(maxsize=256)
def _is_grave(definition: str) -> bool:
    """Judge a definition; where a name was listed more than once, all of them count."""
    from pktui.policy.risk import classify_all, definitions

    return classify_all(definitions(definition)).severity == "critical"
